"""One experiment from plan to database: station, engine, journal, bus and recorder, for as long as a run lasts."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path

from labctl.bus.base import Bus
from labctl.bus.topics import Station
from labctl.clock import LabClock
from labctl.config import Config
from labctl.engine.operator import Operator
from labctl.engine.run import Outcome, Run
from labctl.errors import LabctlError, first_of
from labctl.lab.announce import announcing, state_of
from labctl.lab.assemble import Assembly
from labctl.lab.calibrated import correct, refuse_uncalibrated, told
from labctl.lab.consent import consented
from labctl.lab.laboratory import Pace, in_lab_time, open_laboratory
from labctl.lab.provenance import recorded
from labctl.lab.recording import Sink, begin, header, journals_of, of_plan, open_bus, process_of
from labctl.plan import Plan
from labctl.protocol.provenance import Provenance
from labctl.reading import RunHeader
from labctl.record.datapath import DataPath, Delivery, open_data_path

LEFTOVER_PATIENCE = 2.0
"""Seconds that a run waits at its end for what a dead process left; what then is not delivered waits for the next."""


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
    consent: str = ""
    """To a run that only software protects."""
    provenance: Provenance | None = None
    """Of the protocol; None: it came from no file."""


@dataclass(slots=True)
class Running:
    """An experiment that runs, for whoever shows it, or stops it with `run.stop()`."""

    header: RunHeader
    run: Run
    assembly: Assembly
    clock: LabClock
    delivery: Delivery
    database: Path
    bus: str
    delivered: bool = False
    """Whether everything has been confirmed by a recorder; known when the experiment has ended."""

    @property
    def run_id(self) -> str:
        """UUID of the run."""
        return self.header.run

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
    config, station = experiment.config, experiment.station
    async with open_laboratory(config, experiment.config_path, station, experiment.pace) as (assembly, clock):
        await in_lab_time(clock, assembly.station.connect())
        async with _data(experiment) as (path, bus, where):
            running = _begin(experiment, assembly, clock, path, where)
            await running.delivery.durable()  # whatever happens from here on, the run is known
            path.on_disk.append(running.run.heed_disk)
            started(running)
            topic = Station(process_of(config), station).state
            try:
                async with announcing(
                    bus, topic, lambda: state_of(config, running.run, running.header, assembly, clock)
                ):
                    return await _execute(running)
            finally:
                running.delivered = await running.delivery.close()


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
async def _data(experiment: Experiment) -> AsyncIterator[tuple[DataPath, Bus, str]]:
    """Open the bus and the way to the database; what a dead process left is delivered beside the run."""
    config, database = experiment.config, experiment.database
    process = process_of(config)
    inside = config.storage.recorder == "inside"
    journals = journals_of(database)
    async with AsyncExitStack() as stack:
        folder = config.storage.folder / "run" / f"broker-{uuid.uuid4().hex[:8]}"
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        bus, where = await stack.enter_async_context(open_bus(config, process, folder))
        target = database if inside else None
        path = await stack.enter_async_context(
            open_data_path(bus, process, journals, target, name=f"recorder-{experiment.station}")
        )
        leftovers = path.recover()
        yield path, bus, where
        for left in leftovers:
            await left.close(LEFTOVER_PATIENCE)


def _begin(experiment: Experiment, assembly: Assembly, clock: LabClock, path: DataPath, bus: str) -> Running:
    run_id = str(uuid.uuid4())
    seed, operator = experiment.pace.seed, getuser()
    watch = header(experiment.config, experiment.station, assembly, clock, run=run_id, operator=operator, seed=seed)
    about = of_plan(watch, experiment.plan)
    refuse_uncalibrated(about, experiment.plan, experiment.consent)
    correct(assembly.station, about.instruments)
    delivery = path.begin(run_id, experiment.station, simulated=assembly.simulated)
    sink = Sink(delivery, clock)
    begin(sink, about)
    for event in told(about, experiment.plan, assembly.abilities.frame.screw):
        sink(event)
    if experiment.consent:
        sink(consented(experiment.consent, operator, clock))
    if experiment.provenance is not None:
        sink(recorded(experiment.provenance, clock))
    run = Run(experiment.plan, assembly.station, experiment.operator, sink)
    return Running(about, run, assembly, clock, delivery, experiment.database, bus)
