"""The outbox: batches, order, a bounded window, and everything again when it may be lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from labctl.bus.base import BusDown
from labctl.bus.codec import Batch, Watermark, decode_events, decode_readings, encode_watermark
from labctl.bus.local import LocalBus
from labctl.bus.outbox import BATCH, WINDOW, Outbox
from labctl.bus.topics import Process, Station
from tests.laboratory import ended, new_run, reading, started

STATION = Station(Process("lab", "pc"), "A1")


class Records:
    """A journal in memory; a number may be missing, as behind a gap."""

    def __init__(self, entries: list[tuple[int, bytes]]) -> None:
        self.run = new_run()
        self.channel = 0
        self.entries = entries
        self.reads = 0

    @property
    def durable(self) -> int:
        return self.entries[-1][0] if self.entries else 0

    simulated = True

    def read(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        self.reads += 1
        return [entry for entry in self.entries if entry[0] > after][:limit]


class LossyBus(LocalBus):
    """Loses or refuses what a test asks it to."""

    def __init__(self) -> None:
        super().__init__()
        self.lose = 0
        self.down = False

    async def publish(self, topic: str, payload: bytes) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise BusDown("no broker")
        if self.lose:
            self.lose -= 1
            return
        await super().publish(topic, payload)


class Desk:
    """Takes batches and commits when told to."""

    def __init__(self, bus: LossyBus) -> None:
        self.bus = bus
        self.taken: list[Batch] = []
        self.changed = asyncio.Event()

    async def open(self) -> None:
        await self.bus.subscribe(STATION.readings, lambda _, payload: self._take(decode_readings(payload)))
        await self.bus.subscribe(STATION.events, lambda _, payload: self._take(decode_events(payload)))

    def _take(self, batch: Batch) -> None:
        self.taken.append(batch)
        self.changed.set()

    async def until_last(self, number: int) -> None:
        async with asyncio.timeout(5):
            while not self.taken or self.taken[-1].last != number:
                self.changed.clear()
                await self.changed.wait()

    async def commit(self, run: str, number: int) -> None:
        topic = Process("lab", "recorder").watermark(run)
        await LocalBus.publish(self.bus, topic, encode_watermark(Watermark(run, 0, number)))


@asynccontextmanager
async def delivering(source: Records, patience: float = 5.0) -> AsyncIterator[tuple[Outbox, Desk, LossyBus]]:
    bus = LossyBus()
    desk = Desk(bus)
    await desk.open()
    outbox = Outbox(source, bus, STATION, patience)
    service = asyncio.create_task(outbox.serve())
    try:
        yield outbox, desk, bus
    finally:
        service.cancel()
        await asyncio.wait([service])
        assert service.cancelled(), service.exception()


def rows(first: int, last: int) -> list[tuple[int, bytes]]:
    return [(number, orjson.dumps(reading(number).values)) for number in range(first, last + 1)]


async def test_records_go_out_in_order_as_batches_of_one_kind() -> None:
    source = Records([])
    source.entries = [(1, orjson.dumps(started(source.run))), *rows(2, 120), (121, orjson.dumps(ended(1.0)))]
    async with delivering(source) as (_, desk, _):
        await desk.until_last(121)
        assert [(b.first, b.last, bool(b.events)) for b in desk.taken] == [
            (1, 1, True),
            (2, BATCH, False),
            (BATCH + 1, 2 * BATCH, False),
            (2 * BATCH + 1, 120, False),
            (121, 121, True),
        ]


async def test_a_gap_ends_a_batch() -> None:
    source = Records(rows(1, 5) + rows(9, 12))
    async with delivering(source) as (_, desk, _):
        await desk.until_last(12)
        assert [(b.first, b.last) for b in desk.taken] == [(1, 5), (9, 12)]


async def test_no_more_than_a_window_is_on_its_way() -> None:
    source = Records(rows(1, WINDOW + 100))
    async with delivering(source) as (outbox, desk, _):
        await desk.until_last(WINDOW)
        await asyncio.sleep(0.01)
        assert desk.taken[-1].last == WINDOW
        await desk.commit(source.run, 60)
        await desk.until_last(WINDOW + 60)
        assert outbox.committed == 60


async def test_a_journal_is_read_only_when_it_has_more() -> None:
    source = Records(rows(1, 5))
    async with delivering(source) as (outbox, desk, _):
        await desk.until_last(5)
        reads = source.reads
        await desk.commit(source.run, 5)
        outbox.wake()
        await asyncio.sleep(0.01)
        assert source.reads == reads
        source.entries += rows(6, 7)
        outbox.wake()
        await desk.until_last(7)
        assert source.reads == reads + 1


async def test_without_progress_everything_behind_the_watermark_is_sent_again() -> None:
    source = Records(rows(1, 30))
    async with delivering(source, patience=0.02) as (outbox, desk, _):
        await desk.until_last(30)
        await desk.commit(source.run, 10)
        desk.taken.clear()
        await desk.until_last(30)
        assert outbox.resends >= 1
        assert desk.taken[0].first == 11


async def test_a_lost_message_is_sent_again() -> None:
    source = Records(rows(1, 30))
    async with delivering(source, patience=0.02) as (outbox, desk, bus):
        bus.lose = 1
        await desk.until_last(30)
        await desk.commit(source.run, 30)
        await outbox.committed_at_least(30)


async def test_a_new_session_begins_at_the_watermark() -> None:
    source = Records(rows(1, 20))
    async with delivering(source) as (_, desk, bus):
        await desk.until_last(20)
        await desk.commit(source.run, 15)
        desk.taken.clear()
        bus.session += 1
        source.entries += rows(21, 22)
        await desk.commit(source.run, 16)
        await desk.until_last(22)
        assert [(b.first, b.last) for b in desk.taken] == [(17, 22)]


async def test_a_bus_that_is_down_loses_nothing() -> None:
    source = Records(rows(1, 20))
    async with delivering(source) as (_, desk, bus):
        bus.down = True
        await asyncio.sleep(0.01)
        assert desk.taken == []
        bus.down = False
        await desk.until_last(20)


@pytest.mark.parametrize("seq", [31, 2**52])
async def test_a_watermark_that_cannot_be_is_not_believed(seq: int) -> None:
    source = Records(rows(1, 30))
    async with delivering(source) as (outbox, desk, bus):
        await desk.until_last(30)
        await desk.commit(source.run, seq)
        await desk.commit(new_run(), 30)
        await LocalBus.publish(bus, Process("lab", "recorder").watermark(source.run), b"{}")
        await desk.commit(source.run, 12)
        await desk.commit(source.run, 4)
        assert outbox.committed == 12
