"""Quantities: exact values, every unit, every refusal."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from labctl.quantity import _FACTORS, Dimension, Duration, Quantity, QuantityError, Voltage, parse

READ = {
    "0.2 mA/cm2": (Fraction(2), Dimension.CURRENT_DENSITY),
    "0.2 mA cm⁻²": (Fraction(2), Dimension.CURRENT_DENSITY),
    "0.2 mA/cm²": (Fraction(2), Dimension.CURRENT_DENSITY),
    "0.2mA/cm^2": (Fraction(2), Dimension.CURRENT_DENSITY),
    "C/10": (Fraction(1, 10), Dimension.RATE),
    "0.1C": (Fraction(1, 10), Dimension.RATE),
    "0.1 C": (Fraction(1, 10), Dimension.RATE),
    "1C": (Fraction(1), Dimension.RATE),
    "2C/3": (Fraction(2, 3), Dimension.RATE),
    "-C/5": (Fraction(-1, 5), Dimension.RATE),
    "C(measured, cycle = 3)": (Fraction(1), Dimension.MEASURED_RATE),
    "0.2C( measured,cycle=3 )": (Fraction(1, 5), Dimension.MEASURED_RATE),
    "-2C(measured, cycle = 12)/3": (Fraction(-2, 3), Dimension.MEASURED_RATE),
    "2.5 MPa": (Fraction(2_500_000), Dimension.PRESSURE),
    "0.1 MPa/s": (Fraction(100_000), Dimension.PRESSURE_RATE),
    "15 min": (Fraction(900), Dimension.TIME),
    "30 h": (Fraction(108_000), Dimension.TIME),
    "4.3 V": (Fraction(43, 10), Dimension.VOLTAGE),
    "4.3 V vs Li": (Fraction(43, 10), Dimension.POTENTIAL),
    "4.3 V vs. Li+/Li": (Fraction(43, 10), Dimension.POTENTIAL),
    "0 V": (Fraction(0), Dimension.VOLTAGE),
    "-20 mV": (Fraction(-1, 50), Dimension.VOLTAGE),
    "10 mm": (Fraction(1, 100), Dimension.LENGTH),
    "14 mg/cm2": (Fraction(7, 50), Dimension.LOADING),
    "200 mA/g": (Fraction(200), Dimension.SPECIFIC_CURRENT),
    "200 mA g-1": (Fraction(200), Dimension.SPECIFIC_CURRENT),
    "300 mAh/g": (Fraction(1_080_000), Dimension.SPECIFIC_CHARGE),
    "1 mAh": (Fraction(18, 5), Dimension.CHARGE),
    "0.5 K": (Fraction(1, 2), Dimension.TEMPERATURE_DIFFERENCE),
    "30 degC": (Fraction(30), Dimension.TEMPERATURE),
    "30 °C": (Fraction(30), Dimension.TEMPERATURE),
    "2 %": (Fraction(1, 50), Dimension.RATIO),
    "1e6 N/m": (Fraction(1_000_000), Dimension.STIFFNESS),
    "0.3 N m": (Fraction(3, 10), Dimension.TORQUE),
    "0.3 N·m": (Fraction(3, 10), Dimension.TORQUE),
    "40 mN m/A": (Fraction(1, 25), Dimension.TORQUE_CONSTANT),
    "0.04 N·m/A": (Fraction(1, 25), Dimension.TORQUE_CONSTANT),
    "5 µA": (Fraction(1, 200_000), Dimension.CURRENT),
    "5 μA": (Fraction(1, 200_000), Dimension.CURRENT),
    "5 uA": (Fraction(1, 200_000), Dimension.CURRENT),
    "40 Ω": (Fraction(40), Dimension.RESISTANCE),
    "40 Ohm": (Fraction(40), Dimension.RESISTANCE),
    " .5 V ": (Fraction(1, 2), Dimension.VOLTAGE),
}


@pytest.mark.parametrize(("text", "meaning"), list(READ.items()))
def test_a_quantity_is_read_exactly(text: str, meaning: tuple[Fraction, Dimension]) -> None:
    quantity = parse(text)
    assert (quantity.value, quantity.dimension, quantity.text) == (*meaning, text)


REFUSED = {
    "": '"" is empty; write "1 mA" or "1 mA/cm2" (units: mA, A, uA, nA, mA/cm2, A/cm2, uA/cm2, A/m2)',
    "0.2": '"0.2" has no unit; write "0.2 mA" or "0.2 mA/cm2"',
    "nan mA": '"nan mA" does not begin with a finite decimal number',
    "inf mA": '"inf mA" does not begin with a finite decimal number',
    "C/10": '"C/10" is a C-rate, not a current or a current density',
    "5 kg": '"5 kg" is a mass, not a current or a current density; write "5 mA" or "5 mA/cm2"',
    "5 ma": '"5 ma" has the unknown unit "ma" (did you mean "mA"?)',
    "0,2 mA": '"0,2 mA" has a comma in its number, where a point belongs; write "0.2 mA"',
    "1e99999999 mA": '"1e99999999 mA" has an exponent beyond ±30',
    "1 mA vs SHE": '"1 mA vs SHE" refers to "SHE", but only "vs Li" is known',
    "\x1b[31m1 mA": '"\\x1b[31m1 mA" does not begin',
    "1 mA" + " " * 90 + "x": "is too long for a quantity",
}


@pytest.mark.parametrize(("text", "sentence"), list(REFUSED.items()))
def test_a_refusal_says_what_is_wrong_and_how_to_write_it(text: str, sentence: str) -> None:
    with pytest.raises(QuantityError) as caught:
        parse(text, Dimension.CURRENT, Dimension.CURRENT_DENSITY)
    assert sentence in str(caught.value)


def test_a_potential_is_no_terminal_voltage_and_the_other_way_round() -> None:
    with pytest.raises(QuantityError, match="is a voltage vs Li, not a voltage"):
        parse("4.3 V vs Li", Dimension.VOLTAGE)
    with pytest.raises(QuantityError, match="is a voltage, not a voltage vs Li"):
        parse("4.3 V", Dimension.POTENTIAL)
    assert parse("4.3 V vs Li").reference == "Li"
    assert parse("4.3 V").reference is None


@pytest.mark.parametrize("text", ["C/0", "1C/0.0", "-1 s", "-0.1 mm", "-3 mg"])
def test_what_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(QuantityError):
        parse(text)


numbers = st.decimals(min_value=0, max_value=10**9, places=6)
units = st.sampled_from([(d, u) for d in _FACTORS for u in _FACTORS[d] if d is not Dimension.POTENTIAL])


@given(number=numbers, unit=units)
def test_a_written_number_comes_back_as_its_exact_value(number: object, unit: tuple[Dimension, str]) -> None:
    dimension, name = unit
    if dimension is Dimension.RATE:
        return
    assert parse(f"{number} {name}", dimension).value == Fraction(str(number)) * _FACTORS[dimension][name]


@given(unit=units)
def test_no_unit_of_one_dimension_is_read_as_another(unit: tuple[Dimension, str]) -> None:
    dimension, name = unit
    assert parse(f"1 {name}").dimension is dimension


@given(st.fractions(min_value=Fraction(1, 1000), max_value=1000))
def test_a_rate_means_the_same_however_it_is_written(rate: Fraction) -> None:
    over = parse(f"{rate.numerator}C/{rate.denominator}")
    assert over.value == rate
    assert over == parse(f"-{rate.numerator} C / {rate.denominator}".removeprefix("-"))


@given(st.text())
def test_no_text_crashes_the_reader(text: str) -> None:
    try:
        finite = math.isfinite(float(parse(text)))
    except QuantityError as error:
        finite = bool(error.sentence and error.remedy)
    assert finite


class Settings(BaseModel):
    period: Duration
    voltage: Voltage


def test_fields_are_written_with_units_and_serialise_to_what_was_written() -> None:
    settings = Settings.model_validate({"period": "0.5 s", "voltage": "4.3 V"})
    assert settings.model_dump(mode="json") == {"period": "0.5 s", "voltage": "4.3 V"}
    assert settings.period == Quantity(Fraction(1, 2), Dimension.TIME, "500 ms")
    assert Settings.model_json_schema()["properties"]["period"]["type"] == "string"


@pytest.mark.parametrize("value", [1, 0.5, True, None, ["1 s"], "0 s", "-1 s", "1 V"])
def test_fields_refuse_what_is_no_quantity_of_theirs(value: object) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"period": value, "voltage": "4.3 V"})
