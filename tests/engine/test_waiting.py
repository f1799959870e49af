"""Steps that wait for a person, and pressures that are told relative to the one before."""

from pathlib import Path

import pytest

from labctl.clock import LabClock
from labctl.reading import RunState
from tests.engine.lives import Process, World, plan_for
from tests.engine.test_resume import go_on
from tests.stations import laboratory

PRESS = """
[[step]]
pressure = { negative = "1 MPa", ramp = "0.1 MPa/s" }
until = "stable within 5 % for 30 s"
timeout = "10 min"
"""
RAISE = """
[[step]]
pressure = { negative = { by = "0.5 MPa", max = "1.8 MPa" }, ramp = "0.05 MPa/s" }
until = "stable within 5 % for 60 s"
timeout = "10 min"
"""


async def test_a_parked_cell_stands_open_until_it_is_taken() -> None:
    async with laboratory("A3") as lab:
        outcome = await lab.run('[[step]]\npark = "Take the cell for microscopy."\nmax = "7 d"\n')
    assert outcome.state is RunState.COMPLETED
    assert [event.data["answer"] for event in lab.events if event.kind == "operator.answered"] == ["taken"]
    assert not lab.bench.cell.current


class Nobody:
    """An operator who never comes."""

    def __init__(self, clock: LabClock) -> None:
        self.told: list[str] = []
        self._clock = clock

    async def ask(self, prompt: object, output_state: str) -> str:
        self.told.append(output_state)
        await self._clock.sleep(30 * 86400.0)
        raise AssertionError


async def test_a_cell_that_nobody_takes_is_kept_at_its_voltage_until_the_longest_time(tmp_path: Path) -> None:
    world = World(tmp_path, "A3")
    process = Process(world)
    nobody = Nobody(process.clock)
    steps = '[[step]]\npark = "Take it."\ncv = "2.8 V"\nmax_current = "0.1 mA"\nmax = "2 h"\n[[step]]\nrest = "1 min"\n'
    outcome = await process.live(plan_for(world, steps), operator=nobody)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    assert nobody.told == ["held at 2.8 V"]
    ended = [reason for kind, _, reason in world.told() if kind == "step.ended"]
    assert ended[0] == "max of 2 h"


async def test_a_cell_that_another_instrument_keeps_too_long_is_a_fault(tmp_path: Path) -> None:
    world = World(tmp_path, "A3")
    process = Process(world)
    nobody = Nobody(process.clock)
    outcome = await process.live(
        plan_for(world, '[[step]]\nhandover = "Impedance at the other instrument."\nmax = "30 min"\n'), operator=nobody
    )
    assert outcome is not None
    assert outcome.state is RunState.FAILED
    assert "longer" in outcome.reason
    assert nobody.told == ["open circuit"]


async def test_a_pressure_is_raised_by_so_much_and_not_beyond_its_bound() -> None:
    async with laboratory("A1") as lab:
        outcome = await lab.run(PRESS + RAISE + RAISE)
    assert outcome.state is RunState.COMPLETED, outcome
    last = {row["step_count"]: row["negative_pressure_pa"] for row in lab.rows}
    assert [last[count] for count in (1, 2, 3)] == pytest.approx([1.0e6, 1.5e6, 1.8e6], rel=0.05)


@pytest.mark.parametrize("seconds", [20.0, 60.0, 75.0, 90.0, 120.0])
async def test_a_death_adds_no_second_time(tmp_path: Path, seconds: float) -> None:
    world = World(tmp_path, "A1")
    plan = plan_for(world, PRESS + RAISE.replace("60 s", "300 s"))
    await Process(world, flush_every=0.1).live(plan, dies_at=seconds)
    outcome = await Process(world).live(plan, words=go_on, away=10.0)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED, outcome
    assert world.bench.rig.force("negative") / world.bench.rig.area == pytest.approx(1.5e6, rel=0.06)
