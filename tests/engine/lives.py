"""Lives of a process: what outlives a death, and a station with its run in virtual time that may die at any instant.

A death is abrupt: nothing more reaches the wires or the disk, and what the operating system had may be torn.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import cast

import orjson

from labctl.clock import VirtualClock
from labctl.config import Config
from labctl.engine.journal import Journal
from labctl.engine.operator import DeclaredOperator
from labctl.engine.position import Position, newest
from labctl.engine.run import Outcome, Run
from labctl.instrument import Wire
from labctl.lab.assemble import Assembly, assemble, simulator_of
from labctl.link import MemoryLink
from labctl.plan import Plan
from labctl.program import ProgrammableCycler
from labctl.reading import AUXILIARIES, COLUMNS, Record
from labctl.sim.bench import Bench, SimulatedInstrument
from tests.laboratory import EPOCH, new_run
from tests.stations import plan_of, repository_config

OF_CELL = [at for at, name in enumerate(COLUMNS) if not name.startswith(AUXILIARIES)]


@dataclass
class World:
    """What outlives a process: bench, instruments and the disk."""

    folder: Path
    station: str = "A4"
    config: Config = field(default_factory=repository_config)
    run: str = field(default_factory=new_run)
    lives: int = 0
    died: float = 0.0
    """When the last process did, in the time of the bench."""

    def __post_init__(self) -> None:
        self.bench = Bench.of(self.config.station(self.station).simulation, 1)
        self.simulators: dict[str, SimulatedInstrument] = {}

    def entries(self) -> Iterator[tuple[int, object]]:
        """Every record on disk, by number."""
        for path in sorted((self.folder / self.run / "0").glob("*.jsonl")):
            for line in path.read_bytes().splitlines()[1:]:
                number, record = orjson.loads(line[9:])
                yield number, record

    def rows(self) -> list[tuple[float | None, ...]]:
        """Cell columns of every row on disk."""
        return [tuple(record[at] for at in OF_CELL) for _, record in self.entries() if isinstance(record, list)]

    def told(self) -> list[tuple[object, ...]]:
        """Steps begun and ended, as events."""
        events = [
            cast("dict[str, dict[str, object]]", record) for _, record in self.entries() if isinstance(record, dict)
        ]
        return [
            (event["kind"], event["data"]["step_count"], event["data"].get("reason"))
            for event in events
            if str(event["kind"]).startswith("step.")
        ]


class Process:
    """One life: clock, links, station, journal and run. Its lab time begins at 0, as that of a machine that boots."""

    def __init__(self, world: World, flush_every: float = 1.0) -> None:
        self.world = world
        self.began = world.bench.time
        self.clock = VirtualClock(EPOCH + self.began)
        self.alive = True
        self._flush_every = flush_every
        self.assembly = assemble(world.config, world.station, self.clock, self._link)
        self.journal: Journal | None = None

    def _link(self, instrument: str, driver, address: str) -> MemoryLink:  # type: ignore[no-untyped-def]
        world = self.world
        if instrument not in world.simulators:
            world.simulators[instrument] = simulator_of(world.config, world.station, instrument, world.bench)
        simulator = world.simulators[instrument]

        def receive(data: bytes) -> bytes:
            if not self.alive:
                return b""
            world.bench.advance_to(self.began + self.clock.now())
            return simulator.receive(data)

        wire: Wire = driver.wire
        return MemoryLink(receive, simulator.reset_line, wire, f"{world.station}/{instrument}", self.clock)

    async def live(  # type: ignore[no-untyped-def]
        self, plan: Plan, dies_at: float | None = None, words=None, operator=None, away: float | None = None
    ) -> Outcome | None:
        """Run, or go on with, a plan; die at an instant of the bench. Returns the outcome of a run that ended."""
        world, position = self.world, None
        away = self.began - world.died if away is None else away
        world.lives += 1
        if world.lives == 1:
            self.journal = Journal.create(world.folder, world.run, world.station, simulated=True)
        else:
            self.journal = Journal.open(world.folder, world.run)
            position = newest(self.journal.read)
            if position is not None and position.following is not None:
                cast("ProgrammableCycler", self.assembly.station.instruments.cycler).expect_program(
                    position.following.token
                )
        life = asyncio.create_task(self._live(plan, position, words, operator, dies_at, away))
        if dies_at is None:
            outcome = await life
            self.journal.flush()
            self.journal.close()
            return outcome
        await asyncio.wait([life])
        assert life.cancelled(), life
        self.journal._lock.release()  # as the operating system does; what was buffered is lost
        self.journal._buffer.clear()
        self.journal._abandon_file()
        return None

    async def _live(  # type: ignore[no-untyped-def]
        self, plan: Plan, position: Position | None, words, operator, dies_at, away
    ) -> Outcome:
        station, clock, life = self.assembly.station, self.clock, asyncio.current_task()
        await station.connect()
        async with asyncio.TaskGroup() as group:
            station.start(group)
            if dies_at is not None:
                clock.spawn(asyncio.get_running_loop(), self._die(dies_at, life), "death")
            flusher = clock.spawn(group, self._flush(), "flusher")
            run = Run(plan, station, operator or DeclaredOperator(), self._take, position, away=away)
            beside = None if words is None else clock.spawn(group, words(clock, run), "words")
            outcome = await run.execute()
            for task in (flusher, *([beside] if beside else [])):
                task.cancel()
            station.stop()
        await self.assembly.close()
        return outcome

    async def _die(self, instant: float, life: "asyncio.Task[object]") -> None:
        await self.clock.sleep_until(instant - self.began)
        self.alive, self.world.died = False, instant
        life.cancel()

    async def _flush(self) -> None:
        assert self.journal is not None
        while True:
            await self.clock.sleep(self._flush_every)
            if self.alive:
                self.journal.flush()

    def _take(self, record: Record) -> None:
        assert self.journal is not None
        if self.alive:
            self.journal.append(record)


def plan_for(world: World, steps: str) -> Plan:
    clock = VirtualClock(EPOCH)
    parts: Assembly = assemble(world.config, world.station, clock, partial(_unused, clock=clock))
    return plan_of(steps, parts)


def _unused(instrument: str, driver, address: str, clock: VirtualClock) -> MemoryLink:  # type: ignore[no-untyped-def]
    return MemoryLink(lambda data: b"", lambda: None, driver.wire, instrument, clock)


def tear(world: World, random: Random) -> None:
    """Cut the newest segment where a dying disk may have, but not what was on it before the last flush."""
    path = max((world.folder / world.run / "0").glob("*.jsonl"))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - random.randint(0, 400)])


def without_safe_state(rows: list[tuple[float | None, ...]]) -> list[tuple[float | None, ...]]:
    return [row for row in rows if row[5] != 0]
