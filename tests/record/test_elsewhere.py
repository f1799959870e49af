"""What a data path says of recorders in other processes: gone, in trouble, silent; and nothing while they record."""

import asyncio
from pathlib import Path

import pytest

from labctl.bus import outbox
from labctl.bus.codec import Watermark, encode_state, encode_watermark
from labctl.bus.local import LocalBus
from labctl.bus.topics import Process
from labctl.record.datapath import STALLED, open_data_path
from labctl.record.elsewhere import Elsewhere
from tests.laboratory import new_run, reading, started

RECORDER = Process("lab", "recorder")
HOST = Process("lab", "pc")


async def say(bus: LocalBus, process: Process, trouble: str = "", *, alive: bool = True) -> None:
    await bus.retain(process.alive, encode_state({"alive": alive}))
    await bus.retain(process.state, encode_state({"trouble": trouble, "refused": 0, "quarantined": 0}))


@pytest.fixture
async def heard() -> tuple[LocalBus, Elsewhere]:
    bus = LocalBus()
    elsewhere = Elsewhere(bus, "lab")
    await elsewhere.listen()
    return bus, elsewhere


async def test_a_recorder_that_records_is_no_trouble_and_one_that_is_gone_is(heard: tuple[LocalBus, Elsewhere]) -> None:
    bus, elsewhere = heard
    assert elsewhere.trouble == ""
    await say(bus, RECORDER)
    assert elsewhere.trouble == ""
    await say(bus, RECORDER, "The disk is full.")
    assert elsewhere.trouble == "The disk is full."
    await bus.retain(RECORDER.alive, encode_state({"alive": False}))
    assert elsewhere.trouble.startswith("The recorder is gone")
    await say(bus, RECORDER)
    assert elsewhere.trouble == ""


async def test_one_of_two_that_is_gone_is_not_missed_and_its_trouble_is_of_the_past(
    heard: tuple[LocalBus, Elsewhere],
) -> None:
    bus, elsewhere = heard
    await say(bus, Process("lab", "old"), "The disk is full.", alive=False)
    await say(bus, RECORDER)
    assert elsewhere.trouble == ""
    await say(bus, RECORDER, alive=False)
    assert "The old, recorder is gone" in elsewhere.trouble


async def test_what_is_no_recorder_is_not_taken_for_one(heard: tuple[LocalBus, Elsewhere]) -> None:
    bus, elsewhere = heard
    await bus.retain(HOST.state, b'{"schema":1,"site":"lab"}')
    await bus.retain(HOST.alive, encode_state({"alive": False}))
    await bus.retain(RECORDER.state, b'{"quarantined":"many"}')
    await bus.retain(RECORDER.alive, b"no")
    assert elsewhere.trouble == ""


async def test_records_that_nobody_confirms_are_said_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder that hangs says nothing and stays connected."""
    now = 0.0
    monkeypatch.setattr(outbox, "host_monotonic", lambda: now)
    bus, run = LocalBus(), new_run()
    async with asyncio.timeout(10), open_data_path(bus, HOST, tmp_path) as path:
        await say(bus, RECORDER)
        delivery = path.begin(run, "A1", simulated=True)
        now = 100.0
        assert path.trouble == "", "nothing was recorded yet, and nothing waits"
        delivery.record(started(run))
        delivery.record(reading(1))
        await delivery.durable()
        now += STALLED
        assert path.trouble == ""
        now += 0.1
        assert path.trouble == "No recorder confirms what is measured: 2 records wait in the journals."
        await bus.publish(RECORDER.watermark(run), encode_watermark(Watermark(run, 0, 1)))
        assert path.trouble == "", "one more was confirmed: it moves"
        now += STALLED + 0.1
        assert path.trouble != ""
        await bus.publish(RECORDER.watermark(run), encode_watermark(Watermark(run, 0, 2)))
        now += 100.0
        assert path.trouble == ""


async def test_a_disconnected_bus_is_the_first_thing_to_say(tmp_path: Path) -> None:
    bus = LocalBus()
    async with open_data_path(bus, HOST, tmp_path) as path:
        bus.trouble = "mqtt://127.0.0.1:1883 does not answer."
        assert path.trouble == bus.trouble
