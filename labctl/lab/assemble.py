"""Assembles a station: for each configured instrument its driver, on the link that its address asks for."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from labctl.clock import LabClock
from labctl.config import Config, SpringConfig, StationConfig, is_simulated
from labctl.engine.station import Instruments, Station
from labctl.errors import ConfigError, Finding
from labctl.impedance import Potentiostat
from labctl.instrument import (
    Cycler,
    GasRegulator,
    HandTool,
    Instrument,
    LoadCell,
    PressureRig,
    Role,
    Thermostat,
    Wire,
)
from labctl.lab.consent import letting_go, software_only, without_takeover
from labctl.link import BaseLink, MemoryLink, OperatorLink, open_link
from labctl.plan import SIDES, Bound, ByHand, Disagreement, Frame, Margins, Rates, Side, Spring, StationAbilities
from labctl.protocol.source import KeyPath
from labctl.quantity import Quantity
from labctl.registry import Driver
from labctl.sim.bench import Bench, SimulatedInstrument, port_of
from labctl.sim.faults import troubled
from labctl.sim.rig import PressParameters
from labctl.sim.schedule import Scheduled
from labctl.sim.trouble import refuse_unfit

MakeLink = Callable[[str, Driver, str], BaseLink]
"""instrument name, driver, configured address -> link."""


@dataclass(slots=True)
class Assembly:
    """A station with its links, not yet connected.

    Attributes:
        newborn: whether its simulated cell began with it: no run of before can go on there.
    """

    station: Station
    links: dict[str, BaseLink]
    addresses: dict[str, str]
    abilities: StationAbilities
    newborn: bool = False

    @property
    def simulated(self) -> bool:
        """Whether any link in the chain ends at a simulator; once true for a run, it stays so."""
        return any(link.simulated for link in self.links.values())

    async def close(self) -> None:
        """Close every link."""
        for link in self.links.values():
            await link.close()


def assemble(config: Config, name: str, clock: LabClock, make_link: MakeLink) -> Assembly:
    """Build a station from its configuration; opens nothing.

    Raises:
        ConfigError: there is no such station.
    """
    station = config.station(name)
    links: dict[str, BaseLink] = {}
    made: dict[str, Instrument] = {}
    addresses: dict[str, str] = {}
    for instrument, _, written in station.instruments():
        driver, options = config.drivers[name, instrument]
        link = make_link(instrument, driver, written.address)
        links[instrument] = link
        addresses[instrument] = link.name.rpartition(" at ")[2]
        made[instrument] = driver.make(link, options, clock)
        if written.poll is not None:
            _set_poll(made[instrument], float(written.poll), config, ("station", name, *instrument.split("."), "poll"))
    instruments = _by_role(made)
    assembled = Station(name, instruments, clock)
    assembled.people = tuple(link for link in links.values() if isinstance(link, OperatorLink))
    able = _abilities(config, name, instruments)
    stiffness, lead = able.frame.stiffness, able.frame.lead
    if lead is not None:
        assembled.springs = {spring.side: spring.stiffness * lead / math.tau for spring in able.springs}
        assembled.stiffness = None if stiffness is None else stiffness * lead / math.tau
    return Assembly(assembled, links, addresses, able)


def wired_links(
    station: str, clock: LabClock, simulated_at: Mapping[str, str], simulated: Collection[str] = ()
) -> MakeLink:
    """Links on wires.

    Args:
        simulated_at: instrument -> address at which the station's own simulators are served.
        simulated: other addresses that are known to be simulators.
    """
    served = {*simulated_at.values(), *simulated}

    def make(instrument: str, driver: Driver, address: str) -> BaseLink:
        actual = simulated_at[instrument] if is_simulated(address) else address
        name = f"{station}/{instrument}"
        return open_link(actual, driver.wire, name, clock, simulated=actual in served)

    return make


def memory_links(
    config: Config, station: str, clock: LabClock, seed: int, faults: Sequence[Scheduled] = ()
) -> tuple[MakeLink, Bench]:
    """Links to simulators in this process, whatever the addresses; also returns their bench, for tests to hurt.

    Raises:
        UnfitScript: the station has not what a fault is to happen to.
    """
    bench = bench_of(config, station, seed, faults)

    def make(instrument: str, driver: Driver, _address: str) -> BaseLink:
        simulator = simulator_of(config, station, instrument, bench)
        return memory_link(bench, simulator, driver.wire, f"{station}/{instrument}", clock)

    return make, bench


def memory_link(bench: Bench, simulator: SimulatedInstrument, wire: Wire, name: str, clock: LabClock) -> MemoryLink:
    """Return a link to a simulator; its bench is at lab time whenever bytes arrive."""

    def receive(data: bytes) -> bytes:
        bench.advance_to(clock.now())
        return simulator.receive(data)

    def reset() -> None:
        bench.advance_to(clock.now())
        simulator.reset_line()

    return MemoryLink(receive, reset, wire, name, clock)


def bench_of(config: Config, station: str, seed: int, faults: Sequence[Scheduled]) -> Bench:
    """Make the bench of a simulated station, on which a script of faults will happen.

    Raises:
        UnfitScript: the station has not what a fault is to happen to.
    """
    instruments = [instrument for instrument, _, _ in config.station(station).instruments()]
    refuse_unfit(faults, instruments, f"station {station}")
    return Bench.of(config.station(station).simulation, seed, faults)


def simulator_of(config: Config, station: str, instrument: str, bench: Bench) -> SimulatedInstrument:
    """Make the simulator that stands in for an instrument of a station, with the faults that its bench has for it."""
    driver, options = config.drivers[station, instrument]
    port = port_of(instrument)
    return troubled(driver.load_simulator()(bench, port, options), bench.trouble(port))


def _set_poll(instrument: Instrument, period: float, config: Config, path: KeyPath) -> None:
    """Poll faster than the driver asks for, never slower: safety and the instrument's watchdog count on it."""
    if period > instrument.poll_period:
        reason = f"{period:g} s is too slow: this driver must be polled every {instrument.poll_period:g} s or faster"
        raise ConfigError((Finding("poll", config.source.value(path), reason, "Shorten it, or leave it out."),))
    instrument.poll_period = period


def _by_role(made: Mapping[str, Instrument]) -> Instruments:
    parts = Instruments(cast("Cycler", made["cycler"]))
    for name, instrument in made.items():
        role, _, of = name.partition(".")
        side = cast("Side", of)
        match role:
            case Role.LOAD_CELL:
                parts.load_cells[side] = cast("LoadCell", instrument)
            case Role.PRESSURE_RIG:
                parts.rigs[side] = cast("PressureRig", instrument)
            case Role.HAND_TOOL:
                parts.tools[side] = cast("HandTool", instrument)
            case Role.GAS_REGULATOR:
                parts.gases[side] = cast("GasRegulator", instrument)
            case Role.THERMOSTAT:
                parts.thermostat = cast("Thermostat", instrument)
    return parts


def _abilities(config: Config, name: str, parts: Instruments) -> StationAbilities:
    station = config.station(name)
    limits, warnings, differ = station.limits, station.warnings, station.disagreement
    cycler, thermostat = parts.cycler, parts.thermostat
    torques = [rig.torque_range.high for rig in parts.rigs.values()]
    driver, _ = config.drivers[name, "cycler"]
    return StationAbilities(
        name=name,
        voltage=(cycler.voltage_range.low, cycler.voltage_range.high),
        current=cycler.current_range.high,
        torque=min(torques) if torques else None,
        temperature=None
        if thermostat is None
        else (thermostat.temperature_range.low, thermostat.temperature_range.high),
        actuated=tuple(parts.rigs),
        by_hand=tuple(_by_hand(parts)),
        gas=tuple((side, gas.pressure_range.high * gas.piston_area) for side, gas in parts.gases.items()),
        springs=tuple(_springs(station)),
        measured=tuple((side, cell.capacity) for side, cell in parts.load_cells.items()),
        external_probe=thermostat is not None and thermostat.external_probe,
        without_takeover=without_takeover(config, name),
        software_only=software_only(config, name),
        letting_go=letting_go(config, name),
        poll_period=cycler.poll_period,
        voltage_limit=_bound(limits.voltage),
        current_limit=float(limits.current),
        temperature_limit=_bound(limits.temperature),
        pressure_negative_limit=_bound(limits.pressure.negative),
        pressure_positive_limit=_bound(limits.pressure.positive),
        rates=Rates(_si(limits.rate.voltage), _si(limits.rate.temperature), _si(limits.rate.pressure)),
        margins=Margins(_si(warnings.voltage), _si(warnings.temperature), _si(warnings.pressure)),
        disagreement=Disagreement(
            _si(differ.temperature), _si(differ.force), _si(differ.screw), _si(differ.wall), _si(differ.drift)
        ),
        debounce=_si(limits.debounce) or 0.0,
        accuracy=tuple(_accuracies(config, name, parts)),
        continuous_torque=min((rig.continuous_torque for rig in parts.rigs.values()), default=None),
        angle_resolution=max((rig.angle_resolution for rig in parts.rigs.values()), default=None),
        voltage_resolution=driver.features.voltage_resolution,
        current_resolution=driver.features.current_resolution,
        frequencies=(cycler.frequency_range.low, cycler.frequency_range.high)
        if isinstance(cycler, Potentiostat)
        else None,
        frame=_frame(station),
    )


def _by_hand(parts: Instruments) -> Iterator[ByHand]:
    for side, tool in parts.tools.items():
        low, high = tool.tool_range.low, tool.tool_range.high
        yield ByHand(side, tool.shows, low, high, tool.screw, tool.self_locking)


def _springs(station: StationConfig) -> Iterator[Spring]:
    for side in SIDES:
        spring: SpringConfig | None = getattr(station.spring, side)
        if spring is not None:
            yield Spring(side, float(spring.stiffness), float(spring.preload), float(spring.travel))


def _accuracies(config: Config, name: str, parts: Instruments) -> Iterator[tuple[Side, float]]:
    """Yield by how many N the load cell of each side may be wrong, where its driver says."""
    for side, cell in parts.load_cells.items():
        share = config.drivers[name, f"load_cell.{side}"][0].features.accuracy
        if share is not None:
            yield side, share * cell.capacity


def _frame(station: StationConfig) -> Frame:
    """Return the mechanics of a station; those that are simulated are known where nobody has written them down."""
    said, rig = station.frame, station.simulation.rig
    known = Frame(_si(said.stiffness), _si(said.lead), _si(station.disagreement.screw))
    simulated = all(is_simulated(each.address) for _, _, each in station.instruments())
    if not simulated or isinstance(rig, PressParameters):
        return known
    return Frame(known.stiffness or rig.stiffness, known.lead or rig.lead, known.screw or rig.diameter)


def _si(quantity: Quantity | None) -> float | None:
    return None if quantity is None else float(quantity)


def _bound(span: tuple[Quantity, Quantity] | None) -> Bound:
    return Bound() if span is None else Bound(float(span[0]), float(span[1]))
