"""From `record` to the table: over brokers, within one loop, across broken connections, and after a death."""

import asyncio
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from random import Random, SystemRandom

import orjson
import pytest

from labctl.bus.base import Bus
from labctl.bus.client import MqttBus
from labctl.bus.local import LocalBus
from labctl.bus.topics import Process, Station
from labctl.clock import host_sleep
from labctl.engine.journal import Journal
from labctl.engine.ledger import Counts
from labctl.engine.position import KIND, Following, Position
from labctl.errors import StorageError
from labctl.reading import Event, Reading, Record, RunState
from labctl.record import datapath
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
from tests.record.evidence import assert_whole, stored
from tests.record.liar import Liar

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


@pytest.mark.parametrize("broker", ["mosquitto"], indirect=True)  # iotcore hangs up on who confirms out of order
async def test_a_broker_that_lies_loses_doubles_and_reorders_nothing(broker: AnyBroker, tmp_path: Path) -> None:
    """It confirms what it loses, says some things twice, and others out of their order; watermarks as well as rows."""
    run, seed = new_run(), SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    records = list(experiment(run, seed=14, rows=60))
    liar = Liar(broker.address, Random(seed))
    async with liar.serve() as address, opened(MqttBus(address), tmp_path) as path:
        delivery = path.begin(run, "A1", simulated=True)
        delivery._outbox._patience = 0.1
        for begin in range(0, len(records), 100):
            fill(delivery, records[begin : begin + 100])
            await delivery.settled(at_most=100)
        liar.honest = True
        assert await delivery.close(patience=20.0)
        assert delivery._outbox.resends > 0
    assert min(liar.lost, liar.doubled, liar.reordered) > 0
    assert_stored(tmp_path / "lab.db", run, records)
    assert_whole(tmp_path / "lab.db")


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


def no_room(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("in_thread", [True, False])
async def test_a_disk_that_refuses_is_told_and_tried_until_it_takes_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_thread: bool
) -> None:
    """fsync raises what a full disk raises: this runs where no disk may be mounted."""
    monkeypatch.setattr(datapath, "RETRY", 0.01)
    run, told = new_run(), list[str]()
    records = list(experiment(run, seed=11))
    async with opened(LocalBus(), tmp_path, in_thread=in_thread) as path:
        path.on_disk.append(told.append)
        delivery = path.begin(run, "A1", simulated=True)
        fill(delivery, records[:5])
        await delivery.settled()
        assert (path.disk_trouble, told) == ("", [])
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", no_room)
            fill(delivery, records[5:])
            with pytest.raises(StorageError, match="No space left on device"):
                await delivery.durable()
            while len(told) < 3:
                await host_sleep(0.01)
            assert "No space left on device" in path.disk_trouble == path.trouble
            assert delivery.journal.buffered == len(records) - 5
        assert await delivery.close()
        assert (path.disk_trouble, told[-1]) == ("", "")
        assert all(told[:-1])
    assert_stored(tmp_path / "lab.db", run, records)


async def test_a_disk_that_refuses_for_too_long_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datapath, "RETRY", 0.01)
    monkeypatch.setattr(datapath, "MOST_BUFFERED", 20)

    async def measure() -> None:
        async with opened(LocalBus(), tmp_path) as path:
            delivery = path.begin(new_run(), "A1", simulated=True)
            monkeypatch.setattr(os, "fsync", no_room)
            for number in range(30):
                delivery.record(reading(number))
            await delivery.settled()

    with pytest.raises(StorageError, match="30 records are in memory only"):
        await measure()


def test_a_disk_that_is_really_full_loses_nothing(tmp_path: Path) -> None:
    """Journals and database are on a tmpfs of 2 MB; both refuse at the same time, and go on when there is room."""
    command = ["unshare", "-rm", sys.executable, "-m", "tests.record.full_disk", str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("nobody may mount a small disk here: unshare -rm is refused")
    root = Path(__file__).parents[2]
    said = subprocess.run(command, check=False, capture_output=True, text=True, cwd=root, timeout=100)
    assert said.returncode == 0, said.stderr
    seen = json.loads(said.stdout)
    assert "No space left on device" in seen["trouble"] or "the disk may be full" in seen["trouble"]
    assert seen["in_memory"] > 0
    assert (seen["stored"], seen["delivered"], seen["left"]) == (602, True, [])
    assert seen["told_the_end"]


async def test_damage_in_the_middle_of_a_journal_is_a_gap_and_the_rest_is_delivered(tmp_path: Path) -> None:
    """One bit of a journal that a dead process left, and one of a journal whose owner lives."""
    dead, alive = new_run(), new_run()
    journals = tmp_path / "journals"
    journal = Journal.create(journals, dead, "A1", simulated=True)
    records: list[Record] = [started(dead), *map(reading, range(2, 40)), ended(40.0)]
    for record in records:
        journal.append(record)
    journal.close()
    flip(journals / dead / "0" / "000000000001.jsonl", line=20)
    async with open_data_path(LocalBus(), HOST, journals) as path:  # nobody records yet
        delivery = path.begin(alive, "A2", simulated=True)
        fill(delivery, [started(alive), *map(reading, range(2, 40)), ended(40.0)])
        await delivery.durable()
        flip(journals / alive / "0" / "000000000001.jsonl", line=30)
        writer = Writer(tmp_path / "lab.db")
        recorder = Recorder(path._bus, writer, Process("lab", "recorder"))
        recording = asyncio.create_task(recorder.serve())
        async with asyncio.timeout(20):
            assert await delivery.close()
            [left] = path.recover()
            assert await left.close()
        recording.cancel()
        await asyncio.wait([recording])
        writer.close()
    assert_whole(tmp_path / "lab.db")
    found = stored(tmp_path / "lab.db")
    assert len(found[dead]) == len(found[alive]) == 40
    for run, number in ((dead, 20), (alive, 30)):
        assert orjson.loads(found[run][number])["data"] == {"first": number, "last": number}
    assert len(list(journals.glob("*.damaged"))) == 2


def flip(path: Path, line: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line][:20] + bytes([lines[line][20] ^ 1]) + lines[line][21:]
    path.write_bytes(b"".join(lines))


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


async def test_a_run_that_may_go_on_is_offered_and_resumed_or_lost(tmp_path: Path) -> None:
    """Five processes died: two in a program, one in a step of the host, one while it stopped, one before anything."""
    following = Following("token", 1, 0.0, EPOCH, 1, Counts())
    runs = {name: new_run() for name in ("resumed", "lost", "host", "stopping", "bare")}
    for name, run in runs.items():
        journal = Journal.create(tmp_path / "journals", run, "A4", simulated=True)
        journal.append(started(run))
        if name != "bare":
            journal.append(position((0,), following))
        if name in ("host", "stopping"):
            journal.append(position((1,), None))
        if name == "stopping":
            journal.append(Event("run.stopping", EPOCH, 0.0, "Stopped by ana.", data={"who": "ana"}))
        journal.append(reading(2))
        journal.close()
    async with opened(LocalBus(), tmp_path) as path:
        deliveries, interrupted = path.take_over()
        assert {delivery.run for delivery in deliveries} == {runs["stopping"], runs["bare"]}
        found = {each.run: each for each in interrupted}
        assert found.keys() == {runs["resumed"], runs["lost"], runs["host"]}
        resumed = found[runs["resumed"]]
        assert resumed.position.following is not None
        assert resumed.position.following.records == 1
        assert found[runs["host"]].position.hosted is not None
        lost = [path.lose(found[runs[name]]) for name in ("lost", "host")]
        delivery = path.resume(resumed)
        fill(delivery, [reading(3), ended(4.0)])
        for each in (*deliveries, *lost, delivery):
            assert await each.close()
    with Queries(tmp_path / "lab.db") as queries:
        states = {name: queries.run(run).state for name, run in runs.items()}
        stopped = "stopped"
        assert states == {
            "resumed": "completed", "lost": "lost", "host": "lost", "stopping": stopped, "bare": "lost"
        }  # fmt: skip
        assert len(queries.readings(queries.run(runs["resumed"]).id)) == 2
    assert list((tmp_path / "journals").iterdir()) == []
