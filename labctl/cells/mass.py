"""The active mass that specific values of a run are computed from: the cell's file as it is now, else the run's own."""

from dataclasses import dataclass
from datetime import datetime

from labctl.cells.shelf import Shelf
from labctl.protocol.load import LoadedCell
from labctl.protocol.scale import bind_cell
from labctl.record.queries import RunRow

MASS_KEYS = ("active_mass", "active_loading", "diameter")


@dataclass(frozen=True, slots=True)
class ActiveMass:
    """An active mass and where it comes from.

    Attributes:
        kilogram: None where nobody has given one.
        began_with: what the run was bound with.
        file: of the cell; None: the mass is what the run began with.
        since: when the file was corrected last, None where it never was.
        trouble: why the cell's file could not be asked; empty where it could.
    """

    kilogram: float | None
    began_with: float | None
    file: str | None = None
    since: datetime | None = None
    trouble: str = ""


def active_mass(run: RunRow, shelf: Shelf) -> ActiveMass:
    """Return the active mass of the cell of a run; a broken cell file is told, not guessed around."""
    began_with = _number(run, "active_mass")
    name = run.cell_name or ""
    trouble = shelf.troubles.get(name)
    if trouble is not None:
        return ActiveMass(began_with, began_with, trouble=f"{trouble.place.file}: {trouble.reason}")
    cell = shelf.cells.get(name)
    now = None if cell is None else mass_of_file(cell, _number(run, "positive_area"))
    if cell is None or now is None:
        return ActiveMass(began_with, began_with)
    return ActiveMass(now, began_with, cell.source.name, last_correction(cell))


def specific(ah: float | None, mass: float | None) -> float | None:
    """Return mAh/g of a charge in Ah by a mass in kg: derived, never stored. Ah/kg is mAh/g."""
    return None if ah is None or mass is None else ah / mass


def last_correction(cell: LoadedCell) -> datetime | None:
    """Return when something that decides the mass was corrected last."""
    return max((each.date for each in cell.file.history if each.key in MASS_KEYS), default=None)


def mass_of_file(cell: LoadedCell, area: float | None = None) -> float | None:
    """Return the mass, in kg, that a file gives: itself, or by its loading and the electrode's area.

    Args:
        area: of the electrode in m2, for a file that gives a loading and no diameter.
    """
    bound, loading = bind_cell(cell.file.cell), cell.file.cell.positive.active_loading
    if bound.active_mass is None and loading is not None and area is not None:
        return float(loading) * area
    return bound.active_mass


def _number(run: RunRow, key: str) -> float | None:
    value = (run.cell or {}).get(key)
    return float(value) if isinstance(value, int | float) and value > 0 else None
