"""The same plan driven by the host and executed in the instrument, on equal cells: the same steps, ends and charges."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from drivers.simulated_cycler.driver import SimulatedCycler
from labctl.plan import Plan, Step
from labctl.program import Kept, Program, ProgramRecord, ProgramState, ProgramStatus
from tests.stations import Lab, laboratory, plan_of

HEAD = """
schema = "1"
[protocol]
name = "test"
[cell]
kind = "full"
bore = "10 mm"
positive = { active_loading = "25.2 mg/cm2", diameter = "10 mm", one_c = "150 mA/g" }
negative = { material = "Li-In", potential = "0.62 V vs Li" }
[limits]
voltage = ["1.5 V", "3.9 V"]
current = "10 mA"
capacity = "400 mAh/g"
[record]
interval = "10 min"
"""


@dataclass(frozen=True)
class Executed:
    """One executed step: id, cycle, charge in it (C, signed), why it ended."""

    step: int
    cycle: int
    charge: float
    end: str


async def driven_by_the_host(steps: str) -> tuple[list[Executed], str]:
    """Run the plan on station A3, whose cycler knows no programs; also return the state of the run."""
    async with laboratory("A3") as lab:
        outcome = await lab.run(plan_of(steps, lab.assembly, HEAD))
        ends = {e.data["step_count"]: str(e.data["reason"]) for e in lab.events if e.kind == "step.ended"}
        rows = [row for row in lab.rows if row["step_count"] in ends]
    executed = []
    for count, group in itertools.groupby(rows, key=lambda row: row["step_count"]):
        first, *_, last = list(group)
        charge = (last["charging_capacity_ah"] or 0.0) - (first["charging_capacity_ah"] or 0.0)
        charge -= (last["discharging_capacity_ah"] or 0.0) - (first["discharging_capacity_ah"] or 0.0)
        cycle, step = int(last["cycle_count"] or 0), int(last["step_id"] or 0)
        executed.append(Executed(step, cycle, 3600.0 * charge, ends[int(count or 0)]))
    return executed, str(outcome.state)


async def followed(lab: Lab, program: Program, token: str) -> tuple[list[ProgramRecord], ProgramStatus]:
    """Let a started program come to its end, and return all records."""
    cycler = lab.assembly.station.instruments.cycler
    assert isinstance(cycler, SimulatedCycler)
    records: list[ProgramRecord] = []
    while (status := await cycler.program_status()).state is ProgramState.RUNNING or status.records > len(records):
        assert status.token == token
        page = await cycler.program_records(program, len(records))
        records += page
        if not page:
            await lab.clock.sleep(600.0)
    return records, status


async def executed_in_the_instrument(steps: str) -> tuple[list[Executed], ProgramStatus]:
    """Execute the whole plan on station A4 as one program."""
    async with laboratory("A4") as lab:
        plan = plan_of(steps, lab.assembly, HEAD)
        cycler = lab.assembly.station.instruments.cycler
        assert isinstance(cycler, SimulatedCycler)
        program = cycler.compile(plan.body, plan.limits)
        assert program is not None
        await cycler.start_program(program, "token")
        records, status = await followed(lab, program, "token")
        assert not (await cycler.read()).output
    return summary(records, plan), status


def summary(records: Sequence[ProgramRecord], plan: Plan) -> list[Executed]:
    steps = {step.id: step for step in plan.steps()}
    executed = []
    for _, group in itertools.groupby(records, key=lambda record: record.step_count):
        first, *_, last = list(group)
        assert first.kept is Kept.START
        assert last.kept is Kept.END
        charge = (last.charge_in - first.charge_in) - (last.charge_out - first.charge_out)
        executed.append(Executed(last.step, last.cycle, charge, why(steps[last.step], last)))
    return executed


def why(step: Step, record: ProgramRecord) -> str:
    ends = step.ends if step.timeout is None else (*step.ends, step.timeout)
    return "" if record.end is None else ends[record.end].text


CYCLES = """
[[step]]
repeat = 2
counts = "cycle"
do = [
  { charge = "3 mA", cv = "3.68 V", until = ["cv_time >= 15 min", "|current| <= 0.5 mA"], timeout = "4 h" },
  { rest = "10 min" },
  { discharge = "3 mA", until = "2.08 V", timeout = "2 h" },
]
"""
PLANS = {
    "CC-CV and CC": CYCLES,
    "time, capacity, energy, power": """
[[step]]
charge = "2 mA"
until = ["20 min", "3.7 V"]
[[step]]
discharge = "1 mA"
until = ["capacity >= 0.1 mAh", "2.0 V"]
[[step]]
charge = "1 mA"
until = ["energy >= 1 mWh", "3.7 V"]
[[step]]
cv = "3.5 V"
max_current = "3 mA"
until = "|power| <= 2 mW"
timeout = "4 h"
""",
    "alternatives": """
[[step]]
charge = "2 mA"
until = "capacity >= 10 mAh or time >= 30 min"
timeout = "4 h"
""",
    "a cell already beyond its cut-off is not driven": """
[[step]]
charge = "3 mA"
until = "3.5 V"
timeout = "4 h"
[[step]]
charge = "1 mA"
until = "3.3 V"
timeout = "4 h"
[[step]]
discharge = "1 mA"
until = "5 min"
""",
    "a time-out that goes on": """
[[step]]
charge = "1 mA"
until = "3.7 V"
timeout = { when = "10 min", then = "next" }
[[step]]
rest = "1 min"
""",
    "a break, a sweep, an end that leaves": """
[[step]]
repeat = 5
counts = "cycle"
do = [
  { charge = "3 mA", until = [{ when = "3.5 V", then = "break" }, "12 min"], timeout = "4 h" },
  { rest = "1 min" },
]
[[step]]
for = { rate = ["1 mA", "2 mA"] }
do = [ { discharge = "{rate}", until = "5 min" } ]
[[step]]
rest = "5 min"
until = [{ when = "voltage >= 2 V", then = "end" }]
[[step]]
rest = "1 h"
""",
}


@pytest.mark.parametrize("steps", PLANS.values(), ids=PLANS.keys())
async def test_both_ways_are_the_same_experiment(steps: str) -> None:
    by_host, state = await driven_by_the_host(steps)
    in_instrument, status = await executed_in_the_instrument(steps)
    assert state == "completed"
    assert status.state is ProgramState.DONE
    print(by_host, in_instrument)
    assert [(e.step, e.cycle, e.end) for e in in_instrument] == [(e.step, e.cycle, e.end) for e in by_host]
    for one, other in zip(in_instrument, by_host, strict=True):
        assert one.charge == pytest.approx(other.charge, rel=1e-3, abs=1.1 * 0.003)


FAULTS = {
    "the time-out": ('[[step]]\ncharge = "1 mA"\nuntil = "3.7 V"\ntimeout = "10 min"\n', "timeout of 10 min"),
    "an end that is a fault": (
        '[[step]]\ncharge = "3 mA"\nuntil = ["2 h", { when = "voltage >= 3.4 V", then = "fault: too soon" }]\n',
        "voltage >= 3.4 V",
    ),
}


@pytest.mark.parametrize(("steps", "text"), FAULTS.values(), ids=FAULTS.keys())
async def test_a_fault_leaves_the_program(steps: str, text: str) -> None:
    by_host, state = await driven_by_the_host(steps)
    in_instrument, status = await executed_in_the_instrument(steps + '[[step]]\nrest = "1 h"\n')
    assert state == "failed"
    assert status.state is ProgramState.DONE
    assert [e.end for e in by_host][:1] == [e.end for e in in_instrument] == [text]
    assert in_instrument[0].charge == pytest.approx(by_host[0].charge, rel=1e-3, abs=1.1 * 0.003)


NO_CUT_OFF = {
    "reached": '[[step]]\ncharge = "3 mA"\nuntil = "10 h"\n',
    "already passed": '[[step]]\ncharge = "3 mA"\nuntil = "3.6 V"\ntimeout = "2 h"\n[[step]]\nlimits.voltage = '
    '["1.5 V", "3.5 V"]\ncharge = "1 mA"\nuntil = "1 h"\n',
}


@pytest.mark.parametrize("steps", NO_CUT_OFF.values(), ids=NO_CUT_OFF.keys())
async def test_a_constant_current_without_cut_off_that_comes_to_the_limit_is_a_fault(steps: str) -> None:
    by_host, state = await driven_by_the_host(steps)
    in_instrument, status = await executed_in_the_instrument(steps)
    assert state in ("failed", "tripped"), "its voltmeter may read a little more than the limit"
    assert (status.state, status.reason) == (ProgramState.TRIPPED, "held at its voltage limit")
    assert [e.step for e in in_instrument] == [e.step for e in by_host]
    assert in_instrument[-1].end == ""
    # The host asks twice before it calls it a fault: two polls at most of the current that still flows at the limit.
    assert in_instrument[-1].charge == pytest.approx(by_host[-1].charge, abs=3.0 * 0.003)
