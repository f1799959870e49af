"""What people ask of a daemon, through the client: each is done once, or refused in a sentence."""

from pathlib import Path

import orjson
import pytest

from labctl.api import Control, Request, Word
from labctl.bus.topics import Process
from labctl.clock import host_sleep, host_unix
from labctl.errors import CommandRefused
from labctl.lab.recording import process_of
from labctl.reading import RunState
from tests.daemon.lab import Laboratory, living
from tests.stations import repository_config

LONG = '[[step]]\nname = "wait"\nrest = "300 d"\n[[step]]\nname = "after"\nrest = "1 d"\n'
SHORT = '[[step]]\ncharge = "C/5"\nuntil = "3 min"\n'


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))


async def test_a_run_is_started_watched_and_stored(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        started = await here.lab.start(here.protocol(SHORT), station="A1")
        assert (started.station, started.position) == ("A1", 0)
        state = await here.until("A1", lambda state: state.word is Word.DONE)
        assert state.last_run == started.run
        run = await here.stored(started.run)
        assert (run.state, run.kind, run.simulated) == (RunState.COMPLETED, "protocol", True)


async def test_several_runs_at_once_disturb_each_other_in_nothing(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        protocol = here.protocol(SHORT)
        runs = {name: (await here.lab.start(protocol, station=name)).run for name in ("A1", "A2", "A3")}
        for run in runs.values():
            assert (await here.stored(run)).state is RunState.COMPLETED


async def test_pause_resume_skip_note_and_stop(tmp_path: Path) -> None:
    async with living(tmp_path, speed=600.0) as here:
        run = (await here.lab.start(here.protocol(LONG), station="A1")).run
        await here.until("A1", lambda state: state.word is Word.REST)
        await here.lab.pause("A1", "look at the cell")
        await here.until("A1", lambda state: state.word is Word.PAUSED)
        await here.lab.resume("A1")
        await here.until("A1", lambda state: state.word is Word.REST)
        await here.lab.note(run[:8], "smells [b]odd[/b]")
        await here.lab.skip(run[:8])
        await here.until("A1", lambda state: state.run is not None and state.run.step_name == "after")
        await here.lab.stop("A1", "enough")
        stored = await here.stored(run)
        assert stored.state is RunState.STOPPED
        events = {event.kind: event for event in here.events(stored)}
        assert events["note"].message == "smells [b]odd[/b]"
        assert events["run.paused"].data["reason"] == "look at the cell"
        assert "enough" in str(stored.end_reason)


async def test_a_word_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        for word in (here.lab.pause, here.lab.resume, here.lab.skip, here.lab.stop):
            with pytest.raises(CommandRefused, match="station A1") as refused:
                await word("A1")
            assert refused.value.exit_code == 6
        with pytest.raises(CommandRefused):
            await here.lab.unqueue("feed")


async def test_a_wrong_protocol_is_refused_with_its_findings(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        wrong = here.protocol('[[step]]\ncharge = "C/5"\nuntil = "9 V"\n')
        with pytest.raises(CommandRefused) as refused:
            await here.lab.start(wrong, station="A1")
        assert refused.value.exit_code == 3
        assert "test.toml" in refused.value.findings[0]["text"]
        assert here.lab.stations["A1"].run is None


async def test_the_first_free_station_that_can_is_taken(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        pressed = here.protocol(
            '[[step]]\npressure = { negative = "1 MPa", positive = "0.1 MPa", ramp = "0.1 MPa/s" }\n'
            'until = "stable within 5 % for 30 s"\ntimeout = "1 h"\n[[step]]\nrest = "300 d"\n'
        )
        assert (await here.lab.start(pressed)).station == "A1"  # the only one that measures both sides
        with pytest.raises(CommandRefused, match="A1 is not free"):
            await here.lab.start(pressed)
        await here.lab.stop("A1")


async def test_the_queue_goes_on_with_the_same_cell_and_waits_for_another(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        protocol, one, two = here.protocol(SHORT), here.cell("one"), here.cell("two")
        first = await here.lab.start(protocol, station="A1", cell=one)
        second = await here.lab.start(protocol, station="A1", cell=one)
        third = await here.lab.start(protocol, station="A1", cell=two)
        assert (second.position, third.position) == (1, 2)
        assert (await here.stored(second.run)).state is RunState.COMPLETED
        state = await here.until("A1", lambda state: state.word is Word.READY)
        assert 'another cell is due: "two" after "one"' in state.why
        await here.lab.resume("A1")
        assert (await here.stored(third.run)).cell_name == "two"
        assert (await here.stored(first.run)).state is RunState.COMPLETED


async def test_a_waiting_run_is_taken_out_of_its_queue(tmp_path: Path) -> None:
    async with living(tmp_path, speed=600.0) as here:
        await here.lab.start(here.protocol(LONG), station="A1")
        waiting = await here.lab.start(here.protocol(SHORT, "short"), station="A1")
        await here.until("A1", lambda state: len(state.queue) == 1)
        await here.lab.unqueue(waiting.run[:8])
        await here.until("A1", lambda state: not state.queue)
        await here.lab.stop("A1")


async def test_a_question_is_answered_once_and_rightly(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        asks = here.protocol('[[step]]\nprompt = "Is it [closed]?"\nanswers = ["yes", "no"]\n')
        run = (await here.lab.start(asks, station="A1")).run
        state = await here.until("A1", lambda state: state.asked is not None)
        assert (state.word, state.why) == (Word.WAIT, "Is it [closed]?")
        with pytest.raises(CommandRefused, match="no answer"):
            await here.lab.answer("A1", "perhaps")
        await here.lab.answer("A1", "yes")
        stored = await here.stored(run)
        assert stored.state is RunState.COMPLETED
        assert [e.data["answer"] for e in here.events(stored) if e.kind == "operator.answered"] == ["yes"]


async def test_inputs_of_a_running_plan_are_changed_and_audited(tmp_path: Path) -> None:
    async with living(tmp_path, speed=600.0) as here:
        head = LONG.replace('"1 d"', '"{time}"')
        file = here.protocol(head + '[inputs]\ntime = { default = "1 min" }\n')
        run = (await here.lab.start(file, station="A1")).run
        await here.until("A1", lambda state: state.word is Word.REST)
        changed = await here.lab.change("A1", {"time": "2 min"}, "too short")
        assert changed.inputs["time"] == "2 min"
        await here.lab.skip("A1")
        stored = await here.stored(run)
        revised = next(event for event in here.events(stored) if event.kind == "run.revised")
        assert revised.data["inputs_before"]["time"] == "1 min"
        ended = [event.message for event in here.events(stored) if event.kind == "step.ended"]
        assert any("2 min" in message for message in ended)


async def test_everything_stops_and_stays_so_until_the_reset(tmp_path: Path) -> None:
    async with living(tmp_path, speed=600.0) as here:
        run = (await here.lab.start(here.protocol(LONG), station="A1")).run
        await here.until("A1", lambda state: state.word is Word.REST)
        confirmed = await here.lab.estop("smoke")
        assert confirmed.stations == {name: [] for name in here.lab.stations}
        assert (await here.stored(run)).state is RunState.STOPPED
        await here.until("A2", lambda state: state.word is Word.ESTOP)
    async with living(tmp_path, speed=600.0) as here:  # nor does a new daemon forget it
        assert here.lab.stations["A2"].word is Word.ESTOP
        with pytest.raises(CommandRefused, match="emergency"):
            await here.lab.start(here.protocol(SHORT), station="A2")
        await here.lab.reset("false alarm")
        await here.until("A2", lambda state: state.word is Word.IDLE)


async def test_a_stale_command_is_refused_and_a_repeated_one_is_done_once(tmp_path: Path) -> None:
    async with living(tmp_path, speed=600.0) as here:
        run = (await here.lab.start(here.protocol(LONG), station="A1")).run
        await here.until("A1", lambda state: state.word is Word.REST)
        process, replies = process_of(repository_config()), []
        mine, topic = process.reply("anna", "me"), process.command("admin", "anna")
        await here.bus.subscribe(mine, lambda topic, payload: replies.append(orjson.loads(payload)))

        async def ask(name: str, sent: float) -> None:
            action = Control(do="pause", target="A1")
            request = Request(id=name, client="me", user="anna", sent_unix_second=sent, action=action)
            await here.bus.publish(topic, request.model_dump_json(by_alias=True).encode())
            count = len(replies)
            while len(replies) == count:
                await host_sleep(0.001)

        await ask("old", host_unix() - 60.0)
        assert "60 s old" in replies[-1]["error"]["sentence"]
        assert here.lab.stations["A1"].word is Word.REST
        await ask("new", host_unix())
        await ask("new", host_unix())
        assert "error" not in replies[-1]
        await here.lab.stop("A1")
        stored = await here.stored(run)
        assert [event.kind for event in here.events(stored)].count("run.paused") == 1


@pytest.mark.parametrize("payload", [b"", b"{}", b"[1, 2", b"\xff" * 50, b'{"schema": 2}', b"9" * 2_000_000])
async def test_what_is_no_request_is_counted_and_dropped(tmp_path: Path, payload: bytes) -> None:
    async with living(tmp_path) as here:
        await here.bus.publish(Process("demo", process_of(repository_config()).name).command("admin", "me"), payload)
        assert (await here.lab.runs()).runs == ()


async def test_an_idle_station_is_recorded(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        for keeper in here.daemon._keepers.values():
            keeper.bench.clock.speed = None  # an hour is soon over
        await here.until("A3", lambda state: state.lab_unix_second - host_unix() > 3600.0)
    with_watch = _watches(here)
    assert {run.station for run in with_watch} == set(here.lab.stations)
    assert all(run.state is RunState.STOPPED for run in with_watch)


def _watches(here: Laboratory):  # type: ignore[no-untyped-def]
    from labctl.record.queries import Queries

    with Queries(here.database) as queries:
        assert queries.runs() == []
        runs = queries.runs(watches=True)
        for run in runs:
            assert len(queries.readings(run.id)) > 30
    return runs


@pytest.mark.parametrize("station", ["A1", "A4"])  # executed by the host, and by the instrument
async def test_cycle_numbers_go_on_with_the_same_cell(tmp_path: Path, station: str) -> None:
    cycling = """
[[step]]
repeat = 2
counts = "cycle"
do = [
  { charge = "C/5", until = "20 min" },
  { rest = "1 min" },
]
"""
    async with living(tmp_path) as here:
        protocol, cell = here.protocol(cycling), here.cell("one")
        first = (await here.lab.start(protocol, station=station, cell=cell)).run
        await here.stored(first)
        with pytest.raises(CommandRefused, match='on the cell "one"'):
            await here.lab.start(protocol, station=station, cell=here.cell("two"), continue_run=first[:8])
        second = await here.stored(
            (await here.lab.start(protocol, station=station, cell=cell, continue_run=first[:8])).run
        )
        assert second.continues == first
        assert here.cycles(second) == [3, 4]


async def test_a_run_that_fails_stands_in_alarm_until_somebody_has_looked(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        endless = here.protocol(
            '[[step]]\nrest = "1 h"\n[[step]]\ncharge = "C/5"\nuntil = "4.3 V"\ntimeout = "2 min"\n'
        )
        failed = (await here.lab.start(endless, station="A3")).run
        await here.lab.start(endless, station="A3")
        assert (await here.stored(failed)).state is RunState.FAILED
        state = await here.until("A3", lambda state: state.word is Word.ALARM)
        assert "ended failed" in state.why
        assert [alarm.latched for alarm in state.alarms] == [True]
        await here.lab.acknowledge("A3", reason="the time-out was mine")
        state = await here.until("A3", lambda state: state.word is Word.READY)
        assert "the run before it ended failed" in state.why
