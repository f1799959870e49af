"""A run whose process dies while its program goes on: another goes on with it, and no record is lost or doubled.

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
import pytest

from drivers.simulated_cycler.driver import SimulatedCycler
from labctl.clock import VirtualClock
from labctl.engine.journal import Journal
from labctl.engine.operator import DeclaredOperator
from labctl.engine.position import EVERY, KIND, Position, newest
from labctl.engine.run import Outcome, Run
from labctl.instrument import Wire
from labctl.lab.assemble import Assembly, assemble, simulator_of
from labctl.link import MemoryLink
from labctl.plan import Plan
from labctl.program import ProgrammableCycler
from labctl.reading import AUXILIARIES, COLUMNS, Record, RunState
from labctl.sim.bench import Bench, SimulatedInstrument
from tests.engine.test_follow import programmable
from tests.laboratory import EPOCH, new_run
from tests.stations import plan_of, repository_config

CYCLES = """
[[step]]
repeat = 4
counts = "cycle"
do = [
  { charge = "C/2", until = "10 min" },
  { rest = "3 min" },
  { discharge = "C/9", until = ["2.2 V", "8 min"], timeout = "2 h" },
]
"""
OF_CELL = [at for at, name in enumerate(COLUMNS) if not name.startswith(AUXILIARIES)]


@dataclass
class World:
    """What outlives a process: bench, instruments and the disk."""

    folder: Path
    station: str = "A4"
    run: str = field(default_factory=new_run)
    lives: int = 0

    def __post_init__(self) -> None:
        self.config = programmable() if self.station == "A1" else repository_config()
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

    async def live(self, plan: Plan, dies_at: float | None = None, words=None, operator=None) -> Outcome | None:  # type: ignore[no-untyped-def]
        """Run, or go on with, a plan; die at an instant of the bench. Returns the outcome of a run that ended."""
        world, position = self.world, None
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
        life = asyncio.create_task(self._live(plan, position, words, operator, dies_at))
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

    async def _live(self, plan: Plan, position: Position | None, words, operator, dies_at) -> Outcome:  # type: ignore[no-untyped-def]
        station, clock, life = self.assembly.station, self.clock, asyncio.current_task()
        await station.connect()
        async with asyncio.TaskGroup() as group:
            station.start(group)
            if dies_at is not None:
                clock.spawn(asyncio.get_running_loop(), self._die(dies_at, life), "death")
            flusher = clock.spawn(group, self._flush(), "flusher")
            run = Run(plan, station, operator or DeclaredOperator(), self._take, position)
            beside = None if words is None else clock.spawn(group, words(clock, run), "words")
            outcome = await run.execute()
            for task in (flusher, *([beside] if beside else [])):
                task.cancel()
            station.stop()
        await self.assembly.close()
        return outcome

    async def _die(self, instant: float, life: "asyncio.Task[object]") -> None:
        await self.clock.sleep_until(instant - self.began)
        self.alive = False
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


async def uninterrupted(folder: Path, steps: str, station: str = "A4") -> World:
    world = World(folder, station)
    outcome = await Process(world).live(plan_for(world, steps))
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    return world


def tear(world: World, random: Random) -> None:
    """Cut the newest segment where a dying disk may have, but not what was on it before the last flush."""
    path = max((world.folder / world.run / "0").glob("*.jsonl"))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - random.randint(0, 400)])


def without_safe_state(rows: list[tuple[float | None, ...]]) -> list[tuple[float | None, ...]]:
    return [row for row in rows if row[5] != 0]


async def test_twenty_deaths_lose_and_double_nothing(tmp_path: Path) -> None:
    seed = Random().randrange(10**6)
    print(f"seed {seed}")
    random = Random(seed)
    whole = await uninterrupted(tmp_path / "whole", CYCLES)
    end = whole.bench.time
    for number in range(20):
        world = World(tmp_path / str(number))
        plan = plan_for(world, CYCLES)
        at = random.uniform(5.0, end - 30.0)
        await Process(world, flush_every=random.choice([0.1, 1.0, 30.0])).live(plan, dies_at=at)
        if random.random() < 0.7:
            tear(world, random)
        away = random.choice([0.0, 1.0, 100.0, 900.0, 9000.0])
        world.bench.advance_to(at + away)
        outcome = await Process(world).live(plan)
        assert outcome is not None, at
        assert outcome.state is RunState.COMPLETED, (at, outcome)
        assert without_safe_state(world.rows()) == without_safe_state(whole.rows()), (seed, number, at)
        steps = {step for step in whole.told() if step[1] != 13}
        again = [step for step in world.told() if step[1] != 13]
        assert set(again) == steps, (seed, number, at)
        assert len(again) == len(steps), (seed, number, at)
        numbers = [number for number, _ in world.entries()]
        assert numbers == sorted(set(numbers))


async def test_twenty_deaths_of_one_run(tmp_path: Path) -> None:
    seed = Random().randrange(10**6)
    print(f"seed {seed}")
    random = Random(seed)
    whole = await uninterrupted(tmp_path / "whole", CYCLES)
    world = World(tmp_path / "torn")
    plan = plan_for(world, CYCLES)
    for instant in sorted(random.uniform(5.0, whole.bench.time - 30.0) for _ in range(20)):
        if instant > world.bench.time + 5.0:
            await Process(world).live(plan, dies_at=instant)
            tear(world, random)
            world.bench.advance_to(max(instant, world.bench.time))
    outcome = await Process(world).live(plan)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED, seed
    assert without_safe_state(world.rows()) == without_safe_state(whole.rows()), seed
    assert [s for s in world.told() if s[1] != 13] == [s for s in whole.told() if s[1] != 13], seed


MIXED = """
[[step]]
rest = "2 min"
[[step]]
prompt = "Ready?"
answers = ["yes"]
simulated = "yes"
[[step]]
repeat = 3
counts = "cycle"
do = [ { charge = "C/2", until = "5 min" }, { rest = "3 min" } ]
at = [ { cycles = [2], after = "charge", do = [ { prompt = "Look.", answers = ["ok"], simulated = "ok" } ] } ]
[[step]]
rest = "4 min"
"""


@pytest.mark.parametrize("at", [60.5, 200.0, 470.0, 600.0, 780.0, 950.0, 1300.0])
async def test_the_walk_goes_on_behind_the_program(tmp_path: Path, at: float) -> None:
    whole = await uninterrupted(tmp_path / "whole", MIXED)
    world = World(tmp_path / "torn")
    plan = plan_for(world, MIXED)
    await Process(world).live(plan, dies_at=at)
    outcome = await Process(world).live(plan)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    assert world.told() == whole.told()
    charge = [row[8] for row in without_safe_state(whole.rows())][-1]
    assert [row[8] for row in without_safe_state(world.rows())][-1] == pytest.approx(charge, rel=1e-9)
    assert [row[3] for row in world.rows()] == sorted(row[3] or 0 for row in world.rows())


async def test_positions_are_told_again_while_rows_go_by(tmp_path: Path) -> None:
    steps = '[[step]]\nrest = "3 h"\nrecord = { interval = "2 s" }\n'
    world = World(tmp_path)
    plan = plan_for(world, steps)
    await Process(world).live(plan, dies_at=9000.0)
    kinds = [record["kind"] for _, record in world.entries() if isinstance(record, dict)]
    assert kinds.count(KIND) == 1 + 4500 // EVERY
    outcome = await Process(world).live(plan)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    assert [row[1] for row in without_safe_state(world.rows())] == [2.0 * n for n in range(5401)]


async def test_a_run_that_the_host_executed_is_lost(tmp_path: Path) -> None:
    steps = '[[step]]\nrest = "1 min"\n[[step]]\nprompt = "Wait."\nanswers = ["y"]\nsimulated = "y"\n'

    class Nobody:
        async def ask(self, prompt: object, output_state: str) -> str:
            return await asyncio.get_running_loop().create_future()

    world = World(tmp_path)
    plan = plan_for(world, steps)
    process = Process(world)
    asking = asyncio.create_task(process.live(plan, dies_at=300.0, operator=Sleeper(process.clock)))
    await asking
    journal = Journal.open(world.folder, world.run)
    position = newest(journal.read)
    journal.close()
    assert position is not None
    assert position.following is None


class Sleeper:
    """An operator who takes an hour to answer."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    async def ask(self, prompt: object, output_state: str) -> str:
        await self._clock.sleep(3600.0)
        return "y"


@pytest.mark.parametrize(("erased", "state"), [(False, RunState.FAILED), (True, RunState.LOST)])
async def test_a_program_that_was_stopped_meanwhile(tmp_path: Path, erased: bool, state: RunState) -> None:
    whole = await uninterrupted(tmp_path / "whole", CYCLES)
    world = World(tmp_path / "torn")
    plan = plan_for(world, CYCLES)
    await Process(world).live(plan, dies_at=700.0)
    world.bench.advance_to(900.0)
    other = Process(world)
    await other.assembly.station.connect()  # it expects no program, so it stops what it finds
    if erased:
        await cast("SimulatedCycler", other.assembly.station.instruments.cycler)._tell("ERASE")
    outcome = await Process(world).live(plan)
    assert outcome is not None
    assert outcome.state is state
    assert world.bench.cell.current == 0.0
    rows = world.rows()
    for column in (1, 3, 4, 8):
        assert [row[column] for row in rows] == sorted(row[column] or 0 for row in rows)
    kept = [row for row in without_safe_state(rows) if (row[1] or 0.0) < 890.0]
    assert len(kept) == sum((row[1] or 0.0) < (690.0 if erased else 890.0) for row in whole.rows())


async def test_another_plan_does_not_go_on_with_the_program(tmp_path: Path) -> None:
    world = World(tmp_path)
    await Process(world).live(plan_for(world, CYCLES), dies_at=700.0)
    outcome = await Process(world).live(plan_for(world, CYCLES.replace("10 min", "11 min")))
    assert outcome is not None
    assert outcome.state is RunState.LOST
    assert "not the one that this plan asks for" in outcome.reason


PAUSED_AT = 300.25


@pytest.mark.parametrize("dies", [0.0, 0.4, 30.0, 100.0, 100.3, 101.0, 160.0])
async def test_a_death_in_a_pause_or_at_its_edges(tmp_path: Path, dies: float) -> None:
    """Paused at 300 s for 100 s; dies so many seconds after the pause began."""

    async def words(clock: VirtualClock, run: Run) -> None:
        await clock.sleep_until(PAUSED_AT)
        run.pause("ana")
        await clock.sleep_until(PAUSED_AT + 100.0)
        run.resume("ana")

    async def resume(clock: VirtualClock, run: Run) -> None:
        await clock.sleep(50.0)
        if run.paused:
            run.resume("bo")

    steps = '[[step]]\ncharge = "C/2"\nuntil = "15 min"\n[[step]]\nrest = "5 min"\n'
    world = World(tmp_path)
    plan = plan_for(world, steps)
    await Process(world, flush_every=0.1).live(plan, dies_at=PAUSED_AT + dies, words=words)
    outcome = await Process(world).live(plan, words=resume)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    rows = world.rows()
    assert [row[4] for row in rows] == sorted(row[4] or 0 for row in rows)
    assert [row[1] for row in rows] == sorted(row[1] or 0.0 for row in rows)
    told = [step for step in world.told() if step[0] == "step.started"]
    assert [step[1] for step in told] == list(range(1, len(told) + 1))
    charge = [row[8] for row in rows][-1]
    whole = (14e-2 * 3.14159265 * 25e-6 * 200.0 / 2) * 0.25
    assert charge == pytest.approx(whole, rel=2e-3)
    ends = [step for step in world.told() if step[0] == "step.ended"]
    assert ends[-1][2] == "5 min"
    assert ends[-2][2] == "15 min"


async def test_pressure_and_temperature_are_kept_on(tmp_path: Path) -> None:
    steps = """
[[step]]
temperature = "30 degC"
of = "chamber"
until = "stable within 1 K for 1 min"
timeout = "4 h"
[[step]]
pressure = { negative = "2 MPa", ramp = "0.1 MPa/s" }
until = "stable within 2 % for 60 s"
timeout = "20 min"
[[step]]
charge = "C/5"
until = "2 h"
"""
    world = World(tmp_path, "A1")
    plan = plan_for(world, steps)
    await Process(world).live(plan, dies_at=6000.0)
    before = world.rows()[-1]
    assert before[5] == 3, "it died in the program"
    outcome = await Process(world).live(plan, dies_at=7000.0)
    assert outcome is None
    at = COLUMNS.index("negative_pressure_pa")
    bath = COLUMNS.index("ambient_temperature_celsius")
    last = [record for _, record in world.entries() if isinstance(record, list)][-1]
    assert last[at] == pytest.approx(2e6, rel=0.02)
    assert last[bath] == pytest.approx(30.0, abs=1.0)
