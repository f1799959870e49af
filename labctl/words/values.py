"""Quantities as a paper prints them: as their author wrote them, and what they are on the cell."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from pydantic import BaseModel

from labctl.protocol.condition import Condition
from labctl.protocol.findings import Refused, humane
from labctl.protocol.scale import Scale
from labctl.quantity import Dimension, Quantity

_NUMBER = re.compile(r"([+-]?[\d.]+(?:[eE][+-]?\d+)?)\s*(.*)", re.DOTALL)
_BRACKETS = re.compile(r"\s*\([^()]*\)\s*")
_CURRENTS = (Dimension.RATE, Dimension.CURRENT_DENSITY, Dimension.SPECIFIC_CURRENT)
_CHARGES = (Dimension.SPECIFIC_CHARGE, Dimension.AREAL_CHARGE)
_EXPONENTS = {"": "⁻¹", "1": "⁻¹", "2": "⁻²"}


def printed(quantity: Quantity) -> str:
    """Print a quantity as its author wrote it, its unit as journals have it: "0.2 mA/cm2" is "0.2 mA cm⁻²"."""
    if quantity.cycle is not None:
        return f"{_BRACKETS.sub('', quantity.text.strip())} by the capacity discharged in cycle {quantity.cycle}"
    match = None if quantity.dimension is Dimension.RATE else _NUMBER.fullmatch(quantity.text.strip())
    if match is None:
        return quantity.text.strip()
    unit = match[2].replace("deg", "°").replace("^", "").replace("²", "2").replace("⁻", "-")
    unit = re.sub(r"\bu(?=[A-Za-z])", "µ", unit)
    unit = re.sub(r"\s*/\s*([A-Za-z]+)([12]?)", lambda m: f" {m[1]}{_EXPONENTS[m[2]]}", unit)
    unit = re.sub(r" ([A-Za-z]+)-([12])", lambda m: f" {m[1]}{_EXPONENTS[m[2]]}", unit)
    return f"{match[1]} {unit}"


def listed(words: Iterable[str], last: str = "and") -> str:
    """Join words as a sentence does: "a", "a and b", "a, b and c"."""
    every = list(words)
    return f" {last} ".join(([", ".join(every[:-1])] if every[1:] else []) + every[-1:])


def sentence(clause: str) -> str:
    """Make a sentence of a clause."""
    return f"{clause[:1].upper()}{clause[1:]}."


def as_written(value: object) -> str:
    """Say any value of a protocol in the way of its file: for what has no sentence of its own."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case Quantity():
            return printed(value)
        case Condition(text=text):
            return f'"{text}"'
        case Enum():
            return str(value.value)
        case BaseModel():
            said = {name: getattr(value, name) for name in value.model_fields_set}
            return listed(f"{name.strip('_')} {as_written(each)}" for name, each in sorted(said.items())) or "none"
        case dict():
            return listed(f"{name} {as_written(each)}" for name, each in value.items()) or "none"
        case (Quantity() as low, Quantity() as high):
            return f"{printed(low)} to {printed(high)}"
        case tuple() | list():
            return listed(as_written(each) for each in value) or "none"
    return str(value) or "none"


@dataclass(frozen=True, slots=True)
class Values:
    """Prints quantities with what they are on one cell, where that cell is known."""

    scale: Scale

    def of(self, quantity: Quantity) -> str:
        """Print a quantity, a current or a charge also in A or Ah: "C/10 (225 µA)"."""
        try:
            if quantity.dimension in _CURRENTS:
                return f"{printed(quantity)} ({humane(self.scale.amperes(quantity), 'A')})"
            if quantity.dimension in _CHARGES:
                return f"{printed(quantity)} ({humane(self.scale.coulombs(quantity) / 3600, 'Ah')})"
        except Refused:  # the protocol leaves to a cell file what it would take
            pass
        return printed(quantity)

    def voltage(self, quantity: Quantity) -> str:
        """Print a voltage of the cell, both at the terminals and against lithium where the two are known to differ."""
        potential = self.scale.cell.negative_potential
        if not potential:
            return printed(quantity)
        if quantity.reference is not None:
            return f"{printed(quantity)} ({humane(self.scale.volts(quantity), 'V')} at the terminals)"
        return f"{printed(quantity)} ({humane(round(float(quantity) + potential, 12), 'V')} vs Li)"

    def pressure(self, quantity: Quantity) -> str:
        """Print a pressure with the force that it is on the bore."""
        area = self.scale.cell.bore_area
        return printed(quantity) if area is None else f"{printed(quantity)} ({humane(float(quantity) * area, 'N')})"

    def any(self, quantity: Quantity) -> str:
        """Print a quantity in whichever of these ways its dimension asks for."""
        if quantity.dimension in (Dimension.VOLTAGE, Dimension.POTENTIAL):
            return self.voltage(quantity)
        return self.pressure(quantity) if quantity.dimension is Dimension.PRESSURE else self.of(quantity)
