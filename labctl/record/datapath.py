"""The way of a record, up: journal, bus, recorder and database as one object for the owner of a run."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from labctl.bus.base import Bus
from labctl.bus.outbox import Outbox
from labctl.bus.topics import Process, Station
from labctl.engine.journal import Journal
from labctl.errors import RefusedForSafety, StorageError
from labctl.reading import Event, Record, RunState, Severity
from labctl.record.recorder import Recorder
from labctl.record.writer import Writer

_log = logging.getLogger(__name__)

FLUSH_PERIOD = 0.1
"""Seconds of host time between two fsyncs of a journal."""
FLUSH_COUNT = 500
"""Buffered records after which a journal is flushed at once."""


class Delivery:
    """One run's records on their way from `record` to the database."""

    def __init__(self, journal: Journal, outbox: Outbox, *, in_thread: bool) -> None:
        self._journal = journal
        self._outbox = outbox
        self._in_thread = in_thread
        self._hurry = asyncio.Event()
        self._flushed = asyncio.Event()
        self._work: list[asyncio.Task[None]] = []

    @property
    def run(self) -> str:
        """UUID of the run."""
        return self._journal.run

    @property
    def last(self) -> int:
        """Number of the last record."""
        return self._journal.last

    @property
    def open(self) -> bool:
        """Whether it is neither closed nor left."""
        return bool(self._work)

    @property
    def backlog(self) -> int:
        """Records that are not yet known to be in the database: slow down while there are too many."""
        return self._journal.last - self._outbox.committed

    def record(self, record: Record) -> int:
        """Take a record and return its number; never waits. Raises StorageError for one that cannot be encoded."""
        number = self._journal.append(record)
        if self._journal.buffered >= FLUSH_COUNT:
            self._hurry.set()
        return number

    async def durable(self) -> None:
        """Wait until everything recorded so far is on disk."""
        number = self._journal.last
        while self._journal.durable < number:
            self._flushed.clear()
            self._hurry.set()
            await self._flushed.wait()

    async def settled(self, at_most: int = 0) -> None:
        """Wait until at most so many of the records so far are not yet in the database."""
        number = self._journal.last - at_most
        await self.durable()
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
            self._journal.remove()
            return True
        self._journal.close()
        return False

    async def leave(self) -> None:
        """Stop, and leave the journal on disk for the next process; after `close` this changes nothing."""
        if self._work:
            await self._stop()
            self._journal.close()

    def start(self, group: asyncio.TaskGroup) -> None:
        """Begin to flush and deliver; an error of the disk reaches the owner of the group."""
        self._work = [
            group.create_task(self._keep_flushed(), name=f"journal {self.run}"),
            group.create_task(self._outbox.serve(), name=f"outbox {self.run}"),
        ]

    async def _stop(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.wait(self._work)
        self._work = []

    async def _keep_flushed(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_PERIOD):
                    await self._hurry.wait()
            self._hurry.clear()
            if self._journal.buffered:
                await self._on_disk(self._journal.flush)
                self._outbox.wake()
            self._flushed.set()
            self._journal.forget(self._outbox.committed)

    async def _on_disk(self, work: Callable[[], None]) -> None:
        if not self._in_thread:
            work()
            return
        task = asyncio.create_task(asyncio.to_thread(work))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])  # the journal may be closed only when nobody works in it
            raise


class DataPath:
    """Begins deliveries; made by `open_data_path`."""

    def __init__(
        self, bus: Bus, process: Process, journals: Path, group: asyncio.TaskGroup, *, in_thread: bool
    ) -> None:
        self._bus = bus
        self._process = process
        self._journals = journals
        self._group = group
        self._in_thread = in_thread
        self._deliveries: list[Delivery] = []

    def begin(self, run: str, station: str, channel: int = 0, *, simulated: bool) -> Delivery:
        """Open the journal of a new run; its first record must be `run.started`."""
        return self._deliver(Journal.create(self._journals, run, station, channel, simulated=simulated))

    def recover(self) -> list[Delivery]:
        """Deliver what dead processes left; a run that had not ended ends as LOST, at its last record.

        A journal that cannot be read is left where it is, and said so in the log.
        """
        found: list[Delivery] = []
        for run, channel in Journal.leftovers(self._journals):
            try:
                journal = Journal.open(self._journals, run, channel)
            except (StorageError, RefusedForSafety) as error:
                _log.error("%s", error.sentence)
                continue
            if journal.last == 0:
                journal.remove()
                continue
            if not journal.ended:
                journal.append(_lost(*journal.last_times))
            found.append(self._deliver(journal))
        return found

    async def leave(self) -> None:
        """Leave every delivery that is not closed to the next process; say what a disk refuses now."""
        for delivery in self._deliveries:
            try:
                await delivery.leave()
            except StorageError as error:
                _log.error("%s", error.sentence)

    def _deliver(self, journal: Journal) -> Delivery:
        station = Station(self._process, journal.station or "unknown")
        delivery = Delivery(journal, Outbox(journal, self._bus, station), in_thread=self._in_thread)
        delivery.start(self._group)
        self._deliveries = [d for d in self._deliveries if d.open] + [delivery]
        return delivery


@asynccontextmanager
async def open_data_path(
    bus: Bus,
    process: Process,
    journals: Path,
    database: Path | None = None,
    recorder: str = "recorder",
    *,
    in_thread: bool = True,
) -> AsyncIterator[DataPath]:
    """Serve a bus, and a recorder into `database` where one is given, while the block runs.

    What was not delivered at the end of the block stays in its journals.

    Args:
        bus: over MQTT, or a LocalBus.
        process: this process's site and name on the bus.
        journals: the folder of all journals of this process.
        database: None where a recorder runs as its own process.
        recorder: the name of the recorder on the bus.
        in_thread: whether fsyncs and commits run in worker threads; without, one event loop does everything.

    Raises:
        StorageError: journal or database cannot be kept; it ends the block.
    """
    writer = None if database is None else Writer(database)
    try:
        async with _workers() as group:
            path = DataPath(bus, process, journals, group, in_thread=in_thread)
            works = [group.create_task(bus.serve(), name="bus")]
            if writer is not None:
                service = Recorder(bus, writer, Process(process.site, recorder), in_thread=in_thread)
                works.append(group.create_task(service.serve(), name="recorder"))
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


def _lost(test_time: float, unix: float) -> Event:
    reason = "the process that ran it died"
    data = {"state": RunState.LOST.value, "reason": reason}
    return Event("run.ended", unix, test_time, f"The run is lost: {reason}.", Severity.ALARM, data)
