"""A warning of the guard: pauses a run that somebody can resume, ends any other, and is told once."""

from dataclasses import replace

import pytest

from labctl.engine.operator import DeclaredOperator
from labctl.engine.run import THE_GUARD, Outcome, Run
from labctl.engine.watch import Watch
from labctl.plan import Bound, Margins, Plan
from labctl.reading import RunState, Severity
from tests.engine.test_watch import LIMITS, watch_over
from tests.stations import Lab, laboratory, plan_of

CHARGE = '[[step]]\ncharge = "C/5"\nuntil = "4.3 V"\n'
REST = '[[step]]\nrest = "30 min"\n'


def warning_of(plan: Plan, **margins: float) -> Plan:
    return replace(plan, limits=replace(plan.limits, margins=Margins(**margins)))


async def wait_for(lab: Lab, run: Run, seconds: float) -> None:
    """Wait until the run is paused and its circuit open; fail after so many seconds."""
    for _ in range(int(seconds)):
        if run.paused and run.progress.step_count > 1 and lab.bench.cell.current == 0.0:
            return
        await lab.clock.sleep(1.0)
    pytest.fail("it was not paused")


async def attended(lab: Lab, plan: Plan, scene) -> Outcome:  # type: ignore[no-untyped-def]
    run = Run(plan, lab.assembly.station, DeclaredOperator(), lab.records.append, waits=True)
    return await lab.execute(run, scene)


async def test_a_cable_that_was_kicked_is_plugged_in_again_and_the_step_goes_on() -> None:
    async def scene(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(1200.0)
        lab.bench.cell.open_circuit()
        await wait_for(lab, run, 10.0)
        await lab.clock.sleep(3600.0)
        assert run.paused
        lab.bench.advance_to(lab.clock.now())
        lab.bench.cell.open_circuit(broken=False)
        run.resume("anna")
        await lab.clock.sleep(1200.0)
        assert not run.paused
        assert lab.bench.cell.current == pytest.approx(4.4e-4, rel=0.01)
        run.stop("anna")

    async with laboratory() as lab:
        outcome = await attended(lab, plan_of(CHARGE, lab.assembly), scene)
    assert outcome.state is RunState.STOPPED
    guarded = [event for event in lab.events if event.kind in ("guard.warned", "run.paused", "run.resumed")]
    assert [event.kind for event in guarded] == ["guard.warned", "run.paused", "run.resumed"]
    assert guarded[0].severity is Severity.WARNING
    assert guarded[1].data == {"who": THE_GUARD, "reason": guarded[0].message}
    names = [(event.data["name"], event.data["step_id"]) for event in lab.events if event.kind == "step.started"]
    assert [step_id for _, step_id in names][:3] == [1, 1, 1], "the charge, its pause, and what is left of it"
    charged = max(row["charging_capacity_ah"] or 0.0 for row in lab.rows)
    assert charged == pytest.approx(2400.0 * 4.4e-4 / 3600.0, rel=0.01), "nothing flowed while it was open"


async def test_what_is_still_wrong_warns_anew_after_the_resumption() -> None:
    async def scene(lab: Lab, run: Run) -> None:
        await wait_for(lab, run, 20.0)
        run.resume("anna")
        await lab.clock.sleep(30.0)
        assert run.paused
        run.stop("anna")

    async with laboratory() as lab:
        await attended(lab, warning_of(plan_of(CHARGE, lab.assembly), temperature=38.0), scene)
    warned = [event for event in lab.events if event.kind == "guard.warned"]
    assert len(warned) == 2
    assert warned[0].message.endswith("°C, above the warning of 22 °C.")
    assert warned[0].data == {"quantity": "temperature", "driven": True}


async def test_a_trip_comes_through_a_pause_of_the_guard() -> None:
    async def scene(lab: Lab, run: Run) -> None:
        await wait_for(lab, run, 20.0)
        lab.bench.room.regulate(79.0)
        await lab.clock.sleep(3600.0)
        pytest.fail("it did not trip")

    async with laboratory() as lab:
        plan = warning_of(plan_of(CHARGE, lab.assembly), temperature=38.0)
        outcome = await attended(lab, plan, scene)
        assert lab.bench.room.heater_power <= 0.0
    assert outcome.state is RunState.TRIPPED
    assert outcome.reason.endswith("above the limit of 60 °C. No current was driven.")


async def test_a_warning_ends_a_run_that_nobody_can_resume() -> None:
    async with laboratory() as lab:
        outcome = await lab.run(warning_of(plan_of(CHARGE, lab.assembly), temperature=38.0))
    assert outcome.state is RunState.TRIPPED
    assert "above the warning of 22 °C" in outcome.reason
    assert "guard.warned" in lab.kinds()
    assert "run.paused" not in lab.kinds()


async def test_a_warning_while_the_operator_pauses_is_told_and_pauses_nothing_else() -> None:
    async def scene(lab: Lab, run: Run) -> None:
        run.pause("anna")
        await lab.clock.sleep(60.0)
        assert run.paused
        run.resume("anna")
        await lab.clock.sleep(60.0)
        run.stop("anna")

    async with laboratory() as lab:
        await attended(lab, warning_of(plan_of(REST, lab.assembly), temperature=38.0), scene)
    kinds = [kind for kind in lab.kinds() if kind in ("run.paused", "run.resumed", "guard.warned")]
    assert kinds == ["run.paused", "guard.warned", "run.resumed", "guard.warned", "run.paused"]


async def test_a_watch_tells_a_warning_once_and_goes_on() -> None:
    async def script(watch: Watch) -> None:
        await lab.clock.sleep(600.0)
        assert watch.trip is None
        watch.rearm()
        await lab.clock.sleep(600.0)

    async with laboratory() as lab:
        limits = replace(LIMITS, temperature=Bound(5.0, 60.0), margins=Margins(temperature=38.0))
        assert await watch_over(lab, script, limits) == []
    assert lab.kinds() == ["guard.warned", "guard.warned"], "and again after an acknowledgement"
    assert {row["step_count"] for row in lab.rows} == {0}
