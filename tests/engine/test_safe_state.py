"""The safe state: its order and completeness while cancels come twice, links hang and workers die."""

import asyncio
from contextlib import suppress

import pytest

from labctl.engine.operator import DeclaredOperator
from labctl.engine.run import Run
from labctl.engine.station import SAFE_ATTEMPTS
from labctl.reading import Event, Record, RunState
from labctl.sim.faults import Delay, Fault, Garbage, silence
from tests.stations import Breakage, Lab, laboratory, plan_of

PRESSED = """
[[step]]
pressure = { negative = "1 MPa", ramp = "0.1 MPa/s" }
until = "stable within 5 % for 10 s"
timeout = "20 min"
[[step]]
charge = "C/5"
until = "4.3 V"
"""
HANGS: dict[str, Fault] = {"silent": silence, "late": Delay(3600.0), "garbage": Garbage(b"\xff\xff")}


class Acts:
    """Every attempt at a safe state, in its order: who, when, and whether it was confirmed."""

    def __init__(self, lab: Lab) -> None:
        self.done: list[tuple[str, float, bool]] = []
        for name, instrument in lab.assembly.station.instruments.named().items():
            self._follow(lab, name, instrument)

    def _follow(self, lab: Lab, name: str, instrument) -> None:  # type: ignore[no-untyped-def]
        safe_state = instrument.safe_state

        async def followed() -> None:
            confirmed = False
            try:
                await safe_state()
                confirmed = True
            finally:
                self.done.append((name, lab.clock.now(), confirmed))

        instrument.safe_state = followed

    def names(self) -> list[str]:
        return [name for name, _, _ in self.done]


async def charging(lab: Lab) -> None:
    """Wait until the cell is pressed and charged."""
    while lab.bench.cell.current < 4e-4:
        await lab.clock.sleep(1.0)
    await lab.clock.sleep(60.0)


def pressed(lab: Lab) -> Run:
    return Run(plan_of(PRESSED, lab.assembly), lab.assembly.station, DeclaredOperator(), lab.records.append)


async def test_the_circuit_is_opened_first_and_the_pressure_frozen_second() -> None:
    async def heat(lab: Lab, run: Run) -> None:
        await charging(lab)
        acts.done.clear()
        lab.bench.room.regulate(79.0)

    async with laboratory() as lab:
        acts = Acts(lab)
        run = pressed(lab)
        outcome = await lab.execute(run, heat)
    assert outcome.state is RunState.TRIPPED
    assert acts.names() == ["cycler", "pressure_rig.negative", "thermostat"]


@pytest.mark.parametrize("hang", HANGS)
@pytest.mark.parametrize("instrument", ["cycler", "pressure_rig.negative", "thermostat"])
async def test_one_that_hangs_keeps_no_other_from_its_safe_state(instrument: str, hang: str) -> None:
    breakage = Breakage(instrument, HANGS[hang])

    async def heat(lab: Lab, run: Run) -> None:
        await charging(lab)
        acts.done.clear()
        lab.bench.room.regulate(79.0)

    async with laboratory(breakages=(breakage,)) as lab:

        def hang_from_the_trip_on(record: Record) -> None:
            lab.records.append(record)
            if isinstance(record, Event) and record.kind == "guard.tripped":
                breakage.active = True

        acts, station = Acts(lab), lab.assembly.station
        run = Run(plan_of(PRESSED, lab.assembly), station, DeclaredOperator(), hang_from_the_trip_on)
        outcome = await lab.execute(run, heat)
        angle = lab.bench.rig.angle
        if instrument != "cycler":
            assert lab.bench.cell.current == 0.0
        if instrument != "pressure_rig.negative":
            lab.bench.advance_to(lab.bench.time + 60.0)
            assert lab.bench.rig.angle == angle
    assert outcome.state is RunState.TRIPPED
    first = acts.names()[:3]
    assert first == ["cycler", "pressure_rig.negative", "thermostat"]
    assert acts.names()[len(first) :] == [instrument] * (SAFE_ATTEMPTS - 1), (
        "the one that hangs is tried again, and alone"
    )
    unsafe = [event.message for event in lab.events if event.kind == "instrument.unsafe"]
    assert [message.split(" ")[0] for message in unsafe] == [f"A1/{instrument}"]
    assert lab.kinds()[-1] == "run.ended"


@pytest.mark.parametrize("cancels", [1, 2, 5])
async def test_no_cancel_interrupts_a_safe_state(cancels: int) -> None:
    """While a hanging rig is tried again and again, whoever wants to leave asks more than once."""
    breakage = Breakage("pressure_rig.negative", silence)
    async with laboratory(breakages=(breakage,)) as lab:
        acts, run, station = Acts(lab), pressed(lab), lab.assembly.station

        async def insist(task: asyncio.Task[object]) -> None:
            await charging(lab)
            acts.done.clear()
            breakage.active = True
            for _ in range(cancels):
                task.cancel()
                await lab.clock.sleep(0.7)

        async with asyncio.TaskGroup() as group:
            station.start(group)
            executing = group.create_task(run.execute())
            insisting = lab.clock.spawn(group, insist(executing), "insisting")
            with suppress(asyncio.CancelledError):
                await asyncio.wait([executing])
                await insisting
            station.stop()
        assert executing.cancelled()
        assert lab.bench.cell.current == 0.0
    assert acts.names() == ["cycler", *["pressure_rig.negative"] * SAFE_ATTEMPTS]
    assert run.outcome is not None
    assert run.outcome.state is RunState.FAILED
    assert lab.kinds()[-1] == "run.ended"


async def test_a_worker_that_dies_of_a_bug_leaves_a_safe_station() -> None:
    async with laboratory() as lab:
        acts, run = Acts(lab), pressed(lab)

        async def die(lab: Lab, run: Run) -> None:
            await charging(lab)
            acts.done.clear()

            def broken(*_: object) -> float:
                raise ZeroDivisionError("a bug")

            for control in run._controls.values():
                control._correct = broken  # type: ignore[method-assign,assignment]

        with pytest.raises(ExceptionGroup) as caught:
            await lab.execute(run, die)
        assert caught.group_contains(ZeroDivisionError)
        assert lab.bench.cell.current == 0.0
    assert acts.names() == ["cycler", "pressure_rig.negative"]
    assert lab.kinds()[-1] == "run.ended"
    assert lab.events[-1].data["state"] == RunState.FAILED.value


async def test_a_second_trip_while_the_first_is_made_safe_changes_nothing() -> None:
    silent = Breakage("load_cell.negative", silence)

    async def heat(lab: Lab, run: Run) -> None:
        await charging(lab)
        acts.done.clear()
        silent.active = True
        lab.bench.room.regulate(79.0)
        await lab.clock.sleep(3600.0)

    async with laboratory(breakages=(silent,)) as lab:
        acts = Acts(lab)
        outcome = await lab.execute(pressed(lab), heat)
    assert outcome.reason.startswith("negative_force_newton has had no valid reading")
    assert acts.names() == ["cycler", "pressure_rig.negative"]
    assert lab.kinds().count("guard.tripped") == 1
