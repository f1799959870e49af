"""A run whose process dies while its program goes on: another goes on with it, and no record is lost or doubled."""

from pathlib import Path
from random import Random
from typing import cast

import pytest

from drivers.simulated_cycler.driver import SimulatedCycler
from labctl.clock import VirtualClock
from labctl.engine.position import EVERY, KIND
from labctl.engine.run import Run
from labctl.lab.assemble import assemble
from labctl.reading import COLUMNS, RunState
from tests.engine.lives import Process, World, plan_for, tear, without_safe_state
from tests.engine.test_follow import programmable
from tests.laboratory import EPOCH

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


async def uninterrupted(folder: Path, steps: str) -> World:
    world = World(folder)
    outcome = await Process(world).live(plan_for(world, steps))
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    return world


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
    assert kinds.count(KIND) == 2 + 4500 // EVERY, "one before the first step, one as the program begins"
    outcome = await Process(world).live(plan)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    assert [row[1] for row in without_safe_state(world.rows())] == [2.0 * n for n in range(5401)]


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
        await cast("SimulatedCycler", other.assembly.station.instruments.cycler)._channel.tell("ERASE")
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
    world = World(tmp_path, "A1", programmable())
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


async def test_a_calendar_that_was_set_back_meanwhile_turns_no_time_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    plan = plan_for(world, CYCLES)
    await Process(world).live(plan, dies_at=700.0)

    async def stop(clock: VirtualClock, run: Run) -> None:
        await clock.sleep(60.0)
        run.stop("a person", "enough")

    later = Process(world)
    later.clock = VirtualClock(EPOCH + later.began - 3600.0)
    later.assembly = assemble(world.config, world.station, later.clock, later._link)
    outcome = await later.live(plan, words=stop)
    assert outcome is not None
    assert outcome.state is RunState.STOPPED
    times = [row[COLUMNS.index("test_time_second")] or 0.0 for row in world.rows()]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(760.0, abs=5.0)
