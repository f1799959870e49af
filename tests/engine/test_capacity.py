"""Rates by the capacity of a cycle: amperes when the step begins, the same after a death, or nothing is driven."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.engine.capacity import settle
from labctl.engine.cycles import CycleBook
from labctl.engine.ledger import Counts
from labctl.engine.run import Run
from labctl.errors import NotNow, StepFailed
from labctl.plan import (
    Any,
    Bound,
    BoundCell,
    Compare,
    CompareRate,
    ConstantCurrent,
    End,
    Limits,
    Loop,
    MeasuredCurrent,
    MeasuredRate,
    Operator,
    Plan,
    Quantity,
    Step,
    rates_of,
)
from labctl.reading import RunState
from tests.engine.lives import Process, World, plan_for
from tests.engine.test_resume import go_on
from tests.stations import HEAD, Lab, laboratory, plan_of

CELL, LIMITS = BoundCell("", "full"), Limits(Bound(), 1.0, 1.0)
FORMED = """
[[step]]
charge = "C/2"
until = "40 min"
[[step]]
repeat = 2
counts = "cycle"
do = [
  { charge = "C/2", until = "10 min" },
  { discharge = "C/2", until = ["cycle >= 2 and time >= 6 min", "8 min"] },
]
[[step]]
name = "measured"
"""
CHARGED = FORMED + 'charge = "C(measured, cycle = {n})/2"\nuntil = "20 min"\n'


def book_of(step: Step, *discharged: float) -> CycleBook:
    """A book after cycles that discharged so many coulombs, as a plan keeps it that has this step."""
    book, counts = CycleBook(Plan("test", "", "", "", CELL, LIMITS, (step,))), Counts()
    for number, charge in enumerate(discharged, 1):
        book.begin(Loop(1, "", 1, True, ()), number, counts)
        counts = counts + Counts(charge, charge)
        book.complete(counts)
    return book


def measured(factor: float, cycle: int, *conditions: CompareRate | Any) -> Step:
    ends = tuple(End(each, "") for each in conditions)
    rate = MeasuredRate(factor, cycle, f"{abs(factor)}C(measured, cycle = {cycle})")
    return Step(1, "charge", "charge", MeasuredCurrent(rate, 4.3, cv=True), ends, line=7)


FACTORS = st.floats(1e-3, 10.0) | st.floats(-10.0, -1e-3)


@given(FACTORS, st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5), st.data())
def test_one_c_is_what_moves_the_discharge_capacity_of_the_cycle_in_an_hour(
    factor: float, discharged: list[float], data: st.DataObject
) -> None:
    cycle = data.draw(st.integers(1, len(discharged)))
    ended = CompareRate(Operator.LE, MeasuredRate(0.05, cycle, ""), magnitude=True, hold=30.0)
    step = measured(factor, cycle, Any((ended,), 3.0))
    current = factor * discharged[cycle - 1] / 3600.0
    settled = settle(step, book_of(step, *discharged), abs(current) * (1 + 1e-6)).step
    assert isinstance(settled.action, ConstantCurrent)
    assert settled.action.current == pytest.approx(current)
    assert (settled.action.voltage, settled.action.cv) == (4.3, True)
    (end,) = settled.ends
    assert isinstance(end.condition, Any)
    (compare,) = end.condition.parts
    assert isinstance(compare, Compare)
    assert compare.value == pytest.approx(0.05 * discharged[cycle - 1] / 3600.0)
    assert (compare.quantity, compare.operator, compare.magnitude) == (Quantity.CURRENT, Operator.LE, True)
    assert (compare.hold, end.condition.hold) == (30.0, 3.0)
    assert list(rates_of(settled)) == []


@pytest.mark.parametrize(
    ("discharged", "most", "sentence"),
    [
        (
            (),
            1.0,
            'Step 1 "charge" (line 7) asks for "0.5C(measured, cycle = 2)", and this run has completed no cycle 2',
        ),
        ((7.2,), 1.0, "completed no cycle 2"),
        ((7.2, 0.0), 1.0, "cycle 2 has discharged nothing (0 mAh)"),
        ((7.2, 7.2), 0.9e-3, "is 1 mA by the 2 mAh that cycle 2 discharged, beyond the limit of 0.9 mA"),
    ],
)
def test_what_is_no_current_is_refused_with_its_numbers(
    discharged: tuple[float, ...], most: float, sentence: str
) -> None:
    step = measured(0.5, 2)
    with pytest.raises(StepFailed) as refused:
        settle(step, book_of(step, *discharged), most)
    assert sentence in refused.value.sentence
    assert refused.value.remedy


def test_a_cycle_is_kept_that_only_a_rate_asks_for() -> None:
    step = measured(0.5, 2)
    book = book_of(step, *[3600.0] * 50)
    assert book.needed
    assert [cycle.number for cycle in book.cycles.complete] == [2]


def test_a_step_without_such_a_rate_stays_as_it_is() -> None:
    step = Step(1, "charge", "", ConstantCurrent(1e-3, 4.3))
    assert settle(step, book_of(step), 1.0).step is step


def driven(lab: Lab, cycle: int) -> tuple[float, float]:
    """mA that the measured step drove, and mA that it should have."""
    (told,) = [event for event in lab.events if event.kind == "step.rate"]
    (began,) = [e for e in lab.events if e.kind == "step.started" and e.data["name"] == "measured"]
    counts = [row["discharging_capacity_ah"] or 0.0 for row in lab.rows if row["cycle_count"] == cycle]
    rows = [row for row in lab.rows if row["step_count"] == began.data["step_count"]]
    assert told.data["capacity_ah"][str(cycle)] == pytest.approx(counts[-1] - counts[0], rel=2e-3)
    return (rows[1]["current_ampere"] or 0.0) * 1e3, told.data["capacity_ah"][str(cycle)] * 500.0


@pytest.mark.parametrize("station", ["A3", "A4"])
@pytest.mark.parametrize("cycle", [1, 2])
async def test_a_run_drives_it_in_the_host_and_behind_programs(station: str, cycle: int) -> None:
    async with laboratory(station) as lab:
        outcome = await lab.run(CHARGED.replace("{n}", str(cycle)))
    assert outcome.state is RunState.COMPLETED, outcome
    current, asked = driven(lab, cycle)
    assert current == pytest.approx(asked, rel=1e-3)


async def test_a_hold_ends_at_a_fraction_of_it() -> None:
    steps = (
        FORMED
        + 'charge = "10C(measured, cycle = 1)"\ncv = "3.9 V"\nuntil = "2C(measured, cycle = 1)"\ntimeout = "5 h"\n'
    )
    async with laboratory("A3") as lab:
        outcome = await lab.run(steps)
    assert outcome.state is RunState.COMPLETED, outcome
    (told,) = [event for event in lab.events if event.kind == "step.rate"]
    (began,) = [e for e in lab.events if e.kind == "step.started" and e.data["name"] == "measured"]
    last = [row["current_ampere"] or 0.0 for row in lab.rows if row["step_count"] == began.data["step_count"]][-1]
    assert 0.0 < last <= told.data["capacity_ah"]["1"] * 2.0


async def test_nothing_is_driven_where_the_cycle_was_left() -> None:
    steps = CHARGED.replace("{n}", "2").replace(
        'until = ["cycle >= 2 and time >= 6 min", "8 min"]',
        'until = ["1 V", { when = "cycle >= 2 and time >= 1 min", then = "break" }]',
    )
    steps = steps.replace('"1 V"', '"2 min"')
    async with laboratory("A3") as lab:
        outcome = await lab.run(steps)
    assert outcome.state is RunState.FAILED
    assert "this run has completed no cycle 2" in outcome.reason
    assert "measured" not in [event.data["name"] for event in lab.events if event.kind == "step.started"]


async def test_the_same_current_goes_on_after_a_death_in_the_middle(tmp_path: Path) -> None:
    world = World(tmp_path, "A3")
    plan = plan_for(world, CHARGED.replace("{n}", "1"))
    await Process(world, flush_every=0.1).live(plan, dies_at=84 * 60.0)  # it begins after 74 min
    outcome = await Process(world).live(plan, words=go_on, away=10.0)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    told = [r["data"]["capacity_ah"] for _, r in world.entries() if isinstance(r, dict) and r["kind"] == "step.rate"]
    assert len(told) == 2
    assert told[0] == told[1]


async def test_a_revision_asks_for_no_cycle_that_was_not_kept() -> None:
    async def revise(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(60.0)
        with pytest.raises(NotNow, match="cycle 2"):
            run.revise(plan_of(CHARGED.replace("{n}", "2"), lab.assembly, HEAD), "ana", "")
        run.stop("ana")

    async with laboratory("A3") as lab:
        outcome = await lab.run(CHARGED.replace("{n}", "1"), meanwhile=revise)
    assert outcome.state is RunState.STOPPED
