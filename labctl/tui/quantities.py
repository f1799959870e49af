"""The quantities of a station as they stand in columns: unit, scale, decimals, and how a reading is written."""

from dataclasses import dataclass

from labctl.tui.shown import UNKNOWN, aged, number
from labctl.tui.sight import Reading, Seen


@dataclass(frozen=True, slots=True)
class Shown:
    """A quantity on the screen.

    Attributes:
        bdf: its BDF machine names; the first one that the station has counts.
        scale: SI units in the shown unit.
    """

    label: str
    unit: str
    bdf: tuple[str, ...]
    scale: float
    decimals: int
    sign: bool = False

    def reading(self, seen: Seen) -> Reading:
        """Return the reading of a station."""
        values = {} if seen.state is None else seen.state.values
        return seen.reading(next((name for name in self.bdf if name in values), self.bdf[0]))

    def is_measured(self, seen: Seen) -> bool:
        """Whether the station has it; of one that has not said yet what it has, yes."""
        values = {} if seen.state is None else seen.state.values
        return not values or any(name in values for name in self.bdf)

    def written(self, reading: Reading, width: int) -> tuple[str, str]:
        """Write a reading in its width: unknown as a dash, too old dim and with its age, beyond its limits with !."""
        if reading.value is None:
            return UNKNOWN, "dim"
        value = reading.value / self.scale
        if reading.old is not None:
            return aged(value, self.decimals, width, reading.old, sign=self.sign), "dim"
        if reading.beyond:
            return number(value, self.decimals, width - 1, sign=self.sign) + "!", "fault"
        return number(value, self.decimals, width, sign=self.sign), "plain"


VOLTAGE = Shown("V", "V", ("voltage_volt",), 1.0, 4)
CURRENT = Shown("I", "mA", ("current_ampere",), 1e-3, 4, sign=True)
NEGATIVE = Shown("p anode", "MPa", ("negative_pressure_pa",), 1e6, 2)
POSITIVE = Shown("p cathode", "MPa", ("positive_pressure_pa",), 1e6, 2)
TORQUE = Shown("torque", "N m", ("negative_torque_newton_metre", "positive_torque_newton_metre"), 1.0, 3)
TEMPERATURE = Shown("T", "°C", ("surface_temperature_celsius", "ambient_temperature_celsius"), 1.0, 1)

NAMES = {bdf: q.label for q in (VOLTAGE, CURRENT, NEGATIVE, POSITIVE, TORQUE, TEMPERATURE) for bdf in q.bdf}
"""What a person calls a quantity, by its BDF machine name."""
