"""What a C-rate, a current density, a specific capacity or a potential vs Li is on one cell, in SI."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from labctl.plan import BoundCell
from labctl.protocol.findings import Refused
from labctl.protocol.model import Cell, Electrode, Stack
from labctl.protocol.source import KeyPath
from labctl.quantity import Dimension, Quantity


def merge(protocol: Cell, given: Cell | None) -> Cell:
    """Let what a cell file says fill and override what the protocol says."""
    if given is None:
        return protocol
    parts: dict[str, Electrode | Stack | None] = {
        "positive": _override(protocol.positive, given.positive),
        "negative": _override(protocol.negative, given.negative),
        "stack": given.stack or protocol.stack
        if given.stack is None or protocol.stack is None
        else _override(protocol.stack, given.stack),
    }
    own = {key: getattr(given, key) for key in given.model_fields_set if key not in parts}
    return protocol.model_copy(update=own | parts)


_Part = TypeVar("_Part", Electrode, Stack)


def _override(base: _Part, given: _Part) -> _Part:
    return base.model_copy(update={key: getattr(given, key) for key in given.model_fields_set})


def check_cell(cell: Cell) -> None:
    """Refuse a description that lacks the cell's kind or says twice what 1C is."""
    if cell.kind is None:
        how = 'Write kind = "full" (or half, symmetric, blocking) in [cell].'
        raise Refused("cell", "nobody says what kind of cell this is", how)
    if cell.capacity is not None and cell.positive.one_c is not None:
        reason = "both cell.capacity and cell.positive.one_c say what 1C is"
        raise Refused("cell", reason, "Keep the one that the source gives.")


def out_of_place(cell: Cell) -> Iterator[tuple[KeyPath, Refused]]:
    """Yield which keys speak of a chemistry that a blocking cell has not, or of a stack that no other cell has."""
    if cell.kind != "blocking":
        if cell.stack is not None and cell.kind is not None:
            reason = f"a {cell.kind} cell has electrodes, not a stack between two that block"
            yield ("cell", "stack"), Refused("cell", reason, 'Leave it out, or write kind = "blocking".')
        return
    reason = '"{}" says nothing of a blocking cell: neither of its electrodes takes lithium up'
    for key in ("capacity", "soc"):
        if getattr(cell, key) is not None:
            yield ("cell", key), Refused("cell", reason.format(key), f"Leave it out. {_ABSOLUTE}")
    for side in ("positive", "negative"):
        for key in sorted(getattr(cell, side).model_fields_set - {"material"}):
            how = "Leave it out: what is measured stands in [cell.stack], with its diameter."
            yield ("cell", side, key), Refused("cell", reason.format(key), how)


def bind_cell(cell: Cell) -> BoundCell:
    """Turn a cell's description into areas, masses and amperes; what is not said stays None."""
    positive = cell.positive
    area = _disc(positive.diameter if cell.stack is None else cell.stack.diameter)
    mass = None if positive.active_mass is None else float(positive.active_mass)
    if mass is None and positive.active_loading is not None and area is not None:
        mass = float(positive.active_loading) * area
    one_c = None if positive.one_c is None or mass is None else float(positive.one_c) * mass
    if cell.capacity is not None:
        one_c = float(cell.capacity) / 3600
    theoretical = None if positive.theoretical is None or mass is None else float(positive.theoretical) * mass
    potential = cell.negative.potential
    return BoundCell(
        name=cell.name,
        kind=cell.kind or "full",
        bore_area=_disc(cell.bore),
        positive_area=area,
        active_mass=mass,
        one_c=one_c,
        theoretical=theoretical,
        negative_potential=None if potential is None else float(potential),
        soc=None if cell.soc is None else float(cell.soc),
        stack_thickness=None if cell.stack is None or cell.stack.thickness is None else float(cell.stack.thickness),
    )


def _disc(diameter: Quantity | None) -> float | None:
    return None if diameter is None else math.pi / 4 * float(diameter) ** 2


@dataclass(frozen=True, slots=True)
class Scale:
    """Converts the quantities of a protocol for one cell; each method raises Refused where the cell does not say."""

    cell: BoundCell

    def amperes(self, current: Quantity) -> float:
        """Convert a current, rate, density or specific current."""
        match current.dimension:
            case Dimension.RATE:
                return float(current) * self._known(self.cell.one_c, current, _ONE_C)
            case Dimension.CURRENT_DENSITY:
                return float(current) * self._known(self.cell.positive_area, current, _AREA)
            case Dimension.SPECIFIC_CURRENT:
                return float(current) * self._known(self.cell.active_mass, current, _MASS)
            case Dimension.MEASURED_RATE:
                reason = f'"{current}" is known only when its step begins, so it can be no bound'
                raise Refused("current", reason, "Write a current, or a rate by the cell's own capacity.")
        return float(current)

    def coulombs(self, charge: Quantity) -> float:
        """Convert a capacity, specific or areal capacity."""
        match charge.dimension:
            case Dimension.SPECIFIC_CHARGE:
                return float(charge) * self._known(self.cell.active_mass, charge, _MASS)
            case Dimension.AREAL_CHARGE:
                return float(charge) * self._known(self.cell.positive_area, charge, _AREA)
        return float(charge)

    def volts(self, voltage: Quantity) -> float:
        """Convert a terminal voltage, or one vs Li by the potential of the counter electrode."""
        if voltage.reference is None:
            return float(voltage)
        potential = self._known(self.cell.negative_potential, voltage, _POTENTIAL)
        # decimal fractions stay what people write: 4.3 - 0.62 is 3.68, not 3.6799999999999997
        return round(float(voltage) - potential, 12)

    def _known(self, value: float | None, quantity: Quantity, lack: tuple[str, str]) -> float:
        if value is None and self.cell.kind == "blocking":
            lack = _STACK if lack is _AREA else lack
            if lack is not _STACK:
                raise Refused("cell", f'"{quantity}" needs {lack[0]}, and a blocking cell has none', _ABSOLUTE)
        if value is None:
            raise Refused("cell", f'"{quantity}" needs {lack[0]}, which neither protocol nor cell file gives', lack[1])
        return value


_ONE_C = (
    "the current of 1C",
    'Write one_c = "200 mA/g" with active_mass, or with active_loading and diameter, in [cell.positive].',
)
_AREA = ("the electrode's diameter", 'Write diameter = "10 mm" in [cell.positive].')
_STACK = ("the diameter of the stack", 'Write diameter = "10 mm" in [cell.stack].')
_MASS = ("the active mass", 'Write active_mass = "11 mg", or active_loading and diameter, in [cell.positive].')
_POTENTIAL = (
    "the potential of the counter electrode",
    'Write potential = "0.62 V vs Li" in [cell.negative], and its source.',
)
_ABSOLUTE = "Write currents in mA or mA/cm2, capacities in mAh or mAh/cm2, and voltages at the terminals."
