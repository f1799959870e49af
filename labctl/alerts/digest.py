"""What waits to be told over one way, and when it may be: bursts become one message, and an hour has its most."""

from collections import deque
from dataclasses import dataclass, field
from math import inf

from labctl.api import Alert
from labctl.reading import Severity

GATHER = 2.0
"""Seconds that the first alert waits for those that come along with it."""
HOUR = 3600.0
HOURLY_OF_ONE = 4
"""Messages in an hour about one quantity of one station: a loose plug must not hide the other stations."""
MOST_SHOWN = 10
"""Alerts that a message shows; of the others it says how many they are."""
MOST_WAITING = 500
"""Kinds of alerts that may wait; what comes on top is lost, and counted."""

Kind = tuple[str, str, Severity]
_LOUDEST_FIRST = (Severity.ALARM, Severity.WARNING, Severity.INFO)


@dataclass(frozen=True, slots=True)
class Line:
    """The newest alert of a kind, and how often something has happened to that kind since the last message."""

    alert: Alert
    times: int


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        lines: that are shown, the loudest first.
        more: kinds beyond those; they are told by their number alone.
        lost: alerts that could not be kept until there was somebody to take them.
        told: all kinds that it tells of, with how many alerts each.
    """

    lines: tuple[Line, ...]
    more: int = 0
    lost: int = 0
    told: dict[Kind, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Waiting:
    newest: Alert
    times: int
    since: float


class Digest:
    """Alerts that wait for one way out; instants are on `host_monotonic`.

    Args:
        hourly: messages in any hour.
        gather: seconds that the first alert waits for others.
    """

    def __init__(self, hourly: int, gather: float = GATHER) -> None:
        self._hourly = hourly
        self._gather = gather
        self._lost = 0
        self._waiting: dict[Kind, _Waiting] = {}
        self._sent: deque[float] = deque(maxlen=hourly)
        self._told: dict[Kind, deque[float]] = {}

    def add(self, alert: Alert, now: float) -> None:
        """Take an alert."""
        kind = (alert.alarm.station, alert.alarm.quantity, alert.alarm.severity)
        waiting = self._waiting.get(kind)
        if waiting is not None:
            waiting.newest, waiting.times = alert, waiting.times + 1
        elif len(self._waiting) < MOST_WAITING:
            self._waiting[kind] = _Waiting(alert, 1, now)
        else:
            self._lost += 1

    def due(self, now: float) -> float | None:
        """Return when the next message may go, None while nothing waits."""
        if not self._waiting:
            return None
        ready = min(max(waiting.since + self._gather, self._free(kind)) for kind, waiting in self._waiting.items())
        full = len(self._sent) == self._hourly
        return max(now, ready, self._sent[0] + HOUR if full else now)

    def take(self, now: float) -> Message:
        """Return what may be told now; it waits on until it is `done`."""
        ready = [(kind, waiting) for kind, waiting in self._waiting.items() if self._free(kind) <= now]
        ready.sort(key=lambda each: _LOUDEST_FIRST.index(each[0][2]))
        lines = tuple(Line(waiting.newest, waiting.times) for _, waiting in ready[:MOST_SHOWN])
        told = {kind: waiting.times for kind, waiting in ready}
        return Message(lines, len(ready) - len(lines), self._lost, told)

    def done(self, message: Message, now: float) -> None:
        """Note that a message was delivered; what has come meanwhile waits for the next one."""
        self._sent.append(now)
        self._lost -= message.lost
        for kind, times in message.told.items():
            self._told.setdefault(kind, deque(maxlen=HOURLY_OF_ONE)).append(now)
            waiting = self._waiting[kind]
            if waiting.times == times:
                del self._waiting[kind]
            else:
                waiting.times, waiting.since = waiting.times - times, now
        self._told = {kind: when for kind, when in self._told.items() if when[-1] + HOUR > now}

    def _free(self, kind: Kind) -> float:
        """Return when a kind may be told again."""
        told = self._told.get(kind)
        return told[0] + HOUR if told is not None and len(told) == HOURLY_OF_ONE else -inf
