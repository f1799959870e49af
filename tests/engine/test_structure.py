"""Definitions, jumps and tests by name in virtual time: by the host, and by a cycler that executes programs itself."""

import asyncio
from pathlib import Path

import pytest

from labctl.engine.run import Outcome
from labctl.reading import RunState
from tests.engine.lives import Process, World, plan_for
from tests.engine.test_resume import executed as steps_of_run
from tests.engine.test_resume import go_on
from tests.stations import HEAD, Lab, laboratory

FIRST = '[[step]]\ncharge = "1C"\nuntil = ["12 min", "4.3 V"]\n'
"""An empty cell, brought to where it can be driven either way."""

STEPS = {
    "gitt": (
        FIRST + '[[step]]\ngitt = { current = "C/2", until = "4.3 V", pulse = "30 s", rest = "1 min", pulses = 2 }\n',
        ["charge 1C", "rest 1 min", "charge C/2", "rest 1 min", "charge C/2", "rest 1 min"],
    ),
    "ici": (
        FIRST + '[[step]]\nici = { current = "-C/5", until = "2.5 V", every = "1 min", pauses = 2 }\n',
        ["charge 1C", "discharge C/5", "rest 10 s", "discharge C/5", "rest 10 s"],
    ),
    "hppc": (
        FIRST
        + '[[step]]\nhppc = { current = "1C", window = ["2.3 V", "4.3 V"], rest = "1 min", pairs = 1, each = "1 %" }\n',
        ["charge 1C", "discharge 1C", "rest 40 s", "charge 0.75 C", "discharge C/3", "rest 1 min"],
    ),
    "pulse": (
        FIRST + '[[step]]\npulse = { current = "-1C", rest = "1 min", until = "2.3 V", reached = "clamp" }\n',
        ["charge 1C", "discharge 1C", "rest 1 min"],
    ),
    "pitt": (
        '[[step]]\npitt = { from = "3.5 V", to = "3.52 V", max_current = "1 mA", cut_off = "C/1000", hold = "20 s" }\n',
        ["cv 3.5 V", "cv 3.51 V", "cv 3.52 V"],
    ),
    "a definition, twice": (
        2 * '[[step]]\nrun = "short"\n' + '[define]\nshort = [ { rest = "10 s" }, { rest = "20 s" } ]\n',
        ["rest 10 s", "rest 20 s", "rest 10 s", "rest 20 s"],
    ),
}


def run(station: str, steps: str) -> tuple[Lab, Outcome]:
    async def inside() -> tuple[Lab, Outcome]:
        async with laboratory(station) as lab:
            return lab, await lab.run(steps)

    return asyncio.run(inside())


def executed(lab: Lab) -> list[str]:
    names = [str(event.data["name"]) for event in lab.events if event.kind == "step.started"]
    return [name for name in names if name != "safe state"]


@pytest.mark.parametrize("station", ["A3", "A4"])
@pytest.mark.parametrize("name", STEPS)
def test_what_unfolds_runs_step_by_step(name: str, station: str) -> None:
    steps, expected = STEPS[name]
    lab, outcome = run(station, steps)
    assert outcome.state is RunState.COMPLETED, outcome.error
    assert executed(lab) == expected
    assert {row["cycle_count"] for row in lab.rows} == {0}
    followed = [event for event in lab.events if event.kind == "run.position" and "following" in event.data]
    assert bool(followed) == (station == "A4")


@pytest.mark.parametrize("station", ["A3", "A4"])
def test_the_cycles_of_a_formation_are_counted_and_those_of_the_pulses_after_it_are_not(station: str) -> None:
    formation = 'formation = { current = "1C", window = ["2.8 V", "2.95 V"], cycles = 2, rest = "5 s" }\n'
    pulse = 'pulse = { current = "1C", time = "5 s", rest = "5 s" }\n'
    lab, outcome = run(station, f"[[step]]\n{formation}[[step]]\n{pulse}")
    assert outcome.state is RunState.COMPLETED, outcome.error
    assert executed(lab) == [*2 * ["charge 1C", "rest 5 s", "discharge 1C", "rest 5 s"], "charge 1C", "rest 5 s"]
    assert {row["cycle_count"] for row in lab.rows} == {1, 2}


@pytest.mark.parametrize(
    ("reached", "expected"),
    [
        ("end", ["rest 5 s", "charge 1C", "rest 5 s"]),
        ("skip", ["rest 5 s", "charge 1C", "rest 5 s", "charge 1C", "rest 5 s"]),
        ("clamp", ["rest 5 s", "charge 1C", "rest 5 s", "charge 1C", "rest 5 s"]),
    ],
)
def test_a_voltage_that_a_pulse_reaches_ends_the_test_or_the_pulse_or_is_held(
    reached: str, expected: list[str]
) -> None:
    keys = f'current = "1C", until = "2.96 V", pulse = "60 s", rest = "5 s", pulses = 2, reached = "{reached}"'
    lab, outcome = run("A3", f"[[step]]\ngitt = {{ {keys} }}\n")
    assert outcome.state is RunState.COMPLETED
    assert executed(lab) == expected
    times = [event.test_time_second for event in lab.events if event.kind in ("step.started", "step.ended")]
    assert (times[3] - times[2] < 59.0) == (reached != "clamp")
    assert max(row["voltage_volt"] or 0.0 for row in lab.rows) < 2.98


def test_a_jump_leads_out_of_a_branch_and_a_loop_to_a_later_step_and_none_between_is_executed() -> None:
    steps = """
[[step]]
repeat = 3
do = [ { rest = "1 s" }, { if = "test_time >= 1 s", do = [ { goto = "last" } ] } ]
[[step]]
rest = "2 s"
[[step]]
name = "last"
rest = "3 s"
"""
    lab, outcome = run("A3", steps)
    assert outcome.state is RunState.COMPLETED
    assert executed(lab) == ["rest 1 s", "last"]


def test_a_jump_takes_nothing_for_its_target_that_has_no_name_of_its_own() -> None:
    steps = """
[[step]]
run = "last"
[[step]]
goto = "last"
[[step]]
name = "last"
rest = "3 s"
[define]
last = [ { rest = "1 s" } ]
"""
    lab, outcome = run("A3", steps)
    assert outcome.state is RunState.COMPLETED
    assert executed(lab) == ["rest 1 s", "last"]


def test_each_use_of_a_definition_jumps_within_itself() -> None:
    steps = """
[[step]]
run = "part"
[[step]]
run = "part"
[define]
part = [ { rest = "1 s" }, { goto = "last" }, { name = "last", rest = "3 s" } ]
"""
    lab, outcome = run("A3", steps)
    assert outcome.state is RunState.COMPLETED
    assert executed(lab) == ["rest 1 s", "last", "rest 1 s", "last"]


async def test_a_run_that_died_in_a_test_by_name_goes_on_there_from_the_text_that_was_stored(tmp_path: Path) -> None:
    steps = '[[step]]\ngitt = { current = "C/2", until = "4.3 V", pulse = "60 s", rest = "60 s", pulses = 3 }\n'
    world = World(tmp_path, "A3")
    plan = plan_for(world, steps)
    await Process(world, flush_every=0.1).live(plan, dies_at=200.0)
    again = plan_for(world, plan.text.removeprefix(HEAD))
    assert again == plan
    outcome = await Process(world).live(again, words=go_on, away=60.0)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    assert [step for step, _ in steps_of_run(world)] == [1, 2, 1, 2, 1, 2, 3]
