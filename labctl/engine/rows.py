"""Rows: when a reading is due for storage, and what stands in it."""

from dataclasses import dataclass

from labctl.engine.board import FORCE_GAUGE, Board
from labctl.engine.ledger import Ledger
from labctl.instrument import CellReading
from labctl.plan import RecordRule, Side
from labctl.reading import AUXILIARIES, Reading

COULOMB_PER_AH = 3600.0
JOULE_PER_WH = 3600.0

_PRESSURE_SIDE: dict[str, Side] = {"negative_pressure_pa": "negative", "positive_pressure_pa": "positive"}


@dataclass(frozen=True, slots=True)
class When:
    """An instant of a run.

    Attributes:
        unix: s since 1970.
        test_time: s since the run began; `step_time` since the step did, its pauses not counted.
        age: s ago, where the instrument kept what it measured and tells it later.
    """

    unix: float
    test_time: float
    step_time: float
    age: float = 0.0


class RowWriter:
    """Decides, reading by reading, whether a record rule asks for a row, and assembles it."""

    def __init__(self, board: Board, ledger: Ledger, poll_period: float) -> None:
        self._board = board
        self._ledger = ledger
        self._rule = RecordRule()
        # A poll that comes a little early on a real clock is the one that the interval means.
        self._early = poll_period / 2
        self._time = 0.0
        self._voltage: float | None = None
        self._current = 0.0
        self._charge = 0.0
        self._temperature: float | None = None
        self._pressures: tuple[float | None, float | None] = (None, None)

    def follow(self, rule: RecordRule) -> None:
        """Follow the rule of a step that begins."""
        self._rule = rule

    def due(self, reading: CellReading, now: float) -> bool:
        """Whether the interval has passed or something has moved by its delta since the last row."""
        rule = self._rule
        return (
            (rule.interval is not None and now - self._time >= rule.interval - self._early)
            or (rule.voltage is not None and _moved(reading.voltage, self._voltage, rule.voltage))
            or (rule.current is not None and abs(reading.current - self._current) >= rule.current)
            or (rule.capacity is not None and abs(self._ledger.step_charge - self._charge) >= rule.capacity)
            or (
                rule.temperature is not None
                and _moved(self._board.temperature(now), self._temperature, rule.temperature)
            )
            or (rule.pressure is not None and self._pressure_moved(rule.pressure, now))
        )

    def row(self, reading: CellReading, now: float, when: When, cycle: int, step_count: int, step_id: int) -> Reading:
        """Assemble a row; the extremes of the auxiliaries begin anew.

        What is now is not told of an instant that is older than the age limit of its sensor.
        """
        ledger, board = self._ledger, self._board
        self._time, self._voltage, self._current = now, reading.voltage, reading.current
        self._charge = ledger.step_charge
        self._temperature = board.temperature(now)
        self._pressures = (board.pressure("negative", now), board.pressure("positive", now))
        auxiliaries: list[float | None] = []
        taken = {name: gauge.take(now) for name, gauge in board.gauges.items() if when.age <= gauge.max_age}
        for name in AUXILIARIES:
            side = _PRESSURE_SIDE.get(name)
            if side is None:
                auxiliaries += taken.get(name, (None, None, None))
            else:
                auxiliaries += self._in_pascal(taken.get(FORCE_GAUGE[side], (None, None, None)))
        return Reading(
            (
                when.unix,
                when.test_time,
                when.step_time,
                cycle,
                step_count,
                step_id,
                reading.voltage,
                reading.current,
                ledger.charge_in / COULOMB_PER_AH,
                ledger.charge_out / COULOMB_PER_AH,
                ledger.energy_in / JOULE_PER_WH,
                ledger.energy_out / JOULE_PER_WH,
                *auxiliaries,
            )
        )

    def _in_pascal(self, forces: tuple[float | None, ...]) -> list[float | None]:
        area = self._board.bore_area
        return [None if force is None or area is None else force / area for force in forces]

    def _pressure_moved(self, delta: float, now: float) -> bool:
        present = (self._board.pressure("negative", now), self._board.pressure("positive", now))
        return any(_moved(value, last, delta) for value, last in zip(present, self._pressures, strict=True))


def _moved(value: float | None, last: float | None, delta: float) -> bool:
    """A value that appears or disappears has moved, too."""
    if value is None or last is None:
        return value is not last
    return abs(value - last) >= delta
