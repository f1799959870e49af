"""The recorder: takes batches from the bus, commits them in groups and says how far it is."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from labctl.bus.base import Bus, BusDown
from labctl.bus.codec import Batch, Malformed, Watermark, decode_events, decode_readings, encode_state, encode_watermark
from labctl.bus.topics import Process, Station, every_event, every_reading
from labctl.clock import host_monotonic, host_sleep
from labctl.errors import StorageError
from labctl.record.writer import Writer

_log = logging.getLogger(__name__)

GROUP = 50
"""Records that are committed at once, without waiting for more."""
LINGER = 0.1
"""Seconds that fewer records wait for more, because every commit costs an fsync."""
MOST_QUEUED = 20_000
"""Records that may wait for the database; what comes on top is dropped and will be sent again."""
_PAUSE_IN_TROUBLE = 1.0


class Recorder:
    """Records readings and events of one site into one database.

    A run belongs to one recorder: where several share a bus, each takes stations of its own.

    Args:
        everything: whether it takes every station of the site; else only those that it is told to take.
        in_thread: whether commits run in a worker thread, so that a slow disk does not stall the event loop.

    Attributes:
        refused: messages that were not what docs/bus.md says.
        trouble: why the database takes nothing now, as a sentence; empty while it does.
    """

    def __init__(
        self, bus: Bus, writer: Writer, process: Process, *, everything: bool = True, in_thread: bool = True
    ) -> None:
        self.refused = 0
        self.trouble = ""
        self._bus = bus
        self._writer = writer
        self._process = process
        self._everything = everything
        self._taken: set[Station] = set()
        self._in_thread = in_thread
        self._queue: deque[Batch] = deque()
        self._queued = 0
        self._news = asyncio.Event()
        self._told = b""

    async def serve(self) -> None:
        """Record until cancelled; what was committed stays, what was not is sent again by its journal."""
        if self._everything:
            await self._subscribe(every_reading(self._process.site), every_event(self._process.site))
        while True:
            await self._tell_state()
            await self._news.wait()
            await self._linger()
            batches = list(self._queue)
            self._queue.clear()
            self._queued = 0
            self._news.clear()
            if not batches:
                continue
            try:
                watermarks = await self._commit(batches)
            except StorageError as error:
                await self._wait_in_trouble(error)
                continue
            self.trouble = ""
            await self._tell_watermarks(watermarks)

    async def take(self, station: Station) -> None:
        """Record a station from now on; one that is taken already changes nothing."""
        if not self._everything and station not in self._taken:
            self._taken.add(station)
            await self._subscribe(station.readings, station.events)

    async def _subscribe(self, readings: str, events: str) -> None:
        await self._bus.subscribe(readings, self._receive_with(decode_readings))
        await self._bus.subscribe(events, self._receive_with(decode_events))

    def _receive_with(self, decode: Callable[[bytes], Batch]) -> Callable[[str, bytes], None]:
        def receive(topic: str, payload: bytes) -> None:
            try:
                batch = decode(payload)
            except Malformed as reason:
                self.refused += 1
                _log.warning("a message on %s is refused: %s", topic, reason)
                self._news.set()
                return
            if self._queued < MOST_QUEUED:
                self._queue.append(batch)
                self._queued += batch.last - batch.first + 1
                self._news.set()

        return receive

    async def _linger(self) -> None:
        """Wait for more records where a commit would be small."""
        until = host_monotonic() + (LINGER if self._in_thread else 0.0)
        while self._queued < GROUP and (left := until - host_monotonic()) > 0:
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._news.wait()

    async def _commit(self, batches: list[Batch]) -> list[Watermark]:
        if not self._in_thread:
            return self._writer.apply(batches)
        commit = asyncio.create_task(asyncio.to_thread(self._writer.apply, batches))
        try:
            return await asyncio.shield(commit)
        except asyncio.CancelledError:
            await asyncio.wait([commit])  # the database may be closed only when nobody works in it
            raise

    async def _tell_watermarks(self, watermarks: list[Watermark]) -> None:
        for watermark in watermarks:
            with suppress(BusDown):  # it is said again when its journal sends again
                await self._bus.publish(self._process.watermark(watermark.run), encode_watermark(watermark))

    async def _tell_state(self) -> None:
        state = encode_state(
            {"trouble": self.trouble, "refused": self.refused, "quarantined": self._writer.quarantined}
        )
        if state != self._told:
            self._told = state
            await self._bus.retain(self._process.state, state)

    async def _wait_in_trouble(self, error: StorageError) -> None:
        if error.sentence != self.trouble:
            _log.error("%s", error)
        self.trouble = error.sentence
        await self._tell_state()
        await host_sleep(_PAUSE_IN_TROUBLE)
