"""How a run is recorded: where its records go, what its header says, and what holds virtual time back for them."""

import asyncio
import platform
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path

from labctl import __version__
from labctl.bus.address import Address
from labctl.bus.base import Bus
from labctl.bus.broker import Broker
from labctl.bus.client import MqttBus
from labctl.bus.topics import Process
from labctl.clock import LabClock, VirtualClock
from labctl.config import Config
from labctl.errors import RefusedForSafety
from labctl.filelock import make_folder
from labctl.lab.assemble import Assembly
from labctl.lab.calibrated import quoted
from labctl.plan import Plan
from labctl.reading import Event, Record, RunHeader
from labctl.record.datapath import Delivery

BACKLOG = (4000, 1000)
"""Records awaiting commit at which virtual time stops, and at which it goes on."""


def journals_of(database: Path) -> Path:
    """The journals of a database lie beside it, so that whoever opens it next delivers them to it."""
    return database.with_name(database.name + ".journal")


def process_of(config: Config) -> Process:
    """Return the name of a process of this machine on the bus."""
    return Process(config.lab.site, platform.node() or "localhost")


@asynccontextmanager
async def open_bus(config: Config, process: Process, folder: Path) -> AsyncIterator[tuple[Bus, str]]:
    """Connect to the configured broker, or keep one running; also yield what tells a person where it is.

    Args:
        folder: of the embedded broker, whose port and credentials belong to it.
    """
    if not config.bus.embedded:
        address = Address.of(config.bus, config.folder)
        if address.role not in (None, "admin"):
            raise RefusedForSafety(
                f"At {address} {address.username} is {address.role}, and may not say what is measured.",
                "A daemon or a run needs the credentials of a daemon: labctl site init writes users/daemon.json.",
            )
        yield MqttBus(address, process.alive), str(address)
        return
    make_folder(folder)
    broker = Broker(folder)
    address = await asyncio.to_thread(broker.start)
    keeper = asyncio.create_task(broker.serve(), name="broker")
    try:
        yield MqttBus(address, process.alive), str(broker.runtime_file)
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])


def header(
    config: Config, station: str, assembly: Assembly, clock: LabClock, *, run: str, operator: str, seed: int
) -> RunHeader:
    """Return the header of a watch over a station; `of_plan` makes it that of a run."""
    instruments = {
        name: {
            "driver": config.drivers[station, name][0].name,
            "address": assembly.addresses[name],
            "identity": str(identity),
            "simulated": assembly.links[name].simulated,
        }
        for name, identity in assembly.station.identities.items()
    }
    instruments = quoted(config.storage.folder, assembly, instruments)
    return RunHeader(
        run=run,
        kind="watch",
        station=station,
        protocol_name="",
        protocol_title="",
        protocol_text="",
        protocol_hash="",
        cell_name="",
        cell={},
        operator=operator,
        instruments=instruments,
        config=config.station(station).model_dump(mode="json"),
        inputs={},
        software_version=__version__,
        simulated=assembly.simulated,
        seed=seed if assembly.simulated else None,
        started_unix_second=clock.unix(),
    )


def of_plan(watch: RunHeader, plan: Plan, *, campaign: str | None = None, continues: str | None = None) -> RunHeader:
    """Return the header of a run of this plan on the station of a watch.

    Args:
        campaign: that the run belongs to.
        continues: UUID of the run whose cycle numbers go on.
    """
    return replace(
        watch,
        kind="protocol",
        protocol_name=plan.name,
        protocol_title=plan.title,
        protocol_text=plan.text,
        protocol_hash=plan.hash,
        cell_name=plan.cell.name,
        cell=asdict(plan.cell),
        inputs=dict(plan.inputs),
        campaign=campaign,
        continues=continues,
    )


def begin(sink: Callable[[Record], None], header: RunHeader) -> None:
    """Record the beginning of a run or a watch: the first record of its journal."""
    what = "Watch" if header.kind == "watch" else header.protocol_name
    unix = header.started_unix_second
    sink(Event("run.started", unix, 0.0, f"{what} on {header.station}", data=asdict(header)))


class Sink:
    """Takes records; virtual time stands still while too many of them await their commit."""

    def __init__(self, delivery: Delivery, clock: LabClock) -> None:
        self._delivery = delivery
        self._clock = clock
        self._waiting: asyncio.Task[None] | None = None

    def __call__(self, record: Record) -> None:
        """Take a record; never waits."""
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
