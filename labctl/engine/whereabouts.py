"""Whereabouts: tells the run's journal where the host is in its plan, often enough for another process to go on."""

from collections.abc import Callable
from dataclasses import replace

from labctl.clock import LabClock
from labctl.engine.board import Board
from labctl.engine.ledger import NOTHING, Carried, Ledger
from labctl.engine.position import KIND, Hosted, Position, Seen, data_of, jump
from labctl.engine.progress import Progress
from labctl.engine.telling import Teller
from labctl.engine.words import Words
from labctl.instrument import CellReading, Limiting
from labctl.plan import SIDES, Step

EVERY = 300.0
"""Seconds of a step after which its counts are told anew: what its rows, told more rarely, would leave uncounted."""


class Whereabouts:
    """Follows the steps that the host executes.

    Args:
        where: gives the position of the run before the present node, without how far the host has got with it.
    """

    def __init__(
        self,
        clock: LabClock,
        board: Board,
        ledger: Ledger,
        progress: Progress,
        words: Words,
        teller: Teller,
        where: Callable[[], Position],
    ) -> None:
        self._resistance: float | None = None
        self._clock = clock
        self._board = board
        self._ledger = ledger
        self._progress = progress
        self._words = words
        self._teller = teller
        self._where = where
        self._step: Step | None = None
        self._told_at = 0.0
        self._holding = False

    def begin(self) -> None:
        """Tell that the first step is still to come."""
        self._tell(NOTHING, self._board.cell, closed=0)

    def before(self, step: Step, carried: Carried = NOTHING) -> None:
        """Tell that a step comes next, of which another process may have `carried` something out."""
        self._step, self._holding, self._resistance = step, False, None
        self._tell(carried, self._board.cell, closed=self._progress.step_count)

    def jumped(self, rested: float | None, reading: CellReading) -> None:
        """Take the voltage that the cell had at rest, and what it is now that its current has begun."""
        self._resistance = jump(rested, reading.voltage, reading.current)

    def look(self, now: float, reading: CellReading) -> None:
        """Look at a poll of the step under way."""
        holding = reading.limiting is Limiting.VOLTAGE
        if holding != self._holding or now - max(self._told_at, self._teller.row_at) >= EVERY:
            self._holding = holding
            self._tell(self._ledger.carried(now), reading, closed=self._progress.step_count - 1)

    def seen(self, reading: CellReading) -> Seen:
        """Return what is measured now, the cell's share as it was read."""
        now, board = self._clock.now(), self._board
        pressures = tuple((side, value) for side in SIDES if (value := board.pressure(side, now)) is not None)
        unix, test_time = self._clock.unix(), self._teller.test_time
        return Seen(unix, test_time, reading.voltage, reading.current, board.temperature(now), pressures)

    def _tell(self, carried: Carried, reading: CellReading | None, closed: int) -> None:
        self._told_at = self._clock.now()
        hosted = Hosted(
            self._step.id if self._step is not None else 0,
            carried=carried,
            holding=self._holding,
            resistance=self._resistance,
            seen=None if reading is None else self.seen(reading),
            started=self._progress.step_count,
            closed=closed,
            paused_by=self._words.who if self._words.paused else "",
        )
        position = replace(self._where(), hosted=hosted)
        self._teller.event(KIND, "The run can be gone on with from here.", **data_of(position))
