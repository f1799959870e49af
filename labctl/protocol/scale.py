"""What a C-rate, a current density, a specific capacity or a potential vs Li is on one cell, in SI."""

import math
from dataclasses import dataclass

from labctl.plan import BoundCell
from labctl.protocol.findings import Refused
from labctl.protocol.model import Cell, Electrode
from labctl.quantity import Dimension, Quantity


def merge(protocol: Cell, given: Cell | None) -> Cell:
    """Let what a cell file says fill and override what the protocol says."""
    if given is None:
        return protocol
    electrodes = {side: _override(getattr(protocol, side), getattr(given, side)) for side in ("positive", "negative")}
    own = {key: getattr(given, key) for key in given.model_fields_set if key not in electrodes}
    return protocol.model_copy(update=own | electrodes)


def _override(base: Electrode, given: Electrode) -> Electrode:
    return base.model_copy(update={key: getattr(given, key) for key in given.model_fields_set})


def check_cell(cell: Cell) -> None:
    """Refuse a description that lacks the cell's kind or says twice what 1C is."""
    if cell.kind is None:
        how = 'Write kind = "full" (or half, symmetric, blocking) in [cell].'
        raise Refused("cell", "nobody says what kind of cell this is", how)
    if cell.capacity is not None and cell.positive.one_c is not None:
        reason = "both cell.capacity and cell.positive.one_c say what 1C is"
        raise Refused("cell", reason, "Keep the one that the source gives.")


def bind_cell(cell: Cell) -> BoundCell:
    """Turn a cell's description into areas, masses and amperes; what is not said stays None."""
    positive = cell.positive
    area = _disc(positive.diameter)
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
        if value is None:
            raise Refused("cell", f'"{quantity}" needs {lack[0]}, which neither protocol nor cell file gives', lack[1])
        return value


_ONE_C = (
    "the current of 1C",
    'Write one_c = "200 mA/g" with active_mass, or with active_loading and diameter, in [cell.positive].',
)
_AREA = ("the electrode's diameter", 'Write diameter = "10 mm" in [cell.positive].')
_MASS = ("the active mass", 'Write active_mass = "11 mg", or active_loading and diameter, in [cell.positive].')
_POTENTIAL = (
    "the potential of the counter electrode",
    'Write potential = "0.62 V vs Li" in [cell.negative], and its source.',
)
