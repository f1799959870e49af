"""A site: what of a station outlives every process: its bench, its instruments, and the truth about them."""

from dataclasses import dataclass
from math import inf
from typing import Protocol

from labctl.clock import LabClock
from labctl.config import Config
from labctl.instrument import Executes
from labctl.lab.assemble import simulator_of
from labctl.link import MemoryLink
from labctl.plan import SIDES, Side
from labctl.registry import Driver
from labctl.sim.bench import Bench, SimulatedInstrument, port_of
from labctl.sim.faults import troubled
from labctl.sim.schedule import DARK, Kind, Scheduled
from labctl.sim.source import CurrentSource, Open, Source, VoltageSource

DEAF = frozenset({Kind.SILENCE, Kind.HALF, Kind.GARBAGE, Kind.DISCONNECT})
"""Faults under which an instrument cannot be heard."""
SENSELESS = frozenset({Kind.NOT_A_NUMBER, Kind.OUT_OF_RANGE})
"""Faults under which what it measures is no value."""

_DARKENING = (Kind.REBOOT, Kind.OTHER_IDENTITY)


@dataclass(frozen=True, slots=True)
class Truth:
    """What is so, whatever anybody measures: s, V, A, °C, Pa; `source` is what is connected to the cell.

    Where no probe is at the cell, `celsius` is that of its bath: what nothing can measure nobody is held to.
    """

    time: float
    voltage: float
    current: float
    source: Source
    celsius: float
    pressures: dict[Side, float]

    @property
    def driven(self) -> bool:
        """Whether something drives the cell."""
        return energised(self.source)


def energised(source: Source) -> bool:
    """Whether a source can drive a current through a cell."""
    match source:
        case Open():
            return False
        case CurrentSource(current=current):
            return current != 0.0
        case VoltageSource():
            return True


class Switched(Protocol):
    """Takes note that a source was switched."""

    def __call__(self, *, on: bool) -> None:
        """Take note."""


class Site:
    """One station's bench and instruments; processes come and go.

    Attributes:
        faults: everything that is scheduled to happen here.
        on_switched: told whenever an exchange has switched the source of the cell on or off.
        heard: lab time of the last exchange with each instrument in which it could say what it measures.
    """

    def __init__(self, config: Config, name: str, seed: int, faults: tuple[Scheduled, ...]) -> None:
        self.name = name
        self.faults = faults
        self.bench = Bench.of(config.station(name).simulation, seed, faults)
        self.heard: dict[str, float] = {}
        self.on_switched: Switched = lambda *, on: None
        self._config = config
        self._simulators: dict[str, SimulatedInstrument] = {}
        driver, _ = config.drivers[name, "cycler"]
        self._met: dict[str, Scheduled | None] = {}
        """By instrument, the exchange by which it came to its place; None: the first one."""
        self._sees_open_circuit = driver.features.steps is Executes.INSTRUMENT
        """A source-measure unit that the host drives measures nothing while its output is off."""
        _, thermostat = config.drivers.get((name, "thermostat"), (None, None))
        self._probed = getattr(thermostat, "external_probe", False)

    def link(self, instrument: str, driver: Driver, clock: LabClock, life: "Lifetime") -> MemoryLink:
        """Return a wire from a process to an instrument; it ends with the process."""
        if instrument not in self._simulators:
            made = simulator_of(self._config, self.name, instrument, self.bench)
            self._simulators[instrument] = troubled(made, self.bench.trouble(port_of(instrument)))
        simulator = self._simulators[instrument]

        def receive(data: bytes) -> bytes:
            if not life.alive:
                return b""
            self.advance_to(life.began + clock.now())
            before = energised(self.bench.cell.source)
            reply = simulator.receive(data)
            if before != (after := energised(self.bench.cell.source)):
                self.on_switched(on=after)
            if reply and not self.deaf(instrument):
                self.heard[instrument] = self.bench.time
            return reply

        def reset() -> None:
            if life.alive:
                simulator.reset_line()

        return MemoryLink(receive, reset, driver.wire, f"{self.name}/{instrument}", clock)

    def advance_to(self, time: float) -> None:
        """Bring the bench to a lab time; one that has passed changes nothing."""
        if time > self.bench.time:
            self.bench.advance_to(time)

    @property
    def truth(self) -> Truth:
        """What is so now."""
        bench = self.bench
        pressures = {side: bench.rig.force(side) / bench.rig.area for side in SIDES}
        cell = bench.cell
        celsius = bench.room.cell if self._probed else bench.room.bath
        return Truth(bench.time, cell.voltage, cell.current, cell.source, celsius, pressures)

    def meet(self) -> bool:
        """Take whatever stands at each place now for the instrument; return whether any was exchanged since."""
        before, self._met = self._met, {name: self._exchange(name) for name in self._simulators}
        return any(self._met.get(name) is not exchange for name, exchange in before.items())

    def _exchange(self, instrument: str) -> Scheduled | None:
        now = self.bench.time
        exchanges = (fault for fault in self.faults if fault.kind is Kind.OTHER_IDENTITY and fault.holds(now))
        return next((fault for fault in exchanges if fault.instrument == instrument), None)

    def deaf(self, instrument: str) -> bool:
        """Whether an instrument cannot say now what it measures; what a stranger in its place says is nothing of it."""
        if self._exchange(instrument) is not self._met.get(instrument):
            return True
        now = self.bench.time
        kinds = {fault.kind for fault in self.faults if fault.instrument == instrument and fault.holds(now)}
        measures = instrument != "cycler" or self._sees_open_circuit or energised(self.bench.cell.source)
        return bool(kinds & DEAF or (measures and kinds & SENSELESS)) or any(
            fault.kind in _DARKENING and fault.begin <= now < fault.begin + DARK
            for fault in self.faults
            if fault.instrument == instrument
        )

    def well_since(self, instrument: str) -> float:
        """Return since when no fault has been at an instrument: s of lab time, inf while one is."""
        now, since = self.bench.time, 0.0
        for fault in self.faults:
            if fault.instrument == instrument and fault.begin <= now:
                since = max(since, fault.end if fault.end <= now else inf)
        return since


class Lifetime:
    """Of a process: since when on the bench's time it lives, and whether it still does."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.alive = True
