"""Quantities as people write them: "0.2 mA/cm2", "C/10", "2.5 MPa" -> an exact number in SI and its dimension.

Values are fractions, so that 0.2 mA equals 200 µA and 0.1C equals C/10 exactly; they become floats in a bound plan.
Temperatures stay degrees Celsius, rates multiples of C, ratios plain numbers; everything else is SI.
"""

import difflib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from labctl.literal import literal

MAX_LENGTH = 80
MAX_EXPONENT = 30


class Dimension(StrEnum):
    """What a quantity measures, in the words of the sentences that name it."""

    VOLTAGE = "voltage"
    VOLTAGE_RATE = "rate of voltage"
    CURRENT_RATE = "rate of current"
    POTENTIAL = "voltage vs Li"
    CURRENT = "current"
    CURRENT_DENSITY = "current density"
    SPECIFIC_CURRENT = "specific current"
    RATE = "C-rate"
    MEASURED_RATE = "rate by measured capacity"
    TIME = "time"
    CHARGE = "capacity"
    SPECIFIC_CHARGE = "specific capacity"
    AREAL_CHARGE = "areal capacity"
    ENERGY = "energy"
    POWER = "power"
    RESISTANCE = "resistance"
    AREAL_RESISTANCE = "areal resistance"
    CONDUCTIVITY = "conductivity"
    FREQUENCY = "frequency"
    TEMPERATURE = "temperature"
    TEMPERATURE_DIFFERENCE = "temperature difference"
    TEMPERATURE_RATE = "rate of temperature"
    PRESSURE = "pressure"
    PRESSURE_RATE = "pressure ramp"
    FORCE = "force"
    TORQUE = "torque"
    TORQUE_CONSTANT = "torque constant"
    STIFFNESS = "stiffness"
    LENGTH = "length"
    ANGLE = "angle"
    ANGULAR_SPEED = "speed of a screw"
    MASS = "mass"
    LOADING = "loading"
    RATIO = "ratio"


# The first unit of each dimension is the one that sentences propose. Factors to SI are exact.
_UNITS: dict[Dimension, dict[str, str]] = {
    Dimension.VOLTAGE: {"V": "1", "mV": "1/1000", "uV": "1/1000000"},
    Dimension.VOLTAGE_RATE: {"mV/s": "1/1000", "V/s": "1", "mV/min": "1/60000", "mV/h": "1/3600000"},
    Dimension.CURRENT_RATE: {"mA/min": "1/60000", "mA/s": "1/1000", "uA/s": "1/1000000", "uA/min": "1/60000000"},
    Dimension.POTENTIAL: {"V": "1", "mV": "1/1000"},
    Dimension.CURRENT: {"mA": "1/1000", "A": "1", "uA": "1/1000000", "nA": "1/1000000000"},
    Dimension.CURRENT_DENSITY: {"mA/cm2": "10", "A/cm2": "10000", "uA/cm2": "1/100", "A/m2": "1"},
    Dimension.SPECIFIC_CURRENT: {"mA/g": "1", "A/g": "1000", "A/kg": "1"},
    Dimension.RATE: {"C": "1"},
    Dimension.MEASURED_RATE: {},
    Dimension.TIME: {"s": "1", "min": "60", "h": "3600", "d": "86400", "ms": "1/1000"},
    Dimension.CHARGE: {"mAh": "18/5", "Ah": "3600", "uAh": "9/2500", "A s": "1"},
    Dimension.SPECIFIC_CHARGE: {"mAh/g": "3600", "Ah/kg": "3600", "Ah/g": "3600000"},
    Dimension.AREAL_CHARGE: {"mAh/cm2": "36000", "Ah/m2": "3600"},
    Dimension.ENERGY: {"mWh": "18/5", "Wh": "3600", "J": "1"},
    Dimension.POWER: {"mW": "1/1000", "W": "1", "uW": "1/1000000"},
    Dimension.RESISTANCE: {"Ohm": "1", "mOhm": "1/1000", "kOhm": "1000", "MOhm": "1000000"},
    Dimension.AREAL_RESISTANCE: {"Ohm cm2": "1/10000", "kOhm cm2": "1/10", "Ohm m2": "1"},
    Dimension.CONDUCTIVITY: {"mS/cm": "1/10", "S/cm": "100", "uS/cm": "1/10000", "S/m": "1"},
    Dimension.FREQUENCY: {"Hz": "1", "mHz": "1/1000", "kHz": "1000", "MHz": "1000000"},
    Dimension.TEMPERATURE: {"degC": "1"},
    Dimension.TEMPERATURE_DIFFERENCE: {"K": "1", "mK": "1/1000"},
    Dimension.TEMPERATURE_RATE: {"K/min": "1/60", "K/s": "1"},
    Dimension.PRESSURE: {"MPa": "1000000", "kPa": "1000", "Pa": "1", "GPa": "1000000000", "bar": "100000"},
    Dimension.PRESSURE_RATE: {
        "MPa/s": "1000000",
        "kPa/s": "1000",
        "MPa/min": "50000/3",
        "kPa/min": "50/3",
        "kPa/h": "5/18",
    },
    Dimension.FORCE: {"N": "1", "kN": "1000", "mN": "1/1000"},
    Dimension.TORQUE: {"N m": "1", "mN m": "1/1000"},
    Dimension.TORQUE_CONSTANT: {"N m/A": "1", "mN m/A": "1/1000"},
    Dimension.STIFFNESS: {"N/m": "1", "N/mm": "1000", "N/um": "1000000"},
    Dimension.LENGTH: {"mm": "1/1000", "um": "1/1000000", "cm": "1/100", "m": "1"},
    Dimension.ANGLE: {"rad": "1", "mrad": "1/1000"},
    Dimension.ANGULAR_SPEED: {"rad/s": "1", "mrad/s": "1/1000"},
    Dimension.MASS: {"mg": "1/1000000", "g": "1/1000", "ug": "1/1000000000", "kg": "1"},
    Dimension.LOADING: {"mg/cm2": "1/100", "g/cm2": "10", "g/m2": "1/1000", "kg/m2": "1"},
    Dimension.RATIO: {"%": "1/100"},
}
_FACTORS = {dimension: {unit: Fraction(f) for unit, f in units.items()} for dimension, units in _UNITS.items()}

_NEVER_NEGATIVE = {
    Dimension.TIME,
    Dimension.LENGTH,
    Dimension.MASS,
    Dimension.LOADING,
    Dimension.RESISTANCE,
    Dimension.AREAL_RESISTANCE,
    Dimension.CONDUCTIVITY,
    Dimension.STIFFNESS,
}

_SPELLINGS = str.maketrans(
    {"µ": "u", "μ": "u", "²": "2", "°": "deg", "Ω": "Ohm", "\u2126": "Ohm", "·": " ", "*": " ", "⁻": "-", "¹": "1"}
)
_SYNONYMS = {"Nm": "N m", "mNm": "mN m", "As": "A s", "ohm": "Ohm", "mohm": "mOhm", "kohm": "kOhm", "℃": "degC"}

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_WRITTEN = re.compile(rf"({_NUMBER})\s*(.*)", re.DOTALL)
_RATE = re.compile(rf"([+-]?)({_NUMBER})?\s*C(?:\s*/\s*({_NUMBER}))?")
_BY_CYCLE = re.compile(rf"([+-]?)({_NUMBER})?\s*C\s*\(([^()]*)\)(?:\s*/\s*({_NUMBER}))?")
_CYCLE = re.compile(r"measured\s*,\s*cycle\s*=\s*([1-9]\d{0,6})")
_VERSUS = re.compile(r"(.*\S)\s+vs\.?\s*(.*)", re.DOTALL)
_LITHIUM = ("Li", "Li+/Li", "Li/Li+")


class WordingError(ValueError):
    """A text in a file that says nothing sensible: a sentence about what is wrong, and how to write it."""

    def __init__(self, sentence: str, remedy: str) -> None:
        super().__init__(f"{sentence}; {remedy}")
        self.sentence = sentence
        self.remedy = remedy


class QuantityError(WordingError):
    """What was written is no quantity that belongs here; says why, which units are allowed and how to write it."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact value in SI with its dimension; equal where value and dimension are, however it was written."""

    value: Fraction
    dimension: Dimension
    text: str = field(compare=False)
    cycle: int | None = None
    """By whose discharge capacity a measured rate is told; None for everything else."""

    @property
    def reference(self) -> Literal["Li"] | None:
        """The electrode that a voltage refers to; None: the cell's other terminal."""
        return "Li" if self.dimension is Dimension.POTENTIAL else None

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        return self.text


def parse(text: str, *allowed: Dimension) -> Quantity:
    """Read a quantity of one of the allowed dimensions, of any where none is named.

    Raises QuantityError.
    """
    written = text.strip()
    if len(written) > MAX_LENGTH:
        raise _error(f"{shown(written)} is too long for a quantity", "1", allowed)
    return _rate(written, text, allowed) or _by_cycle(written, text, allowed) or _measured(written, text, allowed)


def _rate(written: str, text: str, allowed: tuple[Dimension, ...]) -> Quantity | None:
    """Read "1C", "0.1C", "C/10" or "2C/3", or return None where it is written otherwise."""
    match = _RATE.fullmatch(written)
    if match is None or (match[1] and match[2] and match[2][0] in "+-"):
        return None
    if allowed and Dimension.RATE not in allowed:
        raise _error(f"{shown(written)} is a C-rate, not {_a(allowed)}", "1", allowed)
    return Quantity(_multiple(match[1], match[2], match[3], written, allowed), Dimension.RATE, text)


def _by_cycle(written: str, text: str, allowed: tuple[Dimension, ...]) -> Quantity | None:
    """Read "C(measured, cycle = 3)", its multiples and its fractions, or return None where it is written otherwise."""
    match = _BY_CYCLE.fullmatch(written)
    if match is None or (match[1] and match[2] and match[2][0] in "+-"):
        return None
    if allowed and Dimension.MEASURED_RATE not in allowed:
        raise _error(f"{shown(written)} is a {Dimension.MEASURED_RATE}, not {_a(allowed)}", "1", allowed)
    cycle = _CYCLE.fullmatch(match[3].strip())
    if cycle is None:
        how = f'write "{_example("0.2", Dimension.MEASURED_RATE)}", with the number of a cycle from 1'
        raise QuantityError(f"{shown(written)} does not say by which cycle's capacity it is told", how)
    value = _multiple(match[1], match[2], match[4], written, allowed)
    return Quantity(value, Dimension.MEASURED_RATE, text, int(cycle[1]))


def _multiple(
    sign: str, times: str | None, hours: str | None, written: str, allowed: tuple[Dimension, ...]
) -> Fraction:
    """Return which multiple of 1C is written."""
    divisor = _exact(hours or "1", written, allowed)
    if divisor == 0:
        raise _error(f"{shown(written)} divides by zero", "1", allowed)
    value = _exact(times or "1", written, allowed) / divisor
    return -value if sign == "-" else value


def _measured(written: str, text: str, allowed: tuple[Dimension, ...]) -> Quantity:
    """Read a number with its unit, and "vs Li" behind it where that is allowed."""
    match = _WRITTEN.fullmatch(written)
    if match is None:
        what = "is empty" if not written else "does not begin with a finite decimal number"
        raise _error(f"{shown(written)} {what}", "1", allowed)
    number, unit = match[1], match[2]
    value = _exact(number, written, allowed)
    if not unit:
        raise _error(f"{shown(written)} has no unit", number, allowed)
    if unit[0] == ",":
        point = re.sub(r"^(\d*).*", rf"{number}.\1", unit[1:], flags=re.DOTALL)
        raise _error(f"{shown(written)} has a comma in its number, where a point belongs", point, allowed)
    versus = _VERSUS.fullmatch(unit)
    if versus is not None and versus[2] not in _LITHIUM:
        raise _error(f'{shown(written)} refers to {shown(versus[2])}, but only "vs Li" is known', number, allowed)
    plain = _normal(versus[1] if versus else unit)
    for dimension in allowed or tuple(Dimension):
        if (dimension is Dimension.POTENTIAL) == (versus is not None) and plain in _FACTORS[dimension]:
            if value < 0 and dimension in _NEVER_NEGATIVE:
                raise _error(f"{shown(written)} is negative, which no {dimension} can be", number.lstrip("-"), allowed)
            return Quantity(value * _FACTORS[dimension][plain], dimension, text)
    raise _wrong_unit(written, number, plain, versus is not None, allowed)


def _exact(number: str, written: str, allowed: tuple[Dimension, ...]) -> Fraction:
    """Turn a decimal number into a fraction; an absurd exponent is refused before it fills the memory."""
    exponent = re.search(r"[eE]([+-]?\d+)$", number)
    if exponent is not None and abs(int(exponent[1])) > MAX_EXPONENT:
        raise _error(f"{shown(written)} has an exponent beyond ±{MAX_EXPONENT}", "1", allowed)
    return Fraction(number)


def _normal(unit: str) -> str:
    """Bring a unit to the one spelling of the table: "µA cm⁻²" and "uA/cm^2" are both "uA/cm2"."""
    plain = " ".join(unit.translate(_SPELLINGS).replace("^", "").split())
    plain = re.sub(r"\s*/\s*", "/", plain)
    plain = re.sub(r" ([A-Za-z]+)-([12])$", lambda m: f"/{m[1]}{'' if m[2] == '1' else m[2]}", plain)
    return _SYNONYMS.get(plain, plain)


def _wrong_unit(written: str, number: str, unit: str, versus_li: bool, allowed: tuple[Dimension, ...]) -> QuantityError:
    """Say of a unit whether it is unknown, or known and measures something else."""
    measured = [d for d in Dimension if unit in _FACTORS[d] and (d is Dimension.POTENTIAL) == versus_li]
    if measured:
        return _error(f"{shown(written)} is a {measured[0]}, not {_a(allowed)}", number, allowed)
    known = [u for d in allowed or tuple(Dimension) for u in _FACTORS[d]]
    same = [u for u in known if u.lower() == unit.lower()]
    near = same or difflib.get_close_matches(unit, known, n=1, cutoff=0.5)
    hint = f' (did you mean "{near[0]}"?)' if near else ""
    return _error(f"{shown(written)} has the unknown unit {shown(unit)}{hint}", number, allowed)


def _error(sentence: str, number: str, allowed: tuple[Dimension, ...]) -> QuantityError:
    """Add to a reason how to write it right, with the number the author gave."""
    if not allowed:
        return QuantityError(sentence, f'write a number and its unit, such as "{number} V" or "{number} min"')
    ways = " or ".join(f'"{_example(number, d)}"' for d in allowed if d is not Dimension.MEASURED_RATE)
    units = ", ".join(dict.fromkeys(_unit_shown(u, d) for d in allowed for u in _UNITS[d]))
    return QuantityError(sentence, f"write {ways} (units: {units})")


def _example(number: str, dimension: Dimension) -> str:
    if dimension is Dimension.RATE:
        return f"{number}C"
    if dimension is Dimension.MEASURED_RATE:
        return f"{number}C(measured, cycle = 3)"
    return f"{number} {_unit_shown(next(iter(_UNITS[dimension])), dimension)}"


def _unit_shown(unit: str, dimension: Dimension) -> str:
    return f"{unit} vs Li" if dimension is Dimension.POTENTIAL else unit


def _a(allowed: tuple[Dimension, ...]) -> str:
    usual = [d for d in allowed if d is not Dimension.MEASURED_RATE]
    return " or ".join(f"{'an' if d[0] in 'ae' else 'a'} {d}" for d in usual)


def shown(text: str) -> str:
    """Quote what an author wrote for a sentence: shortened, and with control characters visible."""
    short = text if len(text) <= 40 else text[:37] + "..."
    return f'"{literal(short)}"'


@dataclass(frozen=True, slots=True)
class Written:
    """Annotates a pydantic field whose value is written as a string with its unit; serialises to what was written."""

    allowed: tuple[Dimension, ...]
    positive: bool = False
    """Refuse zero and below."""

    def read(self, value: object) -> Quantity:
        """Read what a file says; raises QuantityError."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise _error(f"{value!r} is a bare number where {_a(self.allowed)} belongs", repr(value), self.allowed)
        if not isinstance(value, str | Quantity):
            raise _error(f"this is no text, where {_a(self.allowed)} belongs", "1", self.allowed)
        quantity = parse(str(value), *self.allowed)
        if self.positive and quantity.value <= 0:
            raise _error(f"{shown(quantity.text)} must be above zero", "1", self.allowed)
        return quantity

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.to_string_ser_schema(),
            json_schema_input_schema=core_schema.str_schema(),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        units = ", ".join(dict.fromkeys(_unit_shown(unit, d) for d in self.allowed for unit in _UNITS[d]))
        described = f"{' or '.join(self.allowed)}, as text with its unit: {units}"
        return {"type": "string", "description": described, "examples": [_example("1", d) for d in self.allowed]}


Voltage = Annotated[Quantity, Written((Dimension.VOLTAGE,))]
Current = Annotated[Quantity, Written((Dimension.CURRENT,), positive=True)]
Time = Annotated[Quantity, Written((Dimension.TIME,))]
Duration = Annotated[Quantity, Written((Dimension.TIME,), positive=True)]
Temperature = Annotated[Quantity, Written((Dimension.TEMPERATURE,))]
Pressure = Annotated[Quantity, Written((Dimension.PRESSURE,))]
Force = Annotated[Quantity, Written((Dimension.FORCE,), positive=True)]
Torque = Annotated[Quantity, Written((Dimension.TORQUE,), positive=True)]
SignedTorque = Annotated[Quantity, Written((Dimension.TORQUE,))]
Stiffness = Annotated[Quantity, Written((Dimension.STIFFNESS,), positive=True)]
Frequency = Annotated[Quantity, Written((Dimension.FREQUENCY,), positive=True)]
Length = Annotated[Quantity, Written((Dimension.LENGTH,), positive=True)]
Angle = Annotated[Quantity, Written((Dimension.ANGLE,))]
AngularSpeed = Annotated[Quantity, Written((Dimension.ANGULAR_SPEED,), positive=True)]
Mass = Annotated[Quantity, Written((Dimension.MASS,), positive=True)]
Loading = Annotated[Quantity, Written((Dimension.LOADING,), positive=True)]
Resistance = Annotated[Quantity, Written((Dimension.RESISTANCE,), positive=True)]
