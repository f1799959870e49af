"""The operator's words to a run: pause and resumption with what is left of the step, skip, stop, note."""

import random
from collections.abc import Awaitable, Callable

import pytest

from labctl.clock import Signal
from labctl.engine.operator import DeclaredOperator
from labctl.engine.run import Outcome, Run
from labctl.errors import NotNow
from labctl.instrument import Limiting
from labctl.plan import Prompt
from labctl.reading import RunState, Severity
from labctl.sim.faults import silence
from tests.stations import Breakage, Lab, laboratory, plan_of

CHARGE = '[[step]]\nname = "charge"\ncharge = "C/5"\nuntil = "1 h"\n'
REST = '[[step]]\nname = "rest"\nrest = "10 min"\n'
RAMP = """
[[step]]
name = "press"
pressure = { negative = "2.0 MPa", ramp = "0.01 MPa/s", control = "force" }
until = "stable within 2 % for 60 s"
timeout = "20 min"
"""

Script = Callable[[Lab, Run], Awaitable[None]]


def after(*parts: tuple[float, Callable[[Run], None]]) -> Script:
    """Say words to a run, each some seconds of lab time after the one before."""

    async def script(lab: Lab, run: Run) -> None:
        for seconds, say in parts:
            await lab.clock.sleep(seconds)
            say(run)

    return script


def pause(run: Run) -> None:
    run.pause("ada", "smells odd")


def resume(run: Run) -> None:
    run.resume("bob")


def executed(lab: Lab) -> list[tuple[int, str, str, str]]:
    """Of every executed step: id, verb, name and how it ended ("" where that is told by the end of the run)."""
    ends = {event.data["step_count"]: event.data["reason"] for event in lab.events if event.kind == "step.ended"}
    return [
        (e.data["step_id"], e.data["verb"], e.data["name"], ends.get(e.data["step_count"], ""))
        for e in lab.events
        if e.kind == "step.started"
    ]


def of_step(lab: Lab, count: int, column: str) -> list[float]:
    return [value for row in lab.rows if row["step_count"] == count and (value := row[column]) is not None]


async def test_a_pause_is_a_step_and_what_is_left_counts_the_whole() -> None:
    async with laboratory() as lab:
        outcome = await lab.run(CHARGE + REST, meanwhile=after((1200.4, pause), (5000.0, resume)))
    assert outcome.state is RunState.COMPLETED
    assert executed(lab) == [
        (1, "charge", "charge", "paused by ada"),
        (1, "pause", "pause", "resumed by bob"),
        (1, "charge", "charge", "1 h"),
        (2, "rest", "rest", "10 min"),
        (0, "end", "safe state", ""),
    ]
    assert of_step(lab, 1, "step_time_second")[-1] == pytest.approx(1200.4)
    assert of_step(lab, 2, "step_time_second")[0] == 0.0
    assert of_step(lab, 3, "step_time_second")[0] == pytest.approx(1200.4)
    assert of_step(lab, 3, "step_time_second")[-1] == pytest.approx(3600.0, abs=1.0)
    assert lab.rows[-1]["test_time_second"] == pytest.approx(5000.0 + 3600.0 + 600.0, abs=2.0)
    paused = next(event for event in lab.events if event.kind == "run.paused")
    assert paused.message == "Paused by ada: smells odd"
    assert paused.data == {"who": "ada", "reason": "smells odd"}
    assert next(event for event in lab.events if event.kind == "run.resumed").data == {"who": "bob"}


async def test_a_pause_opens_the_circuit_and_its_rows_go_on() -> None:
    seen: list[tuple[bool, float]] = []

    async def script(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(600.0)
        assert not run.paused
        run.pause("ada")
        await lab.clock.sleep(1.0)
        seen.append((run.paused, lab.bench.cell.current))
        await lab.clock.sleep(599.0)
        run.resume("ada")
        await lab.clock.sleep(1.0)
        seen.append((run.paused, lab.bench.cell.current))

    async with laboratory() as lab:
        await lab.run(CHARGE, meanwhile=script)
    assert seen[0] == (True, 0.0)
    assert seen[1][0] is False
    assert seen[1][1] > 0.0
    assert of_step(lab, 2, "step_time_second") == pytest.approx([60.0 * n for n in range(11)], abs=1e-6)
    assert set(of_step(lab, 2, "current_ampere")) == {0.0}


async def test_the_charge_of_a_paused_run_is_what_the_cell_has_taken() -> None:
    steps = '[[step]]\ncharge = "C/2"\nuntil = "capacity >= 20 mAh/g"\ntimeout = "2 h"\n'
    async with laboratory() as lab:
        before = lab.bench.cell.charge
        script = after((300.3, pause), (700.0, resume), (200.7, pause), (50.0, resume))
        outcome = await lab.run(steps, meanwhile=script)
        taken = lab.bench.cell.charge - before
    assert outcome.state is RunState.COMPLETED
    ledger = (lab.rows[-1]["charging_capacity_ah"] or 0.0) - (lab.rows[-1]["discharging_capacity_ah"] or 0.0)
    assert ledger * 3600.0 == pytest.approx(taken, rel=2e-4)
    assert executed(lab)[-2][3] == "capacity >= 20 mAh/g"
    asked = 14e-2 * 3.14159265 * 25e-6 * 20.0
    counted = of_step(lab, 5, "charging_capacity_ah")[-1]
    assert asked <= counted <= asked + 1.2e-3 / 3600.0, "not more than a poll beyond what was asked for"


@pytest.mark.parametrize("seed", range(6))
async def test_however_often_a_step_is_paused_it_takes_its_time_and_its_charge(seed: int) -> None:
    moments = random.Random(seed)
    parts = [(moments.uniform(0.0, 150.0), word) for _ in range(moments.randint(1, 4)) for word in (pause, resume)]
    async with laboratory(seed=seed) as lab:
        before = lab.bench.cell.charge
        outcome = await lab.run('[[step]]\ncharge = "C/2"\nuntil = "20 min"\n', meanwhile=after(*parts))
        taken = lab.bench.cell.charge - before
    assert outcome.state is RunState.COMPLETED
    last = next(row for row in reversed(lab.rows) if row["step_id"] == 1)
    assert 1200.0 <= (last["step_time_second"] or 0.0) <= 1201.0
    assert lab.rows[-1]["charging_capacity_ah"] == pytest.approx(taken / 3600.0, rel=5e-4), f"seed {seed}"
    spans = [time for time, word in parts if word is resume]
    assert last["test_time_second"] == pytest.approx(1200.0 + sum(spans), abs=1.0)


async def test_a_time_out_counts_the_whole_step_and_no_pause() -> None:
    steps = '[[step]]\ncharge = "C/10"\nuntil = "4.3 V"\ntimeout = "10 min"\n'
    async with laboratory() as lab:
        outcome = await lab.run(steps, meanwhile=after((300.0, pause), (3000.0, resume)))
    assert outcome.state is RunState.FAILED
    assert "10 min" in outcome.reason
    assert lab.rows[-1]["test_time_second"] == pytest.approx(3600.0, abs=3.0)


async def test_in_the_cv_part_the_time_at_constant_voltage_is_carried() -> None:
    steps = '[[step]]\ncharge = "1C"\ncv = "4.0 V"\nuntil = "cv_time >= 20 min"\ntimeout = "3 h"\n'
    held: list[float] = []

    async def script(lab: Lab, run: Run) -> None:
        while (cell := lab.assembly.station.board.cell) is None or cell.limiting is not Limiting.VOLTAGE:
            await lab.clock.sleep(1.0)
        await lab.clock.sleep(600.0)
        run.pause("ada")
        await lab.clock.sleep(300.0)
        held.append(run.ledger.cv_time)
        run.resume("ada")
        await lab.clock.sleep(5.0)
        held.append(run.ledger.cv_time)

    async with laboratory() as lab:
        outcome = await lab.run(steps, meanwhile=script)
    assert outcome.state is RunState.COMPLETED
    assert held[0] == 0.0, "the pause is no time at constant voltage"
    assert 595.0 <= held[1] <= 610.0
    assert of_step(lab, 3, "voltage_volt")[-1] == pytest.approx(4.0, abs=1e-3)


async def test_a_cell_beyond_its_cut_off_is_not_driven_after_a_pause() -> None:
    charge = '[[step]]\ncharge = "C/2"\nuntil = "30 min"\n'
    discharge = '[[step]]\ndischarge = "C/10"\nuntil = "3.4 V"\ntimeout = "9 h"\n'

    async def script(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(1860.0)
        run.pause("ada")
        await lab.clock.sleep(5.0)
        lab.bench.cell.short(50.0)
        await lab.clock.sleep(600.0)
        run.resume("ada")

    async with laboratory() as lab:
        outcome = await lab.run(charge + discharge, meanwhile=script)
    assert outcome.state is RunState.COMPLETED, outcome.reason
    assert [(verb, reason) for _, verb, _, reason in executed(lab)[1:4]] == [
        ("discharge", "paused by ada"),
        ("pause", "resumed by ada"),
        ("discharge", "3.4 V"),
    ]
    assert min(of_step(lab, 2, "current_ampere")) < -1e-4
    assert of_step(lab, 4, "current_ampere") == pytest.approx([0.0, 0.0], abs=1e-6)


async def test_a_pause_in_a_ramp_freezes_the_screw_and_resuming_goes_on() -> None:
    angles: list[float] = []

    async def script(lab: Lab, run: Run) -> None:
        while (lab.assembly.station.board.pressure("negative", lab.clock.now()) or 0.0) < 1.0e6:
            await lab.clock.sleep(1.0)
        run.pause("ada")
        await lab.clock.sleep(3.0)
        angles.append(lab.bench.rig.angle)
        await lab.clock.sleep(300.0)
        angles.append(lab.bench.rig.angle)
        run.resume("ada")

    async with laboratory() as lab:
        outcome = await lab.run(RAMP + REST, meanwhile=script)
    assert outcome.state is RunState.COMPLETED
    assert angles[0] == angles[1]
    assert [verb for _, verb, _, _ in executed(lab)] == ["pressure", "pause", "pressure", "rest", "end"]
    assert 0.9e6 < of_step(lab, 2, "negative_pressure_pa")[-1] < 1.2e6
    for pressure in of_step(lab, 4, "negative_pressure_pa"):
        assert pressure == pytest.approx(2.0e6, rel=0.02)
    assert max(of_step(lab, 3, "negative_pressure_pa_max")) < 2.0e6 * 1.03


async def test_pressure_control_of_an_earlier_step_stands_still_in_a_pause_and_then_goes_on() -> None:
    angles: list[float] = []

    async def script(lab: Lab, run: Run) -> None:
        while run.progress.step is None or run.progress.step.id != 2:
            await lab.clock.sleep(1.0)
        run.pause("ada")
        await lab.clock.sleep(3.0)
        angles.append(lab.bench.rig.angle)
        await lab.clock.sleep(3600.0)
        angles.append(lab.bench.rig.angle)
        run.resume("ada")

    async with laboratory() as lab:
        await lab.run(RAMP + '[[step]]\ncharge = "C/2"\nuntil = "1 h"\n', meanwhile=script)
    assert angles[0] == angles[1]
    assert len({row["negative_screw_angle_radian"] for row in lab.rows if row["step_count"] == 4}) > 1, (
        "the cell breathes"
    )
    assert of_step(lab, 4, "negative_pressure_pa")[-1] == pytest.approx(2.0e6, rel=0.02)


class Patient:
    """An operator who answers when told to, while lab time passes."""

    def __init__(self, lab: Lab) -> None:
        self.asked = 0
        self.answer: Signal[str] = Signal(lab.clock)

    async def ask(self, prompt: Prompt, output_state: str) -> str:
        self.asked += 1
        return await self.answer.wait()


PROMPT = '[[step]]\nname = "look"\nprompt = "Does the press hold?"\nanswers = ["holds"]\n'


@pytest.mark.parametrize("answered_in_pause", [True, False])
async def test_a_prompt_goes_on_being_asked_in_a_pause(answered_in_pause: bool) -> None:
    async with laboratory() as lab:
        person = Patient(lab)

        async def script(lab: Lab, run: Run) -> None:
            await lab.clock.sleep(100.0)
            run.pause("ada")
            await lab.clock.sleep(100.0)
            if answered_in_pause:
                person.answer.set("holds")
            await lab.clock.sleep(100.0)
            run.resume("ada")
            await lab.clock.sleep(100.0)
            person.answer.set("holds")

        outcome = await lab.run(PROMPT + REST, person, script)
    assert outcome.state is RunState.COMPLETED
    assert person.asked == 1
    assert [verb for _, verb, _, _ in executed(lab)] == ["prompt", "pause", "prompt", "rest", "end"]
    assert executed(lab)[2][3] == "done"
    answered = next(event for event in lab.events if event.kind == "operator.answered")
    assert answered.test_time_second == pytest.approx(300.0 if answered_in_pause else 400.0, abs=1.0)
    assert [row["step_id"] for row in lab.rows if 10.0 < (row["test_time_second"] or 0.0) < 90.0] == [1]


async def test_a_skip_goes_on_with_the_next_step_and_is_no_fault() -> None:
    steps = '[[step]]\nname = "charge"\ncharge = "C/5"\nuntil = { when = "1 h", then = "fault: never" }\n'
    steps = steps.replace('"fault: never"', '"end"')
    async with laboratory() as lab:
        outcome = await lab.run(steps + REST, meanwhile=after((100.0, lambda run: run.skip("ada"))))
    assert outcome.state is RunState.COMPLETED
    assert executed(lab)[0][3] == "skipped by ada"
    assert executed(lab)[1][2:] == ("rest", "10 min")
    assert next(event for event in lab.events if event.kind == "step.skipped").data == {"who": "ada", "step_count": 1}


async def test_a_skipped_prompt_is_not_asked_any_more() -> None:
    async with laboratory() as lab:
        person = Patient(lab)
        outcome = await lab.run(PROMPT + REST, person, after((100.0, lambda run: run.skip("ada"))))
    assert outcome.state is RunState.COMPLETED
    assert executed(lab)[0][3] == "skipped by ada"
    assert "operator.answered" not in lab.kinds()


async def test_stop_while_paused_says_by_whom_and_why() -> None:
    async with laboratory() as lab:
        stop = after((100.0, pause), (100.0, lambda run: run.stop("ada", "it is cold")))
        outcome = await lab.run(CHARGE, meanwhile=stop)
        assert lab.bench.cell.current == 0.0
    assert outcome.state is RunState.STOPPED
    assert outcome.reason == "Stopped by ada: it is cold"
    assert executed(lab)[1] == (1, "pause", "pause", "Stopped by ada: it is cold")
    assert lab.events[-1].data == {"state": "stopped", "reason": "Stopped by ada: it is cold", "who": "ada"}


async def test_the_guard_trips_in_a_pause() -> None:
    breakage = Breakage("load_cell.negative", silence)

    async def script(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(100.0)
        run.pause("ada")
        await lab.clock.sleep(100.0)
        breakage.active = True

    async with laboratory(breakages=(breakage,)) as lab:
        outcome = await lab.run(CHARGE, meanwhile=script)
    assert outcome.state is RunState.TRIPPED
    assert [verb for _, verb, _, _ in executed(lab)] == ["charge", "pause", "end"]
    assert executed(lab)[1][3] == outcome.reason
    assert lab.events[-1].severity is Severity.ALARM


async def test_a_pause_that_is_not_confirmed_ends_the_run() -> None:
    breakage = Breakage("cycler", silence)

    async def script(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(100.0)
        breakage.active = True
        run.pause("ada")

    async with laboratory(breakages=(breakage,)) as lab:
        outcome = await lab.run(CHARGE, meanwhile=script)
    assert outcome.state in {RunState.TRIPPED, RunState.FAILED}
    assert "instrument.unsafe" in lab.kinds()


async def test_words_at_once_before_the_walker_has_heard_them() -> None:
    async def script(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(100.0)
        run.pause("ada")
        run.resume("ada")
        run.skip("ada")
        await lab.clock.sleep(100.0)
        run.pause("ada")
        run.stop()

    async with laboratory() as lab:
        outcome = await lab.run(RAMP + REST, meanwhile=script)
    assert outcome.reason == "Stopped by the operator."
    assert executed(lab)[0][3] == "skipped by ada"


async def test_a_run_that_is_paused_before_it_begins_waits_with_an_open_circuit() -> None:
    async def script(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(500.0)
        assert lab.bench.cell.current == 0.0
        run.resume("ada")

    async with laboratory() as lab:
        station = lab.assembly.station
        run = Run(plan_of(CHARGE, lab.assembly), station, DeclaredOperator(), lab.records.append)
        run.pause("ada")
        outcome = await lab.execute(run, script)
    assert outcome.state is RunState.COMPLETED
    assert [(verb, reason) for _, verb, _, reason in executed(lab)[:2]] == [
        ("pause", "resumed by ada"),
        ("charge", "1 h"),
    ]
    assert of_step(lab, 2, "step_time_second")[0] == 0.0


async def test_what_makes_no_sense_is_refused_by_a_sentence() -> None:
    said: dict[str, NotNow] = {}

    def refused(name: str, say: Callable[[], None]) -> None:
        with pytest.raises(NotNow) as caught:
            say()
        said[name] = caught.value

    async def script(lab: Lab, run: Run) -> None:
        refused("skip first", lambda: run.skip("ada"))
        await lab.clock.sleep(10.0)
        refused("resume", lambda: run.resume("ada"))
        run.note("ada", "It hums.")
        run.pause("ada")
        refused("pause", lambda: run.pause("ada"))
        refused("skip", lambda: run.skip("ada"))
        run.resume("ada")
        await lab.clock.sleep(10.0)
        run.skip("ada")
        refused("skip twice", lambda: run.skip("ada"))

    async with laboratory() as lab:
        station = lab.assembly.station
        run = Run(plan_of(CHARGE, lab.assembly), station, DeclaredOperator(), lab.records.append)
        outcome: Outcome = await lab.execute(run, script)
    for name, say in {
        "ended pause": lambda: run.pause("ada"),
        "ended skip": lambda: run.skip("ada"),
        "ended stop": run.stop,
        "ended note": lambda: run.note("ada", "late"),
        "ended revise": lambda: run.revise(run.plan, "ada", ""),
    }.items():
        refused(name, say)
    assert outcome.state is RunState.COMPLETED
    assert {error.exit_code for error in said.values()} == {6}
    assert said["resume"].sentence == "The run is not paused, so there is nothing to resume."
    assert said["pause"].sentence == "The run is paused already."
    assert said["ended pause"].sentence == "The run has ended."
    notes = [(event.message, event.data) for event in lab.events if event.kind == "note"]
    assert notes == [("It hums.", {"who": "ada"})]


async def test_the_forecast_counts_no_pause_and_the_progress_stands_still_in_it() -> None:
    seen: list[tuple[float, float, float, float]] = []

    async def script(lab: Lab, run: Run) -> None:
        def look() -> None:
            at, progress = run.progress.test_time, run.progress
            seen.append((run.forecast.left(at), run.forecast.fraction(at), progress.step_time, progress.step_charge))

        await lab.clock.sleep(1200.2)
        run.pause("ada")
        look()
        await lab.clock.sleep(5000.0)
        look()
        run.resume("ada")
        await lab.clock.sleep(1200.0)
        look()

    async with laboratory() as lab:
        await lab.run(CHARGE + CHARGE.replace('"charge"', '"again"'), meanwhile=script)
    before, paused, later = seen
    assert before[0] == pytest.approx(6000.0, abs=3.0)
    assert paused == pytest.approx(before, abs=2.0)
    assert later[0] == pytest.approx(4800.0, abs=3.0)
    assert later[1] == pytest.approx(2400.0 / 7200.0, abs=0.002)
    assert later[2] == pytest.approx(2400.0, abs=3.0)
    assert later[3] == pytest.approx(2.0 * before[3], rel=0.005)
