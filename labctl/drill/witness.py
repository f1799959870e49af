"""The witness: looks at the truth of one station's simulation every second, and holds it against what was promised."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from labctl.drill.site import Site, Truth
from labctl.engine.station import Station, age_limit
from labctl.plan import SIDES, Bound, Limits, OutagePolicy, Plan
from labctl.program import ProgrammableCycler
from labctl.reading import Event, Record
from labctl.sim.source import CurrentSource, Open, Source, VoltageSource

OPENS_WITHIN = 1.5
"""s from a trip to an open circuit, where the cycler answers."""
IN_VAIN = 2.0
"""s that a question takes which was asked while the cycler did not answer; nothing else can be asked meanwhile."""
OPENS_FIRST = 0.2
"""s beyond one poll from a trip to the command that opens the circuit: it waits for no other instrument."""
IDLE_WITHIN = 10.0
"""s from the end of a run, or from the connection, to an open circuit."""
ACTS_WITHIN = 6.0
"""s beyond two polls within which an excess is acted upon."""
TOLD_WITHIN = 15.0
"""s beyond two polls within which it is told that an instrument does not answer: every time-out of its recovery."""
TOLERANCES = {"voltage": 0.01, "current": 50e-6, "temperature": 1.5}
"""What sensors and sources may be wrong by, and what passes between two polls: V, A, K."""
PRESSURE_TOLERANCE = (0.1e6, 0.02)
"""Pa, and part of the value."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that was not kept: which, where, at which s of lab time, and what was seen."""

    promise: str
    station: str
    time: float
    seen: str

    def __str__(self) -> str:
        return f"{self.promise} · {self.station} at {self.time:.1f} s: {self.seen}"


@dataclass(frozen=True, slots=True)
class Excess:
    """A limit that is exceeded in truth: of what, by which value, and whose measurement should show it."""

    quantity: str
    value: float
    instrument: str


class Witness:
    """Sees one station through all lives of its processes.

    Args:
        limits: of the station, while nothing runs.

    Attributes:
        site: that it looks at.
        breaches: what was seen; each promise once.
        plan: of the run that is under way; None: none is.
        limits: those in force: of the run, or of the station.
        programmable: whether the cycler executes programs, which go on while it cannot be heard.
        must_wait: why nothing may be driven before somebody says so; empty while it may.
    """

    def __init__(self, site: Site, limits: Limits) -> None:
        self.breaches: list[Breach] = []
        self.plan: Plan | None = None
        self.limits = limits
        self.must_wait = ""
        self.site = site
        self._station_limits = limits
        self._polls: dict[str, tuple[float, float]] = {}
        """By instrument, its poll period and its age limit, s."""
        self.programmable = False
        self._connected = self._polled = self._exchanged = False
        self._idle_since = 0.0
        self._began = 0.0
        self._tripped: float | None = None
        self._paused: float | None = None
        self._since: dict[str, float] = {}
        self._failing: set[str] = set()
        """Instruments of which it was told that they do not answer, and not yet that they do again."""
        site.on_switched = self._switched

    # -- what it is told ---------------------------------------------------------------------------------------------

    def connected(self, station: Station) -> None:
        """A process has connected the station."""
        named = station.instruments.named()
        self._polls = {name: (each.poll_period, age_limit(each)) for name, each in named.items()}
        self.programmable = isinstance(station.instruments.cycler, ProgrammableCycler)
        self._connected, self._polled, self._exchanged = True, True, self.site.meet()
        self._idle_since = self.site.bench.time
        self.site.heard.update(dict.fromkeys(self.site.heard, self._idle_since))
        self._failing.clear()
        self._since.clear()

    def leaving(self) -> None:
        """Nothing is measured any more from now on; the station is being made safe."""
        self._polled = False

    def left(self) -> None:
        """Nobody reaches the station from now on."""
        self._connected, self.plan, self._tripped, self.must_wait = False, None, None, ""
        self._polled = False

    def begins(self, plan: Plan, away: float | None = None) -> None:
        """A run begins, or is found again after so many seconds."""
        self.plan, self.limits = plan, plan.limits
        self._tripped, self._paused, self._began = None, None, self.site.bench.time
        self._since.clear()
        if away is not None:
            policy = plan.outage.policy
            if policy is not OutagePolicy.RESUME:
                self.must_wait = f'the policy is "{policy}"'
            elif away > plan.outage.max_gap:
                self.must_wait = f"the process was away for {away:.0f} s"
            elif self._exchanged:
                self.must_wait = "an instrument is another one than before"

    def ends(self) -> None:
        """The run that was under way has ended."""
        self._since.clear()
        self.plan, self.limits, self.must_wait, self._paused = None, self._station_limits, "", None
        self._idle_since = self.site.bench.time

    def acknowledged(self) -> None:
        """Somebody has acknowledged a trip."""
        self._since.clear()
        self._tripped = None

    def hear(self, record: Record) -> None:
        """Hear what a run or a watch tells."""
        if not isinstance(record, Event):
            return
        match record.kind:
            case "guard.tripped" if self._tripped is None:
                self._tripped = self.site.bench.time
            case "run.paused":
                self._paused = self.site.bench.time
            case "run.resumed":
                self.must_wait, self._paused = "", None
            case "instrument.failed":
                self._failing.add(_instrument(record))
            case "instrument.recovered":
                self._failing.discard(_instrument(record))

    # -- what it sees ------------------------------------------------------------------------------------------------

    def _switched(self, *, on: bool) -> None:
        """A command has switched the source."""
        if not self._connected:
            return
        if not on:
            tripped, patience = self._tripped, self._polls["cycler"][0] + OPENS_FIRST
            answered = tripped is not None and self.site.well_since("cycler") <= tripped
            if tripped is not None and answered and self._age(tripped) > patience:
                self._breach("the circuit opens first", f"{self._age(tripped):.2f} s after the trip")
            return
        if self._tripped is not None:
            self._breach("driven after a trip", f"switched on {self._age(self._tripped):.1f} s after it")
        if self.plan is None:
            self._breach("driven without a run", "switched on")
        if self.must_wait:
            self._breach("driven before a person said so", self.must_wait)

    def look(self, now: float) -> None:
        """Look at everything at an instant of lab time."""
        self.site.advance_to(now)
        truth = self.site.truth
        if truth.driven:
            self._look_at_source(truth)
        if self._polled:
            self._look_at_limits(truth)
            self._look_at_instruments(truth)

    def _look_at_source(self, truth: Truth) -> None:
        if not self._connected:
            return
        if self.plan is None and self._overdue(self._idle_since, IDLE_WITHIN):
            self._breach("driven without a run", f"{self._age(self._idle_since):.0f} s after the last one")
        if self._tripped is not None and self._overdue(self._tripped, OPENS_WITHIN):
            self._breach("driven after a trip", f"still {self._age(self._tripped):.1f} s after it")
        if self._paused is not None and self._overdue(self._paused, OPENS_WITHIN):
            self._breach("driven in a pause", f"still {self._age(self._paused):.1f} s after it began")
        if self.plan is not None and not _within(truth.source, self.limits):
            self._breach("bounds in the instrument", f"{truth.source} while the limits are {self.limits}")

    def _look_at_limits(self, truth: Truth) -> None:
        excesses = {each.quantity: each for each in self._excesses(truth)}
        for quantity in self._since.keys() - excesses.keys():
            del self._since[quantity]
        for quantity, excess in excesses.items():
            since = self._since.setdefault(quantity, truth.time)
            poll, _ = self._polls[excess.instrument]
            patience = 2 * poll + ACTS_WITHIN
            well = self.site.well_since(excess.instrument)
            if truth.time - max(since, well) <= patience:
                continue
            said = f"{quantity} is {excess.value:.5g} for {self._age(since):.0f} s"
            if truth.driven and self._overdue(since, patience):
                self._breach("driven beyond a limit", said)
            if self._tripped is None:
                self._breach("an excess that nobody told", said)

    def _look_at_instruments(self, truth: Truth) -> None:
        for name, heard in self.site.heard.items():
            poll, age_limit = self._polls[name]
            if truth.driven and self.plan is not None and self._needs(name, self.plan):
                unknown = max(heard, self._began) + age_limit + poll  # a run gives every instrument its age limit anew
                if self._overdue(unknown, OPENS_WITHIN):
                    self._breach("driven blindly", f"{name} has told nothing for {truth.time - heard:.1f} s")
            if name not in self._failing and truth.time - heard > 2 * poll + TOLD_WITHIN:
                self._breach("a failure that nobody told", f"{name} has told nothing for {truth.time - heard:.1f} s")

    def _needs(self, instrument: str, plan: Plan) -> bool:
        if instrument == "cycler":
            return not self.programmable
        return not instrument.startswith("load_cell") or plan.cell.bore_area is not None

    def _excesses(self, truth: Truth) -> Iterator[Excess]:
        limits, tolerance = self.limits, TOLERANCES
        outward = truth.driven and truth.current < 0.0
        yield from self._outside("voltage", truth.voltage, limits.voltage, tolerance["voltage"], "cycler", arms=outward)
        if abs(truth.current) > limits.current + tolerance["current"]:
            yield Excess("current", truth.current, "cycler")
        if "thermostat" in self._polls:
            bound, slack = limits.temperature, tolerance["temperature"]
            yield from self._outside("temperature", truth.celsius, bound, slack, "thermostat")
        for side in SIDES:
            instrument = f"load_cell.{side}"
            if instrument in self._polls and self.plan is not None and self.plan.cell.bore_area is not None:
                bound = limits.pressure_negative if side == "negative" else limits.pressure_positive
                value = truth.pressures[side]
                slack = PRESSURE_TOLERANCE[0] + PRESSURE_TOLERANCE[1] * abs(value)
                yield from self._outside(f"pressure.{side}", value, bound, slack, instrument)

    def _outside(
        self, quantity: str, value: float, bound: Bound, slack: float, instrument: str, *, arms: bool = False
    ) -> Iterator[Excess]:
        """A lower limit counts where current drives the cell outward; others of its kind only behind an upper one."""
        if bound.high is not None and value > bound.high + slack:
            yield Excess(quantity, value, instrument)
        if bound.low is not None and arms and value < bound.low - slack:
            yield Excess(quantity, value, instrument)

    def _overdue(self, since: float, patience: float) -> bool:
        """Whether somebody who could reach the cycler has had the time to open the circuit."""
        return self._age(max(since, self.site.well_since("cycler") + IN_VAIN)) > patience

    def _age(self, since: float) -> float:
        return self.site.bench.time - since

    def _breach(self, promise: str, seen: str) -> None:
        if all(breach.promise != promise for breach in self.breaches):
            self.breaches.append(Breach(promise, self.site.name, self.site.bench.time, seen))


def _instrument(event: Event) -> str:
    """Return of which instrument of its station an event tells."""
    return event.message.partition(" ")[0].partition("/")[2]


def _within(source: Source, limits: Limits) -> bool:
    """Whether what a source may do at most lies within limits."""
    match source:
        case Open():
            return True
        case CurrentSource(current=current):
            return abs(current) <= limits.current * 1.01
        case VoltageSource(voltage=voltage, current_limit=current):
            low = -inf if limits.voltage.low is None else limits.voltage.low
            high = inf if limits.voltage.high is None else limits.voltage.high
            return low - 0.01 <= voltage <= high + 0.01 and current <= limits.current * 1.01
