"""The names of topics: `labctl/<site>/<host>/<station>/…` upwards, `labctl/<site>/<recorder>/…` back."""

from dataclasses import dataclass

from labctl.errors import StorageError
from labctl.roles import Role

ROOT = "labctl"


@dataclass(frozen=True, slots=True)
class Process:
    """A process on the bus: a daemon under its host's name, or a recorder under its own."""

    site: str
    name: str

    def __post_init__(self) -> None:
        _check("site", self.site)
        _check("host or recorder", self.name)

    @property
    def alive(self) -> str:
        """Retained liveness; the last will says that the process is gone."""
        return f"{ROOT}/{self.site}/{self.name}/alive"

    @property
    def state(self) -> str:
        """Retained state of the process itself."""
        return f"{ROOT}/{self.site}/{self.name}/state"

    @property
    def commands(self) -> str:
        """Pattern of all requests to this daemon."""
        return f"{ROOT}/{self.site}/{self.name}/command/+/+"

    def command(self, role: Role, user: str) -> str:
        """Requests to this daemon by one user; the broker lets nobody else publish there, nor in a higher role."""
        _check("user", user)
        return f"{ROOT}/{self.site}/{self.name}/command/{role}/{user}"

    def reply(self, user: str, client: str) -> str:
        """Replies of this daemon to one client of a user."""
        return f"{ROOT}/{self.site}/{self.name}/reply/{user}/{client}"

    def watermark(self, run: str) -> str:
        """Watermarks that this recorder has committed for a run."""
        return f"{ROOT}/{self.site}/{self.name}/watermark/{run}"


@dataclass(frozen=True, slots=True)
class Station:
    """The topics of one station."""

    process: Process
    station: str

    def __post_init__(self) -> None:
        _check("station", self.station)

    @property
    def _base(self) -> str:
        return f"{ROOT}/{self.process.site}/{self.process.name}/{self.station}"

    @property
    def readings(self) -> str:
        """Batches of readings."""
        return f"{self._base}/readings"

    @property
    def events(self) -> str:
        """Batches of events."""
        return f"{self._base}/events"

    @property
    def alerts(self) -> str:
        """What happens to the station's alarms, each said once."""
        return f"{self._base}/alerts"

    @property
    def state(self) -> str:
        """Retained state of the station."""
        return f"{self._base}/state"


def every_reading(site: str) -> str:
    """Return the pattern of all readings of a site."""
    return f"{ROOT}/{site}/+/+/readings"


def every_event(site: str) -> str:
    """Return the pattern of all events of a site."""
    return f"{ROOT}/{site}/+/+/events"


def every_station_state(site: str) -> str:
    """Return the pattern of all retained station states of a site."""
    return f"{ROOT}/{site}/+/+/state"


def every_process_state(site: str) -> str:
    """Return the pattern of all retained states of daemons and recorders of a site."""
    return f"{ROOT}/{site}/+/state"


def every_liveness(site: str) -> str:
    """Return the pattern of the liveness of all processes of a site."""
    return f"{ROOT}/{site}/+/alive"


def every_reply(site: str, user: str, client: str) -> str:
    """Return the pattern of all replies to one client of a user, whichever daemon gives them."""
    _check("user", user)
    return f"{ROOT}/{site}/+/reply/{user}/{client}"


def echo(site: str, user: str, token: str) -> str:
    """Return a topic on which a user hears what it says itself: whether the broker carries a message back."""
    return f"{ROOT}/{site}/echo/{user}/{token}"


def sender(topic: str) -> tuple[Role, str] | None:
    """Return the role and the user that the topic of a request stands for; None where it is none."""
    match topic.split("/"):
        case [*_, "command", ("viewer" | "operator" | "admin") as role, user] if user:
            return role, user
    return None


def every_watermark(site: str, run: str) -> str:
    """Return the pattern of a run's watermarks, whichever recorder has it."""
    return f"{ROOT}/{site}/+/watermark/{run}"


def matches(pattern: str, topic: str) -> bool:
    """Whether a topic matches a subscription pattern with `+` and `#` (MQTT 3.1.1, section 4.7)."""
    levels = topic.split("/")
    wanted = pattern.split("/")
    for index, level in enumerate(wanted):
        if level == "#":
            return True
        if index >= len(levels) or level not in ("+", levels[index]):
            return False
    return len(levels) == len(wanted)


def _check(what: str, name: str) -> None:
    if not name or name.startswith("$") or any(c in "/+#" or not c.isprintable() for c in name):
        raise StorageError(
            f"{name!r} cannot be the name of a {what} on the bus.",
            "A name is not empty, does not begin with $ and has no /, + or # in it.",
        )
