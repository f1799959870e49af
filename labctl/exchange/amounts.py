"""Amounts that survive the journey: the numbers of other worlds as exact quantities, and quantities as their numbers.

A number of a file is the simplest fraction that is the same double, so that 0.3333333333333333 is C/3 again.
"""

import math
import re
from fractions import Fraction

from labctl.quantity import Dimension, Quantity, WordingError, parse, shown

SIMPLE = 10_000
"""No larger denominator is taken for meant."""

LONGEST = 80
LARGEST = 10**15
"""Of anything that a battery laboratory counts, in any unit; its reciprocal is the smallest."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")

_UNITS: dict[Dimension, tuple[str, ...]] = {
    Dimension.VOLTAGE: ("V", "mV"),
    Dimension.CURRENT: ("A", "mA", "uA"),
    Dimension.CHARGE: ("Ah", "mAh", "uAh"),
    Dimension.POWER: ("W", "mW", "uW"),
    Dimension.RESISTANCE: ("kOhm", "Ohm", "mOhm"),
    Dimension.VOLTAGE_RATE: ("V/s", "mV/s"),
    Dimension.FREQUENCY: ("MHz", "kHz", "Hz", "mHz"),
}
"""Largest first; an amount is written in the first of which it is at least a tenth, or else in the last."""

_TIMES = ("h", "min", "s")


def number(text: str) -> Fraction:
    """Read a number of a foreign file; raises WordingError where it is none, or absurd."""
    written = text.strip()
    if len(written) > LONGEST or not _NUMBER.fullmatch(written):
        raise WordingError(f"{shown(written)} is no number", "write a decimal number")
    exact = Fraction(written)
    if exact and not Fraction(1, LARGEST) <= abs(exact) <= LARGEST:
        raise WordingError(f"{shown(written)} is beyond anything measured", "check the number and its unit")
    simple = exact.limit_denominator(SIMPLE)
    return simple if float(simple) == float(exact) else exact


def amount(value: Fraction, unit: str, dimension: Dimension) -> Quantity:
    """Return so many of a unit as a quantity, written as people write it."""
    return spell(value * parse(f"1 {unit}", dimension).value, dimension)


def spell(value: Fraction, dimension: Dimension) -> Quantity:
    """Write an SI value as a quantity; one that no decimal number is becomes the nearest double."""
    if dimension is Dimension.RATE:
        return parse(_rate(value), dimension)
    units = _TIMES if dimension is Dimension.TIME else _UNITS[dimension]
    factors = {unit: parse(f"1 {unit}", dimension).value for unit in units}
    if dimension is Dimension.TIME:
        unit = next((u for u in units if (value / factors[u]).denominator == 1), "s")
    else:
        unit = next((u for u in units if value == 0 or abs(value / factors[u]) >= Fraction(1, 10)), units[-1])
    return parse(f"{decimal(value / factors[unit])} {unit}", dimension)


def of_float(value: float, dimension: Dimension) -> Quantity:
    """Write a bound value in SI as the shortest decimal number that is the same double."""
    return spell(Fraction(repr(value)), dimension)


def decimal(value: Fraction) -> str:
    """Write a number without an exponent: exactly where it ends, else as the nearest double."""
    rest, places = value.denominator, 0
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest, count = rest // prime, count + 1
        places = max(places, count)
    if rest == 1 and places <= 30:
        digits = f"{abs(value.numerator) * 10**places // value.denominator:0{places + 1}d}"
        whole, point, part = (digits, "", "") if places == 0 else (digits[:-places], ".", digits[-places:])
        return f"{'-' if value < 0 else ''}{whole}{point}{part}"
    return decimal(Fraction(repr(float(value))))


def json_number(value: Fraction) -> float | int:
    """Return a number as JSON has it."""
    return int(value) if value.denominator == 1 else float(value)


def root(square: Fraction) -> Fraction:
    """Return the square root of a number to 12 digits: no file has more use for what has no end."""
    return Fraction(f"{math.sqrt(square):.12g}")


def times(quantity: Quantity, unit: str) -> Fraction:
    """Return how many of a unit a quantity is."""
    return quantity.value / parse(f"1 {unit}", quantity.dimension).value


def _rate(value: Fraction) -> str:
    """Write 1/10 as C/10, 3 as 3C, 2/3 as 2C/3."""
    sign, size = "-" if value < 0 else "", abs(value)
    if size.denominator == 1 or not _is_fraction_of_people(size):
        return f"{sign}{decimal(size)}C"
    return f"{sign}{'' if size.numerator == 1 else size.numerator}C/{size.denominator}"


def _is_fraction_of_people(size: Fraction) -> bool:
    """Whether it is written as C/3 rather than as a decimal."""
    short = math.gcd(size.denominator, 10**4) == size.denominator
    return (size.numerator == 1 and size.denominator <= 1000) or (not short and size.denominator <= SIMPLE)
