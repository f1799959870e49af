"""256 channels sampled at 10 Hz in real time, every sample a row: how late is the latest?

A channel is a whole run of the engine: ledger, cut-offs and guard on a station with one cycler, a simulated Keithley
2450 on a cell of its own, spoken to by the real driver over a memory link in real lab time; with its own journal,
fsynced before anything is published. All channels share one process and one MQTT connection to the embedded broker;
the recorder is a process of its own, as in a laboratory of that size.

A sample is late by the time from the instant at which its poll was due to that at which the engine has its value.
"""

import asyncio
import gc
import resource
import sqlite3
import sys
import uuid
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from benchmarks.records import started
from benchmarks.report import Figure, Goal, Report, options, run
from labctl.bus.broker import Broker
from labctl.bus.client import MqttBus
from labctl.bus.topics import Process
from labctl.clock import LabClock, RealClock, host_monotonic, host_sleep
from labctl.config import Config, load
from labctl.engine.operator import DeclaredOperator
from labctl.engine.run import Outcome, Run
from labctl.engine.station import Instruments, OnPoll, OnTick, Station, Tell
from labctl.lab.assemble import assemble, memory_links
from labctl.plan import Plan
from labctl.protocol import bind
from labctl.protocol import load as load_protocol
from labctl.reading import Record
from labctl.record.datapath import DataPath, Delivery, open_data_path

CHANNELS = 256
PERIOD = 0.1
SECONDS = 60.0
SITE = "benchmark"
CONFIG = f"""
schema = "1"
[lab]
site = "{SITE}"
[station.C.cycler]
driver  = "keithley-2450"
address = "sim://"
poll    = "{PERIOD} s"
[station.C.limits]
voltage = ["0 V", "5 V"]
current = "10 mA"
"""
PROTOCOL = """
schema = "1"
[protocol]
name = "channels"
[cell]
kind = "full"
positive = { active_loading = "14 mg/cm2", diameter = "10 mm" }
negative = { material = "Li", potential = "0 V vs Li" }
[limits]
voltage  = ["2.0 V", "4.4 V"]
current  = "1 mA"
capacity = "400 mAh/g"
[record]
interval = "1 ms"        # shorter than any poll period: every sample is a row
[[step]]
charge  = "0.1 mA"
until   = "4.3 V"
timeout = "30 h"
"""


class WatchedStation(Station):
    """A station that notes how late each sample is.

    Attributes:
        lateness: seconds, of the samples taken while `watching`.
    """

    def __init__(self, name: str, instruments: Instruments, clock: LabClock) -> None:
        self.watching = False
        self.lateness: list[float] = []
        self._begin = 0.0
        self._count = 0
        super().__init__(name, instruments, clock)

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start polling: from now on a sample is due every period."""
        self._begin = self.clock.now()
        super().start(group)

    def follow_run(self, on_tick: OnTick, on_poll: OnPoll, tell: Tell) -> None:
        """Report to a run, and look at the clock first."""

        def tick(now: float) -> None:
            self._see(now)
            on_tick(now)

        super().follow_run(tick, on_poll, tell)

    def _see(self, now: float) -> None:
        if self.watching:
            self.lateness.append(now - (self._begin + self._count * PERIOD))
        self._count = max(self._count + 1, int((now - self._begin) / PERIOD))  # as the station counts


@dataclass(slots=True)
class Channel:
    """One run on its way to the database."""

    station: WatchedStation
    run: Run
    delivery: Delivery
    work: asyncio.Task[Outcome] | None = None

    def start(self, group: asyncio.TaskGroup) -> None:
        """Poll and charge."""
        self.station.start(group)
        self.work = group.create_task(self.run.execute())

    async def finish(self) -> int:
        """Stop, and deliver everything; return how many records there were."""
        assert self.work is not None
        self.run.stop()
        await self.work
        self.station.stop()
        assert await self.delivery.close(patience=60.0)
        return self.delivery.last


async def connected(config: Config, plan: Plan, number: int, path: DataPath, clock: LabClock) -> Channel:
    name = f"C{number}"
    make, _ = memory_links(config, "C", clock, seed=number)
    station = WatchedStation(name, assemble(config, "C", clock, make).station.instruments, clock)
    await station.connect()
    delivery = path.begin(str(uuid.uuid4()), name, simulated=True)
    delivery.record(started(delivery.run, name))

    def sink(record: Record) -> None:
        delivery.record(record)

    return Channel(station, Run(plan, station, DeclaredOperator(), sink), delivery)


@asynccontextmanager
async def recorder(database: Path, bus: Path) -> AsyncIterator[None]:
    """Run a recorder in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "labctl.record", "--database", str(database), "--bus", str(bus), "--site", SITE),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def data_path(folder: Path) -> AsyncIterator[DataPath]:
    """Broker, recorder and journals, in a folder."""
    process, broker = Process(SITE, "host"), Broker(folder / "broker")
    address = await asyncio.to_thread(broker.start)
    try:
        async with (
            recorder(folder / "lab.db", broker.runtime_file),
            open_data_path(MqttBus(address, process.alive), process, folder / "journals") as path,
        ):
            yield path
    finally:
        await asyncio.to_thread(broker.stop)


@dataclass(frozen=True, slots=True)
class Observed:
    """What one round showed: seconds of lateness, share of one core, and what became of how many records."""

    lateness: list[float]
    busy: float
    records: int
    stored: int
    put_aside: int
    catching_up: float


async def observe(folder: Path, channels: int, seconds: float) -> Observed:
    config, plan = prepare(folder)
    clock = RealClock()
    async with data_path(folder) as path:
        crowd = [await connected(config, plan, number, path, clock) for number in range(1, channels + 1)]
        gc.collect()
        gc.freeze()  # a collection that looks through 256 simulated cells takes longer than a period
        async with asyncio.TaskGroup() as group:
            for channel in crowd:
                channel.start(group)
                await host_sleep(PERIOD / channels)
            await host_sleep(1.0)  # the first exchanges of a step are not yet samples
            begin, used = host_monotonic(), processor_time()
            await watch(crowd, seconds)
            busy = (processor_time() - used) / (host_monotonic() - begin)
            ended = host_monotonic()
            records = sum(await asyncio.gather(*(channel.finish() for channel in crowd)))
            catching_up = host_monotonic() - ended
    lateness = [late for channel in crowd for late in channel.station.lateness]
    return Observed(lateness, busy, records, *stored(folder / "lab.db"), catching_up)


def prepare(folder: Path) -> tuple[Config, Plan]:
    (folder / "config.toml").write_text(CONFIG)
    (folder / "protocol.toml").write_text(PROTOCOL)
    config = load(folder / "config.toml")
    abilities = assemble(config, "C", RealClock(), memory_links(config, "C", RealClock(), seed=0)[0]).abilities
    return config, bind(load_protocol(folder / "protocol.toml"), abilities)


async def watch(crowd: list[Channel], seconds: float) -> None:
    for channel in crowd:
        channel.station.watching = True
    await host_sleep(seconds)
    for channel in crowd:
        channel.station.watching = False


def processor_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def stored(database: Path) -> tuple[int, int]:
    """Return how many records are in the table, and how many in quarantine."""
    with closing(sqlite3.connect(database)) as connection:
        readings, events, put_aside = (
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("readings", "events", "quarantine")
        )
    return readings + events, put_aside


def measure(arguments: Namespace) -> Report:
    rounds = [one_round(arguments.channels, arguments.seconds) for _ in range(arguments.rounds)]
    latest = Figure("latest sample", "ms", [1e3 * max(one.lateness) for one in rounds])
    return Report(
        "channels",
        [
            Figure("channels", "", [arguments.channels]),
            Figure("samples", "1/s", [len(one.lateness) / arguments.seconds for one in rounds]),
            Figure("lateness, median", "ms", [1e3 * median(one.lateness) for one in rounds]),
            Figure("lateness, 99 %", "ms", [1e3 * quantiles(one.lateness, n=100)[98] for one in rounds]),
            Figure("processor time of the daemon", "% of a core", [100 * one.busy for one in rounds]),
            Figure("last record stored after the last sample", "s", [one.catching_up for one in rounds]),
        ],
        [
            Goal(latest, "at most", 1e3 * PERIOD),
            Goal(Figure("records not stored", "", [one.records - one.stored for one in rounds]), "at most", 0),
            Goal(Figure("records put aside", "", [one.put_aside for one in rounds]), "at most", 0),
        ],
        [f"{arguments.seconds:g} s of real time a round; a sample is due every {1e3 * PERIOD:g} ms"],
    )


def one_round(channels: int, seconds: float) -> Observed:
    with TemporaryDirectory() as folder:
        return asyncio.run(observe(Path(folder), channels, seconds))


if __name__ == "__main__":
    parser = options("256 channels at 10 Hz: how late is the latest sample?", rounds=1)
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of real time in a round ({SECONDS:g})")
    parser.add_argument("--channels", type=int, default=CHANNELS, help=f"({CHANNELS})")
    run(parser, measure)
