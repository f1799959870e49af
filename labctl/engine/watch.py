"""The watch over a station that has no run: rows now and then, and the guard on the station's own limits."""

import asyncio
from collections.abc import Callable

from labctl.clock import Lock
from labctl.engine.guard import Guard, Trip, Warned
from labctl.engine.ledger import Ledger
from labctl.engine.progress import Progress
from labctl.engine.station import Station, to_the_end
from labctl.engine.telling import Sink, Teller
from labctl.plan import Limits, RecordRule
from labctl.reading import Severity

INTERVAL = 60.0
"""Seconds between two rows: a cell that rests tells little more."""

OnTrip = Callable[[Trip], None]


class Watch:
    """Follows a station between runs; who began it makes its `run.started` and `run.ended`.

    Every instrument that has answered is needed: its silence trips, and a load cell beyond its capacity is silent.
    Pressures are guarded where the last run told the bore of the cell. A trip makes the station safe once and latches;
    a warning is told once; rows and polls go on.

    Attributes:
        trip: why the guard acted; None until it has, and again after `rearm`.

    Args:
        limits: of the station.
        sink: takes each record in order; it never blocks.
        on_trip: told of each trip, when its event is recorded and before the station is safe.
        interval: s between two rows.
        began: lab time from which its rows count their test time, where it goes on with the record of an earlier
            watch; None: now.
    """

    def __init__(
        self,
        station: Station,
        limits: Limits,
        sink: Sink,
        on_trip: OnTrip = lambda trip: None,
        interval: float = INTERVAL,
        began: float | None = None,
    ) -> None:
        self.trip: Trip | None = None
        self._station = station
        self._limits = limits
        self._on_trip = on_trip
        self._ledger = Ledger(station.clock.now())
        if began is not None:
            self._ledger.start_time = began
        poll_period = station.instruments.cycler.poll_period
        self._teller = Teller(sink, station.clock, station.board, self._ledger, Progress(), poll_period)
        self._teller.follow(RecordRule(interval=interval))
        self._guard = self._new_guard()
        self._warned: Warned | None = None
        self._safe: asyncio.Task[None] | None = None
        self._one_at_a_time = Lock(station.clock)  # in their order: the last safe state is also the last to end

    def start(self) -> None:
        """Follow the station from now on; the first row says how it stands."""
        self._station.follow_run(self._on_tick, self._on_poll, self._teller.tell)
        self._teller.row()

    async def stop(self) -> None:
        """Let the station go, for a run or for good; a safe state under way is waited for."""
        try:
            if self._safe is not None:
                await to_the_end(self._safe)
        finally:
            self._teller.row()
            self._station.forget_run()

    def rearm(self) -> None:
        """Watch again after a trip that somebody has acknowledged; what is still wrong trips again."""
        self.trip = None
        self._guard = self._new_guard()

    def _new_guard(self) -> Guard:
        board = self._station.board
        return Guard(self._limits, board, self._ledger, tuple(sorted(board.answered())), self._station.clock.now())

    def _on_tick(self, now: float) -> None:
        reading = self._station.board.fresh_cell(now)
        if reading is not None:
            self._ledger.add(reading, now)
            self._teller.row_if_due(reading, now)

    def _on_poll(self, measured: str | None, now: float) -> None:
        trip, warning = self._guard.check(measured, now), self._guard.warning
        if warning is not self._warned:
            self._warned = warning
            if warning is not None:
                data = {"quantity": warning.quantity, "driven": warning.driven}
                self._teller.event("guard.warned", warning.sentence, Severity.WARNING, **data)
        if trip is None or self.trip is not None:
            return
        self.trip = trip
        self._teller.row()
        self._teller.event("guard.tripped", trip.sentence, Severity.ALARM, quantity=trip.quantity, driven=trip.driven)
        work = self._make_safe(heaters_off=trip.heat)
        self._safe = self._station.clock.spawn(
            asyncio.get_running_loop(), work, f"{self._station.name} safe state of the watch"
        )
        self._on_trip(trip)

    async def _make_safe(self, *, heaters_off: bool) -> None:
        async with self._one_at_a_time:
            for sentence in await self._station.make_safe(heaters_off=heaters_off):
                self._teller.event("instrument.unsafe", sentence, Severity.ALARM)
