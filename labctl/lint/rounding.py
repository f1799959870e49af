"""Figures as they are written: how far each may be off because its author rounded it, and what that makes of products.

A figure is known to half a unit of its last digit as written: "36 mg/cm2" is 35.5 to 36.5. A C-rate is a definition and
is exact.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from labctl.quantity import Dimension, Quantity

AT_LEAST = 0.05
"""Papers are not closer than this: loadings scatter by some per cent from cell to cell."""

_NUMBER = re.compile(r"[+-]?(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?")


@dataclass(frozen=True, slots=True)
class Figure:
    """A value in SI, and the share of it by which it may be off."""

    value: float
    rounding: float = 0.0

    def __mul__(self, other: "Figure") -> "Figure":
        return Figure(self.value * other.value, self.rounding + other.rounding)

    def __truediv__(self, other: "Figure") -> "Figure":
        return Figure(self.value / other.value, self.rounding + other.rounding)


def figure(quantity: Quantity) -> Figure:
    """Return a quantity with the rounding that its text shows."""
    if quantity.dimension is Dimension.RATE:
        return Figure(float(quantity))
    written = _NUMBER.match(quantity.text.strip())
    if written is None or quantity.value == 0:
        return Figure(float(quantity))
    last = Fraction(10) ** (int(written[3] or 0) - len(written[2]))
    number = Fraction(written[0])
    return Figure(float(quantity), float(abs(last / number)) / 2)


def scaled(quantity: Quantity, factor: float) -> str:
    """Write another value of a quantity in the unit in which it was written."""
    if quantity.dimension is Dimension.RATE:
        return f"{float(quantity) * factor:.3g}C"
    text = quantity.text.strip()
    number = _NUMBER.match(text)
    written = number[0] if number else ""
    return f"{float(written) * factor:.3g} {text[len(written) :].strip()}"


def differ(one: Figure, other: Figure) -> float | None:
    """Return by what share `one` lies off `other`, or None where rounding or usual scatter explains it."""
    share = one.value / other.value - 1.0
    return share if abs(share) > max(AT_LEAST, one.rounding + other.rounding) else None
