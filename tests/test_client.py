"""The client against a scripted daemon: what it knows, what it asks, and what it says when nobody answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl import client
from labctl.api import (
    Acknowledge,
    Alarm,
    Alive,
    Asked,
    Bucketed,
    Change,
    Control,
    EveryStation,
    History,
    InstrumentState,
    Note,
    Origin,
    Queued,
    Refusal,
    Request,
    Start,
    StepLine,
    Word,
)
from labctl.bus.base import Bus, BusDown
from labctl.bus.client import MqttBus
from labctl.bus.codec import encode_events
from labctl.bus.local import LocalBus
from labctl.bus.topics import Process, Station
from labctl.client import Lab, NoDaemon, Unanswered, connect, lab, over
from labctl.clock import host_sleep
from labctl.errors import CommandRefused, ProtocolError, StorageError
from labctl.reading import Event, Severity
from tests.laboratory import IotcoreBroker, MosquittoBroker, new_run
from tests.scripted import RUN, Answer, ScriptedDaemon, running, station_state
from tests.stations import CONFIG

AnyBroker = IotcoreBroker | MosquittoBroker


@asynccontextmanager
async def serving(bus: Bus) -> AsyncIterator[None]:
    service = asyncio.create_task(bus.serve())
    try:
        async with asyncio.timeout(10):
            await bus.connected()
        yield
    finally:
        service.cancel()
        await asyncio.wait([service])


@asynccontextmanager
async def replying(*daemons: ScriptedDaemon) -> AsyncIterator[None]:
    """Let daemons answer while the block runs."""

    async def reply() -> None:
        while True:
            for daemon in daemons:
                await daemon.reply()
            await host_sleep(0.005)

    work = asyncio.create_task(reply())
    try:
        yield
    finally:
        work.cancel()
        await asyncio.wait([work])


@asynccontextmanager
async def local(answer: Answer = lambda request: {}) -> AsyncIterator[tuple[Lab, ScriptedDaemon]]:
    """A client and a daemon with station A1, in one process."""
    bus = LocalBus()
    daemon = ScriptedDaemon(bus, answer=answer)
    await daemon.listen()
    await daemon.say(station_state(run=running()))
    async with over(bus, "demo", user="anna") as lab, replying(daemon):
        yield lab, daemon


async def until(lab: Lab, condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await lab.changed()


# -- what is known ----------------------------------------------------------------------------------------------------


async def test_who_comes_late_knows_everything_at_once() -> None:
    async with local() as (lab, _):
        assert lab.alive
        assert lab.complete
        assert lab.daemon is not None
        assert lab.daemon.stations == ("A1",)
        assert lab.stations["A1"].run == running()
        assert lab.arrived["A1"] >= lab.daemon_arrived > 0


async def test_a_message_changes_only_what_it_is_about() -> None:
    async with local() as (lab, daemon):
        before, version = lab.stations["A1"], lab.version
        waiting = asyncio.create_task(lab.changed())
        await asyncio.sleep(0)
        await daemon.retain(Station(daemon.process, "A1").state, station_state(word=Word.ALARM))
        assert await waiting == lab.version == version + 1
        assert (before.word, lab.stations["A1"].word) == (Word.IDLE, Word.ALARM)
        assert await lab.changed(since=version) == lab.version, "what has happened is not waited for"


async def test_the_last_will_is_the_end_of_being_alive() -> None:
    async with local() as (lab, daemon):
        await daemon.say(station_state(), alive=False)
        assert not lab.alive
        assert lab.hosts == []
        with pytest.raises(NoDaemon, match=r"(?s)on pc, which has .A1., is not alive.*labctl daemon"):
            await lab.pause("A1")
        with pytest.raises(NoDaemon, match="No daemon of site demo is alive"):
            await lab.estop()


async def test_a_station_that_its_daemon_disowns_is_gone() -> None:
    async with local() as (lab, daemon):
        await daemon.say(station_state("B1"), station_state("A2"))
        assert list(lab.stations) == ["B1", "A2"], "in the daemon's order"
        await daemon.retain(Station(daemon.process, "A1").state, station_state("A1"))
        assert list(lab.stations) == ["B1", "A2"]


@pytest.mark.parametrize(
    "topic", ["labctl/demo/pc/alive", "labctl/demo/pc/state", "labctl/demo/pc/A1/state", "labctl/demo/pc/A1/events"]
)
@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"\xff", b'{"schema":2}', b'{"schema":1,"alive":"maybe"}', b"[" * 100_000]
)
async def test_what_does_not_parse_is_counted_and_changes_nothing(topic: str, payload: bytes) -> None:
    async with local() as (lab, _):
        before, version = lab.stations["A1"], lab.version
        await lab._bus.publish(topic, payload)
        assert lab.refused == 1
        assert (lab.stations["A1"], lab.version, lab.alive) == (before, version, True)


@given(st.binary(max_size=200), st.sampled_from(["alive", "state", "A1/state", "A1/events", "reply/x"]))
def test_no_message_raises(payload: bytes, topic: str) -> None:
    async def receive() -> None:
        async with over(LocalBus(), "demo", user="anna") as lab:
            await lab._bus.publish(f"labctl/demo/pc/{topic}", payload)

    asyncio.run(receive())


def from_a_newer_daemon(said: Any) -> Any:
    """What was said, with a key in every table that this version does not know."""
    if isinstance(said, dict):
        new = {} if set(said) & {"cycler", "voltage_volt"} else {"of_a_later_version": [1]}
        return {name: from_a_newer_daemon(value) for name, value in said.items()} | new
    return [from_a_newer_daemon(each) for each in said] if isinstance(said, list) else said


async def test_a_newer_daemon_is_shown_by_an_older_client() -> None:
    alarm = Alarm(
        id="a", since_unix_second=0.0, station="A1", quantity="voltage_volt", sentence="High.",
        severity=Severity.ALARM, latched=True, active=True, action="opened",
    )  # fmt: skip
    state = station_state(
        word=Word.ALARM,
        run=running(plan=(StepLine(id=1, depth=0, text="rest", state="now"),)),
        queue=(Queued(run=RUN, protocol="p", cell="c", operator="anna", queued_unix_second=0.0),),
        alarms=(alarm,),
        asked=Asked(text="?", answers=("yes",), output="open"),
        instruments={"cycler": InstrumentState(driver="d", identity="i", simulated=True)},
    )
    async with local() as (lab, daemon):
        process, lab_state = daemon.process, lab.daemons["pc"]
        for topic, said in (
            (Station(process, "A1").state, state),
            (process.state, lab_state.model_copy(update={"backlog": 7})),
            (process.alive, Alive(schema=1, alive=False)),
        ):
            newer = from_a_newer_daemon(said.model_dump(mode="json", by_alias=True))
            await lab._bus.retain(topic, orjson.dumps(newer))
        assert lab.refused == 0
        assert lab.stations["A1"] == state
        assert (lab.daemons["pc"].backlog, lab.hosts) == (7, [])


async def test_a_recorder_is_no_daemon_and_no_nonsense() -> None:
    async with local() as (lab, _):
        said = b'{"schema":1,"trouble":"","refused":0,"quarantined":0}'
        await lab._bus.retain("labctl/demo/recorder/state", said)
        assert (lab.refused, list(lab.daemons)) == (0, ["pc"])


def events(first: int, *messages: str, run: str = RUN) -> bytes:
    payloads = [
        orjson.dumps(
            {
                "kind": "note",
                "unix_time_second": 0.0,
                "test_time_second": 0.0,
                "message": m,
                "severity": "info",
                "data": {},
            }
        )
        for m in messages
    ]
    return encode_events(run, 0, first, payloads, simulated=True)


async def test_events_come_once_each_though_they_are_sent_again() -> None:
    async with local() as (lab, _):
        heard: list[str] = []

        async def listen() -> None:
            async for happening in lab.events():
                heard.extend([f"{happening.station} {happening.number} {happening.event.message}"])

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        topic = "labctl/demo/pc/A1/events"
        for batch in (events(2, "a", "b"), events(2, "a", "b"), events(3, "b", "c"), events(2, "a"), events(9, "d")):
            await lab._bus.publish(topic, batch)
        for _ in range(10):
            await asyncio.sleep(0)
        listening.cancel()
        await asyncio.wait([listening])
        assert heard == ["A1 2 a", "A1 3 b", "A1 4 c", "A1 9 d"]
        assert [happening.event.message for happening in lab.newest] == ["a", "b", "c", "d"]
        assert isinstance(lab.newest[0].event, Event)


async def test_memory_is_bounded_however_much_happens() -> None:
    async with local() as (lab, _):
        for number in range(1200):
            await lab._bus.publish("labctl/demo/pc/A1/events", events(1, str(number), run=new_run()))
        assert len(lab.newest) == len(lab._last_event) == 1000
        assert lab.newest[-1].event.message == "1199"


# -- what is asked ----------------------------------------------------------------------------------------------------


async def test_every_command_says_what_it_means(tmp_path: Path) -> None:
    protocol, cell = tmp_path / "p.toml", tmp_path / "c.toml"
    protocol.write_text("a [b]\n")
    cell.write_text("[cell]\n")

    def answer(request: Request) -> dict[str, Any]:
        match request.action.do:
            case "start":
                return {"run": RUN, "station": "A1", "position": 1}
            case "change":
                return {"inputs": {"a": "2"}}
            case "acknowledge":
                return {"acknowledged": ["x"]}
            case "estop" | "reset" | "pause_all":
                return {"stations": {"A1": []}}
        return {}

    async with local(answer) as (lab, daemon):
        started = await lab.start(
            protocol, station="A1", cell=cell, inputs={"a": "1"}, continue_run="0f8f", campaign="c", reason="why"
        )
        assert (started.run, started.position) == (RUN, 1)
        await lab.start(protocol)
        for command in (lab.pause, lab.resume, lab.skip, lab.stop):
            await command("A1", "why")
        await lab.unqueue(RUN)
        await lab.note("0f8f", "it smells")
        assert (await lab.change("A1", {"a": "2"})).inputs == {"a": "2"}
        await lab.answer("A1", "yes")
        assert (await lab.acknowledge("A1", ["x"], "seen")).acknowledged == ("x",)
        for everywhere in (lab.pause_all, lab.estop, lab.reset):
            assert (await everywhere("why")).stations == {"A1": []}
    start = daemon.requests[0].action
    assert isinstance(start, Start)
    assert (start.file, start.protocol, start.cell_file, start.cell) == (
        str(protocol),
        "a [b]\n",
        str(cell),
        "[cell]\n",
    )
    assert (start.station, start.inputs, start.continue_run, start.campaign) == ("A1", {"a": "1"}, "0f8f", "c")
    assert (daemon.requests[0].user, daemon.requests[0].reason) == ("anna", "why")
    origin = Origin(name=protocol.stem, folder=str(protocol.parent))
    assert start.origin == origin
    assert daemon.requests[1].action == Start(file=str(protocol), protocol="a [b]\n", origin=origin)
    controls = [request.action for request in daemon.requests[2:6]]
    assert controls == [Control(do=do, target="A1") for do in ("pause", "resume", "skip", "stop")]
    assert daemon.requests[7].action == Note(target="0f8f", text="it smells")
    assert daemon.requests[8].action == Change(target="A1", inputs={"a": "2"})
    assert daemon.requests[10].action == Acknowledge(station="A1", alarms=("x",))
    assert daemon.requests[12].action == EveryStation(do="estop")
    assert len({request.id for request in daemon.requests}) == len(daemon.requests) == 14


async def test_every_question_is_answered_in_its_own_type() -> None:
    cycle = dict.fromkeys(
        (
            "start_test_time_second", "end_test_time_second", "charging_capacity_ah", "discharging_capacity_ah",
            "charging_energy_wh", "discharging_energy_wh", "min_voltage_volt", "max_voltage_volt",
            "coulombic_efficiency", "energy_efficiency",
        )
    )  # fmt: skip
    event = {"run": RUN, "station": "A1", "kind": "note", "unix_time_second": 1.0, "test_time_second": 0.0}
    answers: dict[str, dict[str, Any]] = {
        "history": {"x": [0.0, 1.0], "low": [[3.0, None]], "high": [[3.1, None]], "rows": 7},
        "cycles": {"cycles": [{"cycle_count": 1, "complete": True, **cycle}], "more": False},
        "events": {"events": [{**event, "message": "m", "severity": "alarm"}]},
        "runs": {"runs": []},
        "check": {"findings": [{"code": "verb", "text": "no such verb"}]},
    }
    async with local(lambda request: answers[request.action.do]) as (lab, daemon):
        history = await lab.history(RUN, ["voltage_volt"], start=1.0, buckets=2)
        assert history == Bucketed(x=[0.0, 1.0], low=[[3.0, None]], high=[[3.1, None]], rows=7)
        assert daemon.requests[0].action == History(run=RUN, columns=("voltage_volt",), start=1.0, buckets=2)
        page = await lab.cycles(RUN)
        assert (page.cycles[0].cycle_count, page.more) == (1, False)
        assert (await lab.past_events()).events[0].severity == "alarm"
        assert (await lab.runs()).runs == ()
        assert (await lab.check(CONFIG, station="A1")).findings[0]["text"] == "no such verb"


async def test_a_refusal_is_told_in_the_daemons_own_words() -> None:
    findings = ({"code": "limit", "text": "p.toml:1:1: too much"},)
    refusal = Refusal(sentence="That would hurt.", remedy="Do not.", exit_code=6, findings=findings)
    async with local(lambda request: refusal) as (lab, _):
        with pytest.raises(CommandRefused) as told:
            await lab.stop("A1")
    assert (str(told.value), told.value.exit_code) == ("That would hurt.\n  Do not.", 6)
    assert told.value.findings == findings


async def test_an_answer_of_another_version_is_told() -> None:
    async with local(lambda request: {"runs": "none"}) as (lab, _):
        with pytest.raises(
            Exception, match=r"(?s)pc answered what this version does not understand: runs:.*same version"
        ):
            await lab.runs()


@pytest.mark.parametrize(
    ("inputs", "sentence"), [({}, "at least 1 item"), ({"a": object()}, "valid string")], ids=["none", "no text"]
)
async def test_what_cannot_be_sent_is_not_sent(inputs: dict[str, str], sentence: str) -> None:
    async with local() as (lab, daemon):
        with pytest.raises(CommandRefused, match=f"This change cannot be sent: change.inputs.*{sentence}") as told:
            await lab.change("A1", inputs)
        assert told.value.exit_code == 2
        with pytest.raises(CommandRefused, match="at most 2000 characters"):
            await lab.note("A1", "x" * 2001)
        with pytest.raises(CommandRefused, match="reason: String should have at most"):
            await lab.pause("A1", "x" * 2001)
        assert daemon.requests == []


async def test_a_command_that_is_too_long_for_a_message_is_told(tmp_path: Path) -> None:
    big = tmp_path / "big.toml"
    big.write_text("\x01" * 400_000)  # six bytes each in JSON
    async with local() as (lab, daemon):
        with pytest.raises(CommandRefused, match="more than the 1048576 that a message may have"):
            await lab.start(big)
        assert daemon.requests == []


async def test_files_that_cannot_be_read_are_told_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe4'")
    async with local() as (lab, _):
        with pytest.raises(ProtocolError, match=r"absent\.toml:1:1: error\[file\]: this file cannot be read: No such"):
            await lab.start(tmp_path / "absent.toml")
        with pytest.raises(ProtocolError, match=r"latin\.toml:1:1: error\[file\]: byte 0xe4 is not UTF-8"):
            await lab.start(tmp_path / "latin.toml")


@given(st.text(min_size=1, max_size=200))
def test_hostile_text_arrives_as_it_is(text: str) -> None:
    async def send() -> None:
        async with local() as (lab, daemon):
            await lab.note("A1", text)
            assert daemon.requests[0].action == Note(target="A1", text=text)

    asyncio.run(send())


async def test_no_answer_is_not_taken_for_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "PATIENCE", 0.05)
    async with local(lambda request: None) as (silent, daemon):
        with pytest.raises(
            Unanswered, match=r"(?s)\"stop\" within 0.05 s: it is NOT known .* carried out.*labctl status"
        ):
            await silent.stop("A1")
        with pytest.raises(Unanswered) as question:
            await silent.cycles(RUN)
        assert "NOT known" not in str(question.value)
        assert [request.action.do for request in daemon.requests] == ["stop", "cycles"]


async def test_a_late_or_foreign_reply_harms_nothing() -> None:
    async with local() as (known, daemon):
        await known.pause("A1")
        topic = daemon.process.reply(known.user, daemon.requests[0].client)
        for payload in (b"{", b'{"schema":1,"id":"other","data":{}}'):
            await known._bus.publish(topic, payload)
        assert known.refused == 1
        await known.resume("A1")


# -- several daemons ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def two() -> AsyncIterator[tuple[Lab, ScriptedDaemon, ScriptedDaemon]]:
    """Two daemons: pc1 with A1 and B1, pc2 with A1 and B2."""
    bus = LocalBus()
    first = ScriptedDaemon(bus, host="pc1", answer=lambda request: {"stations": {"A1": [], "B1": []}})
    second = ScriptedDaemon(bus, host="pc2", answer=lambda request: {"stations": {"A1": ["cycler: no reply"]}})
    await first.listen()
    await second.listen()
    await first.say(station_state("A1"), station_state("B1"))
    await second.say(station_state("A1"), station_state("B2", run=running(), last_run="0f8f"))
    async with over(bus, "demo", user="anna") as lab, replying(first, second):
        yield lab, first, second


async def test_each_station_is_addressed_at_its_own_daemon() -> None:
    async with two() as (lab, first, second):
        assert list(lab.stations) == ["pc1/A1", "B1", "pc2/A1", "B2"]
        await lab.pause("B1")
        await lab.pause("B2")
        await lab.pause("pc2/A1")
        await lab.stop(RUN[:8])
        assert [r.action for r in first.requests] == [Control(do="pause", target="B1")]
        assert [r.action for r in second.requests] == [
            Control(do="pause", target="B2"),
            Control(do="pause", target="A1"),
            Control(do="stop", target=RUN[:8]),
        ]


async def test_what_is_ambiguous_is_not_guessed() -> None:
    async with two() as (lab, first, second):
        with pytest.raises(CommandRefused, match=r"(?s)Several daemons have .A1.: pc1, pc2.*Say whose: pc1/A1"):
            await lab.stop("A1")
        with pytest.raises(CommandRefused, match=r"(?s)several daemons \(pc1, pc2\).*pc1/STATION"):
            await lab.start(CONFIG)
        with pytest.raises(CommandRefused, match="pc1/ffff"):
            await lab.cycles("ffff")
        assert first.requests == second.requests == []


async def test_an_emergency_stop_reaches_all_and_says_what_each_confirmed() -> None:
    async with two() as (lab, first, second):
        assert (await lab.estop()).stations == {"pc1/A1": [], "B1": [], "pc2/A1": ["cycler: no reply"]}
        await first.say(station_state("A1"), station_state("B1"), alive=False)
        stations = (await lab.estop()).stations
        assert stations["pc2/A1"] == ["cycler: no reply"]
        assert "pc1 is not alive: its stations were not reached" in stations["pc1"][0]
        second.answer = lambda request: Refusal(sentence="I will not.")
        assert (await lab.estop()).stations["pc2"] == ["I will not."]


# -- over a broker -----------------------------------------------------------------------------------------------------


async def test_over_a_broker_a_daemon_is_found_commanded_and_missed(broker: AnyBroker) -> None:
    served, asking = MqttBus(broker.address, Process("demo", "pc").alive), MqttBus(broker.address)
    daemon = ScriptedDaemon(served)
    async with serving(asking), over(asking, "demo") as lab:
        async with serving(served), replying(daemon):
            await daemon.listen()
            await daemon.say(station_state())
            await until(lab, lambda: lab.complete)
            await lab.pause("A1", "why")
            assert [request.reason for request in daemon.requests] == ["why"]
        await until(lab, lambda: not lab.alive)


async def test_a_request_is_said_again_in_a_new_session_and_carried_out_once(
    broker: AnyBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labctl.client.lab.PATIENCE", 60.0)  # a busy machine starts a broker slowly
    served, asking = MqttBus(broker.address, Process("demo", "pc").alive), MqttBus(broker.address)
    daemon = ScriptedDaemon(served)
    async with serving(asking), over(asking, "demo") as lab, serving(served):
        await daemon.listen()
        await daemon.say(station_state())
        await until(lab, lambda: lab.complete)
        stopping = asyncio.create_task(lab.stop("A1"))
        async with asyncio.timeout(10):
            while daemon.arrived == 0:
                await host_sleep(0.01)
        await asyncio.to_thread(broker.kill)  # the daemon has it and could not reply
        while lab.alive:
            await host_sleep(0.01)
        assert "does not answer" in lab.trouble
        before = daemon.arrived
        await asyncio.to_thread(broker.start)
        async with asyncio.timeout(50):
            while daemon.arrived == before:
                await host_sleep(0.01)
            async with replying(daemon):
                await stopping
        assert len(daemon.requests) == 1


async def test_a_daemon_that_listens_late_hears_what_was_asked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.client.requests._AGAIN", 0.0)
    bus = LocalBus()
    daemon = ScriptedDaemon(bus)
    await daemon.say(station_state(run=running()))
    async with over(bus, "demo") as lab, replying(daemon):
        asking = asyncio.create_task(lab.stop("A1"))
        await host_sleep(0.01)
        await daemon.listen()
        await asking
    assert len(daemon.requests) == 1


async def test_a_command_without_a_broker_was_not_sent(broker: AnyBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    served, asking = MqttBus(broker.address, Process("demo", "pc").alive), MqttBus(broker.address)
    daemon = ScriptedDaemon(served)
    async with serving(asking), over(asking, "demo") as known, serving(served):
        await daemon.say(station_state())
        await until(known, lambda: known.complete)
        await asyncio.to_thread(broker.kill)
        while known.alive:
            await host_sleep(0.01)
        monkeypatch.setattr(lab, "PATIENCE", 0.05)
        with pytest.raises(BusDown, match=r"Nothing was sent to the daemon on pc\. .* does not answer"):
            await known.stop("A1")
        await asyncio.to_thread(broker.start)


async def test_connect_finds_the_embedded_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path))
    with pytest.raises(NoDaemon, match=r"(?s)No daemon of site demo has run here yet.*labctl daemon"):
        async with connect(CONFIG):
            pass
    broker = IotcoreBroker(tmp_path / "run" / "broker")
    try:
        with pytest.raises(NoDaemon, match="knows of none that is alive"):
            async with connect(CONFIG, patience=0.5):
                pass
        served = MqttBus(broker.address, Process("demo", "pc").alive)
        daemon = ScriptedDaemon(served)
        async with serving(served), replying(daemon):
            await served.connected()
            await daemon.listen()
            await daemon.say(station_state())
            async with client.connect(CONFIG, user="li") as lab:
                assert lab.complete
                await lab.pause("A1")
            assert daemon.requests[0].user == "li"
    finally:
        broker.stop()
    with pytest.raises(
        NoDaemon, match=r"No daemon of site demo answers\. mqtt://127\.0\.0\.1:\d+ does not answer: .*refused"
    ):
        async with connect(CONFIG, patience=0.5):
            pass


async def test_a_runtime_file_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path))
    file = tmp_path / "run" / "broker" / "broker.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    file.chmod(0o600)
    with pytest.raises(StorageError, match="is not the runtime file of a broker"):
        async with connect(CONFIG):
            pass
