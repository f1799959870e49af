"""A daemon in this event loop: simulated stations in virtual time, a bus in memory, the real database and client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from labctl.api import StationState
from labctl.bus.codec import encode_state
from labctl.bus.local import LocalBus
from labctl.client import Lab, over
from labctl.clock import host_sleep
from labctl.config import Config, load
from labctl.daemon.daemon import Daemon
from labctl.lab.laboratory import Pace
from labctl.lab.recording import journals_of, process_of
from labctl.record.datapath import open_data_path
from labctl.record.queries import EventRow, Queries, RunRow
from tests.stations import CONFIG, HEAD

PATIENCE = 30.0


@dataclass
class Laboratory:
    """A living daemon and a client of it."""

    lab: Lab
    bus: LocalBus
    daemon: Daemon
    folder: Path
    database: Path

    def protocol(self, steps: str, name: str = "test", head: str = HEAD) -> Path:
        path = self.folder / f"{name}.toml"
        path.write_text(head + steps)
        return path

    def cell(self, name: str) -> Path:
        path = self.folder / f"{name}.toml"
        path.write_text(f'schema = "1"\n[cell]\nname = "{name}"\nkind = "full"\n')
        return path

    async def until(self, station: str, true: Callable[[StationState], bool]) -> StationState:
        """Wait until a station's state is so."""
        async with asyncio.timeout(PATIENCE):
            while True:
                state = self.lab.stations.get(station)
                if state is not None and true(state):
                    return state
                await self.lab.changed()

    async def idle(self, *stations: str) -> None:
        for station in stations:
            await self.until(station, lambda state: state.run is None and bool(state.values))

    async def stored(self, uuid: str) -> RunRow:
        """Wait until a run has its end in the database."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with Queries(self.database) as queries:
                    found = [run for run in queries.runs(watches=True) if run.uuid == uuid]
                if found and found[0].ended_unix_second is not None:
                    return found[0]
                await host_sleep(0.01)

    def events(self, run: RunRow) -> list[EventRow]:
        with Queries(self.database) as queries:
            return queries.events(run.id)

    def cycles(self, run: RunRow) -> list[int]:
        with Queries(self.database) as queries:
            return [cycle.cycle_count for cycle in queries.cycles(run.id)]


@asynccontextmanager
async def living(
    folder: Path, *, config: Config | None = None, speed: float | None = None, seed: int = 1
) -> AsyncIterator[Laboratory]:
    """Let a daemon live on the repository's stations while the block runs, then end it in order."""
    bus, told_to_end, ready = LocalBus(), asyncio.Event(), asyncio.Event()
    configuration = config or load(CONFIG)
    database = configuration.storage.database
    daemon = Daemon(configuration, CONFIG, Pace(in_memory=True, speed=speed, seed=seed), lambda where: ready.set())
    async with over(bus, configuration.lab.site) as lab:
        process, journals = process_of(configuration), journals_of(database)
        await bus.retain(process.alive, encode_state({"alive": True}))  # what a connection to a broker does
        async with open_data_path(bus, process, journals, database, in_thread=False) as path:
            life = asyncio.create_task(daemon.serve_on(bus, "local", path, told_to_end))
            try:
                await asyncio.wait([life, asyncio.create_task(ready.wait())], return_when=asyncio.FIRST_COMPLETED)
                here = Laboratory(lab, bus, daemon, folder, database)
                await here.idle(*configuration.stations)
                yield here
            finally:
                told_to_end.set()
                await life
