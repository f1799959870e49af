"""Who may command, and when: roles, replays, retained and stale commands, floods; and what is written down of it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest

from labctl import api
from labctl.api import Control, EveryStation, Request, Runs, Word
from labctl.bus.local import LocalBus
from labctl.client import over
from labctl.clock import host_monotonic, host_sleep, host_unix
from labctl.daemon import admission
from labctl.daemon.admission import Admission, Sender
from labctl.errors import CommandRefused, RefusedForSafety
from labctl.lab.recording import process_of
from labctl.reading import RunState
from labctl.record.queries import Queries
from labctl.roles import ADMIN_ONLY, READ_ONLY, ROLES, Role, may, needed
from tests.daemon.lab import Laboratory, living
from tests.stations import repository_config

ACTIONS = {do for model in get_args(get_args(api.Action)[0]) for do in get_args(model.model_fields["do"].annotation)}
HOST = process_of(repository_config())
LONG_AGO = -1e9
ANNA = Sender("operator", "anna")


def request(do: str = "pause_all", *, sent: float | None = None, user: str = "anna", name: str = "1") -> Request:
    action = Runs() if do == "runs" else EveryStation.model_validate({"do": do})
    sent = host_unix() if sent is None else sent
    return Request(id=name, client="c", user=user, sent_unix_second=sent, action=action)


# -- admission alone ---------------------------------------------------------------------------------------------------


def test_what_needs_which_role() -> None:
    assert READ_ONLY | ADMIN_ONLY <= ACTIONS
    assert {do for do in ACTIONS if may("viewer", do)} == READ_ONLY
    assert {do for do in ACTIONS if not may("operator", do)} == ADMIN_ONLY
    assert all(may("admin", do) for do in ACTIONS)
    assert needed("estop") == "operator", "to make safe never needs more"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("do", ["runs", "pause_all", "estop", "reset"])
def test_a_role_is_enough_or_the_sentence_says_which_is(role: Role, do: str) -> None:
    sender, gate = Sender(role, "anna"), Admission(LONG_AGO)
    if may(role, do):
        gate.check(sender, request(do))
    else:
        with pytest.raises(RefusedForSafety, match=f'"{do}" needs the role {needed(do)}; anna came as {role}'):
            gate.check(sender, request(do))


def test_another_name_than_the_brokers_is_refused() -> None:
    with pytest.raises(RefusedForSafety, match='says that "ben" gives it, the broker says that "anna" does'):
        Admission(LONG_AGO).check(ANNA, request(user="ben"))


@pytest.mark.parametrize(("age", "said"), [(11.0, "11 s old"), (-11.0, "11 s from the future"), (1e9, "s old")])
def test_what_was_not_given_now_is_refused_but_questions_are_answered(age: float, said: str) -> None:
    gate, sent = Admission(LONG_AGO), host_unix() - age
    with pytest.raises(RefusedForSafety, match=said):
        gate.check(ANNA, request(sent=sent))
    gate.check(ANNA, request("runs", sent=sent))


def test_what_was_given_to_the_daemon_before_this_one_is_refused_except_to_make_safe() -> None:
    gate, sent = Admission(host_monotonic()), host_unix() - 2.0
    with pytest.raises(RefusedForSafety, match="before this daemon began"):
        gate.check(ANNA, request(sent=sent))
    gate.check(ANNA, request("estop", sent=sent))


def test_a_clock_that_is_set_back_after_the_start_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, now = Admission(host_monotonic() - 60.0), host_unix()
    monkeypatch.setattr(admission, "host_unix", lambda: now - 3600.0)
    gate.check(ANNA, request(sent=now - 3600.0))


def test_a_flood_is_refused_for_who_makes_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(admission, "host_monotonic", lambda: now)
    gate, ben = Admission(LONG_AGO), Sender("viewer", "ben")
    for _ in range(int(admission.BURST)):
        gate.check_rate(ben, "runs")
    with pytest.raises(RefusedForSafety, match="ben asks more than 50 times a second"):
        gate.check_rate(ben, "runs")
    with pytest.raises(RefusedForSafety):
        gate.check_rate(ben, "estop")  # which a viewer may not anyway
    gate.check_rate(ANNA, "runs")
    now = 1.0
    for _ in range(int(admission.RATE)):
        gate.check_rate(ben, "runs")
    with pytest.raises(RefusedForSafety):
        gate.check_rate(ben, "runs")


def test_to_make_safe_is_never_too_often() -> None:
    gate = Admission(LONG_AGO)
    for _ in range(10 * int(admission.BURST)):
        gate.check_rate(ANNA, "estop")


def test_a_flood_under_many_names_does_not_fill_the_memory() -> None:
    gate = Admission(LONG_AGO)
    for number in range(3000):
        gate.check_rate(Sender("admin", f"user {number}"), "runs")
    assert len(gate._allowances) == 1000


# -- a daemon ----------------------------------------------------------------------------------------------------------

LONG = '[[step]]\nrest = "300 d"\n'


@pytest.fixture
async def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Laboratory]:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    async with living(tmp_path, speed=600.0) as here:
        yield here


class Raw:
    """Says bytes on topics, and waits for the replies."""

    def __init__(self, bus: LocalBus) -> None:
        self.bus = bus
        self.heard: list[dict[str, object]] = []

    async def ask(self, made: Request, role: Role = "operator", *, retained: bool = False) -> dict[str, object]:
        topic = HOST.reply(made.user, made.client)
        count = len(self.heard)

        def hear(_: str, payload: bytes) -> None:
            self.heard.append(orjson.loads(payload))

        await self.bus.subscribe(topic, hear)
        say = self.bus.retain if retained else self.bus.publish
        await say(HOST.command(role, made.user), made.model_dump_json(by_alias=True).encode())
        while len(self.heard) == count:
            await host_sleep(0.001)
        await self.bus.unsubscribe(topic, hear)
        return self.heard[-1]


def pause(name: str, user: str = "anna") -> Request:
    action = Control(do="pause", target="A1")
    return Request(id=name, client="c", user=user, reason="look", sent_unix_second=host_unix(), action=action)


async def test_accepted_and_refused_commands_are_written_down_at_their_station(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    async with living(tmp_path, speed=600.0) as here:
        await _command(here)
    commands = {station: _written_down(here, station) for station in ("A1", "A2")}
    assert commands["A2"] == []
    facts = [(d["user"], d["role"], d["action"], d["reason"], d["accepted"]) for d in commands["A1"]]
    assert facts[1:] == [
        ("ben", "viewer", "stop", "mine now", False),
        ("anna", "operator", "pause", "look at it", True),
        ("anna", "operator", "pause", "", False),
        ("anna", "operator", "stop", "enough", True),
    ]
    assert facts[0][1:] == ("admin", "start", "", True)
    assert len({d["id"] for d in commands["A1"]}) == 5
    assert all(abs(host_unix() - d["sent_unix_second"]) < 30.0 for d in commands["A1"])


def _written_down(here: Laboratory, station: str) -> list[dict[str, Any]]:
    with Queries(here.database) as queries:
        (watch,) = [run for run in queries.runs(watches=True) if run.kind == "watch" and run.station == station]
        return [event.data for event in queries.events(watch.id) if event.kind == "command"]


async def _command(here: Laboratory) -> None:
    run = (await here.lab.start(here.protocol(LONG), station="A1")).run
    await here.until("A1", lambda state: state.word is Word.REST)
    async with over(here.bus, "demo", user="ben", role="viewer") as ben:
        with pytest.raises(CommandRefused, match="needs the role operator"):
            await ben.stop("A1", "mine now")
        await ben.runs()
    async with over(here.bus, "demo", user="anna", role="operator") as anna:
        await anna.pause("A1", "look at it")
        with pytest.raises(CommandRefused):
            await anna.pause("A1")
        await anna.stop(run[:8], "enough")
    assert (await here.stored(run)).state is RunState.STOPPED


async def test_a_retained_or_repeated_command_is_carried_out_once(here: Laboratory) -> None:
    run, raw = (await here.lab.start(here.protocol(LONG), station="A1")).run, Raw(here.bus)
    await here.until("A1", lambda state: state.word is Word.REST)
    made = pause("once")
    assert "error" not in await raw.ask(made, retained=True)
    await here.until("A1", lambda state: state.word is Word.PAUSED)
    await here.lab.resume("A1")
    await here.until("A1", lambda state: state.word is Word.REST)
    desk_again = await raw.ask(made)
    assert "error" not in desk_again, "the same reply again"
    assert here.lab.stations["A1"].word is Word.REST
    await here.lab.stop("A1")
    kinds = [event.kind for event in here.events(await here.stored(run))]
    assert kinds.count("run.paused") == 1


async def test_nobody_gets_the_reply_to_what_somebody_else_asked(here: Laboratory) -> None:
    raw = Raw(here.bus)
    refused = await raw.ask(pause("same"))
    assert "Nothing runs" in str(refused["error"])
    viewer = await raw.ask(pause("same", "ben"), "viewer")
    assert "needs the role operator" in str(viewer["error"])


async def test_a_retained_command_does_nothing_to_the_next_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    given = request("reset", user="anna", name="kept").model_dump_json(by_alias=True).encode()
    before = LocalBus()
    await before.retain(HOST.command("admin", "anna"), given)
    heard: list[bytes] = []
    monkeypatch.setattr("tests.daemon.lab.LocalBus", lambda: before)
    await before.subscribe(HOST.reply("anna", "c"), lambda _, payload: heard.append(payload))
    async with living(tmp_path) as here:
        while not heard:
            await host_sleep(0.001)
        assert b"before this daemon began" in heard[0]
        assert here.lab.alive
