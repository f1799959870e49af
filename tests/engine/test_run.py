"""Runs on a simulated station: the verbs, loops, branches, cut-offs, records and ends of a plan."""

import asyncio
from itertools import pairwise

import pytest

from labctl.engine.operator import DeclaredOperator
from labctl.engine.run import Run
from labctl.errors import RefusedForSafety, StepFailed
from labctl.plan import Prompt
from labctl.reading import COLUMNS, Reading, RunState, Severity
from tests.stations import Lab, laboratory, plan_of

SHORT_CYCLE = """
[[step]]
repeat = 2
counts = "cycle"
do = [
  { charge = "C/5", until = ["3.8 V", "3 h"], timeout = "4 h" },
  { discharge = "C/5", until = "3.3 V", timeout = "4 h" },
]
"""


async def test_charge_and_discharge_between_their_cut_offs() -> None:
    async with laboratory() as lab:
        outcome = await lab.run(SHORT_CYCLE)
    assert outcome.state is RunState.COMPLETED
    assert [event.data["reason"] for event in lab.events if event.kind == "step.ended"] == [
        "3.8 V",
        "3.3 V",
        "3.8 V",
        "3.3 V",
    ]
    assert [row["cycle_count"] for row in lab.rows if row["step_time_second"] == 0.0] == [1, 1, 2, 2, 2]
    currents = {row["step_id"]: row["current_ampere"] for row in lab.rows}
    rate = 14e-2 * 3.14159265 * 25e-6 * 200.0 / 5
    assert currents[1] == pytest.approx(rate, rel=0.01)
    assert currents[2] == pytest.approx(-rate, rel=0.01)
    assert not lab.bench.cell.current


async def test_rows_are_due_by_interval_and_at_every_boundary() -> None:
    async with laboratory() as lab:
        await lab.run('[[step]]\nrest = "10 min"\n\n[[step]]\nrest = "90 s"\n')
    times = [(row["step_count"], row["step_time_second"]) for row in lab.rows]
    expected = [(1, 60.0 * n) for n in range(11)] + [(2, 0.0), (2, 60.0), (2, 90.0), (3, 0.0)]
    assert [(count, round(time or 0.0, 6)) for count, time in times] == expected
    assert [len(r.values) for r in lab.records if isinstance(r, Reading)] == [len(COLUMNS)] * len(times)


async def test_a_voltage_delta_makes_rows_where_the_voltage_moves() -> None:
    async with laboratory() as lab:
        steps = '[[step]]\ncharge = "C/10"\nuntil = "3.8 V"\ntimeout = "4 h"\n'
        steps += 'record = { interval = "1 h", voltage = "20 mV" }\n'
        await lab.run(steps)
    voltages = [row["voltage_volt"] for row in lab.rows if row["step_id"] == 1]
    moves = [abs(b - a) for a, b in pairwise(voltages) if a is not None and b is not None]
    assert len(moves) > 5
    assert min(moves[:-1]) >= 0.02


async def test_cc_cv_in_one_step_holds_the_voltage_and_counts_cv_time_alone() -> None:
    async with laboratory() as lab:
        outcome = await lab.run(
            '[[step]]\ncharge = "1C"\ncv = "4.0 V"\nuntil = ["cv_time >= 5 min", "C/100"]\ntimeout = "3 h"\n'
        )
    assert outcome.state is RunState.COMPLETED
    held = [row for row in lab.rows if row["step_id"] == 1 and (row["voltage_volt"] or 0.0) > 3.9995]
    first, last = held[0]["step_time_second"], held[-1]["step_time_second"]
    assert first is not None
    assert last is not None
    assert 240.0 <= last - first <= 300.0
    assert held[-1]["current_ampere"] < held[0]["current_ampere"]  # type: ignore[operator]


async def test_a_cell_that_is_already_charged_is_not_driven() -> None:
    async with laboratory() as lab:
        outcome = await lab.run('[[step]]\ndischarge = "1C"\nuntil = "3.5 V"\ntimeout = "1 h"\n')
        largest = max(abs(row["current_ampere"] or 0.0) for row in lab.rows)
    assert outcome.state is RunState.COMPLETED
    assert lab.rows[0]["voltage_volt"] < 3.5  # type: ignore[operator]
    assert largest < 1e-6


async def test_pressure_is_brought_up_its_ramp_held_and_frozen_at_the_end() -> None:
    steps = """
[[step]]
pressure = { negative = "2.5 MPa", positive = "0.2 MPa", ramp = "0.1 MPa/s", control = "force" }
until = "stable within 2 % for 60 s"
timeout = "20 min"
[[step]]
rest = "1 h"
"""
    async with laboratory() as lab:
        outcome = await lab.run(steps)
        angle = lab.bench.rig.angle
        lab.bench.advance_to(lab.bench.time + 3600.0)
        assert lab.bench.rig.angle == angle
    assert outcome.state is RunState.COMPLETED
    resting = [row for row in lab.rows if row["step_id"] == 2]
    for row in resting:
        assert row["negative_pressure_pa"] == pytest.approx(2.5e6, rel=0.02)
        assert row["positive_pressure_pa"] == pytest.approx(0.2e6, rel=0.02)
    highest = max(row["negative_pressure_pa_max"] or 0.0 for row in lab.rows)
    assert highest < 2.5e6 * 1.03
    assert all(row["negative_torque_newton_metre"] is not None for row in resting)


async def test_a_locked_gap_lets_pressure_drift() -> None:
    steps = """
[[step]]
pressure = { negative = "2.0 MPa", ramp = "0.1 MPa/s", control = "gap" }
until = "stable within 2 % for 60 s"
timeout = "20 min"
[[step]]
rest = "2 h"
"""
    async with laboratory() as lab:
        outcome = await lab.run(steps)
    assert outcome.state is RunState.COMPLETED
    angles = {row["negative_screw_angle_radian"] for row in lab.rows if row["step_id"] == 2}
    assert len(angles) == 1


async def test_a_screw_is_tightened_until_it_needs_a_torque_and_is_left_locked() -> None:
    steps = """
[[step]]
torque = { negative = "0.25 N m" }
timeout = "5 min"
record.interval = "1 s"
[[step]]
rest = "2 min"
[[step]]
pressure = { negative = "2.5 MPa", ramp = "0.1 MPa/s" }
until = "stable within 5 % for 10 s"
timeout = "20 min"
"""

    async def pause(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(2.5)
        run.pause("ana")
        await lab.clock.sleep(10.0)
        run.resume("ana")

    async with laboratory() as lab:
        outcome = await lab.run(steps, meanwhile=pause)
    assert outcome.state is RunState.COMPLETED
    torques = [row["negative_torque_newton_metre_max"] or 0.0 for row in lab.rows if row["step_id"] == 1]
    assert 0.2375 <= max(torques) <= 0.25
    angles = {row["negative_screw_angle_radian"] for row in lab.rows if row["step_id"] == 2}
    assert len(angles) == 1
    assert lab.rows[-1]["negative_pressure_pa"] == pytest.approx(2.5e6, rel=0.06)


async def test_temperature_waits_for_the_cell() -> None:
    steps = (
        '[[step]]\ntemperature = "35 degC"\nof = "cell"\nuntil = "stable within 0.5 K for 10 min"\ntimeout = "4 h"\n'
    )
    async with laboratory() as lab:
        outcome = await lab.run(steps)
        assert outcome.state is RunState.COMPLETED
        assert lab.bench.room.cell == pytest.approx(35.0, abs=0.6)
        assert lab.bench.room.heater_power != 0.0, "the bath goes on until the station is left"


async def test_a_prompt_opens_the_circuit_and_keeps_the_answer() -> None:
    class Person:
        def __init__(self) -> None:
            self.seen: list[tuple[str, str]] = []

        async def ask(self, prompt: Prompt, output_state: str) -> str:
            self.seen.append((prompt.text, output_state))
            return "holds"

    person = Person()
    steps = '[[step]]\nprompt = "Does the press hold?"\nanswers = ["holds"]\n'
    async with laboratory() as lab:
        outcome = await lab.run(steps, person)
        assert person.seen == [("Does the press hold?", "open circuit")]
    assert outcome.state is RunState.COMPLETED
    answered = [event for event in lab.events if event.kind == "operator.answered"]
    assert answered[0].data["answer"] == "holds"


async def test_a_prompt_without_a_declared_answer_is_refused_in_simulation() -> None:
    async with laboratory() as lab:
        outcome = await lab.run('[[step]]\nprompt = "Is the glove box closed?"\n')
    assert outcome.state is RunState.FAILED
    assert isinstance(outcome.error, RefusedForSafety)
    assert 'Add simulated = "…" to the prompt.' in str(outcome.error)


async def test_a_time_out_is_a_fault_that_names_step_and_line() -> None:
    async with laboratory() as lab:
        outcome = await lab.run('[[step]]\nname = "form"\ncharge = "C/10"\nuntil = "4.3 V"\ntimeout = "10 min"\n')
    assert outcome.state is RunState.FAILED
    assert isinstance(outcome.error, StepFailed)
    assert outcome.error.exit_code == 1
    assert 'Step 1 "form"' in outcome.reason
    assert "10 min" in outcome.reason
    assert lab.kinds()[-1] == "run.ended"
    assert lab.rows[-1]["current_ampere"] == 0.0


async def test_for_each_hooks_branches_and_end() -> None:
    steps = """
[[step]]
for = { rate = ["C/5", "C/2"] }
do = [ { charge = "{rate}", until = "2 min" } ]
[[step]]
repeat = 3
counts = "cycle"
do = [
  { charge = "C/5", until = "2 min" },
  { rest = "1 min" },
]
at = [ { cycles = [2], after = "charge", do = [ { rest = "30 s" } ] } ]
[[step]]
if = "cycle >= 3"
do = [ { rest = "40 s" } ]
else = [ { rest = "50 s" } ]
[[step]]
if = "cycle >= 3"
do = [ { end = true } ]
[[step]]
rest = "1 h"
"""
    async with laboratory() as lab:
        outcome = await lab.run(steps)
    assert outcome.state is RunState.COMPLETED
    verbs = [event.data["verb"] for event in lab.events if event.kind == "step.started"]
    cycling = ["charge", "rest", "charge", "rest", "rest", "charge", "rest"]
    assert verbs == ["charge", "charge", *cycling, "rest", "end"]
    assert "40 s" in {event.data["reason"] for event in lab.events if event.kind == "step.ended"}


async def test_goto_jumps_within_its_loop() -> None:
    steps = """
[[step]]
repeat = 2
counts = "cycle"
do = [
  { charge = "C/5", until = [ { when = "1 min", then = "goto calm" } ] },
  { rest = "1 h" },
  { name = "calm", rest = "2 min" },
]
"""
    async with laboratory() as lab:
        outcome = await lab.run(steps)
    assert outcome.state is RunState.COMPLETED
    names = [event.data["name"] for event in lab.events if event.kind == "step.started"]
    assert names == ["charge C/5", "calm", "charge C/5", "calm", "safe state"]


async def test_then_break_leaves_the_loop() -> None:
    steps = """
[[step]]
repeat = 50
counts = "cycle"
do = [
  { charge = "C/5", until = [ "2 min", { when = "cycle >= 3", then = "break" } ] },
  { rest = "1 min" },
]
"""
    async with laboratory() as lab:
        outcome = await lab.run(steps)
    assert outcome.state is RunState.COMPLETED
    assert max(row["cycle_count"] for row in lab.rows) == 3  # type: ignore[type-var]


async def test_a_load_cell_is_tared_unloaded_and_refused_loaded() -> None:
    async with laboratory() as lab:
        outcome = await lab.run('[[step]]\ntare = "negative"\n')
        assert outcome.state is RunState.COMPLETED
    async with laboratory() as lab:
        outcome = await lab.run('[[step]]\ntare = "positive"\n')
    assert isinstance(outcome.error, RefusedForSafety), "its spring is preloaded with 15.7 N of 50 N"
    assert "a loaded cell is not tared" in str(outcome.error)


async def test_the_operators_stop_makes_safe_and_says_so() -> None:
    async def stopper(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(120.0)
        run.stop()
        run.stop()

    async with laboratory() as lab:
        outcome = await lab.run('[[step]]\ncharge = "1C"\nuntil = "4.3 V"\ntimeout = "2 h"\n', meanwhile=stopper)
        assert lab.bench.cell.current == 0.0
    assert outcome.state is RunState.STOPPED
    assert lab.events[-1].kind == "run.ended"
    assert lab.events[-1].severity is Severity.WARNING


async def test_a_second_cancellation_does_not_interrupt_the_safe_state() -> None:
    async with laboratory() as lab:
        station = lab.assembly.station
        plan = plan_of('[[step]]\ncharge = "1C"\nuntil = "4.3 V"\ntimeout = "2 h"\n', lab.assembly)
        async with asyncio.TaskGroup() as group:
            station.start(group)
            task = group.create_task(Run(plan, station, DeclaredOperator(), lab.records.append).execute())
            while lab.bench.cell.current == 0.0:  # noqa: ASYNC110 - physics tells nobody when current flows
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert lab.bench.cell.current == 0.0
            station.stop()
    assert lab.events[-1].data["state"] == "failed"


async def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    async def rows(seed: int) -> list[tuple[object, ...]]:
        async with laboratory(seed=seed) as lab:
            await lab.run('[[step]]\ncharge = "C/5"\nuntil = "20 min"\n')
            return [record.values for record in lab.records if isinstance(record, Reading)]

    first = await rows(1)
    assert first == await rows(1)
    assert first == await rows(1)
    assert first != await rows(2)
