"""The way of a record, up: journal, bus, recorder and database as one object for the owner of a run."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from labctl.bus.base import Bus
from labctl.bus.outbox import Outbox
from labctl.bus.topics import Process, Station
from labctl.clock import host_sleep
from labctl.engine.journal import Journal
from labctl.engine.position import Ending, Position, newest
from labctl.errors import RefusedForSafety, StorageError
from labctl.reading import Event, Record, RunState, Severity
from labctl.record.elsewhere import Elsewhere
from labctl.record.recorder import Recorder
from labctl.record.writer import Writer

_log = logging.getLogger(__name__)

FLUSH_PERIOD = 0.1
"""Seconds of host time between two fsyncs of the journals."""
FLUSH_COUNT = 500
"""Buffered records after which a journal is flushed at once."""
RETRY = 1.0
"""Seconds of host time until a disk that has refused is tried again."""
MOST_BUFFERED = 200_000
"""Records that may be in memory only, about 80 MB; beyond that what is measured is not measured any more."""
STALLED = 2.0
"""Seconds without a word from any recorder after which records that wait for one count as not being stored."""


class Flusher:
    """Brings the journals of a process to disk, all of them in one go: a hundred runs cost no hundred threads.

    A disk that refuses is tried again and again; what is recorded meanwhile stays in memory.

    Attributes:
        trouble: why the disk takes nothing now, as a sentence; empty while it does.
        listeners: told of the trouble at every attempt that fails, and of its end with an empty text.

    Args:
        in_thread: whether fsyncs run in a worker thread; without, the event loop waits for them.
        period: s of host time between two of them; None: only where somebody is in a hurry.
    """

    def __init__(self, *, in_thread: bool, period: float | None = FLUSH_PERIOD) -> None:
        self.hurry = asyncio.Event()
        self.trouble = ""
        self.listeners: list[Callable[[str], None]] = []
        self._in_thread = in_thread
        self._period = period
        self._deliveries: list[Delivery] = []
        self._at_work: asyncio.Task[str] | None = None

    def add(self, delivery: "Delivery") -> None:
        """Take care of a delivery's journal from now on."""
        self._deliveries.append(delivery)

    async def drop(self, delivery: "Delivery") -> None:
        """Let go of a journal: when this returns nobody works in it."""
        self._deliveries.remove(delivery)
        if self._at_work is not None:
            await asyncio.wait([self._at_work])

    async def serve(self) -> None:
        """Flush every period, and at once where somebody is in a hurry, until cancelled.

        Raises:
            StorageError: the disk has refused for so long that MOST_BUFFERED records are in memory only.
        """
        while True:
            if self.trouble:
                await host_sleep(RETRY)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._period):
                        await self.hurry.wait()
            self.hurry.clear()
            due = [delivery for delivery in self._deliveries if delivery.journal.buffered]
            trouble = await self._flush_all(due) if due else ""
            for delivery in due:
                trouble = delivery.flushed() or trouble
            self._tell(trouble)

    async def _flush_all(self, due: "list[Delivery]") -> str:
        self._at_work = asyncio.create_task(self._flush([delivery.journal for delivery in due]))
        try:
            return await asyncio.shield(self._at_work)
        except asyncio.CancelledError:
            await asyncio.wait([self._at_work])  # a journal may be closed only when nobody works in it
            raise

    async def _flush(self, journals: "list[Journal]") -> str:
        """Flush journals, each of them whatever becomes of the others; return why one could not be."""

        def flush() -> str:
            trouble = ""
            for journal in journals:
                try:
                    journal.flush()
                except StorageError as error:
                    trouble = error.sentence
            return trouble

        return await asyncio.to_thread(flush) if self._in_thread else flush()

    def _tell(self, trouble: str) -> None:
        if trouble and not self.trouble:
            _log.error("%s It is tried again every %g s.", trouble, RETRY)
        elif self.trouble and not trouble:
            _log.warning("The disk takes what is measured again.")
        told, self.trouble = bool(trouble or self.trouble), trouble
        if told:
            for listener in list(self.listeners):
                listener(trouble)
        buffered = sum(delivery.journal.buffered for delivery in self._deliveries)
        if trouble and buffered > MOST_BUFFERED:
            raise StorageError(f"{trouble} {buffered} records are in memory only.", "Make room on the disk.")


class Delivery:
    """One run's records on their way from `record` to the database."""

    def __init__(self, journal: Journal, outbox: Outbox, flusher: Flusher) -> None:
        self.journal = journal
        self._outbox = outbox
        self._flusher = flusher
        self._on_disk = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    @property
    def run(self) -> str:
        """UUID of the run."""
        return self.journal.run

    @property
    def last(self) -> int:
        """Number of the last record."""
        return self.journal.last

    @property
    def open(self) -> bool:
        """Whether it is neither closed nor left."""
        return self._work is not None

    @property
    def backlog(self) -> int:
        """Records that are not yet known to be in the database: slow down while there are too many."""
        return self.journal.last - self._outbox.committed

    @property
    def waiting(self) -> float:
        """Host seconds since records wait for the database without one of them being confirmed."""
        return self._outbox.waiting

    def record(self, record: Record) -> int:
        """Take a record and return its number; never waits. Raises StorageError for one that cannot be encoded."""
        number = self.journal.append(record)
        if self.journal.buffered >= FLUSH_COUNT:
            self._flusher.hurry.set()
        return number

    async def durable(self) -> None:
        """Wait until everything recorded so far is on disk; raises StorageError where the disk refuses it."""
        number = self.journal.last
        while self.journal.durable < number:
            await self._next_flush()
            if self._flusher.trouble:
                raise StorageError(self._flusher.trouble, "Make room on the disk, or choose another one.")

    async def settled(self, at_most: int = 0) -> None:
        """Wait until at most so many of the records so far are not yet in the database."""
        number = self.journal.last - at_most
        while self.journal.durable < number:
            await self._next_flush()
        await self._outbox.committed_at_least(number)

    async def close(self, patience: float = 10.0) -> bool:
        """Deliver and delete the journal; where that takes too long, leave it on disk for the next process.

        Returns:
            Whether everything is in the database.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self.settled()
        await self._stop()
        if self.backlog == 0:
            self.journal.remove()
            return True
        self.journal.close()
        return False

    async def leave(self) -> None:
        """Stop, and leave the journal on disk for the next process; after `close` this changes nothing."""
        if self.open:
            await self._stop()
            self.journal.close()

    def start(self, group: asyncio.TaskGroup, station: Station, recorder: Recorder | None) -> None:
        """Begin to deliver, to a recorder of this process where there is one."""
        self._flusher.add(self)
        self._work = group.create_task(self._deliver(station, recorder), name=f"outbox {self.run}")

    async def _deliver(self, station: Station, recorder: Recorder | None) -> None:
        if recorder is not None:
            await recorder.take(station)
        await self._outbox.serve()

    def flushed(self) -> str:
        """Go on with what is on disk now; return why what is not needed any more could not be deleted."""
        self._outbox.wake()
        self._on_disk.set()
        try:
            self.journal.forget(self._outbox.committed)
        except StorageError as error:
            return error.sentence
        return ""

    async def _next_flush(self) -> None:
        self._on_disk.clear()
        self._flusher.hurry.set()
        await self._on_disk.wait()

    async def _stop(self) -> None:
        assert self._work is not None
        self._work.cancel()
        await asyncio.wait([self._work])
        self._work = None
        await self._flusher.drop(self)


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A run whose process died.

    To go on: connect the station, with `cycler.expect_program(position.following.token)` said before where it was in a
    program; bind the plan anew from what the run was begun with; and execute
    `Run(plan, station, operator, sink, resume=position, away=...)` on the delivery that `resume` gives.
    """

    position: Position
    journal: Journal

    @property
    def run(self) -> str:
        """UUID of the run."""
        return self.journal.run


class DataPath:
    """Begins deliveries; made by `open_data_path`."""

    def __init__(
        self,
        bus: Bus,
        process: Process,
        journals: Path,
        group: asyncio.TaskGroup,
        flusher: Flusher,
        recorder: Recorder | None,
        elsewhere: Elsewhere,
    ) -> None:
        self._recorder = recorder
        self._elsewhere = elsewhere
        self._bus = bus
        self._process = process
        self._journals = journals
        self._group = group
        self._flusher = flusher
        self._deliveries: list[Delivery] = []

    @property
    def backlog(self) -> int:
        """Records of all runs that are not yet known to be in the database."""
        return sum(delivery.backlog for delivery in self._deliveries if delivery.open)

    @property
    def committed(self) -> int:
        """Records that are known to be in the database, of the deliveries that are open: it changes while they move."""
        return sum(delivery.last - delivery.backlog for delivery in self._deliveries if delivery.open)

    @property
    def disk_trouble(self) -> str:
        """Why the journals cannot be written now, as a sentence; empty while they can."""
        return self._flusher.trouble

    @property
    def on_disk(self) -> list[Callable[[str], None]]:
        """Who is told of `disk_trouble` at every attempt that fails, and of its end with an empty text."""
        return self._flusher.listeners

    @property
    def trouble(self) -> str:
        """Why nothing is being stored now, as a sentence; empty while it is."""
        told = self.disk_trouble or self._bus.trouble or (self._recorder or self._elsewhere).trouble
        if told:
            return told
        if any(delivery.waiting > STALLED for delivery in self._deliveries if delivery.open):
            return f"No recorder confirms what is measured: {self.backlog} records wait in the journals."
        return ""

    def begin(self, run: str, station: str, channel: int = 0, *, simulated: bool) -> Delivery:
        """Open the journal of a new run; its first record must be `run.started`."""
        return self._deliver(Journal.create(self._journals, run, station, channel, simulated=simulated))

    def recover(self) -> list[Delivery]:
        """Deliver what dead processes left; a run that had not ended ends as LOST, at its last record.

        A journal that cannot be read is left where it is, and said so in the log.
        """
        deliveries, interrupted = self.take_over()
        return deliveries + [self.lose(each) for each in interrupted]

    def take_over(self) -> tuple[list[Delivery], list[Interrupted]]:
        """Do as `recover`, but return the runs that can be gone on with as they are.

        A run that was ending when its process died gets the end that it was coming to.

        Each of these must be given to `resume` or to `lose`.
        """
        deliveries: list[Delivery] = []
        interrupted: list[Interrupted] = []
        for run, channel in Journal.leftovers(self._journals):
            try:
                journal = Journal.open(self._journals, run, channel)
                position = None if journal.ended else newest(journal.read)
            except (StorageError, RefusedForSafety) as error:
                _log.error("%s", error.sentence)
                continue
            if journal.last == 0:
                journal.remove()
            elif position is None or position.ending is not None:
                deliveries.append(self._lose(journal, None if position is None else position.ending))
            else:
                interrupted.append(Interrupted(position, journal))
        return deliveries, interrupted

    def holds(self, run: str) -> bool:
        """Whether a journal of a run is left, readable or not."""
        return (self._journals / run).exists()

    def resume(self, interrupted: Interrupted) -> Delivery:
        """Go on delivering a run that its new `Run` goes on with from `interrupted.position`."""
        return self._deliver(interrupted.journal)

    def lose(self, interrupted: Interrupted) -> Delivery:
        """End a run as LOST and deliver it."""
        return self._lose(interrupted.journal)

    def _lose(self, journal: Journal, ending: Ending | None = None) -> Delivery:
        if not journal.ended:
            journal.append(_ended(ending or _LOST, *journal.last_times))
        return self._deliver(journal)

    async def leave(self) -> None:
        """Leave every delivery that is not closed to the next process; say what a disk refuses now."""
        for delivery in self._deliveries:
            try:
                await delivery.leave()
            except StorageError as error:
                _log.error("%s", error.sentence)

    def _deliver(self, journal: Journal) -> Delivery:
        station = Station(self._process, journal.station or "unknown")
        delivery = Delivery(journal, Outbox(journal, self._bus, station), self._flusher)
        delivery.start(self._group, station, self._recorder)
        self._deliveries = [d for d in self._deliveries if d.open] + [delivery]
        return delivery


@asynccontextmanager
async def open_data_path(
    bus: Bus,
    process: Process,
    journals: Path,
    database: Path | None = None,
    name: str = "recorder",
    *,
    in_thread: bool = True,
    flush_period: float | None = FLUSH_PERIOD,
    patient: bool = False,
) -> AsyncIterator[DataPath]:
    """Serve a bus, and a recorder into `database` where one is given, while the block runs.

    What was not delivered at the end of the block stays in its journals.

    Args:
        bus: over MQTT, or a LocalBus.
        process: this process's site and name on the bus.
        journals: the folder of all journals of this process.
        database: None where a recorder runs as its own process.
        name: of the recorder on the bus; it takes the stations whose runs this path delivers, and no other's.
        in_thread: whether fsyncs and commits run in worker threads; without, one event loop does everything.
        flush_period: s of host time between two fsyncs; None: only where somebody waits for one, or many records do.
        patient: whether a database that cannot be opened keeps nobody from measuring: its records wait in the journals.

    Raises:
        StorageError: the database cannot be opened, or a full disk has filled the memory, too.
    """
    writer = None if database is None else Writer(database, patient=patient)
    try:
        async with _workers() as group:
            flusher, recorder = Flusher(in_thread=in_thread, period=flush_period), None
            works = [
                group.create_task(bus.serve(), name="bus"),
                group.create_task(flusher.serve(), name="flusher"),
            ]
            if writer is not None:
                recorder = Recorder(bus, writer, Process(process.site, name), everything=False, in_thread=in_thread)
                works.append(group.create_task(recorder.serve(), name="recorder"))
            elsewhere = Elsewhere(bus, process.site)
            if recorder is None:
                await elsewhere.listen()
            path = DataPath(bus, process, journals, group, flusher, recorder, elsewhere)
            try:
                yield path
            finally:
                await path.leave()
                for work in works:
                    work.cancel()
    finally:
        if writer is not None:
            writer.close()


@asynccontextmanager
async def _workers() -> AsyncIterator[asyncio.TaskGroup]:
    """A TaskGroup that raises a lone exception as itself: the block's own, or that of a worker that died."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as several:
        if len(several.exceptions) > 1:
            raise
        raise several.exceptions[0] from None


_LOST = Ending(RunState.LOST, "the process that ran it died")


def _ended(ending: Ending, test_time: float, unix: float) -> Event:
    state, reason = ending.state, ending.reason
    severity = Severity.WARNING if state is RunState.STOPPED else Severity.ALARM
    data = {"state": state.value, "reason": reason, "who": ending.who}
    words = f"The run is lost: {reason}." if state is RunState.LOST else reason
    return Event("run.ended", unix, test_time, words, severity, data)
