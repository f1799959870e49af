"""The guard: sees every poll, recorded or not, and latches the first limit that is passed.

Upper limits are always armed. A lower limit of voltage, temperature or pressure arms once the cell has been inside it,
and a lower voltage also while current drives it outward: a fresh cell may sit below. A limit is passed when it is seen
passed at two polls in a row; silence is passed at once, because it has already lasted its age limit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from labctl.engine.board import FORCE_GAUGE, PRESSURE_QUANTITY, TORQUE, Board
from labctl.engine.ledger import Ledger
from labctl.protocol.plan import Bound, Limits, Side

POLLS_TO_TRIP = 2


@dataclass(frozen=True, slots=True)
class Trip:
    """Why the guard acted.

    Attributes:
        quantity: "voltage", "pressure.negative", "silence", ...
        silent: whether an instrument fell silent rather than a limit being passed.
        heat: whether heaters must go off.
    """

    quantity: str
    sentence: str
    silent: bool = False
    heat: bool = False


class Guard:
    """Watches one run on one station.

    Args:
        limits: already the intersection of station, cell and protocol.
        needed: gauges that this run cannot be without; one that falls silent trips.
    """

    def __init__(self, limits: Limits, board: Board, needed: tuple[str, ...], now: float) -> None:
        self.trip: Trip | None = None
        self._limits = limits
        self._board = board
        self._needed = needed
        self._began = now
        self._inside: set[str] = set()
        self._passed: dict[str, tuple[float, int]] = {}

    def check(self, ledger: Ledger, now: float) -> Trip | None:
        """Check everything on the board; return the trip once there is one, and ever after."""
        if self.trip is None:
            for quantity, sentence in self._silences(now):
                self.trip = Trip(quantity, sentence, silent=True)
                return self.trip
            passed = {key: (time, sentence) for key, time, sentence in self._excesses(ledger, now)}
            self._passed = {key: self._count(key, time) for key, (time, _) in passed.items()}
            for key, (_, polls) in self._passed.items():
                if polls >= POLLS_TO_TRIP:
                    self.trip = Trip(key, passed[key][1], heat=key == "temperature")
                    break
        return self.trip

    def _count(self, key: str, time: float) -> tuple[float, int]:
        """Count the polls that saw a limit passed; the same measurement looked at twice counts once."""
        last, polls = self._passed.get(key, (-inf, 0))
        return (time, polls + 1) if time > last else (last, polls)

    def _silences(self, now: float) -> Iterator[tuple[str, str]]:
        board = self._board
        if now - max(board.cell_time, self._began) > board.cell_max_age:
            age = now - max(board.cell_time, self._began)
            yield "cell", f"The cycler has given no valid reading for {age:.1f} s (allowed: {board.cell_max_age:g} s)."
        for name in self._needed:
            gauge = board.gauges[name]
            age = now - max(gauge.time, self._began)
            if age > gauge.max_age:
                yield name, f"{name} has had no valid reading for {age:.1f} s (allowed: {gauge.max_age:g} s)."

    def _excesses(self, ledger: Ledger, now: float) -> Iterator[tuple[str, float, str]]:
        """What is beyond a limit now: quantity, when it was measured, sentence."""
        limits, board = self._limits, self._board
        cell = board.fresh_cell(now)
        if cell is not None:
            at, driven_down = board.cell_time, cell.current < 0.0 and cell.output
            if cell.voltage is not None:
                yield from self._outside("voltage", cell.voltage, at, limits.voltage, "V", 1.0, driven_down=driven_down)
            if abs(cell.current) > limits.current:
                yield "current", at, _sentence("current", cell.current, "beyond", limits.current, "mA", 1e-3)
            if abs(ledger.step_charge) > limits.capacity:
                charge = _sentence("charge of this step", ledger.step_charge, "beyond", limits.capacity, "mAh", 3.6)
                yield "capacity", at, charge
        temperature = board.temperature(now)
        if temperature is not None:
            yield from self._outside("temperature", temperature, now, limits.temperature, "°C", 1.0)
        sides: tuple[tuple[Side, Bound], ...] = (
            ("negative", limits.pressure_negative),
            ("positive", limits.pressure_positive),
        )
        for side, bound in sides:
            pressure = board.pressure(side, now)
            if pressure is not None:
                at = board.gauges[FORCE_GAUGE[side]].time
                yield from self._outside(PRESSURE_QUANTITY[side], pressure, at, bound, "MPa", 1e6)
        torque = board.value(TORQUE, now)
        if torque is not None and limits.torque is not None and abs(torque) > limits.torque:
            yield "torque", board.gauges[TORQUE].time, _sentence("torque", torque, "beyond", limits.torque, "N·m", 1.0)

    def _outside(
        self,
        quantity: str,
        value: float,
        at: float,
        bound: Bound,
        unit: str,
        scale: float,
        *,
        driven_down: bool = False,
    ) -> Iterator[tuple[str, float, str]]:
        if bound.high is not None and value > bound.high:
            yield quantity, at, _sentence(quantity, value, "above", bound.high, unit, scale)
        if bound.low is None:
            return
        if value >= bound.low:
            self._inside.add(quantity)
        elif driven_down or quantity in self._inside:
            yield quantity, at, _sentence(quantity, value, "below", bound.low, unit, scale)


def _sentence(quantity: str, value: float, side: str, limit: float, unit: str, scale: float) -> str:
    return f"{quantity} is {value / scale:.5g} {unit}, {side} the limit of {limit / scale:.5g} {unit}."
