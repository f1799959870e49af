"""A daemon that says what it is told to say, for tests of who talks to one: client, commands, screens."""

from collections.abc import Callable
from typing import Any

from labctl.api import Alive, LabState, Refusal, Reply, Request, RunStatus, StationState, Value, Word
from labctl.bus.base import Bus
from labctl.bus.topics import Process, Station
from labctl.clock import host_unix

RUN = "0f8fad5b-d9cb-469f-a165-70867728950e"
Answer = Callable[[Request], dict[str, Any] | Refusal | None]
"""What a request is answered with; None says nothing."""


def station_state(name: str = "A1", word: Word = Word.IDLE, **more: Any) -> StationState:
    """A station's state, simulated, with a voltage of now."""
    now = host_unix()
    said = {"values": {"voltage_volt": Value(value=3.7125, age=0.2, period=1.0)}, "simulated": True, **more}
    return StationState(schema=1, station=name, word=word, said_unix_second=now, lab_unix_second=now, **said)


def running(**more: Any) -> RunStatus:
    """A run in its third step of nine."""
    said: dict[str, Any] = {
        "run": RUN,
        "protocol": "asymmetric",
        "title": "Asymmetric pressure",
        "cell": "NMC-07",
        "operator": "anna",
        "started_unix_second": 1_767_225_600.0,
        "step": 3,
        "steps": 9,
        "step_name": "charge C/5",
        "verb": "charge",
        "next_step": "rest",
        "step_time_second": 600.0,
        "cycle": 2,
        "cycles": 5,
        "test_time_second": 36_000.0,
        "left_second": 32_100.0,
        "fraction": 0.5,
    }
    return RunStatus(**{**said, **more})


class ScriptedDaemon:
    """Retains its states and answers requests; one that comes twice is carried out once and answered twice.

    Attributes:
        requests: that were carried out.
        arrived: how many came in, repeated ones too.
    """

    def __init__(self, bus: Bus, site: str = "demo", host: str = "pc", answer: Answer = lambda request: {}) -> None:
        self.requests: list[Request] = []
        self.arrived = 0
        self.answer = answer
        self.process = Process(site, host)
        self._bus = bus
        self._known: dict[str, Reply | None] = {}
        self._unsaid: list[tuple[str, bytes]] = []

    async def say(self, *stations: StationState, alive: bool = True, **more: Any) -> None:
        """Retain the daemon's liveness and state, and its stations'."""
        state = {"started_unix_second": 0.0, "said_unix_second": host_unix(), "version": "0", "pid": 1, **more}
        names = tuple(station.station for station in stations)
        lab = LabState(schema=1, site=self.process.site, host=self.process.name, **{"stations": names, **state})
        await self.retain(self.process.alive, Alive(schema=1, alive=alive))
        await self.retain(self.process.state, lab)
        for station in stations:
            await self.retain(Station(self.process, station.station).state, station)

    async def retain(self, topic: str, message: Alive | LabState | StationState) -> None:
        """Retain one state."""
        await self._bus.retain(topic, message.model_dump_json(by_alias=True).encode())

    async def listen(self) -> None:
        """Take requests from now on; `serve` or `reply` answers them."""
        await self._bus.subscribe(self.process.commands, self._on_request)

    async def reply(self) -> None:
        """Publish the replies that are due."""
        while self._unsaid:
            topic, payload = self._unsaid[0]
            await self._bus.publish(topic, payload)
            self._unsaid.pop(0)

    def _on_request(self, _topic: str, payload: bytes) -> None:
        request = Request.model_validate_json(payload)
        self.arrived += 1
        if request.id not in self._known:
            self.requests.append(request)
            said = self.answer(request)
            error, data = (said, {}) if isinstance(said, Refusal) else (None, said or {})
            self._known[request.id] = None if said is None else Reply(schema=1, id=request.id, error=error, data=data)
        reply = self._known[request.id]
        if reply is not None:
            topic = self.process.reply(request.user, request.client)
            self._unsaid.append((topic, reply.model_dump_json(by_alias=True).encode()))
