"""Revisions of a plan that is walked: what they change and from when on, and what they may not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from labctl.engine.revision import PlanInForce
from labctl.engine.run import Run
from labctl.errors import NotNow
from labctl.plan import Plan
from labctl.reading import RunState
from tests.stations import HEAD, Lab, laboratory, plan_of

CYCLES = """
[[step]]
repeat = 4
counts = "cycle"
do = [
  { charge = "C/5", until = "10 min" },
  { rest = "5 min" },
]
at = [ { cycles = [3], after = "rest", do = [ { rest = "7 min" } ] } ]
"""


async def test_a_revision_holds_from_the_next_step_and_loops_from_the_next_pass() -> None:
    async with laboratory() as lab:
        revised = plan_of(CYCLES.replace("repeat = 4", "repeat = 2").replace("5 min", "3 min"), lab.assembly)
        first = plan_of(CYCLES, lab.assembly)

        async def script(lab: Lab, run: Run) -> None:
            await lab.clock.sleep(700.0)  # in the rest of the first pass
            run.revise(revised, "ada", "it is enough")
            assert run.plan is revised
            assert run.progress.cycles == 2

        outcome = await lab.run(first, meanwhile=script)
    assert outcome.state is RunState.COMPLETED
    reasons = [event.data["reason"] for event in lab.events if event.kind == "step.ended"]
    assert reasons == ["10 min", "5 min", "10 min", "3 min"]
    event = next(event for event in lab.events if event.kind == "run.revised")
    assert event.message.startswith("Revised by ada: it is enough")
    assert (event.data["hash_before"], event.data["hash"]) == (first.hash, revised.hash)
    assert first.hash != revised.hash
    assert (event.data["who"], event.data["reason"]) == ("ada", "it is enough")


async def test_passes_can_be_added_and_hooks_moved() -> None:
    async with laboratory() as lab:
        more = plan_of(CYCLES.replace("repeat = 4", "repeat = 5").replace("[3]", "[5]"), lab.assembly)

        async def script(lab: Lab, run: Run) -> None:
            await lab.clock.sleep(1000.0)
            run.revise(more, "ada", "")

        await lab.run(CYCLES, meanwhile=script)
    ended = [event.data["reason"] for event in lab.events if event.kind == "step.ended"]
    assert ended == ["10 min", "5 min"] * 5 + ["7 min"]


async def test_wider_limits_reach_the_cycler_and_narrower_ones_the_guard() -> None:
    steps = '[[step]]\nrest = "10 min"\n[[step]]\ncharge = "1C"\nuntil = "{} V"\ntimeout = "2 h"\n'
    narrow = HEAD.replace('"4.4 V"]', '"4.0 V"]')
    async with laboratory() as lab:
        wide = plan_of(steps.format("4.1"), lab.assembly)

        async def script(lab: Lab, run: Run) -> None:
            await lab.clock.sleep(60.0)
            run.revise(wide, "ada", "")

        outcome = await lab.run(plan_of(steps.format("3.9"), lab.assembly, narrow), meanwhile=script)
        assert outcome.state is RunState.COMPLETED, outcome.reason
        assert max(row["voltage_volt"] or 0.0 for row in lab.rows) == pytest.approx(4.1, abs=0.01)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace('{ rest = "7 min" }', '{ charge = "C/5", until = "1 min" }'), "step 3 charge"),
        (lambda text: text + '[[step]]\nrest = "1 h"\n', "The revision has step 4 rest where the plan has the end"),
        (lambda text: text.replace('after = "rest"', 'after = "charge"'), 'at "charge"'),
        (
            lambda text: text.replace("  { rest", '  { if = "cycle >= 2", do = [ { rest = "1 min" } ] },\n  { rest'),
            "branch",
        ),
    ],
)
async def test_another_shape_is_refused_with_where_it_differs(change: Callable[[str], str], sentence: str) -> None:
    async with laboratory() as lab:
        plan, other = plan_of(CYCLES, lab.assembly), plan_of(change(CYCLES), lab.assembly)
    in_force = PlanInForce(plan)
    with pytest.raises(NotNow) as caught:
        in_force.revise(other)
    assert sentence in caught.value.sentence
    assert in_force.plan is plan


async def test_another_cell_is_refused_and_default_names_may_change() -> None:
    async with laboratory() as lab:
        plan = plan_of(CYCLES, lab.assembly)
        faster = plan_of(CYCLES.replace("C/5", "C/2"), lab.assembly)
    in_force = PlanInForce(plan)
    in_force.revise(faster)
    assert in_force(plan.body[0]) is faster.body[0]
    other: Plan = replace(plan, cell=replace(plan.cell, name="another"))
    with pytest.raises(NotNow, match="another cell"):
        in_force.revise(other)


async def test_names_that_a_jump_refers_to_must_stay() -> None:
    jump = """
[[step]]
charge = "C/5"
until = [ { when = "1 min", then = "goto calm" } ]
[[step]]
rest = "1 h"
[[step]]
name = "calm"
rest = "2 min"
"""
    async with laboratory() as lab:
        plan = plan_of(jump, lab.assembly)
        renamed = plan_of(jump.replace("calm", "quiet"), lab.assembly)
    with pytest.raises(NotNow, match='step 3 rest "quiet" where the plan has step 3 rest "calm"'):
        PlanInForce(plan).revise(renamed)


async def test_a_refused_revision_changes_nothing() -> None:
    async with laboratory() as lab:
        other = plan_of('[[step]]\nrest = "1 h"\n', lab.assembly)

        async def script(lab: Lab, run: Run) -> None:
            await lab.clock.sleep(700.0)
            with pytest.raises(NotNow):
                run.revise(other, "ada", "")

        outcome = await lab.run(CYCLES, meanwhile=script)
    assert outcome.state is RunState.COMPLETED
    assert "run.revised" not in lab.kinds()
    assert len([kind for kind in lab.kinds() if kind == "step.ended"]) == 9
