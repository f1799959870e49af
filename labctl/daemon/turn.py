"""A run's turn at a station: begun from what was asked for, or gone on with where another process died."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from labctl.bus.topics import Process
from labctl.clock import LabClock, host_unix
from labctl.config import Config
from labctl.daemon.alarms import AlarmBook
from labctl.daemon.ask import BusOperator
from labctl.daemon.binding import bound
from labctl.daemon.continuing import begun_with, predecessor
from labctl.daemon.queue import Entry
from labctl.engine.run import Run
from labctl.engine.watch import Watch
from labctl.errors import RunLost
from labctl.lab.assemble import Assembly
from labctl.lab.calibrated import correct, refuse_uncalibrated, still, told
from labctl.lab.consent import consented
from labctl.lab.heartbeat import Beat, silent_for
from labctl.lab.laboratory import Pace
from labctl.lab.pool import Pool
from labctl.lab.provenance import recorded
from labctl.lab.recording import Sink, begin, header, of_plan
from labctl.plan import Plan, StationAbilities
from labctl.protocol.provenance import Provenance
from labctl.reading import Record, RunHeader
from labctl.record.datapath import DataPath, Delivery, Interrupted

Recording = Callable[[Sink], Callable[[Record], None]]
"""Wraps a sink, so that its keeper hears of what passes."""


@dataclass(slots=True)
class Laboratory:
    """What all keepers of a daemon share."""

    config: Config
    config_path: Path
    pace: Pace
    process: Process
    folder: Path
    path: DataPath
    alarms: AlarmBook
    pool: Pool
    before: Beat | None = None
    """The last beat of the daemon before this one."""

    @property
    def database(self) -> Path:
        """Where runs are found again."""
        return self.config.storage.database


@dataclass(slots=True)
class Bench:
    """A connected station."""

    assembly: Assembly
    clock: LabClock
    able: StationAbilities
    operator: BusOperator
    watch_sink: Callable[[Record], None] = lambda record: None
    watch: Watch | None = None

    @property
    def station(self) -> str:
        """Its name."""
        return self.assembly.station.name


@dataclass(slots=True)
class Turn:
    """A run that is under way."""

    entry: Entry
    plan: Plan
    run: Run
    delivery: Delivery
    began: float = field(default_factory=host_unix)


def header_at(lab: Laboratory, bench: Bench, run: str, operator: str) -> RunHeader:
    """Return the header of a watch at this station; `of_plan` makes it that of a run."""
    seed = lab.pace.seed
    return header(lab.config, bench.station, bench.assembly, bench.clock, run=run, operator=operator, seed=seed)


async def begin_turn(lab: Laboratory, bench: Bench, entry: Entry, recording: Recording) -> Turn:
    """Begin a run; when this returns its beginning is on disk.

    Raises:
        ProtocolError: the station cannot run it any more.
        RefusedForSafety: a calibration is missing or has expired, and nobody has consented.
    """
    start = entry.start
    plan = await bound(start, bench.able)
    before = predecessor(lab.database, start.continue_run, plan)
    watch = header_at(lab, bench, entry.run, entry.user)
    about = of_plan(watch, plan, campaign=start.campaign, continues=before.run)
    refuse_uncalibrated(about, plan, start.consent)
    correct(bench.assembly.station, about.instruments)
    delivery = lab.path.begin(entry.run, bench.station, simulated=bench.assembly.simulated)
    sink = recording(Sink(delivery, bench.clock))
    begin(sink, about)
    for event in told(about, plan, bench.able.frame.screw):
        sink(event)
    if start.consent:
        sink(consented(start.consent, entry.user, bench.clock))
    if start.origin is not None:
        sink(recorded(Provenance(**start.origin.model_dump()), bench.clock))
    await delivery.durable()
    run = Run(plan, bench.assembly.station, bench.operator, sink, first_cycle=before.cycle, waits=True)
    return Turn(entry, plan, run, delivery)


async def go_on(
    lab: Laboratory,
    bench: Bench,
    entry: Entry,
    interrupted: Interrupted,
    recording: Recording,
    against: tuple[str, ...],
) -> Turn:
    """Go on with a run whose process before this one died.

    Args:
        against: what of the daemon's own speaks against it, as sentences; then the run waits for a person.

    Raises:
        ProtocolError: the station cannot run it any more.
        RunLost: its cell was simulated, and ended with that process.
    """
    if bench.assembly.newborn:
        raise RunLost("Its cell was simulated, and ended with its simulators.")
    plan = await bound(entry.start, bench.able)
    before = predecessor(lab.database, entry.start.continue_run, plan)
    now = header_at(lab, bench, interrupted.run, entry.user).instruments
    correct(bench.assembly.station, still(begun_with(lab.database, interrupted.run), now))
    delivery = lab.path.resume(interrupted)
    sink = recording(Sink(delivery, bench.clock))
    position, station = interrupted.position, bench.assembly.station
    run = Run(
        plan,
        station,
        bench.operator,
        sink,
        resume=position,
        first_cycle=before.cycle,
        away=silent_for(lab.before),
        against=against,
        waits=True,
    )
    return Turn(entry, plan, run, delivery)
