"""The board: the last value of everything a station measures, its age, and its extremes since the last row."""

from dataclasses import dataclass
from math import inf

from labctl.instrument import CellReading
from labctl.plan import SIDES, Quantity, Side

FORCE_GAUGE: dict[Side, str] = {side: f"{side}_force_newton" for side in SIDES}
PRESSURE_QUANTITY: dict[Side, Quantity] = {
    "negative": Quantity.PRESSURE_NEGATIVE,
    "positive": Quantity.PRESSURE_POSITIVE,
}
TORQUE_GAUGE: dict[Side, str] = {side: f"{side}_torque_newton_metre" for side in SIDES}
ANGLE_GAUGE: dict[Side, str] = {side: f"{side}_screw_angle_radian" for side in SIDES}
GAS_GAUGE: dict[Side, str] = {side: f"{side}_gas_pressure_pa" for side in SIDES}
"""Of the gas on a piston, gauge; not of the stack."""
BATH = "ambient_temperature_celsius"
CELL_TEMPERATURE = "surface_temperature_celsius"


@dataclass(frozen=True, slots=True)
class Correction:
    """What turns a reading of a load cell into a force by its calibration: (reading - offset) / gain; offset in N."""

    offset: float
    gain: float

    def force(self, reading: float) -> float:
        """Return the force, N, of a reading."""
        return (reading - self.offset) / self.gain


class Gauge:
    """One measured quantity. A value older than `max_age` seconds is no value."""

    __slots__ = ("high", "low", "max_age", "name", "time", "value")

    def __init__(self, name: str, max_age: float) -> None:
        self.name = name
        self.max_age = max_age
        self.value = 0.0
        self.time = -inf
        self.low = inf
        self.high = -inf

    def update(self, value: float, now: float) -> None:
        """Take a new value, in SI, measured at lab time `now`."""
        self.value = value
        self.time = now
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value

    def fresh(self, now: float) -> float | None:
        """Return the value, or None where it is too old to be true."""
        return self.value if now - self.time <= self.max_age else None

    def take(self, now: float) -> tuple[float | None, float | None, float | None]:
        """Return value, minimum and maximum since the last call, and begin new extremes."""
        value = self.fresh(now)
        low, high = self.low, self.high
        self.low, self.high = inf, -inf
        if low > high:
            return value, value, value
        return value, low, high


class Board:
    """All gauges of a station and the last reading of its cell; the engine's only source of measured values.

    Attributes:
        bore_area: m², of the cell of the present run; None: forces are not pressures.
        moving: whether the screw of a side said that it moves when it was read last.
        closed: whether the valves of the gas of a side were held closed then.
    """

    def __init__(self) -> None:
        self.gauges: dict[str, Gauge] = {}
        self.cell: CellReading | None = None
        self.cell_time = -inf
        self.cell_max_age = inf
        self.bore_area: float | None = None
        self.moving: dict[Side, bool] = {}
        self.closed: dict[Side, bool] = {}

    def gauge(self, name: str, max_age: float) -> Gauge:
        """Make a gauge."""
        gauge = Gauge(name, max_age)
        self.gauges[name] = gauge
        return gauge

    def answered(self) -> set[str]:
        """Return the names of all gauges that ever had a value."""
        return {name for name, gauge in self.gauges.items() if gauge.time > -inf}

    def see_cell(self, reading: CellReading, now: float) -> None:
        """Take a reading of the cycler."""
        self.cell = reading
        self.cell_time = now

    def fresh_cell(self, now: float) -> CellReading | None:
        """Return the cell's reading unless it is too old."""
        return self.cell if now - self.cell_time <= self.cell_max_age else None

    def value(self, name: str, now: float) -> float | None:
        """Return a fresh value of a gauge, or None."""
        gauge = self.gauges.get(name)
        return None if gauge is None else gauge.fresh(now)

    def force(self, side: Side, now: float) -> float | None:
        """Return the force on a side in N, or None."""
        return self.value(FORCE_GAUGE[side], now)

    def torque(self, side: Side, now: float) -> float | None:
        """Return the torque at the screw of a side in N·m, or None."""
        return self.value(TORQUE_GAUGE[side], now)

    def pressure(self, side: Side, now: float) -> float | None:
        """Return the pressure of a side in Pa, or None without a fresh force or a bore."""
        force = self.force(side, now)
        return None if force is None or self.bore_area is None else force / self.bore_area

    def temperature(self, now: float) -> float | None:
        """Return the cell's temperature in °C, or the bath's where no probe is at the cell."""
        cell = self.value(CELL_TEMPERATURE, now)
        return cell if cell is not None else self.value(BATH, now)
