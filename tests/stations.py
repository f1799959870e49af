"""A station on memory links in virtual time, and plans for it, as tests of engine and laboratory need them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from labctl.clock import VirtualClock
from labctl.config import Config, load
from labctl.engine.operator import DeclaredOperator, Operator
from labctl.engine.run import Outcome, Run
from labctl.errors import ProtocolError
from labctl.lab.assemble import Assembly, MakeLink, assemble, memory_link, memory_links, simulator_of
from labctl.plan import Plan
from labctl.protocol import bind
from labctl.protocol.load import fill
from labctl.protocol.source import parse
from labctl.reading import COLUMNS, Event, Reading, Record
from labctl.sim.bench import Bench
from labctl.sim.faults import Fault, Faulty
from labctl.sim.schedule import Scheduled

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "config.toml"
EPOCH = 1_767_225_600.0

HEAD = """
schema = "1"
[protocol]
name = "test"
[cell]
kind = "full"
bore = "10 mm"
positive = { active_loading = "14 mg/cm2", diameter = "10 mm", one_c = "200 mA/g" }
negative = { material = "Li", potential = "0 V vs Li" }
[limits]
voltage = ["2.0 V", "4.4 V"]
current = "3 mA"
capacity = "400 mAh/g"
temperature = ["10 degC", "60 degC"]
pressure.negative = ["0 MPa", "4 MPa"]
[record]
interval = "60 s"
"""


@cache
def repository_config() -> Config:
    """The config.toml that the repository ships."""
    return load(CONFIG)


def plan_of(steps: str, assembly: Assembly, head: str = HEAD) -> Plan:
    """Bind a protocol whose head is HEAD and whose steps are these."""
    source = parse("test.toml", head + steps, ProtocolError)
    return bind(fill(source, {}), assembly.abilities)


@dataclass
class Breakage:
    """A fault on the wire of one instrument of a station, while `active`."""

    instrument: str
    fault: Fault
    active: bool = False
    only: bytes = b""
    """Only replies to requests that contain this."""

    def applies(self, request: bytes) -> bool:
        return self.active and self.only in request


@dataclass
class Lab:
    """A connected station, its bench, and what a run on it recorded."""

    assembly: Assembly
    bench: Bench
    clock: VirtualClock
    records: list[Record] = field(default_factory=list)

    @property
    def events(self) -> list[Event]:
        return [record for record in self.records if isinstance(record, Event)]

    @property
    def rows(self) -> list[dict[str, float | None]]:
        return [
            dict(zip(COLUMNS, record.values, strict=True)) for record in self.records if isinstance(record, Reading)
        ]

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    async def run(
        self,
        plan: Plan | str,
        operator: Operator | None = None,
        meanwhile: "Callable[[Lab, Run], object] | None" = None,
    ) -> Outcome:
        """Run a plan; `meanwhile` is an async function that runs beside it in lab time."""
        bound = plan_of(plan, self.assembly) if isinstance(plan, str) else plan
        return await self.execute(
            Run(bound, self.assembly.station, operator or DeclaredOperator(), self.records.append), meanwhile
        )

    async def execute(self, run: Run, meanwhile: "Callable[[Lab, Run], object] | None" = None) -> Outcome:
        """Execute a run that has been made."""
        station = self.assembly.station
        async with asyncio.TaskGroup() as group:
            station.start(group)
            beside = None if meanwhile is None else self.clock.spawn(group, meanwhile(self, run), "meanwhile")
            outcome = await run.execute()
            if beside is not None:
                beside.cancel()
            station.stop()
        return outcome


@asynccontextmanager
async def laboratory(
    station: str = "A1",
    *,
    seed: int = 1,
    breakages: tuple[Breakage, ...] = (),
    config: Config | None = None,
    faults: tuple[Scheduled, ...] = (),
) -> AsyncIterator[Lab]:
    """Connect a station of the repository's config.toml over memory links."""
    configuration = config or repository_config()
    clock = VirtualClock(EPOCH)
    make, bench = memory_links(configuration, station, clock, seed, faults)
    assembly = assemble(configuration, station, clock, _broken(make, breakages, configuration, station, bench, clock))
    await assembly.station.connect()
    yield Lab(assembly, bench, clock)
    await assembly.close()


def _broken(
    make: MakeLink,
    breakages: tuple[Breakage, ...],
    config: Config,
    station: str,
    bench: Bench,
    clock: VirtualClock,
) -> MakeLink:
    faults = {breakage.instrument: breakage for breakage in breakages}

    def link(instrument: str, driver, address: str):  # type: ignore[no-untyped-def]
        if instrument not in faults:
            return make(instrument, driver, address)
        breakage = faults[instrument]
        simulator = Faulty(simulator_of(config, station, instrument, bench), breakage.fault, breakage.applies)
        return memory_link(bench, simulator, driver.wire, f"{station}/{instrument}", clock)

    return link
