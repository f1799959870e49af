"""One experiment from plan to database: station, engine, journal, bus and recorder, for as long as a run lasts."""

import asyncio
import platform
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from getpass import getuser
from pathlib import Path
from typing import Any

from labctl import __version__
from labctl.bus.address import Address
from labctl.bus.base import Bus
from labctl.bus.broker import Broker
from labctl.bus.client import MqttBus
from labctl.bus.topics import Process, Station
from labctl.clock import LabClock, RealClock, VirtualClock, host_unix
from labctl.config import SIMULATED, Config
from labctl.engine.operator import Operator
from labctl.engine.run import Outcome, Run
from labctl.engine.station import to_the_end
from labctl.errors import LabctlError, RefusedForSafety, first_of
from labctl.filelock import FileLock, make_folder
from labctl.lab.announce import announcing
from labctl.lab.assemble import Assembly, assemble, memory_links, wired_links
from labctl.lab.simulators import controlling, simulated_addresses, simulators
from labctl.plan import Plan
from labctl.reading import Event, Record, RunHeader
from labctl.record.datapath import DataPath, Delivery, open_data_path

LEFTOVER_PATIENCE = 2.0
"""Seconds that a run waits at its end for what a dead process left; what then is not delivered waits for the next."""
BACKLOG = (4000, 1000)
"""Records awaiting commit at which virtual time stops, and at which it goes on."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How lab time passes.

    Attributes:
        in_memory: the station's simulators over memory links, whatever the addresses say.
        speed: of virtual time over wires; None is as fast as the work allows. 1 with a real instrument is real time.
    """

    in_memory: bool
    speed: float | None = 1.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is to be run, with what and where to."""

    config: Config
    config_path: Path
    station: str
    plan: Plan
    pace: Pace
    database: Path
    operator: Operator


@dataclass(slots=True)
class Running:
    """An experiment that runs, for whoever shows it, or stops it with `run.stop()`."""

    run_id: str
    run: Run
    assembly: Assembly
    clock: LabClock
    delivery: Delivery
    database: Path
    bus: str
    delivered: bool = False
    """Whether everything has been confirmed by a recorder; known when the experiment has ended."""

    @property
    def journal(self) -> Path:
        """The folder in which records wait for their database."""
        return journals_of(self.database)


async def conduct(experiment: Experiment, started: Callable[[Running], None]) -> Outcome:
    """Run an experiment to its end; every record is in the database, or in the journal where no recorder answers.

    Raises:
        InstrumentError: before anything was moved or energised.
        StorageError: records cannot be kept.
    """
    async with _laboratory(experiment) as (assembly, clock):
        await in_lab_time(clock, assembly.station.connect())
        async with _data(experiment) as (path, bus, where):
            running = _begin(experiment, assembly, clock, path, where)
            await running.delivery.durable()  # whatever happens from here on, the run is known
            started(running)
            topic = Station(_process(experiment.config), experiment.station).state
            try:
                async with announcing(bus, topic, running.run, assembly, clock, running.run_id):
                    return await _execute(running)
            finally:
                running.delivered = await running.delivery.close()


def journals_of(database: Path) -> Path:
    """The journals of a database lie beside it, so that whoever opens it next delivers them to it."""
    return database.with_name(database.name + ".journal")


async def in_lab_time(clock: LabClock, work: Coroutine[Any, Any, Any]) -> None:
    """Do work that may sleep in lab time, to its end."""
    await to_the_end(clock.spawn(asyncio.get_running_loop(), work, "laboratory"))


async def _execute(running: Running) -> Outcome:
    station = running.assembly.station
    failed: LabctlError | None = None
    outcome: Outcome | None = None
    try:
        async with asyncio.TaskGroup() as group:
            station.start(group)
            try:
                outcome = await running.run.execute()
            finally:
                station.stop()
    except* LabctlError as errors:
        failed = first_of(errors)
    finally:
        # Nobody watches the station after this: heating stops, too.
        await in_lab_time(running.clock, station.make_safe(heaters_off=True))
    if outcome is None:
        assert failed is not None
        raise failed
    return outcome


@asynccontextmanager
async def _laboratory(experiment: Experiment) -> AsyncIterator[tuple[Assembly, LabClock]]:
    """Assemble the station on the links and in the time that the pace asks for."""
    config, station, pace = experiment.config, experiment.station, experiment.pace
    clock: LabClock
    async with AsyncExitStack() as stack:
        if pace.in_memory:
            clock = VirtualClock(host_unix())
            make, _ = memory_links(config, station, clock, pace.seed)
        elif all_simulated(config, station):
            folder = config.storage.folder
            stack.callback(_hold_station(folder, station).release)
            served = await stack.enter_async_context(simulators(experiment.config_path, station, pace.seed, folder))
            controller = await stack.enter_async_context(controlling(served))
            clock = VirtualClock(host_unix(), pace.speed)
            clock.followers.append(controller.follow)
            make = wired_links(station, clock, served.instruments)
        else:
            if pace.speed != 1.0:
                raise RefusedForSafety(
                    f"Station {station} has real instruments, whose time cannot be hurried.",
                    "Leave --speed out, or use --simulate.",
                )
            stack.callback(_hold_station(config.storage.folder, station).release)
            clock = RealClock()
            make = wired_links(station, clock, {}, simulated_addresses(config.storage.folder))
        assembly = assemble(config, station, clock, make)
        stack.push_async_callback(assembly.close)
        yield assembly, clock


def _hold_station(folder: Path, station: str) -> FileLock:
    """Refuse a second process on the same station: two would give its instruments contrary commands."""
    lock = folder / "run" / f"station-{station}.lock"
    make_folder(lock.parent)
    return FileLock(lock, f"Station {station}")


def all_simulated(config: Config, station: str) -> bool:
    """Whether every address of a station is sim://.

    Raises:
        RefusedForSafety: some are and some are not: a simulated cell would tell a real rig what to do.
    """
    addresses = {name: instrument.address for name, _, instrument in config.station(station).instruments()}
    simulated = [name for name, address in addresses.items() if address == SIMULATED]
    if simulated and len(simulated) < len(addresses):
        real = ", ".join(sorted(set(addresses) - set(simulated)))
        raise RefusedForSafety(
            f"Station {station} mixes simulated instruments ({', '.join(simulated)}) with real ones ({real}).",
            "Give every instrument of a station its real address, or make all of them sim://.",
        )
    return bool(simulated)


@asynccontextmanager
async def _data(experiment: Experiment) -> AsyncIterator[tuple[DataPath, Bus, str]]:
    """Open the bus and the way to the database; what a dead process left is delivered beside the run."""
    config, database = experiment.config, experiment.database
    process = _process(config)
    inside = config.storage.recorder == "inside"
    journals = journals_of(database)
    async with AsyncExitStack() as stack:
        bus, where = await stack.enter_async_context(_bus(config, process))
        target = database if inside else None
        path = await stack.enter_async_context(
            open_data_path(bus, process, journals, target, name=f"recorder-{experiment.station}")
        )
        leftovers = path.recover()
        yield path, bus, where
        for left in leftovers:
            await left.close(LEFTOVER_PATIENCE)


def _process(config: Config) -> Process:
    return Process(config.lab.site, platform.node() or "localhost")


@asynccontextmanager
async def _bus(config: Config, process: Process) -> AsyncIterator[tuple[Bus, str]]:
    """Connect to the configured broker, or keep one running; also yield what tells a person where it is."""
    if config.bus.broker != "embedded":
        yield MqttBus(Address.parse(config.bus.broker), process.alive), config.bus.broker.rpartition("@")[2]
        return
    folder = config.storage.folder / "run" / f"broker-{uuid.uuid4().hex[:8]}"
    make_folder(folder)
    broker = Broker(folder)
    address = await asyncio.to_thread(broker.start)
    keeper = asyncio.create_task(broker.serve(), name="broker")
    try:
        yield MqttBus(address, process.alive), str(broker.runtime_file)
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])
        shutil.rmtree(folder)


def _begin(experiment: Experiment, assembly: Assembly, clock: LabClock, path: DataPath, bus: str) -> Running:
    run_id = str(uuid.uuid4())
    delivery = path.begin(run_id, experiment.station, simulated=assembly.simulated)
    sink = _Sink(delivery, clock)
    header = _header(experiment, assembly, clock, run_id)
    sink(
        Event("run.started", clock.unix(), 0.0, f"{experiment.plan.name} on {experiment.station}", data=asdict(header))
    )
    run = Run(experiment.plan, assembly.station, experiment.operator, sink)
    return Running(run_id, run, assembly, clock, delivery, experiment.database, bus)


def _header(experiment: Experiment, assembly: Assembly, clock: LabClock, run_id: str) -> RunHeader:
    plan, config = experiment.plan, experiment.config
    instruments = {
        name: {
            "driver": config.drivers[experiment.station, name][0].name,
            "address": assembly.addresses[name],
            "identity": str(identity),
            "simulated": assembly.links[name].simulated,
        }
        for name, identity in assembly.station.identities.items()
    }
    return RunHeader(
        run=run_id,
        station=experiment.station,
        protocol_name=plan.name,
        protocol_title=plan.title,
        protocol_text=plan.text,
        protocol_hash=plan.hash,
        cell_name=plan.cell.name,
        cell=asdict(plan.cell),
        operator=getuser(),
        instruments=instruments,
        config=config.station(experiment.station).model_dump(mode="json"),
        inputs=dict(plan.inputs),
        software_version=__version__,
        simulated=assembly.simulated,
        seed=experiment.pace.seed if assembly.simulated else None,
        started_unix_second=clock.unix(),
    )


class _Sink:
    """Takes records; virtual time stands still while too many of them await their commit."""

    def __init__(self, delivery: Delivery, clock: LabClock) -> None:
        self._delivery = delivery
        self._clock = clock
        self._waiting: asyncio.Task[None] | None = None

    def __call__(self, record: Record) -> None:
        self._delivery.record(record)
        if (
            self._delivery.backlog > BACKLOG[0]
            and isinstance(self._clock, VirtualClock)
            and (self._waiting is None or self._waiting.done())
        ):
            self._waiting = asyncio.create_task(self._catch_up(self._clock), name="commits")

    async def _catch_up(self, clock: VirtualClock) -> None:
        with clock.hold():
            await self._delivery.settled(at_most=BACKLOG[1])
