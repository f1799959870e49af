"""Commands that speak to a daemon, over a real broker: what is sent, what is printed, exit status."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.api import Alarm, Asked, InstrumentState, Queued, Refusal, Request, StationState, Value, Word
from labctl.bus.client import MqttBus
from labctl.bus.local import LocalBus
from labctl.bus.topics import Process
from labctl.cli import stations
from labctl.cli import watch as watching
from labctl.cli.app import run
from labctl.client import over
from labctl.clock import host_sleep, host_unix
from labctl.literal import literal
from labctl.reading import Severity
from labctl.tui.sight import Sight
from tests.laboratory import IotcoreBroker
from tests.scripted import RUN, ScriptedDaemon, running, station_state
from tests.stations import CONFIG, ROOT

Labctl = Callable[..., tuple[int, str, str]]
ESCAPE = "\x1b[31mred\u202e [b]"
SHOWN = r"\x1b[31mred\u202e [b]"


class Served:
    """A scripted daemon that lives in a thread of its own, as another process would."""

    def __init__(self, folder: Path) -> None:
        self._broker = IotcoreBroker(folder)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        bus = MqttBus(self._broker.address, Process("demo", "pc").alive)
        self.daemon = ScriptedDaemon(bus)
        self._works = [self._loop.create_task(work) for work in (bus.serve(), self._reply())]
        self.do(bus.connected())
        self.do(self.daemon.listen())

    def do(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def say(self, *stations: StationState, **more: Any) -> None:
        self.do(self.daemon.say(*stations, **more))

    @property
    def last(self) -> Request:
        return self.daemon.requests[-1]

    async def _reply(self) -> None:
        while True:
            await self.daemon.reply()
            await host_sleep(0.005)

    def stop(self) -> None:
        async def end() -> None:
            for work in self._works:
                work.cancel()
            await asyncio.wait(self._works)

        self.do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._broker.stop()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "data" / "run" / "broker")
    served.say(station_state(run=running()))
    yield served
    served.stop()


@pytest.fixture
def labctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Labctl:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LABCTL_CONFIG", str(CONFIG))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["labctl", *arguments])
        status = run()
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


def full_state() -> StationState:
    """A station with everything that a status shows."""
    values = {
        "voltage_volt": Value(value=3.71254, age=0.5, period=1.0),
        "current_ampere": Value(value=4.4e-4, age=0.5, period=1.0),
        "negative_pressure_pa": Value(value=2.5e6, age=0.5, period=1.0),
        "positive_pressure_pa": Value(value=2e5, age=9.0, period=1.0),
        "ambient_temperature_celsius": Value(value=30.04, age=4.0, period=5.0),
    }
    alarm = Alarm(
        id="a", since_unix_second=0.0, station="A1", quantity="voltage_volt", sentence=f"V is {ESCAPE}.",
        severity=Severity.ALARM, latched=True, active=False, action="circuit opened",
    )  # fmt: skip
    return station_state(
        word=Word.CHARGE,
        why=ESCAPE,
        values=values,
        run=running(step_name=ESCAPE, protocol=ESCAPE),
        alarms=(alarm,),
        asked=Asked(text=f"Is it {ESCAPE}?", answers=("yes", "no"), output="open"),
        queue=(Queued(run=RUN, protocol=ESCAPE, cell="NMC-07", operator="anna", queued_unix_second=0.0),),
        instruments={"cycler": InstrumentState(driver="d", identity=ESCAPE, simulated=True)},
    )


COMMANDS: dict[tuple[str, ...], dict[str, Any]] = {
    ("pause", "A1", "--reason", "why"): {"do": "pause", "target": "A1"},
    ("resume", "A1"): {"do": "resume", "target": "A1"},
    ("skip", "A1", "--yes"): {"do": "skip", "target": "A1"},
    ("stop", RUN[:8]): {"do": "stop", "target": RUN[:8]},
    ("note", "A1", ESCAPE): {"do": "note", "target": "A1", "text": ESCAPE},
    ("answer", "A1", "yes"): {"do": "answer", "target": "A1", "answer": "yes"},
}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_says_what_it_means(labctl: Labctl, served: Served, words: tuple[str, ...]) -> None:
    status, out, err = labctl(*words)
    assert (status, err) == (0, "")
    assert out.startswith(f"{words[1]}: ")
    assert served.last.action.model_dump() == COMMANDS[words]
    assert served.last.reason == ("why" if "--reason" in words else "")


def test_start_sends_the_files_and_says_where_the_run_is(labctl: Labctl, served: Served, tmp_path: Path) -> None:
    answer = {"run": RUN, "station": "A1", "position": 2}
    served.daemon.answer = lambda request: answer
    protocol, cell = tmp_path / "p.toml", tmp_path / "c.toml"
    protocol.write_text("x")
    cell.write_text("y")
    status, out, err = labctl(
        *("start", str(protocol), "--station", "A1", "--cell", str(cell), "--set", "a=1", "--continue", "0f8f"),
        *("--consent", "anna: dummy cell"),
    )
    assert (status, err) == (0, "")
    assert out == f"Run {RUN} waits at A1, at place 2 of its queue.\n"
    said = served.last.action.model_dump(exclude={"campaign"})
    assert said == {
        "do": "start", "station": "A1", "file": str(protocol), "protocol": "x", "cell_file": str(cell), "cell": "y",
        "inputs": {"a": "1"}, "continue_run": "0f8f", "consent": "anna: dummy cell",
        "origin": {"name": "p", "folder": str(tmp_path), "commit": None, "modified": None},
    }  # fmt: skip
    status, out, _ = labctl("start", str(protocol), "--any", "--json")
    assert json.loads(out) == {"schema": 1, **answer}
    assert served.last.action.model_dump()["station"] is None


def test_change_shows_all_inputs_that_hold(labctl: Labctl, served: Served) -> None:
    served.daemon.answer = lambda request: {"inputs": {"cycles": "200", "name": ESCAPE}}
    status, out, _ = labctl("change", "A1", "--set", "cycles=200", "--reason", "good")
    assert (status, out) == (0, f"A1: from the next step on\n  cycles = 200\n  name = {SHOWN}\n")
    assert served.last.action.model_dump() == {"do": "change", "target": "A1", "inputs": {"cycles": "200"}}


def test_ack_needs_a_reason_and_counts(labctl: Labctl, served: Served) -> None:
    served.daemon.answer = lambda request: {"acknowledged": ["a", "b"]}
    assert labctl("ack", "A1")[0] == 2
    assert served.daemon.requests == []
    assert labctl("ack", "A1", "--reason", "seen")[:2] == (0, "A1: 2 acknowledged.\n")
    assert served.last.reason == "seen"


@pytest.mark.parametrize(
    "words",
    [
        ("start", "p.toml"),
        ("start", "p.toml", "--any", "--station", "A1"),
        ("change", "A1"),
        ("pause",),
        ("note", "A1"),
    ],
    ids=" ".join,
)
def test_usage_errors_are_two_and_ask_nobody(labctl: Labctl, words: tuple[str, ...]) -> None:
    status, _, err = labctl(*words)
    assert status == 2
    assert err


def test_stop_asks_a_person_first(labctl: Labctl, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr("typer.confirm", no)
    for command in ("stop", "skip"):
        assert labctl(command, "A1")[:2] == (1, "Nothing was done.\n")
    assert asked == ["Stop the run at A1? It cannot be resumed.", "Skip the present step at A1?"]
    assert served.daemon.requests == []
    assert labctl("stop", "A1", "--yes")[0] == 0


@pytest.mark.parametrize(("typed", "done"), [("reset", True), ("yes", False), ("", False), ("Reset", False)])
def test_reset_asks_a_person_for_the_word(
    labctl: Labctl, served: Served, monkeypatch: pytest.MonkeyPatch, typed: str, done: bool
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("typer.prompt", lambda *_, **__: typed)
    served.daemon.answer = lambda request: {"stations": {"A1": []}}
    status, out, _ = labctl("reset", "--reason", "aired")
    assert (status, out) == ((0, "A1: released\n") if done else (1, "Nothing was done.\n"))
    assert [request.action.do for request in served.daemon.requests] == (["reset"] if done else [])


def test_reset_says_who_did_not_answer(labctl: Labctl, served: Served) -> None:
    served.daemon.answer = lambda request: {"stations": {"A1": [], "A2": [ESCAPE]}}
    assert labctl("reset", "--reason", "aired")[:2] == (1, f"A1: released\nA2: {SHOWN}\n")
    assert served.last.reason == "aired"
    assert labctl("reset")[0] == 2


@pytest.mark.parametrize("exit_code", [1, 3, 5, 6])
def test_a_refusal_has_the_daemons_words_and_status(labctl: Labctl, served: Served, exit_code: int) -> None:
    served.daemon.answer = lambda request: Refusal(sentence=f"No, {ESCAPE}.", remedy="Wait.", exit_code=exit_code)
    status, out, err = labctl("pause", "A1")
    assert (status, out, err) == (exit_code, "", f"error: No, {SHOWN}.\n  Wait.\n")


def test_findings_of_a_refused_protocol_are_printed_with_their_caret(
    labctl: Labctl, served: Served, tmp_path: Path
) -> None:
    text = f"p.toml:1:1: error[verb]: {ESCAPE}\n    1 | x\n      | ^"
    served.daemon.answer = lambda request: Refusal(sentence="wrong", exit_code=3, findings=({"text": text},))
    (tmp_path / "p.toml").write_text("x")
    status, _, err = labctl("start", str(tmp_path / "p.toml"), "--station", "A1")
    assert (status, err) == (3, text.replace(ESCAPE, SHOWN) + "\n")


def test_without_a_daemon_there_is_a_remedy(labctl: Labctl) -> None:
    for words in (("status",), ("pause", "A1"), ("queue", "--json"), ("watch",)):
        status, out, err = labctl(*words)
        assert (status, out) == (1, "")
        assert "Start it with `labctl daemon`" in err


def test_queue_lists_and_removes(labctl: Labctl, served: Served) -> None:
    assert labctl("queue")[:2] == (0, "No run waits.\n")
    other = Queued(run="ffffffff", protocol="rate", cell="", operator="li", queued_unix_second=60.0)
    first = full_state().queue[0]
    served.say(station_state(queue=(first, other)))
    status, out, _ = labctl("queue")
    assert status == 0
    assert out.splitlines()[1].split() == ["A1", "1", RUN, *SHOWN.split(), "NMC-07", "anna", "1970-01-01", "00:00"]
    status, out, _ = labctl("queue", "--remove", "ffff", "--json")
    assert [entry["run"] for entry in json.loads(out)["queue"]] == [RUN]
    assert served.last.action.model_dump() == {"do": "unqueue", "run": "ffffffff"}
    status, _, err = labctl("queue", "--remove", "eeee")
    assert status == 1
    assert 'No waiting run is called "eeee"' in err


def test_status_shows_what_is_of_now_and_a_dash_for_the_rest(labctl: Labctl, served: Served) -> None:
    served.say(full_state(), station_state("B1", Word.LOST), recorder="", rows_per_second=12.0, estop=True)
    status, out, err = labctl("status")
    assert (status, err) == (0, "")
    head, _, first, second, *rest = out.splitlines()
    assert head == "pc: labctl 0, 12.0 rows/s stored, 0 waiting. EMERGENCY STOP latched: `labctl reset` releases it."
    for shown in ("A1", "▲ CHARGE", RUN[:8], f"3/9 {SHOWN}", "2/5", "3.7125", "+0.4400", "2.50/—", "30.0", "simulated"):
        assert shown in first
    assert "8 h 55 min" in first
    assert second.split()[:8] == ["B1", "?", "LOST", "—", "—", "—", "—", "simulated"]
    assert rest == [
        f"alarm A1: V is {SHOWN}. (circuit opened; over; not acknowledged)",
        f"A1: {SHOWN}",
        f"A1 asks: Is it {SHOWN}? [yes/no] Answer with `labctl answer A1 ...`.",
    ]


def test_status_as_json_has_null_for_what_is_too_old(labctl: Labctl, served: Served) -> None:
    served.say(full_state())
    status, out, _ = labctl("status", "--json")
    told = json.loads(out)
    assert status == 0
    assert (told["schema"], told["site"], told["alive"], told["trouble"]) == (1, "demo", True, "")
    assert told["daemons"]["pc"]["stations"] == ["A1"]
    station = told["stations"]["A1"]
    assert (station["word"], station["run"]["run"], station["simulated"]) == ("charge", RUN, True)
    assert station["values"]["voltage_volt"]["value"] == 3.71254
    assert station["values"]["positive_pressure_pa"]["value"] is None


async def test_watch_tells_the_truth_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PERIOD", 0.01)
    bus = LocalBus()
    daemon = ScriptedDaemon(bus)
    await daemon.say(full_state())
    async with over(bus, "demo", user="anna") as lab:
        lines = watching.lines(lab, as_json=False)
        first, alarm = await anext(lines), await anext(lines)
        assert "A1      ▲ CHARGE      3.7125 V   +0.4400 mA     2.50/— MPa   30.0 °C  0f8fad5b  3/9" in first
        assert "cycle 2/5  8 h 55 min left" in first
        assert first.isprintable()
        assert "alarm A1: V is" in alarm
        assert "▲ CHARGE" in await anext(lines), "an alarm is told once"
        await daemon.say(full_state(), alive=False)
        gone = await anext(lines)
        assert "daemon is gone" in gone
        assert "3.71" not in gone
        await lines.aclose()
        as_json = watching.lines(lab, as_json=True)
        told = json.loads(await anext(as_json))
        assert (told["schema"], told["alive"]) == (1, False)
        assert told["stations"]["A1"]["word"] == "lost"
        assert told["stations"]["A1"]["values"]["voltage_volt"]["value"] is None
        assert abs(told["unix_second"] - host_unix()) < 60
        await as_json.aclose()


def test_watch_ends_quietly_when_nobody_reads_any_more(labctl: Labctl, served: Served) -> None:
    done = subprocess.run(
        [f"{sys.executable} -m labctl watch --json | head -n 2"],
        shell=True, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False,
    )  # fmt: skip
    assert [json.loads(line)["schema"] for line in done.stdout.splitlines()] == [1, 1]
    assert done.stderr == ""


@given(st.text(max_size=40))
def test_no_text_breaks_a_line_or_moves_a_cursor(text: str) -> None:
    async def show() -> list[str]:
        bus = LocalBus()
        alarm = full_state().alarms[0].model_copy(update={"sentence": text, "action": text})
        asked = Asked(text=text, answers=(text,), output=text)
        state = station_state(why=text, run=running(step_name=text), alarms=(alarm,), asked=asked)
        await ScriptedDaemon(bus).say(state)
        async with over(bus, "demo", user="anna") as lab:
            seen = Sight(lab).station("A1")
            return [*stations.alarms(Sight(lab)), *stations.remarks(seen), *stations.progress(seen)]

    said = asyncio.run(show())
    assert all(line.isprintable() for line in said)
    assert any(literal(text) in line for line in said)


def test_nothing_heavy_is_imported_for_a_status() -> None:
    code = (
        "import sys; import labctl.cli.status, labctl.cli.stations, labctl.client;"
        "heavy = {'textual', 'numpy', 'pint', 'pyvisa', 'sqlite3', 'labctl.engine', 'labctl.lab', 'labctl.record'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
