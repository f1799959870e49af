"""The counter electrode and the window that rests on its potential."""

import pytest

from labctl.lint.electrodes import li_in_ratio
from labctl.protocol.model import Electrode

from .files import CELL, CYCLE, LIMITS, protocol, told

REST = '[[step]]\nrest = "1 h"\n'
WIDE = LIMITS.replace('["2.0 V", "4.4 V"]', '["0.5 V", "6 V"]')


def negative(table: str) -> str:
    return CELL.replace('{ material = "Li-In", potential = "0.62 V vs Li" }', table)


def test_two_foils_of_equal_thickness_have_more_lithium_than_indium() -> None:
    foils = Electrode.model_validate({"li_thickness": "50 um", "in_thickness": "50 um"})
    assert li_in_ratio(foils) == pytest.approx(1.21, abs=0.005)
    assert li_in_ratio(Electrode.model_validate({"li_in_ratio": 0.5})) == 0.5
    assert li_in_ratio(Electrode.model_validate({"li_thickness": "50 um"})) is None


def test_lithium_that_a_charge_adds_counts() -> None:
    """2.8 mAh/cm2 are 104 µmol/cm2; 10 µm of indium are 64 µmol/cm2."""
    thin = 'li_in_ratio = 0.33, in_thickness = "10 um"'
    foil = f'{{ material = "Li-In", potential = "0.62 V vs Li", {thin} }}'
    assert told(protocol(REST, negative(foil))) == [
        (
            "plateau: 0.33: Li:In is 0.33 as assembled and 1.97 when the cell is charged:"
            " beyond 1 it leaves the plateau on which 0.62 V vs Li rests"
        )
    ]
    assert told(protocol(REST, negative(foil.replace("10 um", "100 um")))) == []


@pytest.mark.parametrize(
    ("material", "potential", "usual"),
    [
        ("Li", "0.62", "lithium is at 0 V"),
        ("lithium foil", "0.1", "lithium is at 0 V"),
        ("Li-In", "0", "Li-In is at 0.62 V"),
        ("Li0.25In0.75", "0", "Li-In is at 0.62 V"),
        ("indium", "0", "Li-In is at 0.62 V"),
        ("Li foil on In foil", "0", "Li-In is at 0.62 V"),
        ("Li4Ti5O12", "0", "Li4Ti5O12 is at 1.55 V"),
        ("LTO/Li6PS5Cl", "0", "Li4Ti5O12 is at 1.55 V"),
    ],
)
def test_a_potential_that_is_not_that_of_the_material_is_told(material: str, potential: str, usual: str) -> None:
    text = protocol(REST, negative(f'{{ material = "{material}", potential = "{potential} V vs Li" }}'))
    assert told(text) == [
        f'counter-potential: "{potential} V vs Li": the plateau of {usual} vs Li, not at "{potential} V vs Li"'
    ]


@pytest.mark.parametrize(
    ("material", "potential"),
    [
        ("Li", "0"),
        ("Li-In", "0.60"),
        ("InLi", "0.62"),
        ("LTO", "1.55"),
        ("graphite", "0.1"),
        ("Li6PS5Cl", "0.6"),
        ("", "3"),
    ],
)
def test_a_usual_potential_and_an_unknown_material_are_not_told(material: str, potential: str) -> None:
    text = protocol(REST, negative(f'{{ material = "{material}", potential = "{potential} V vs Li" }}'))
    assert told(text) == []


def test_a_forgotten_vs_li_is_told() -> None:
    steps = CYCLE.replace("3.7 V", "4.3 V")
    assert told(protocol(steps)) == [
        'window: "4.3 V": 4.3 V at the terminals is 4.92 V vs Li, where a layered oxide is not driven (2 V to 4.7 V)'
    ]
    assert told(protocol(steps.replace("4.3 V", "4.3 V vs Li"))) == []
    assert told(protocol(steps, CELL.replace("NMC811", "LiNi0.5Mn1.5O4"))) == []
    assert told(protocol(steps, CELL.replace("NMC811", "something of our own"))) == []


def test_a_discharge_too_deep_for_an_oxide_is_told() -> None:
    (said,) = told(protocol(CYCLE.replace("2.2 V", "0.9 V"), limits=WIDE))
    assert said.startswith('window: "0.9 V": 900 mV at the terminals is 1.52 V vs Li, where a layered oxide')
