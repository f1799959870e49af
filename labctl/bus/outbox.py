"""Moves a journal to the bus: batches in order, from the committed watermark on, again whenever one may be lost."""

import asyncio
import logging
from contextlib import suppress
from itertools import groupby
from typing import Protocol

from labctl.bus.base import Bus, BusDown
from labctl.bus.codec import Malformed, decode_watermark, encode_events, encode_readings
from labctl.bus.topics import Station, every_watermark
from labctl.clock import host_monotonic, host_sleep
from labctl.errors import StorageError

_log = logging.getLogger(__name__)

BATCH = 50
"""Records in a message."""
WINDOW = 5000
"""Records that may be published and not yet committed."""
PATIENCE = 1.0
"""Seconds without progress of the watermark after which everything behind it is sent again."""
_PAUSE = 0.05
_GLANCE = 0.05


class Source(Protocol):
    """What an outbox needs of a journal."""

    run: str
    channel: int
    simulated: bool
    durable: int

    def read(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Return (number, payload) of durable records in order."""


class Outbox:
    """Delivers one (run, channel).

    Attributes:
        committed: the highest number that a recorder says is in its database, with all before it.
        resends: how often it began again at the watermark.
    """

    def __init__(self, source: Source, bus: Bus, station: Station, patience: float = PATIENCE) -> None:
        self.committed = 0
        self.resends = 0
        self._source = source
        self._bus = bus
        self._station = station
        self._patience = patience
        self._sent = 0
        self._news = asyncio.Event()
        self._progress = asyncio.Event()
        self._last_progress = host_monotonic()
        self._waiting_since: float | None = None

    @property
    def waiting(self) -> float:
        """Host seconds since durable records wait without one of them being confirmed; 0 while none waits."""
        return 0.0 if self._waiting_since is None else host_monotonic() - self._waiting_since

    async def serve(self) -> None:
        """Publish what becomes durable until cancelled."""
        self.wake()
        pattern = every_watermark(self._station.process.site, self._source.run)
        await self._bus.subscribe(pattern, self._on_watermark)
        try:
            await self._deliver()
        finally:
            await self._bus.unsubscribe(pattern, self._on_watermark)

    def wake(self) -> None:
        """Tell that more records are durable."""
        if self._waiting_since is None and self._source.durable > self.committed:
            self._waiting_since = host_monotonic()
        self._news.set()

    async def committed_at_least(self, number: int) -> None:
        """Wait until everything up to a number is in the database."""
        while self.committed < number:
            self._progress.clear()
            await self._progress.wait()

    async def _deliver(self) -> None:
        session = 0
        while True:
            if session != (session := await self._bus.connected()):
                self._begin_again()
            elif self._sent > self.committed and host_monotonic() - self._last_progress > self._patience:
                self.resends += 1
                self._begin_again()
            room = min(WINDOW - (self._sent - self.committed), self._source.durable - self._sent)
            try:
                entries = self._source.read(self._sent, min(BATCH, room)) if room > 0 else []
            except StorageError as error:  # what cannot be read now keeps no other run from being delivered
                _log.error("%s", error.sentence)
                await host_sleep(self._patience)
                continue
            if not entries:
                await self._wait_for_news()
                continue
            if self._sent == self.committed:
                self._last_progress = host_monotonic()
            try:
                await self._publish(entries)
            except BusDown:  # the next session begins at the watermark again
                await host_sleep(_PAUSE)

    async def _publish(self, entries: list[tuple[int, bytes]]) -> None:
        """Publish records as one message for each stretch of consecutive numbers and one kind."""
        run, channel, simulated = self._source.run, self._source.channel, self._source.simulated
        for (_, is_event), group in groupby(enumerate(entries), _stretch):
            stretch = [entry for _, entry in group]
            first, payloads = stretch[0][0], [payload for _, payload in stretch]
            if is_event:
                message = encode_events(run, channel, first, payloads, simulated=simulated)
                await self._bus.publish(self._station.events, message)
            else:
                message = encode_readings(run, channel, first, payloads, simulated=simulated)
                await self._bus.publish(self._station.readings, message)
            self._sent = max(self._sent, stretch[-1][0])

    async def _wait_for_news(self) -> None:
        """Wait for records or a watermark; while something is on its way, also look after the session and the time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GLANCE if self._sent > self.committed else None):
                await self._news.wait()
        self._news.clear()

    def _begin_again(self) -> None:
        self._sent = self.committed
        self._last_progress = host_monotonic()

    def _on_watermark(self, _topic: str, payload: bytes) -> None:
        try:
            watermark = decode_watermark(payload)
        except Malformed:
            return
        ours = watermark.run == self._source.run and watermark.channel == self._source.channel
        if ours and self.committed < watermark.seq <= self._source.durable:
            self.committed = watermark.seq
            self._sent = max(self._sent, self.committed)
            self._last_progress = host_monotonic()
            self._waiting_since = None if self.committed == self._source.durable else self._last_progress
            self._news.set()
            self._progress.set()


def _stretch(indexed: tuple[int, tuple[int, bytes]]) -> tuple[int, bool]:
    """Key that is equal along consecutive numbers of one kind: a reading is an array, an event an object."""
    index, (number, payload) = indexed
    return number - index, payload.startswith(b"{")
