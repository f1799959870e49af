"""Rounding as written, and figures that contradict each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.lint.rounding import figure
from labctl.quantity import parse

from .files import CELL, LIMITS, protocol, told

REST = '[[step]]\nrest = "1 h"\n'


@pytest.mark.parametrize(
    ("written", "share"),
    [
        ("36 mg/cm2", 0.5 / 36),
        ("36.0 mg/cm2", 0.05 / 36),
        ("0.8 mA/cm2", 0.05 / 0.8),
        ("1.50e2 mA/g", 0.5 / 150),
        ("C/10", 0.0),
        ("0.2C", 0.0),
        ("0 V", 0.0),
    ],
)
def test_a_figure_is_known_to_half_a_unit_of_its_last_digit(written: str, share: float) -> None:
    assert figure(parse(written)).rounding == pytest.approx(share)


@given(st.decimals(min_value="0.1", max_value=9999, places=2), st.integers(0, 2))
def test_what_rounding_explains_is_not_told_and_four_times_as_much_is(loading: object, digits: int) -> None:
    """A product of exact figures, rounded to some digits, closes; one that is far off does not."""
    product = float(str(loading)) * 200e-3
    rounded = round(product, digits)
    if rounded <= 0.0:
        return
    text = f"{rounded:.{digits}f}"
    cell = CELL.replace("14 mg/cm2", f"{loading} mg/cm2")
    assert told(protocol(REST, f'{cell}stated = {{ "200 mAh/g" = "{text} mAh/cm2" }}\n', LIMITS)) == []
    far = f"{4 * max(rounded, 10.0**-digits):.{digits}f}"
    assert len(told(protocol(REST, f'{cell}stated = {{ "200 mAh/g" = "{far} mAh/cm2" }}\n', LIMITS))) == 1


def test_a_mass_that_is_not_loading_times_area_is_told() -> None:
    cell = CELL.replace('one_c = "200 mA/g"', 'one_c = "200 mA/g", active_mass = "18.9 mg"')
    assert told(protocol(cell=cell.replace("14 mg", "25.2 mg"), limits=LIMITS.replace("300 mAh/g", "9 mAh"))) == []
    assert told(protocol(cell=cell)) == [
        'not-closing: "18.9 mg": "14 mg/cm2" on "10 mm" is 11 mg, not "18.9 mg": 42 % less, beyond rounding'
    ]


def test_a_1c_beyond_what_the_material_holds_is_told() -> None:
    cell = CELL.replace('one_c = "200 mA/g"', 'one_c = "300 mA/g", theoretical = "275 mAh/g"')
    assert told(protocol(cell=cell, limits=LIMITS.replace("300 mAh/g", "400 mAh/g"))) == [
        (
            'not-closing: "300 mA/g": an hour at "300 mA/g" is more than the 275 mAh/g that the material can hold:'
            " 9 % more, beyond rounding"
        )
    ]


def test_a_negative_electrode_that_holds_too_little_is_told() -> None:
    lto = 'material = "LTO", potential = "1.55 V vs Li", active_loading = "10 mg/cm2", theoretical = "175 mAh/g"'
    cell = CELL.replace('material = "Li-In", potential = "0.62 V vs Li"', lto)
    assert told(protocol(REST, cell)) == [
        'n-p-ratio: "10 mg/cm2": N/P is 0.62: the negative electrode holds less than the positive one gives'
    ]
    assert told(protocol(REST, cell.replace("10 mg/cm2", "20 mg/cm2"))) == []


def test_what_cannot_be_compared_is_noted() -> None:
    cell = CELL.replace(', active_loading = "14 mg/cm2"', "") + 'stated = { "0.2C" = "0.8 mA/cm2" }\n'
    (said,) = told(protocol(REST, cell, LIMITS.replace("300 mAh/g", "3 mAh")))
    assert said.startswith('not-comparable: "0.8 mA/cm2": "0.2C" and "0.8 mA/cm2" cannot be compared')


def test_a_capacity_in_place_of_mass_and_one_c_is_compared_by_the_area() -> None:
    cell = 'kind = "full"\ncapacity = "2 mAh"\npositive = { diameter = "10 mm" }\nstated = { "1C" = "%s" }\n'
    limits = LIMITS.replace("300 mAh/g", "3 mAh").replace("pressure", "# ")
    assert told(protocol(REST, cell % "2.5 mA/cm2", limits)) == []
    assert told(protocol(REST, cell % "2 mA", limits)) == []
    assert told(protocol(REST, cell % "6 mA/cm2", limits)) == [
        (
            'not-closing: "6 mA/cm2": by 2 mAh "1C" is 2.55 mA/cm2, not "6 mA/cm2": 58 % less, beyond rounding'
            " (1C is 2.55 mA/cm2 by them and 6 mA/cm2 by this)"
        )
    ]
