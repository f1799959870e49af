"""A scripted laboratory on a bus: a daemon that says what a test tells it to, and answers commands as told."""

import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import orjson

from labctl.api import (
    Action,
    Alarm,
    Asked,
    LabState,
    Message,
    Queued,
    Refusal,
    Reply,
    Request,
    RunStatus,
    StationState,
    StepLine,
    Value,
    Word,
)
from labctl.bus.base import Bus
from labctl.bus.codec import encode_events
from labctl.bus.local import LocalBus
from labctl.bus.topics import Process, Station
from labctl.client import Lab, over
from labctl.reading import Event, Severity

NOW = 1_795_262_400.0
"""2026-11-21T12:00Z: host and lab time of every picture."""
PROCESS = Process("demo", "bench")
PLAN = (
    StepLine(id=1, depth=0, text="press to 2.5 / 0.2 MPa", state="done"),
    StepLine(id=2, depth=0, text="rest 2 h", state="done"),
    StepLine(id=3, depth=0, text="400 times", state="now"),
    StepLine(id=4, depth=1, text="charge C/3 to 4.3 V", state="done"),
    StepLine(id=5, depth=1, text="hold 4.3 V until I < C/20", state="now"),
    StepLine(id=6, depth=1, text="rest 10 min", state="next"),
    StepLine(id=7, depth=1, text="discharge C/3 to 2.8 V", state="next"),
)


def values(voltage: float | None = 3.7, current: float | None = 0.00079, **more: Value) -> dict[str, Value]:
    return {
        "voltage_volt": Value(value=voltage, age=0.4, period=1.0, low=2.8, high=4.3),
        "current_ampere": Value(value=current, age=0.4, period=1.0, low=-0.002, high=0.002),
        "negative_pressure_pa": Value(value=2.484e6, age=0.4, period=1.0, target=2.5e6, low=0.0, high=5e6),
        "positive_pressure_pa": Value(value=0.207e6, age=0.4, period=1.0, target=0.2e6, low=0.0, high=0.6e6),
        "negative_torque_newton_metre": Value(value=0.312, age=0.4, period=1.0, high=1.0),
        "ambient_temperature_celsius": Value(value=30.1, age=2.0, period=5.0, target=30.0, low=5.0, high=80.0),
        **more,
    }


def running(station: str, *, cycle: int = 156, **more: Any) -> RunStatus:
    said = {
        "run": f"{station.lower()}00ad5b-d9cb-469f-a165-70867728950e",
        "protocol": "asymmetric",
        "title": "Asymmetric stack pressure",
        "cell": f"NMC83-{station}",
        "operator": "anna",
        "started_unix_second": NOW - 86400.0,
        "step": 5,
        "steps": 12,
        "step_name": "charge C/3",
        "verb": "charge",
        "next_step": "rest 10 min",
        "step_time_second": 2530.0,
        "cycle": cycle,
        "cycles": 400,
        "test_time_second": 86400.0,
        "left_second": 32040.0,
        "fraction": 0.64,
        "specific_mah_per_gram": 131.2,
        "capacity_ah": 0.00042,
        "plan": PLAN,
    }
    return RunStatus.model_validate(said | more)


def station(name: str = "A1", word: Word = Word.CHARGE, **more: Any) -> StationState:
    idle = word in (Word.IDLE, Word.READY, Word.DONE, Word.CONNECTING)
    said: dict[str, Any] = {
        "schema": 1,
        "station": name,
        "word": word,
        "simulated": True,
        "speed": 1.0,
        "said_unix_second": NOW,
        "lab_unix_second": NOW,
        "values": values(),
        "run": None if idle else running(name),
        "last_run": None,
    }
    return StationState.model_validate(said | more)


def alarm(name: str = "A2", **more: Any) -> Alarm:
    said = {
        "id": f"{name}-1",
        "since_unix_second": NOW - 125.0,
        "station": name,
        "quantity": "positive_pressure_pa",
        "sentence": "Cathode pressure 0.63 MPa was above 0.60 MPa in two measurements.",
        "severity": Severity.ALARM,
        "latched": True,
        "active": True,
        "action": "circuit opened, pressure frozen",
    }
    return Alarm.model_validate(said | more)


def lab_state(*names: str, **more: Any) -> LabState:
    said = {
        "schema": 1,
        "site": "demo",
        "host": "bench",
        "version": "0.1.0",
        "pid": 4711,
        "stations": names,
        "started_unix_second": NOW - 86400.0,
        "said_unix_second": NOW,
        "rows_per_second": 96.0,
        "disk_free_byte": 10**11,
        "disk_days": 41.0,
    }
    return LabState.model_validate(said | more)


def sixteen() -> list[StationState]:
    """Every word of a state, and every kind of value, as a laboratory of twelve shows them."""
    high = {"positive_pressure_pa": Value(value=0.631e6, age=0.4, period=1.0, target=0.2e6, high=0.6e6)}
    old = values(voltage=4.0906)
    old["voltage_volt"] = Value(value=4.0906, age=12.0, period=1.0)
    old["positive_pressure_pa"] = Value(value=0.2e6, age=70.0, period=1.0)
    waiting = Queued(run="77", protocol="asymmetric", cell="NMC83-9", operator="anna", queued_unix_second=NOW)
    return [
        station("A1", Word.CHARGE, values=values(3.9123, 0.00079)),
        station("A2", Word.ALARM, values=values(4.0906, 0.0, **high), alarms=(alarm("A2"),), why="Tripped."),
        station("A3", Word.DISCHARGE, values=values(3.6244, -0.0007205), run=running("A3", cycle=114, fraction=0.57)),
        station("A4", Word.REST, values=values(4.1316, 0.0), run=running("A4", cycle=7, step=6, fraction=0.08)),
        station("A5", Word.PAUSED, values=values(3.5552, 0.0), run=running("A5", cycle=24, fraction=0.3)),
        station("A6", Word.WAIT, asked=Asked(text="Is the die [clean]?", answers=("yes", "no"), output="rest")),
        station("A7", Word.DONE, values=values(3.8963, 0.0)),
        station("A8", Word.IDLE, values=values(None, None)),
        station("A9", Word.READY, queue=(waiting,)),
        station("B1", Word.LOST, why="cycler: no complete reply within 2 s."),
        station("B2", Word.CHARGE, values=old),
        station("B3", Word.CONNECTING, values={}),
    ]


class Daemon:
    """Says states; answers commands from `answers`, by what they do; remembers what it was asked."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.asked: list[Request] = []
        self.answers: dict[str, Callable[[Action], Mapping[str, Any] | Refusal | None]] = {"history": curve}
        """None: no answer."""

    async def open(self) -> None:
        await self.bus.subscribe(PROCESS.commands, self._receive)

    async def say(self, *states: StationState, lab: LabState | None = None, alive: bool = True) -> None:
        """Say a daemon, with all these stations, and each of them."""
        await self.bus.retain(PROCESS.alive, b'{"schema":1,"alive":%s}' % (b"true" if alive else b"false"))
        await self.bus.retain(PROCESS.state, encode(lab or lab_state(*(s.station for s in states))))
        for state in states:
            await self.bus.retain(Station(PROCESS, state.station).state, encode(state))

    async def happen(self, name: str, *messages: str, severity: Severity = Severity.INFO, first: int = 1) -> None:
        """Say events of a station's run."""
        events = [Event("note", NOW - 60.0 + n, float(n), text, severity) for n, text in enumerate(messages)]
        run = running(name).run
        await self.bus.publish(Station(PROCESS, name).events, batch(run, first, events))

    def _receive(self, _topic: str, payload: bytes) -> None:
        request = Request.model_validate_json(payload)
        self.asked.append(request)
        answer = self.answers.get(request.action.do, nothing)(request.action)
        if answer is None:
            return
        said = {"error": answer} if isinstance(answer, Refusal) else {"data": answer}
        reply = Reply.model_validate({"schema": 1, "id": request.id, **said})
        for pattern, receive in list(self.bus._subscriptions):  # type: ignore[attr-defined]
            if pattern.endswith(f"reply/{request.user}/{request.client}"):
                receive(PROCESS.reply(request.user, request.client), encode(reply))

    def commands(self, *kinds: str) -> list[Request]:
        """Return what was asked for, without the questions that plots ask."""
        questions = {"history", "cycles", "events", "runs"}
        return [r for r in self.asked if (r.action.do in kinds if kinds else r.action.do not in questions)]


def encode(message: Message) -> bytes:
    return message.model_dump_json(by_alias=True).encode()


def batch(run: str, first: int, events: list[Event]) -> bytes:
    return encode_events(run, 0, first, [orjson.dumps(asdict(event)) for event in events], simulated=True)


def nothing(_: Action) -> Mapping[str, Any]:
    return {}


def curve(action: Action) -> Mapping[str, Any]:
    """Answer a question for history: three cycles between 2.8 and 4.3 V."""
    count = 240
    x = [86400.0 * n / (count - 1) for n in range(count)]
    wave = [3.55 + 0.7 * math.sin(n / count * 6 * math.pi) for n in range(count)]
    columns = len(getattr(action, "columns", ("one",)))
    return {"x": x, "low": [wave] * columns, "high": [wave] * columns, "rows": count}


@asynccontextmanager
async def laboratory(*states: StationState, bus: LocalBus | None = None) -> AsyncIterator[tuple[Lab, Daemon]]:
    """Open the real client on an in-process bus, with a scripted daemon at its other end."""
    bus = bus or LocalBus()
    daemon = Daemon(bus)
    await daemon.open()
    await daemon.say(*states)
    async with over(bus, PROCESS.site, user="anna") as lab:
        yield lab, daemon
