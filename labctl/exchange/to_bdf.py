"""A recorded run as a table of the Battery Data Format (BDF): one line a reading, labels with units, SI, + charges.

BDF has one applied and one surface pressure. Applied is that of the side that the station pressed, surface that of the
other; beside them stand both electrodes' own, as columns that BDF does not know and keeps.
"""

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TextIO

from labctl.plan import SIDES, Side

NAME = "bdf"
"""What `labctl export --to` calls it."""
LABELS = {
    "test_time_second": "Test Time / s",
    "unix_time_second": "Unix Time / s",
    "voltage_volt": "Voltage / V",
    "current_ampere": "Current / A",
    "cycle_count": "Cycle Count / 1",
    "step_count": "Step Count / 1",
    "step_id": "Step ID",
    "step_time_second": "Step Time / s",
    "charging_capacity_ah": "Charging Capacity / Ah",
    "discharging_capacity_ah": "Discharging Capacity / Ah",
    "charging_energy_wh": "Charging Energy / Wh",
    "discharging_energy_wh": "Discharging Energy / Wh",
    "ambient_temperature_celsius": "Ambient Temperature / degC",
    "surface_temperature_celsius": "Surface Temperature / degC",
    "negative_pressure_pa": "Negative Electrode Pressure / Pa",
    "positive_pressure_pa": "Positive Electrode Pressure / Pa",
}
"""Column of a reading -> its label, in the order of the table."""
APPLIED, SURFACE = "Applied Pressure / Pa", "Surface Pressure / Pa"
PRESSED_BY = ("pressure_rig", "gas_regulator", "hand_tool")
"""Kinds of instruments that press a side."""


class Table:
    """Which columns of readings make which columns of the table.

    Args:
        measured: columns of readings of which there is a value; the others are left out.
        instruments: names of the run's instruments.
    """

    def __init__(self, measured: Collection[str], instruments: Collection[str]) -> None:
        found = {label: column for column, label in LABELS.items() if column in measured}
        found |= {label: column for label, column in _pressures(pressed_side(instruments)) if column in measured}
        self.labels = tuple(found)
        self.columns = tuple(found.values())
        """Columns of readings, in the order of the labels; a pressure is there twice."""

    def write(self, file: TextIO, rows: Iterable[Sequence[int | float | None]]) -> int:
        """Write the labels and a line for each row; return how many. What nobody measured stays empty."""
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(self.labels)
        count = 0
        for row in rows:
            lines.writerow(row)
            count += 1
        return count


def pressed_side(instruments: Collection[str]) -> Side | None:
    """Return the side that the station presses, of two the negative one, which leads; None: neither."""
    return next((side for side in SIDES if any(f"{kind}.{side}" in instruments for kind in PRESSED_BY)), None)


def _pressures(pressed: Side | None) -> Iterator[tuple[str, str]]:
    """Yield the labels that BDF has for pressures with a column of readings, the likelier one last."""
    for side in SIDES:
        yield APPLIED if side == pressed else SURFACE, f"{side}_pressure_pa"
