"""What a laboratory says on the bus, kept in dictionaries: a message changes only these, and a screen's timer looks."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import orjson

from labctl.api import Alive, LabState, Message, RecorderState, StationState
from labctl.bus.base import Bus, Receive
from labctl.bus.codec import Malformed, decode_events
from labctl.bus.topics import every_event, every_liveness, every_process_state, every_station_state
from labctl.clock import host_monotonic
from labctl.reading import NOT_FOR_PEOPLE, Event

EVENTS = 1000
"""Newest events that are kept; older ones are dropped."""

MOST = 1000
"""Hosts, and stations, that are kept; of others nothing is."""

M = TypeVar("M", bound=Message)
T = TypeVar("T")
Key = tuple[str, str]
"""Host and station."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event with where it happened; `number` is that of its record within the run."""

    station: str
    run: str
    number: int
    event: Event


class View:
    """The states of all daemons and stations of a site.

    Attributes:
        stations: by name; where two daemons have stations of one name, by "host/station".
        arrived: the same names, with the instant on `host_monotonic` when that state arrived.
        daemons: by host.
        newest: events, the newest last.
        version: rises with every message.
        refused: messages that were not what docs/bus.md says; they changed nothing.
    """

    def __init__(self, bus: Bus, site: str) -> None:
        self.site = site
        self.stations: dict[str, StationState] = {}
        self.arrived: dict[str, float] = {}
        self.daemons: dict[str, LabState] = {}
        self.newest: deque[Happening] = deque(maxlen=EVENTS)
        self.version = 0
        self.refused = 0
        self._bus = bus
        self._states: dict[Key, tuple[StationState, float]] = {}
        self._names: dict[Key, str] = {}
        self._alive: dict[str, bool] = {}
        self._spoke: dict[str, float] = {}
        self._happened = 0
        self._last_event: dict[tuple[str, int], int] = {}
        self._news = asyncio.Event()

    # -- what is known -----------------------------------------------------------------------------------------------

    @property
    def daemon(self) -> LabState | None:
        """The daemon, of several the first one that is connected; None where none has spoken yet."""
        return self.daemons.get(self._first_host)

    @property
    def daemon_arrived(self) -> float:
        """The instant on `host_monotonic` when `daemon` was said; -inf where it was not."""
        return self._spoke.get(self._first_host, float("-inf"))

    @property
    def alive(self) -> bool:
        """Whether broker and daemon are connected; one that hangs is so for a while: look at what arrives, too."""
        return not self.trouble and bool(self.hosts)

    @property
    def trouble(self) -> str:
        """Why there is no connection to the broker, as a sentence; empty while there is one."""
        return self._bus.trouble

    @property
    def hosts(self) -> list[str]:
        """Hosts whose daemon is connected, in order; one that hangs is among them."""
        return sorted(host for host in self.daemons if self._alive.get(host, False))

    def owners(self, name: str) -> list[str]:
        """Return the hosts that have a station of this name, else those that have a run whose UUID begins so."""
        stations = {host for host, station in self._states if station == name}
        runs = {host for (host, _), (state, _) in self._states.items() if name and _knows_run(state, name.lower())}
        return sorted(stations or runs)

    @property
    def complete(self) -> bool:
        """Whether a daemon is there and every station of every connected daemon has been heard."""
        known = self._states.keys()
        return bool(self.hosts) and all((h, name) in known for h in self.hosts for name in self.daemons[h].stations)

    @property
    def _first_host(self) -> str:
        return next(iter([*self.hosts, *sorted(self.daemons)]), "")

    # -- news --------------------------------------------------------------------------------------------------------

    async def changed(self, since: int | None = None) -> int:
        """Wait until `version` is beyond `since`, by default its present value, and return it."""
        known = self.version if since is None else since
        while self.version <= known:
            self._news.clear()
            await self._news.wait()
        return self.version

    async def events(self) -> AsyncIterator[Happening]:
        """Yield events as they happen from now on; who is too slow for `EVENTS` of them misses the oldest."""
        told = self._happened
        while True:
            new = min(self._happened - told, len(self.newest))
            told = self._happened
            for happening in list(islice(reversed(self.newest), new))[::-1]:
                yield happening
            if told == self._happened:
                await self.changed()

    # -- messages ----------------------------------------------------------------------------------------------------

    async def subscribe(self) -> None:
        """Begin to listen; what is retained arrives at once."""
        for pattern, receive in self._subscriptions():
            await self._bus.subscribe(pattern, receive)

    async def unsubscribe(self) -> None:
        """Listen no more."""
        for pattern, receive in self._subscriptions():
            await self._bus.unsubscribe(pattern, receive)

    def _subscriptions(self) -> list[tuple[str, Receive]]:
        return [
            (every_liveness(self.site), self._on_liveness),
            (every_process_state(self.site), self._on_process),
            (every_station_state(self.site), self._on_station),
            (every_event(self.site), self._on_events),
        ]

    def _on_liveness(self, topic: str, payload: bytes) -> None:
        said, host = self._read(Alive, payload), _host(topic)
        if said is not None and self._has_room(self._alive, host):
            self._alive[host] = said.alive
            self._tell()

    def _on_process(self, topic: str, payload: bytes) -> None:
        host = _host(topic)
        if b'"quarantined"' in payload:  # only a recorder says that, on a topic of the same form
            self._read(RecorderState, payload)
        elif (said := self._read(LabState, payload)) is not None and self._has_room(self.daemons, host):
            before = self.daemons.get(host)
            self.daemons[host] = said
            self._spoke[host] = host_monotonic()
            if before is None or before.stations != said.stations:
                self._arrange()
            self._tell()

    def _on_station(self, topic: str, payload: bytes) -> None:
        if (said := self._read(StationState, payload)) is None:
            return
        key, now = (_host(topic), topic.split("/")[3]), host_monotonic()
        if not self._has_room(self._states, key):
            return
        new = key not in self._states
        self._states[key] = said, now
        if new:
            self._arrange()
        if (name := self._names.get(key)) is not None:
            self.stations[name], self.arrived[name] = said, now
        self._tell()

    def _on_events(self, topic: str, payload: bytes) -> None:
        try:
            batch = decode_events(payload)
        except Malformed:
            self._refuse()
            return
        whose = batch.run, batch.channel
        last = self._last_event.pop(whose, 0)
        fresh = batch.behind(last)  # an outbox sends again what may have been lost
        self._last_event[whose] = max(last, batch.last)
        if len(self._last_event) > EVENTS:
            del self._last_event[next(iter(self._last_event))]
        for number, event in enumerate(fresh.events, fresh.first):
            if event.kind in NOT_FOR_PEOPLE:
                continue
            self.newest.append(Happening(topic.split("/")[3], batch.run, number, event))
            self._happened += 1
        self._tell()

    def _read(self, model: type[M], payload: bytes) -> M | None:
        """Return a message, or None where it is none; a number that is none, such as NaN, is none in JSON either."""
        try:
            orjson.loads(payload)  # which knows no NaN and no infinity
            return model.model_validate_json(payload, strict=True)
        except ValueError:  # also what pydantic and orjson say
            self._refuse()
            return None

    def _has_room(self, known: Mapping[T, object], key: T) -> bool:
        """Whether a host or station is known or may become so; else its message is refused."""
        if key in known or len(known) < MOST:
            return True
        self._refuse()
        return False

    def _refuse(self) -> None:
        self.refused += 1

    def _tell(self) -> None:
        self.version += 1
        self._news.set()

    def _arrange(self) -> None:
        """Name the stations anew, in the order of their daemons; a state that its daemon disowns is of the past."""
        owned = {(host, name): place for host, said in self.daemons.items() for place, name in enumerate(said.stations)}
        self._states = {key: state for key, state in self._states.items() if key in owned or key[0] not in self.daemons}
        keys = sorted(self._states, key=lambda key: (key[0], owned.get(key, 0), key[1]))
        given = Counter(name for _, name in keys)
        self._names = {(host, name): name if given[name] == 1 else f"{host}/{name}" for host, name in keys}
        self.stations = {name: self._states[key][0] for key, name in self._names.items()}
        self.arrived = {name: self._states[key][1] for key, name in self._names.items()}


def _host(topic: str) -> str:
    return topic.split("/")[2]


def _knows_run(state: StationState, run: str) -> bool:
    running = [] if state.run is None else [state.run.run]
    return any(known.startswith(run) for known in (*running, *(q.run for q in state.queue), state.last_run or ""))
