"""Telling: the rows and events of one run, or of a watch between runs, in their order to one sink."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

from labctl.clock import LabClock
from labctl.engine.board import Board
from labctl.engine.ledger import Ledger
from labctl.engine.progress import Progress
from labctl.engine.rows import RowWriter, When
from labctl.instrument import CellReading
from labctl.plan import End, RecordRule
from labctl.reading import Event, Record, Severity

Sink = Callable[[Record], None]
"""Takes each record in order; it never blocks."""


class Teller:
    """Makes records of what a board, a ledger and a progress say now."""

    def __init__(
        self, sink: Sink, clock: LabClock, board: Board, ledger: Ledger, progress: Progress, poll_period: float
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._board = board
        self._ledger = ledger
        self._progress = progress
        self._rows = RowWriter(board, ledger, poll_period)
        self.row_at = -inf
        """Lab time of the last row."""
        self._open = ""
        """Name of the executed step whose end has not been told; "": none."""
        self._told: When | None = None
        self._kept: CellReading | None = None

    def follow(self, rule: RecordRule) -> None:
        """Follow the record rule of a step that begins."""
        self._rows.follow(rule)

    def row_if_due(self, reading: CellReading, now: float) -> None:
        """Write a row where the record rule asks for one."""
        if self._rows.due(reading, now):
            self.row()

    def row(self) -> None:
        """Write a row of this instant."""
        progress, reading = self._progress, self._board.cell if self._kept is None else self._kept
        if reading is not None:
            step_id = progress.step.id if progress.step is not None else 0
            self.row_at = now = self._clock.now()
            self._sink(self._rows.row(reading, now, self._when(), progress.number, progress.step_count, step_id))

    @contextmanager
    def at(self, when: When, reading: CellReading) -> Iterator[None]:
        """Tell within the block of an instant that an instrument has kept, and of what it measured then."""
        self._told, self._kept = when, reading
        try:
            yield
        finally:
            self._told = self._kept = None

    def _when(self) -> When:
        if self._told is not None:
            return self._told
        return When(self._clock.unix(), self.test_time, self._clock.now() - self._ledger.step_start)

    @property
    def test_time(self) -> float:
        """Seconds since the run began, now."""
        return self._clock.now() - self._ledger.start_time

    @property
    def step_is_open(self) -> bool:
        """Whether an executed step has begun whose end has not been told."""
        return bool(self._open)

    def step_announced(self, step_id: int, name: str, verb: str, rested: float | None = None) -> None:
        """Tell that the next executed step begins; its rows come when it `opened`.

        Args:
            rested: V of the cell at rest, just before.
        """
        count, cycle = self._progress.step_count + 1, self._progress.number
        about: dict[str, Any] = {
            "step_count": count,
            "step_id": step_id,
            "name": name,
            "verb": verb,
            "cycle_count": cycle,
        }
        if rested is not None:
            about["rest_voltage"] = rested
        self.event("step.started", name, **about)

    def step_opened(self, name: str) -> None:
        """Write the row with which an executed step begins."""
        self.row()
        self._open = name

    def step_reopened(self, name: str) -> None:
        """Know that an executed step is under way whose beginning another process has written."""
        self._open = name

    def step_closed(self, reason: str, end: End | None = None) -> None:
        """Write the row with which an executed step ends, however it ends, and tell its end.

        Args:
            end: of the plan's step, where it has met one; None: something else has broken this execution of it off.
        """
        self.row()
        self.step_ended(reason, end)

    def step_ended(self, reason: str, end: End | None = None) -> None:
        """Tell the end of an executed step whose last row is written."""
        name, self._open = self._open, ""
        leads: dict[str, Any] = {} if end is None else {"then": end.then.value, "label": end.label}
        self.event("step.ended", f"{name}: {reason}", step_count=self._progress.step_count, reason=reason, **leads)

    def tell(self, kind: str, message: str, severity: Severity) -> None:
        """Tell what a station says by itself."""
        self.event(kind, message, severity)

    def event(self, kind: str, message: str, severity: Severity = Severity.INFO, **data: Any) -> None:
        """Tell what happened now."""
        when = self._when()
        self._sink(Event(kind, when.unix, when.test_time, message, severity, data))
