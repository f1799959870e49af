"""The guard: sees every poll, recorded or not, and latches the first limit that is passed.

Upper limits are always armed. A lower limit of voltage, temperature or pressure arms once the cell has been inside it,
and a lower voltage also while current drives it outward: a fresh cell may sit below. A limit is passed when two
measurements in a row pass it; silence is passed at once, because it has already lasted its age limit.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from labctl.engine.board import PRESSURE_QUANTITY, TORQUE, Board
from labctl.engine.ledger import Ledger
from labctl.plan import SIDES, Bound, Limits, Side

MEASUREMENTS_TO_TRIP = 2

Excess = tuple[str, str]
"""Quantity and sentence of a limit that is passed."""


@dataclass(frozen=True, slots=True)
class Trip:
    """Why the guard acted.

    Attributes:
        quantity: "voltage", "pressure.negative", the name of a silent gauge, ...
        silent: whether an instrument fell silent rather than a limit being passed.
        heat: whether heaters must go off.
    """

    quantity: str
    sentence: str
    silent: bool = False
    heat: bool = False


class Guard:
    """Watches one run on one station, or the station between runs.

    Attributes:
        without_cycler: whether the cycler may be silent: a program in it goes on within its own limits.

    Args:
        limits: already the intersection of station, cell and protocol.
        needed: gauges that it cannot be without; one that falls silent trips.
    """

    def __init__(self, limits: Limits, board: Board, ledger: Ledger, needed: tuple[str, ...], now: float) -> None:
        self.trip: Trip | None = None
        self.without_cycler = False
        self._limits = limits
        self._board = board
        self._ledger = ledger
        self._gauges = [board.gauges[name] for name in needed]
        self._began = now
        self._inside: set[str] = set()
        self._passed: dict[str, dict[str, int]] = {}
        """instrument -> quantity -> measurements in a row that passed its limit."""
        self._looks: dict[str, Callable[[float], Iterator[Excess]]] = {
            "cycler": self._look_at_cell,
            "thermostat": self._look_at_temperature,
        }
        for side in SIDES:
            self._looks[f"load_cell.{side}"] = partial(self._look_at_pressure, side)
            self._looks[f"pressure_rig.{side}"] = self._look_at_torque

    def follow(self, limits: Limits) -> None:
        """Watch over the limits of a step that begins: those of the run, or narrower ones."""
        self._limits = limits

    def check(self, measured: str | None, now: float) -> Trip | None:
        """Check what an instrument has just measured (None: it failed to), and that none is silent.

        Once there is a trip it is returned ever after.
        """
        if self.trip is None:
            self._listen(now)
        if self.trip is None and measured is not None:
            before, excesses = self._passed.get(measured), dict(self._looks[measured](now))
            if before or excesses:
                self._count(measured, before or {}, excesses)
        return self.trip

    def _count(self, instrument: str, before: dict[str, int], excesses: dict[str, str]) -> None:
        """Count measurements in a row; one inside its limit begins the count anew."""
        counts = self._passed[instrument] = {quantity: before.get(quantity, 0) + 1 for quantity in excesses}
        for quantity, count in counts.items():
            if count >= MEASUREMENTS_TO_TRIP and self.trip is None:
                self.trip = Trip(quantity, excesses[quantity], heat=quantity == "temperature")

    def _listen(self, now: float) -> None:
        board = self._board
        age = now - max(board.cell_time, self._began)
        if age > board.cell_max_age and not self.without_cycler:
            self._silence("cycler", age, board.cell_max_age)
            return
        for gauge in self._gauges:
            age = now - max(gauge.time, self._began)
            if age > gauge.max_age:
                self._silence(gauge.name, age, gauge.max_age)
                return

    def _silence(self, name: str, age: float, allowed: float) -> None:
        sentence = f"{name} has had no valid reading for {age:.1f} s (allowed: {allowed:g} s)."
        self.trip = Trip(name, sentence, silent=True)

    def _look_at_cell(self, now: float) -> Iterator[Excess]:
        limits, cell = self._limits, self._board.fresh_cell(now)
        if cell is None:
            return
        if cell.voltage is not None:
            driven_down = cell.current < 0.0 and cell.output
            yield from self._outside("voltage", cell.voltage, limits.voltage, "V", 1.0, driven_down=driven_down)
        if abs(cell.current) > limits.current:
            yield "current", _sentence("current", cell.current, "beyond", limits.current, "mA", 1e-3)
        charge = self._ledger.step_charge
        if abs(charge) > limits.capacity:
            yield "capacity", _sentence("charge of this step", charge, "beyond", limits.capacity, "mAh", 3.6)

    def _look_at_temperature(self, now: float) -> Iterator[Excess]:
        temperature = self._board.temperature(now)
        if temperature is not None:
            yield from self._outside("temperature", temperature, self._limits.temperature, "°C", 1.0)

    def _look_at_pressure(self, side: Side, now: float) -> Iterator[Excess]:
        pressure, limits = self._board.pressure(side, now), self._limits
        if pressure is not None:
            bound = limits.pressure_negative if side == "negative" else limits.pressure_positive
            yield from self._outside(PRESSURE_QUANTITY[side], pressure, bound, "MPa", 1e6)

    def _look_at_torque(self, now: float) -> Iterator[Excess]:
        torque, most = self._board.value(TORQUE, now), self._limits.torque
        if torque is not None and most is not None and abs(torque) > most:
            yield "torque", _sentence("torque", torque, "beyond", most, "N·m", 1.0)

    def _outside(
        self, quantity: str, value: float, bound: Bound, unit: str, scale: float, *, driven_down: bool = False
    ) -> Iterator[Excess]:
        if bound.high is not None and value > bound.high:
            yield quantity, _sentence(quantity, value, "above", bound.high, unit, scale)
        if bound.low is None:
            return
        if value >= bound.low:
            self._inside.add(quantity)
        elif driven_down or quantity in self._inside:
            yield quantity, _sentence(quantity, value, "below", bound.low, unit, scale)


def _sentence(quantity: str, value: float, side: str, limit: float, unit: str, scale: float) -> str:
    return f"{quantity} is {value / scale:.5g} {unit}, {side} the limit of {limit / scale:.5g} {unit}."
