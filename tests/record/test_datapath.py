"""From `record` to the table: over brokers, within one loop, across broken connections, and after a death."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import orjson
import pytest

from labctl.bus.base import Bus
from labctl.bus.client import MqttBus
from labctl.bus.local import LocalBus
from labctl.bus.topics import Process, Station
from labctl.engine.journal import Journal
from labctl.engine.ledger import Counts
from labctl.engine.position import KIND, Following, Position
from labctl.errors import StorageError
from labctl.reading import Event, Reading, Record, RunState
from labctl.record.datapath import DataPath, Delivery, open_data_path
from labctl.record.queries import Queries
from labctl.record.recorder import Recorder
from labctl.record.writer import Writer
from tests.laboratory import (
    EPOCH,
    IotcoreBroker,
    MosquittoBroker,
    ended,
    experiment,
    new_run,
    reading,
    started,
)

AnyBroker = IotcoreBroker | MosquittoBroker
HOST = Process("lab", "pc")


@asynccontextmanager
async def opened(bus: Bus, folder: Path, *, in_thread: bool = True) -> AsyncIterator[DataPath]:
    async with (
        asyncio.timeout(30),
        open_data_path(bus, HOST, folder / "journals", folder / "lab.db", in_thread=in_thread) as path,
    ):
        yield path


class States:
    """Takes what a recorder says of itself and waits for a word."""

    def __init__(self) -> None:
        self._last: dict[str, object] | None = None
        self._news = asyncio.Event()

    def __call__(self, _: str, payload: bytes) -> None:
        self._last = orjson.loads(payload)
        self._news.set()

    async def until(self, says: Callable[[dict[str, object]], bool]) -> None:
        async with asyncio.timeout(10):
            while self._last is None or not says(self._last):
                self._news.clear()
                await self._news.wait()


def fill(delivery: Delivery, records: list[Record]) -> None:
    for record in records:
        delivery.record(record)


def assert_stored(database: Path, run: str, records: list[Record]) -> None:
    with Queries(database) as queries:
        row = queries.run(run)
        assert queries.readings(row.id) == [(n, *r.values) for n, r in enumerate(records, 1) if isinstance(r, Reading)]
        assert [(e.seq, e.kind) for e in queries.events(row.id)] == [
            (n, r.kind) for n, r in enumerate(records, 1) if not isinstance(r, Reading)
        ]
        assert queries.watermark(row.id) == len(records)


async def test_a_run_goes_over_a_real_broker_into_the_database(broker: AnyBroker, tmp_path: Path) -> None:
    run = new_run()
    records = list(experiment(run, seed=5, rows=200))
    async with opened(MqttBus(broker.address, HOST.alive), tmp_path) as path:
        delivery = path.begin(run, "A1", simulated=True)
        fill(delivery, records)
        assert delivery.backlog == len(records)
        await delivery.settled()
        assert delivery.backlog == 0
        assert await delivery.close()
    assert_stored(tmp_path / "lab.db", run, records)
    assert list((tmp_path / "journals").iterdir()) == [], "the journal forgets what the table has"


async def test_a_broker_that_restarts_in_mid_stream_loses_nothing(broker: AnyBroker, tmp_path: Path) -> None:
    run = new_run()
    records = list(experiment(run, seed=6, rows=200))
    async with opened(MqttBus(broker.address), tmp_path) as path:
        delivery = path.begin(run, "A1", simulated=True)
        for begin in range(0, len(records), 300):
            fill(delivery, records[begin : begin + 300])
            await delivery.settled(at_most=150)
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
        assert await delivery.close(patience=20.0)
    assert_stored(tmp_path / "lab.db", run, records)


async def test_one_loop_without_threads_does_the_same(tmp_path: Path) -> None:
    run = new_run()
    records = list(experiment(run, seed=7, rows=200))
    async with opened(LocalBus(), tmp_path, in_thread=False) as path:
        delivery = path.begin(run, "A1", simulated=True)
        for record in records:
            delivery.record(record)
            if delivery.backlog > 100:
                await delivery.settled(at_most=50)
        assert await delivery.close()
    assert_stored(tmp_path / "lab.db", run, records)


async def test_without_a_recorder_everything_stays_on_disk_for_the_next_process(tmp_path: Path) -> None:
    run = new_run()
    records = list(experiment(run, seed=8))
    journals = tmp_path / "journals"
    async with open_data_path(LocalBus(), HOST, journals) as path:
        delivery = path.begin(run, "A1", simulated=True)
        fill(delivery, records)
        await delivery.durable()
        assert not await delivery.close(patience=0.01)
    assert Journal.leftovers(journals) == [(run, 0)]
    async with opened(LocalBus(), tmp_path) as path:
        [delivery] = path.recover()
        assert await delivery.close()
    assert_stored(tmp_path / "lab.db", run, records)
    with Queries(tmp_path / "lab.db") as queries:
        assert queries.run(run).state is RunState.COMPLETED


async def test_a_run_whose_process_died_is_lost_at_its_last_record(tmp_path: Path) -> None:
    run, empty = new_run(), new_run()
    journal = Journal.create(tmp_path / "journals", run, "A1", simulated=True)
    journal.append(started(run))
    journal.append(reading(2))
    journal.close()
    Journal.create(tmp_path / "journals", empty, "A1", simulated=True).close()
    async with opened(LocalBus(), tmp_path) as path:
        [delivery] = path.recover()
        assert delivery.run == run
        assert await delivery.close()
        assert path.recover() == []
    with Queries(tmp_path / "lab.db") as queries:
        [row] = queries.runs()
        assert (row.state, row.end_reason) == (RunState.LOST, "the process that ran it died")
        assert row.ended_unix_second == reading(2).values[0]


async def test_a_damaged_leftover_does_not_keep_the_others_from_being_delivered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = new_run(), new_run()
    for run in (good, bad):
        journal = Journal.create(tmp_path / "journals", run, "A1", simulated=True)
        journal.append(started(run))
        journal.close()
    damaged = tmp_path / "journals" / bad / "0" / "000000000001.jsonl"
    damaged.chmod(0)
    damaged.unlink()
    damaged.mkdir()
    async with opened(LocalBus(), tmp_path) as path:
        assert [delivery.run for delivery in path.recover()] == [good]
    assert "cannot be kept: Is a directory" in caplog.text


async def test_a_disk_that_refuses_reaches_the_owner_as_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def measure() -> None:
        async with opened(LocalBus(), tmp_path) as path:
            delivery = path.begin(new_run(), "A1", simulated=True)
            monkeypatch.setattr(os, "fsync", no_room)
            delivery.record(reading(1))
            await delivery.settled()

    with pytest.raises(StorageError, match="No space left on device"):
        await measure()


async def test_an_error_of_the_block_comes_out_as_itself(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="of the block"):
        async with opened(LocalBus(), tmp_path):
            raise KeyError("of the block")


async def test_hostile_messages_are_counted_and_harm_nothing(broker: AnyBroker, tmp_path: Path) -> None:
    run = new_run()
    records = list(experiment(run, seed=9))
    station = Station(HOST, "A1")
    attacker = MqttBus(broker.address)
    attack = asyncio.create_task(attacker.serve())
    await attacker.connected()
    states = States()
    await attacker.subscribe(Process("lab", "recorder").state, states)
    async with opened(MqttBus(broker.address), tmp_path) as path:
        await states.until(lambda state: state["refused"] == 0)
        delivery = path.begin(run, "A1", simulated=True)
        fill(delivery, records[:1])
        await delivery.settled()  # the recorder listens to this station from now on
        for payload in (b"", b"\xff\xfe", b"[]", b'{"schema":1}', b"{" * 5000, b"x" * 900_000):
            await attacker.publish(station.readings, payload)
            await attacker.publish(station.events, payload)
        fill(delivery, records[1:])
        assert await delivery.close()
        await states.until(lambda state: state["refused"] == 12)
    attack.cancel()
    await asyncio.wait([attack])
    assert_stored(tmp_path / "lab.db", run, records)


async def test_a_database_in_trouble_is_told_and_then_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.record.recorder._PAUSE_IN_TROUBLE", 0.01)
    run = new_run()
    records = list(experiment(run, seed=10))
    bus, writer = LocalBus(), Writer(tmp_path / "lab.db")
    states = States()
    await bus.subscribe(Process("lab", "recorder").state, states)
    writer._connection.execute("PRAGMA query_only = ON")
    recorder = asyncio.create_task(Recorder(bus, writer, Process("lab", "recorder")).serve())
    async with asyncio.timeout(20), open_data_path(bus, HOST, tmp_path / "journals") as path:
        delivery = path.begin(run, "A1", simulated=True)
        delivery._outbox._patience = 0.05
        fill(delivery, records)
        await states.until(lambda state: "does not take what was measured" in str(state["trouble"]))
        writer._connection.execute("PRAGMA query_only = OFF")
        assert await delivery.close()
        await states.until(lambda state: state["trouble"] == "")
    recorder.cancel()
    await asyncio.wait([recorder])
    writer.close()
    assert_stored(tmp_path / "lab.db", run, records)


async def test_recorders_that_share_a_bus_take_their_own_stations_only(tmp_path: Path) -> None:
    """Two runs on one broker, each with a recorder and a database of its own."""
    bus = LocalBus()
    first, second = tmp_path / "first", tmp_path / "second"
    async with opened(bus, first) as one, opened(bus, second) as two:
        mine = one.begin(run := new_run(), "A1", simulated=True)
        others = two.begin(other := new_run(), "A2", simulated=True)
        for delivery in (mine, others):
            for record in (started(delivery.run), reading(2), ended(3.0)):
                delivery.record(record)
            assert await delivery.close()
    for folder, expected in ((first, run), (second, other)):
        with Queries(folder / "lab.db") as queries:
            assert [row.uuid for row in queries.runs()] == [expected]


def position(path: tuple[int, ...], following: Following | None) -> Event:
    where = Position(path, (), 1, 0, Counts(), following=following)
    return Event(KIND, EPOCH, 0.0, "", data=asdict(where))


async def test_a_run_whose_program_may_go_on_is_offered_and_resumed_or_lost(tmp_path: Path) -> None:
    """Four processes died: one in a step of the host, one before any; of the other two one is gone on with."""
    following = Following("token", 1, 0.0, EPOCH, 1, Counts())
    runs = {name: new_run() for name in ("resumed", "lost", "host", "bare")}
    for name, run in runs.items():
        journal = Journal.create(tmp_path / "journals", run, "A4", simulated=True)
        journal.append(started(run))
        if name != "bare":
            journal.append(position((0,), following))
        if name == "host":
            journal.append(position((1,), None))
        journal.append(reading(2))
        journal.close()
    async with opened(LocalBus(), tmp_path) as path:
        deliveries, interrupted = path.take_over()
        assert {delivery.run for delivery in deliveries} == {runs["host"], runs["bare"]}
        found = {each.run: each for each in interrupted}
        assert found.keys() == {runs["resumed"], runs["lost"]}
        resumed = found[runs["resumed"]]
        assert resumed.position.following is not None
        assert resumed.position.following.records == 1
        lost = path.lose(found[runs["lost"]])
        delivery = path.resume(resumed)
        fill(delivery, [reading(3), ended(4.0)])
        for each in (*deliveries, lost, delivery):
            assert await each.close()
    with Queries(tmp_path / "lab.db") as queries:
        states = {name: queries.run(run).state for name, run in runs.items()}
        assert states == {"resumed": "completed", "lost": "lost", "host": "lost", "bare": "lost"}
        assert len(queries.readings(queries.run(runs["resumed"]).id)) == 2
    assert list((tmp_path / "journals").iterdir()) == []
