"""What conditions ask of complete cycles, of the present one and of slopes: in the book, in runs, and over a death."""

from pathlib import Path

import pytest

from labctl.engine.cycles import CycleBook
from labctl.engine.ledger import Counts
from labctl.plan import (
    Bound,
    BoundCell,
    ConstantCurrent,
    CycleQuantity,
    End,
    Limits,
    Loop,
    OfCycles,
    Operator,
    Plan,
    Step,
)
from labctl.reading import RunState
from tests.engine.lives import Process, World, plan_for
from tests.engine.test_resume import go_on
from tests.stations import laboratory

CELL, LIMITS = BoundCell("", "full"), Limits(Bound(), 1.0, 1.0)


def retention(percent: float, ref: int = 1, tag: str = "", cycles: int = 1) -> OfCycles:
    return OfCycles(CycleQuantity.RETENTION, Operator.LT, percent / 100.0, ref, tag, cycles)


def efficiency(percent: float, cycles: int = 1) -> OfCycles:
    return OfCycles(CycleQuantity.COULOMBIC_EFFICIENCY, Operator.LT, percent / 100.0, cycles=cycles)


class Bench:
    """A book, and a cell that a test cycles."""

    def __init__(self, *asked: OfCycles) -> None:
        ends = tuple(End(each, "") for each in asked)
        step = Step(1, "discharge", "", ConstantCurrent(-1e-3, 2.5), ends)
        self.book = CycleBook(Plan("test", "", "", "", CELL, LIMITS, (step,)))
        self.counts = Counts()
        self.number = 0

    def cycle(self, into: float, out: float, tag: str = "", current: float = 1e-3, *, turned: bool = False) -> None:
        self.number += 1
        body = (Step(1, "discharge", "", ConstantCurrent(-current, 2.5)),)
        loop = Loop(1, "", 1, True, body, tag=tag, discharges_first=turned)
        self.book.begin(loop, self.number, self.counts)
        self.counts = self.counts + Counts(into, out)
        self.book.complete(self.counts)

    def met(self, asked: OfCycles) -> bool:
        return self.book.met(asked, lambda ratio, threshold: ratio < threshold)


def test_retention_compares_complete_cycles_with_the_one_that_is_named() -> None:
    asked = retention(90.0, ref=2, cycles=2)
    bench = Bench(asked)
    bench.cycle(10.0, 20.0)
    assert not bench.met(asked), "its reference has not come yet"
    bench.cycle(10.0, 10.0)
    bench.cycle(10.0, 8.0)
    assert not bench.met(asked), "one cycle, and two are asked for"
    bench.cycle(10.0, 9.5)
    bench.cycle(10.0, 8.0)
    assert not bench.met(asked), "the two must be the last ones"
    bench.cycle(10.0, 8.9)
    assert bench.met(asked)


def test_only_cycles_of_the_same_tag_and_current_are_compared() -> None:
    tagged, every = retention(90.0, tag="ageing"), retention(90.0)
    bench = Bench(tagged, every)
    bench.cycle(10.0, 10.0, "ageing")
    bench.cycle(10.0, 5.0, "check")
    assert bench.met(every)
    assert not bench.met(tagged)
    bench = Bench(every)
    bench.cycle(10.0, 10.0)
    bench.cycle(10.0, 5.0, current=2e-3)
    assert not bench.met(every), "at twice the current"


def test_efficiency_is_discharge_over_charge_and_turns_where_the_pass_begins_with_a_discharge() -> None:
    asked = efficiency(90.0)
    bench = Bench(asked)
    bench.cycle(10.0, 8.5)
    assert bench.met(asked)
    bench.cycle(8.5, 10.0, turned=True)
    assert bench.met(asked)
    bench.cycle(10.0, 9.5)
    assert not bench.met(asked)
    bench.cycle(0.0, 5.0)
    assert not bench.met(asked), "a pass without a charge has none"


def test_a_pass_that_is_left_is_no_cycle() -> None:
    asked = efficiency(90.0)
    bench = Bench(asked)
    loop = Loop(1, "", 1, True, ())
    bench.book.begin(loop, 1, bench.counts)
    bench.book.abandon()
    bench.book.complete(Counts(10.0, 1.0))
    assert not bench.met(asked)


def test_the_book_keeps_no_more_than_is_asked_for() -> None:
    bench = Bench(retention(90.0, ref=3, cycles=2))
    for _ in range(100):
        bench.cycle(10.0, 10.0)
    assert [cycle.number for cycle in bench.book.cycles.complete] == [3, 99, 100]


WORN = """
[[step]]
charge = "C/2"
until = "40 min"
[[step]]
repeat = 4
counts = "cycle"
tag = "ageing"
do = [
  { charge = "C/2", until = "10 min" },
  { discharge = "C/2", until = ["cycle >= 3 and time >= 4 min", "8 min"] },
  { if = "retention(ref = 1, tag = 'ageing') < 60 %", once = true, do = [ { rest = "1 min", name = "worn" } ] },
  { if = "coulombic_efficiency < 90 % for 2 cycles", do = [ { rest = "30 s", name = "inefficient" } ] },
]
"""


@pytest.mark.parametrize("station", ["A3", "A4"])
async def test_branches_look_at_cycles_in_the_host_and_around_programs(station: str) -> None:
    async with laboratory(station) as lab:
        outcome = await lab.run(WORN)
    assert outcome.state is RunState.COMPLETED
    named = [(e.data["name"], e.data["cycle_count"]) for e in lab.events if e.kind == "step.started"]
    assert [each for each in named if each[0] == "worn"] == [("worn", 4)]
    assert [each for each in named if each[0] == "inefficient"] == [("inefficient", 3), ("inefficient", 4)]


async def test_what_cycles_were_is_known_after_a_death(tmp_path: Path) -> None:
    world = World(tmp_path, "A3")
    plan = plan_for(world, WORN)
    await Process(world, flush_every=0.1).live(plan, dies_at=100 * 60.0)  # in the charge of the fourth cycle
    outcome = await Process(world).live(plan, words=go_on, away=10.0)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    names = [r["data"]["name"] for _, r in world.entries() if isinstance(r, dict) and r["kind"] == "step.started"]
    assert names.count("worn") == 1


async def test_charge_of_the_cycle_adds_up_over_its_steps() -> None:
    steps = """
[[step]]
charge = "C/2"
until = "40 min"
[[step]]
repeat = 2
counts = "cycle"
do = [
  { charge = "C/2", until = "6 min" },
  { rest = "1 min" },
  { charge = "C/4", until = "capacity of cycle >= 0.22 mAh", timeout = "2 h" },
  { discharge = "C/2", until = "6 min" },
  { discharge = "C/2", until = "capacity of cycle >= 0.2 mAh", timeout = "2 h" },
]
"""
    async with laboratory("A3") as lab:
        outcome = await lab.run(steps)
    assert outcome.state is RunState.COMPLETED, outcome
    rows = {row["step_count"]: row for row in lab.rows}

    def passed(way: str, first: int, last: int) -> float:
        return (rows[last][f"{way}_capacity_ah"] or 0.0) - (rows[first][f"{way}_capacity_ah"] or 0.0)

    for first in (1, 6):  # executed steps: each cycle counts anew
        assert passed("charging", first, first + 3) == pytest.approx(0.22e-3, abs=2e-6)
        assert passed("discharging", first, first + 5) == pytest.approx(0.2e-3, abs=2e-6)


async def test_a_rest_ends_when_the_voltage_relaxes_slowly_enough() -> None:
    steps = """
[[step]]
charge = "C/2"
until = "20 min"
[[step]]
rest = "5 h"
until = "|dV/dt| <= 20 mV/h over 5 min"
"""
    async with laboratory("A3") as lab:
        outcome = await lab.run(steps)
    assert outcome.state is RunState.COMPLETED
    lasted = max(row["step_time_second"] or 0.0 for row in lab.rows if row["step_count"] == 2)
    assert 300.0 <= lasted < 18000.0
    assert [e.data["reason"] for e in lab.events if e.kind == "step.ended"][1] == "|dV/dt| <= 20 mV/h over 5 min"


async def test_an_answer_chooses_the_branch() -> None:
    steps = """
[[step]]
prompt = "Is the cell to be kept, or not?"
answers = ["keep", "discard and go"]
simulated = "discard and go"
[[step]]
if = "operator = 'discard and go'"
do = [ { rest = "10 s", name = "discarded" } ]
else = [ { rest = "20 s", name = "kept" } ]
"""
    async with laboratory("A3") as lab:
        outcome = await lab.run(steps)
    assert outcome.state is RunState.COMPLETED
    assert [e.data["name"] for e in lab.events if e.kind == "step.started"][1] == "discarded"
