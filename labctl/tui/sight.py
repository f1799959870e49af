"""What may be believed now: of the daemon, of each station, of each value. What is too old is not shown as live."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

from labctl.api import Alarm, LabState, StationState, Value, Word
from labctl.client import Happening, Lab
from labctl.clock import host_monotonic, host_unix
from labctl.literal import literal
from labctl.reading import Severity
from labctl.tui.words import BLIND

SILENT = 2.5
"""Host seconds without a word after which a station or the daemon counts as lost; both speak every second."""

PERIODS = 3
"""Sampling periods after which a value is too old."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A value as it may be shown.

    Attributes:
        value: SI; None: unknown, shown as a dash.
        old: its age in s where it is too old to be live, else None.
    """

    value: float | None = None
    old: float | None = None
    target: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def beyond(self) -> bool:
        """Whether it is outside of its limits."""
        if self.value is None:
            return False
        return (self.low is not None and self.value < self.low) or (self.high is not None and self.value > self.high)


@dataclass(frozen=True, slots=True)
class Seen:
    """A station as it is seen now.

    Attributes:
        word: LOST where it was not heard of, whatever it said last.
        waited: host seconds since it was heard, as far as they make a value old; 0 while none is.
        why: a sentence where the word needs one.
    """

    name: str
    word: Word
    state: StationState | None
    waited: float
    why: str

    def reading(self, name: str) -> Reading:
        """Return a quantity by its BDF machine name."""
        value = None if self.state is None else self.state.values.get(name)
        if value is None or value.value is None or self.word in BLIND:
            target = None if value is None or self.word in BLIND else value.target
            return Reading(target=target)
        return Reading(value.value, self._old(value), value.target, value.low, value.high)

    def _old(self, value: Value) -> float | None:
        """Return the age of a value that is too old.

        Where lab time runs faster than the host's, states come further apart than measurements: then only what the
        station itself said of the age counts.
        """
        if value.age is None:
            return None
        if value.age > PERIODS * value.period:
            return value.age
        return value.age + self.waited if value.age + self.waited > _allowed(value) else None


def _allowed(value: Value) -> float:
    """Return the age in s beyond which a value that was young when it was said is too old."""
    return max(PERIODS * value.period, SILENT)


def _patience(state: StationState) -> float:
    """Return the host seconds of silence in which no value of a state grows old."""
    if state.speed != 1.0:
        return SILENT
    ages = [_allowed(value) - value.age for value in state.values.values() if value.age is not None]
    return min([SILENT, *ages])


class Sight:
    """The laboratory as it is now. A station of which nothing has changed is the same `Seen` as before."""

    def __init__(
        self, lab: Lab, monotonic: Callable[[], float] = host_monotonic, unix: Callable[[], float] = host_unix
    ) -> None:
        self._lab = lab
        self._monotonic = monotonic
        self.unix = unix
        """Host time, seconds since 1970."""
        self._kept: dict[str, tuple[Seen, float]] = {}

    @property
    def daemon(self) -> LabState | None:
        """What the daemon said last."""
        return self._lab.daemon

    @property
    def now(self) -> float:
        """Host seconds on the monotonic clock."""
        return self._monotonic()

    @property
    def trouble(self) -> str:
        """Why nothing on the screen is live, as a sentence; empty while the daemon is heard."""
        if self._lab.trouble:
            return f"NOTHING HERE IS LIVE: {literal(self._lab.trouble)}"
        if self._lab.daemon is None:
            return "NOTHING HERE IS LIVE: no daemon has been heard of. Start it with labctl daemon."
        if not self._lab.alive:
            return "NOTHING HERE IS LIVE: the daemon is gone. Look at the instruments themselves."
        silent = self._monotonic() - self._lab.daemon_arrived
        if silent > SILENT:
            return f"NOTHING HERE IS LIVE: the daemon has been silent for {silent:.0f} s."
        return ""

    @property
    def names(self) -> list[str]:
        """The stations, in the order of their daemons."""
        said = self._lab.daemon.stations if self._lab.daemon is not None else ()
        unheard = [name for name in said if name not in self._lab.stations]
        return [*self._lab.stations, *(unheard if len(self._lab.daemons) == 1 else ())]

    def station(self, name: str) -> Seen:
        """Look at one station."""
        return self._look(name, self._monotonic(), self.trouble)

    def stations(self) -> list[Seen]:
        """Look at all of them."""
        now, trouble = self._monotonic(), self.trouble
        return [self._look(name, now, trouble) for name in self.names]

    def _look(self, name: str, now: float, trouble: str) -> Seen:
        state = self._lab.stations.get(name)
        if state is None:
            return Seen(name, Word.LOST, None, 0.0, "It has not been heard of yet.")
        silent = now - self._lab.arrived[name]
        if trouble:
            return Seen(name, Word.LOST, state, 0.0, "")
        if silent > SILENT:
            return Seen(name, Word.LOST, state, 0.0, f"It has been silent for {silent:.0f} s.")
        seen, patience = self._kept.get(name, (None, 0.0))
        if seen is None or seen.state is not state:
            seen, patience = Seen(name, state.word, state, 0.0, state.why), _patience(state)
            self._kept[name] = seen, patience
        return seen if silent <= patience else replace(seen, waited=silent)

    def alarms(self) -> list[Alarm]:
        """Return all alarms: who waits for a person first, then the loudest, then the newest."""
        every = [alarm for name in self.names if (s := self._lab.stations.get(name)) is not None for alarm in s.alarms]
        loud = {Severity.ALARM: 0, Severity.WARNING: 1, Severity.INFO: 2}
        return sorted(
            every, key=lambda a: (a.acknowledged_by is not None, not a.active, loud[a.severity], -a.since_unix_second)
        )

    def events(self, station: str | None = None, most: int = 200) -> list[Happening]:
        """Return the newest events, the newest first."""
        mine = (each for each in reversed(self._lab.newest) if station in (None, each.station))
        return list(islice(mine, most))
