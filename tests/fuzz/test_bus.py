"""Hostile messages to everybody who listens: counted and dropped, and what is right afterwards is taken as ever."""

import asyncio
import logging
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from labctl import api
from labctl.bus.codec import (
    PAYLOAD_LIMIT,
    Malformed,
    Watermark,
    decode_events,
    decode_readings,
    decode_watermark,
    encode_events,
    encode_readings,
    encode_state,
    encode_watermark,
)
from labctl.bus.local import LocalBus
from labctl.bus.outbox import Outbox
from labctl.bus.topics import Process, Station
from labctl.client.view import View
from labctl.clock import host_sleep, host_unix
from labctl.record.elsewhere import Elsewhere
from labctl.record.recorder import Recorder
from labctl.record.writer import Writer
from tests.daemon.lab import living
from tests.docs.pages import DOCS, blocks
from tests.laboratory import ended, new_run, reading, started

from .mutate import damaged

SEEDS = range(4)
ROUNDS = 300
PROCESS = Process("lab", "pc")
STATION = Station(PROCESS, "A1")


def json_of(record: Any) -> bytes:
    return orjson.dumps(record.values if hasattr(record, "values") else record)


def batches_of(run: str) -> list[tuple[str, bytes]]:
    rows = [json_of(reading(number)) for number in range(2, 6)]
    return [
        (STATION.events, encode_events(run, 0, 1, [orjson.dumps(started(run))], simulated=True)),
        (STATION.readings, encode_readings(run, 0, 2, rows, simulated=True)),
        (STATION.events, encode_events(run, 0, 6, [orjson.dumps(ended(6.0))], simulated=True)),
    ]


def states() -> list[tuple[str, bytes]]:
    """The examples of the page, as they are retained, and a batch of events."""
    shown = [block.text.encode() for block in blocks(DOCS / "bus.md") if block.language == "json"]
    station = next(text for text in shown if b'"word"' in text)
    daemon = next(text for text in shown if b'"disk_free_byte"' in text)
    alarm = orjson.loads(next(text for text in shown if b'"change"' in text))["alarm"]
    full = orjson.loads(station) | {
        "alarms": [alarm],
        "run": {
            "run": new_run(), "protocol": "p", "title": "t", "cell": "c", "operator": "o", "started_unix_second": 1.0,
            "step": 1, "steps": 2, "step_name": "s", "verb": "charge", "next_step": "n", "step_time_second": 1.0,
            "cycle": 1, "cycles": 2, "test_time_second": 1.0, "left_second": 1.0, "fraction": 0.5,
            "plan": [{"id": 1, "depth": 0, "text": "charge", "state": "now"}],
        },
        "queue": [{"run": "r", "protocol": "p", "cell": "c", "operator": "o", "queued_unix_second": 1.0}],
        "asked": {"text": "?", "answers": ["yes"], "output": "off"},
    }  # fmt: skip
    return [
        (STATION.state, orjson.dumps(full)),
        (PROCESS.state, daemon),
        (PROCESS.state, encode_state({"trouble": "", "refused": 0, "quarantined": 0})),
        (PROCESS.alive, encode_state({"alive": True})),
        batches_of(new_run())[0],
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_damaged_batch_is_malformed_or_a_batch(seed: int) -> None:
    random, run = Random(seed), new_run()
    mark = encode_watermark(Watermark(run, 0, 7))
    for _ in range(ROUNDS):
        for decode in (decode_readings, decode_events, decode_watermark):
            for message in (*(payload for _, payload in batches_of(run)), mark):
                reason = "right"
                try:
                    decode(damaged(message, random))
                except Malformed as error:
                    reason = str(error)
                assert 0 < len(reason) < 1000


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_recorder_goes_on_after_any_message(
    seed: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    random, bus, writer = Random(seed), LocalBus(), Writer(tmp_path / "lab.db")
    recorder = Recorder(bus, writer, Process("lab", "recorder"), in_thread=False)
    service = asyncio.create_task(recorder.serve())
    await host_sleep(0.0)
    hit = [new_run() for _ in range(3)]
    for number in range(ROUNDS):
        topic, message = random.choice(batches_of(random.choice(hit)))
        await bus.publish(random.choice([topic, topic, STATION.readings, STATION.events]), damaged(message, random))
        if number % 20 == 0:
            await _settled(recorder)
    run, marks = new_run(), list[int]()
    await bus.subscribe(
        PROCESS.watermark(run).replace("pc", "+"), lambda _, payload: marks.append(decode_watermark(payload).seq)
    )
    for topic, message in batches_of(run):
        await bus.publish(topic, message)
    await _settled(recorder)
    assert not service.done(), service
    assert marks[-1:] == [6]
    assert recorder.refused > ROUNDS / 10
    assert recorder.trouble == ""
    service.cancel()
    await asyncio.wait([service])
    writer.close()


async def _settled(recorder: Recorder) -> None:
    for _ in range(5):
        await host_sleep(0.0)
    assert recorder._queued == 0


def finite(state: api.State) -> None:
    """Whatever was taken can be shown."""

    def look(value: object) -> None:
        if isinstance(value, float):
            assert isfinite(value)
        for key, inner in value.items() if isinstance(value, dict) else ():
            if str(key).endswith("unix_second") and inner is not None:
                datetime.fromtimestamp(inner, UTC)
            look(inner)
        for inner in value if isinstance(value, list | tuple) else ():
            look(inner)

    look(state.model_dump())
    state.model_dump_json().encode()


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_view_shows_what_it_understands_and_nothing_that_cannot_be_shown(seed: int) -> None:
    random, bus = Random(seed), LocalBus()
    view = View(bus, "lab")
    elsewhere = Elsewhere(bus, "lab")
    await view.subscribe()
    await elsewhere.listen()
    good = states()
    for _ in range(ROUNDS):
        topic, message = random.choice(good)
        await bus.publish(topic, damaged(message, random))
        for said in (*view.stations.values(), *view.daemons.values()):
            finite(said)
        assert isinstance(elsewhere.trouble, str)
    assert view.refused > ROUNDS / 10
    for topic, message in (*good, *good):  # a station is shown when its daemon has said that it has it
        await bus.publish(topic, message)
    assert view.stations["A1"].alarms
    assert view.daemon is not None


async def test_a_crowd_of_stations_and_hosts_fills_no_memory() -> None:
    bus = LocalBus()
    view, elsewhere = View(bus, "lab"), Elsewhere(bus, "lab")
    await view.subscribe()
    await elsewhere.listen()
    (_, station), (_, daemon), (_, recorder), (_, alive), _ = states()
    for number in range(3000):
        host = f"h{number}"
        await bus.publish(f"labctl/lab/{host}/S/state", station)
        await bus.publish(f"labctl/lab/{host}/alive", alive)
        if number % 20 == 0:
            await bus.publish(f"labctl/lab/{host}/state", random_of(daemon, recorder, number))
    assert len(view._states) <= 1000
    assert len(view._alive) <= 1000
    assert len(elsewhere._alive) <= 1000
    assert view.refused > 0


def random_of(daemon: bytes, recorder: bytes, number: int) -> bytes:
    return daemon if number % 40 else recorder


class Numbers:
    """A journal of ten records, none of them sent yet."""

    run, channel, simulated, durable = new_run(), 0, True, 10

    def read(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        return []


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_watermark_confirms_what_is_not_there(seed: int) -> None:
    random, source = Random(seed), Numbers()
    outbox = Outbox(source, LocalBus(), STATION)
    for _ in range(5 * ROUNDS):
        mark = Watermark(random.choice([source.run, new_run()]), random.randrange(2), random.randrange(20))
        before = outbox.committed
        outbox._on_watermark("x", damaged(encode_watermark(mark), random))
        assert before <= outbox.committed <= source.durable
    outbox._on_watermark("x", encode_watermark(Watermark(source.run, 0, 10)))
    assert outbox.committed == 10


ACTIONS: list[dict[str, Any]] = [
    {"do": "start", "station": "A1", "file": "f.toml", "protocol": 'schema = "1"\n', "inputs": {"a": "b"}},
    {"do": "check", "file": "f.toml", "protocol": 'schema = "1"\n[protocol]\nname = "x"\n', "cell": "[cell]"},
    {"do": "note", "target": "A1", "text": "t"},
    {"do": "change", "target": "A1", "inputs": {"a": "b"}},
    {"do": "answer", "target": "A1", "answer": "yes"},
    {"do": "acknowledge", "station": "A1", "alarms": ["x"]},
    {"do": "history", "run": "1", "columns": ["voltage_volt"], "start": 0.0, "end": 1.0, "buckets": 3},
    {"do": "cycles", "run": "1", "after": 0, "limit": 5},
    {"do": "events", "run": "1", "limit": 5},
    {"do": "runs", "limit": 5},
    {"do": "pause", "target": "A1"},
    {"do": "unqueue", "run": "1"},
    {"do": "reset"},
]


def request(action: dict[str, Any], number: int) -> bytes:
    return orjson.dumps(
        {
            "schema": 1, "id": f"r{number}", "client": "fuzz", "user": "eve", "reason": "why",
            "sent_unix_second": host_unix(), "action": action,
        }
    )  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_daemon_answers_after_any_request(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    caplog.set_level(logging.ERROR)
    random, replies = Random(seed), list[bytes]()
    async with living(tmp_path) as here:
        await here.bus.subscribe("labctl/+/+/reply/#", lambda _, payload: replies.append(payload))
        assert here.lab.daemon is not None
        commands = Process(here.lab.daemon.site, here.lab.daemon.host).command("admin", "eve")
        for number in range(2 * ROUNDS):
            await here.bus.publish(commands, damaged(request(random.choice(ACTIONS), number), random))
            if number % 10 == 0:
                await host_sleep(0.001)
        async with asyncio.timeout(30.0):
            await here.lab.runs()
            await here.lab.note("A1", "x") if here.lab.stations["A1"].run else await here.lab.reset("all")
    assert [record.message for record in caplog.records if "Traceback" in (record.exc_text or "")] == []
    assert replies
    assert all(len(payload) <= PAYLOAD_LIMIT for payload in replies)
    for payload in replies:
        reply = api.Reply.model_validate_json(payload)
        assert reply.error is None or "failed in carrying this out" not in reply.error.sentence


async def test_a_flood_of_requests_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    async with living(tmp_path) as here:
        assert here.lab.daemon is not None
        commands = Process(here.lab.daemon.site, here.lab.daemon.host).command("admin", "eve")
        before = len(asyncio.all_tasks())
        for number in range(5000):
            await here.bus.publish(commands, request({"do": "runs"}, number))
        assert len(asyncio.all_tasks()) - before < 200
        await host_sleep(0.0)
        async with asyncio.timeout(30.0):
            while len(asyncio.all_tasks()) > before + 5:
                await host_sleep(0.01)
            await here.lab.runs()
