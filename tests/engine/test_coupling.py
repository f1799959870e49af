"""Pressure and electrochemistry in one plan: a worn cell is pressed harder once, a force ends a charge."""

import pytest

from benchmarks.pressure import Case, configuration
from labctl.reading import RunState
from tests.stations import laboratory

WORN = """
[[step]]
pressure = { negative = "2.5 MPa", ramp = "0.1 MPa/s" }
until = "stable within 2 % for 60 s"
timeout = "10 min"
[[step]]
charge = "C/2"
until = "40 min"
[[step]]
repeat = 4
tag = "ageing"
do = [
  { charge = "C/2", until = "10 min" },
  { discharge = "C/2", until = ["cycle >= 2 and time >= 4 min", "8 min"] },
  { if = "retention(ref = 1, tag = 'ageing') < 90 %", once = true, do = [
    { pressure = { negative = { by = "0.5 MPa", max = "3.5 MPa" }, ramp = "0.1 MPa/s" }, ENDS },
  ] },
]
"""
RELAXING = """
[[step]]
pressure = { negative = "2.5 MPa", ramp = "0.1 MPa/s", control = "gap" }
until = "stable within 2 % for 60 s"
timeout = "10 min"
[[step]]
charge = "0.2 mA/cm2"
until = ["pressure.negative <= 2.45 MPa", "4.3 V"]
timeout = "30 h"
"""


async def test_when_retention_falls_the_pressure_is_raised_once() -> None:
    async with laboratory("A1") as lab:
        outcome = await lab.run(WORN.replace("ENDS", 'until = "stable within 2 % for 60 s", timeout = "10 min"'))
    assert outcome.state is RunState.COMPLETED, outcome.reason
    pressed = [e.data["cycle_count"] for e in lab.events if e.kind == "step.started" and e.data["verb"] == "pressure"]
    assert len(pressed) == 2, "before the first cycle, and once, although the capacity stays low"
    by_cycle: dict[object, list[float]] = {}
    for row in lab.rows:
        if row["current_ampere"] and row["negative_pressure_pa"] is not None:
            by_cycle.setdefault(row["cycle_count"], []).append(row["negative_pressure_pa"])
    assert by_cycle[1][-1] == pytest.approx(2.5e6, rel=0.02)
    assert by_cycle[4][-1] == pytest.approx(3.0e6, rel=0.02)


async def test_a_charge_ends_when_a_locked_stack_has_relaxed_so_far() -> None:
    async with laboratory("A1") as lab:
        outcome = await lab.run(RELAXING)
    assert outcome.state is RunState.COMPLETED, outcome.reason
    ends = [e.data["reason"] for e in lab.events if e.kind == "step.ended"]
    assert ends[1] == "pressure.negative <= 2.45 MPa"
    charged = [row for row in lab.rows if (row["current_ampere"] or 0.0) > 0.0]
    assert charged[-1]["negative_pressure_pa"] == pytest.approx(2.45e6, rel=0.005)
    assert charged[0]["negative_pressure_pa"] > 2.46e6


async def test_of_two_screws_each_is_judged_by_its_own_torque_force_and_slope() -> None:
    steps = """
[[step]]
torque = { positive = "0.2 N m", speed = "0.2 rad/s" }
timeout = "10 min"
[[step]]
rest = "10 min"
until = "dP/dt.positive <= 1 kPa/s over 20 s"
[[step]]
torque = { positive = "-0.2 N m", speed = "0.1 rad/s" }
until = ["force.positive <= 60 N", "torque.positive >= 0.9 N m"]
timeout = "10 min"
"""
    async with laboratory("S", config=configuration(Case("two screws", 1e6, both=True), 1)) as lab:
        outcome = await lab.run(steps)
    assert outcome.state is RunState.COMPLETED, outcome.reason
    ends = [e.data["reason"] for e in lab.events if e.kind == "step.ended"]
    assert ends[:3] == ["0.2 N m", "dP/dt.positive <= 1 kPa/s over 20 s", "force.positive <= 60 N"]
