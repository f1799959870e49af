"""What a station does when an instrument answers garbage, half, late or nothing, and when a limit is passed."""

import asyncio

import pytest

from labctl.engine.operator import DeclaredOperator
from labctl.engine.run import Run
from labctl.errors import InstrumentError, InstrumentLost, LimitTripped, StorageError
from labctl.reading import COLUMNS, Event, Reading, Record, RunState
from labctl.sim.faults import Delay, Fault, Garbage, half, silence
from tests.stations import HEAD, Breakage, Lab, laboratory, plan_of

INSTRUMENTS = ["cycler", "load_cell.negative", "load_cell.positive", "pressure_rig.negative", "thermostat"]
FAULTS: dict[str, Fault] = {
    "nothing": silence,
    "half": half,
    "garbage": Garbage(b"\x00\xff?!\r\n"),
    "late": Delay(10.0),
}
CHARGE = '[[step]]\ncharge = "C/5"\nuntil = "2 h"\n'


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("instrument", INSTRUMENTS)
async def test_a_bad_instrument_is_refused_before_anything_moves(instrument: str, fault: str) -> None:
    breakage = Breakage(instrument, FAULTS[fault], active=True)
    with pytest.raises(InstrumentError) as caught:
        async with laboratory(breakages=(breakage,)):
            pytest.fail("it was accepted")
    assert caught.value.exit_code == 4
    assert caught.value.sentence.startswith(f"A1/{instrument} at sim://")
    assert caught.value.remedy


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("instrument", INSTRUMENTS)
async def test_an_instrument_that_fails_in_a_run_trips_the_guard(instrument: str, fault: str) -> None:
    breakage = Breakage(instrument, FAULTS[fault])

    async def fail(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(60.0)
        breakage.active = True
        await lab.clock.sleep(60.0)
        breakage.active = False

    async with laboratory(breakages=(breakage,)) as lab:
        outcome = await lab.run(CHARGE, meanwhile=fail)
        if instrument != "cycler":
            assert lab.bench.cell.current == 0.0
    assert outcome.state is RunState.TRIPPED
    assert isinstance(outcome.error, InstrumentLost)
    assert outcome.error.exit_code == 4
    assert "has had no valid reading for" in outcome.reason
    assert "instrument.failed" in lab.kinds()
    assert lab.kinds()[-1] == "run.ended"
    trip = next(event for event in lab.events if event.kind == "guard.tripped")
    assert 60.0 < trip.test_time_second < 60.0 + 50.0


async def test_a_silent_cycler_is_said_to_be_unconfirmed() -> None:
    breakage = Breakage("cycler", silence)

    async def fail(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(60.0)
        breakage.active = True

    async with laboratory(breakages=(breakage,)) as lab:
        outcome = await lab.run(CHARGE, meanwhile=fail)
    assert outcome.state is RunState.TRIPPED
    unsafe = [event for event in lab.events if event.kind == "instrument.unsafe"]
    assert len(unsafe) == 1
    assert unsafe[0].message.startswith("A1/cycler did not confirm its safe state")


async def test_a_short_disturbance_is_told_and_survived() -> None:
    breakage = Breakage("load_cell.negative", silence)

    async def fail(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(60.2)
        breakage.active = True
        await lab.clock.sleep(1.0)
        breakage.active = False

    async with laboratory(breakages=(breakage,)) as lab:
        outcome = await lab.run('[[step]]\ncharge = "C/5"\nuntil = "5 min"\n', meanwhile=fail)
    assert outcome.state is RunState.COMPLETED
    assert lab.kinds().count("instrument.failed") == 1
    assert lab.kinds().count("instrument.recovered") == 1


LOCKED = """
[[step]]
pressure = { negative = "2.5 MPa", ramp = "0.1 MPa/s", control = "gap" }
until = "stable within 2 % for 60 s"
timeout = "20 min"
[[step]]
charge = "C/5"
until = "4.3 V"
"""


async def test_a_locked_gap_that_creeps_below_its_limit_opens_the_circuit_and_freezes_the_screw() -> None:
    async with laboratory() as lab:
        head = HEAD.replace('"0 MPa"', '"2.45 MPa"')
        outcome = await lab.run(plan_of(LOCKED, lab.assembly, head))
        angle = lab.bench.rig.angle
        lab.bench.advance_to(lab.bench.time + 600.0)
        assert lab.bench.rig.angle == angle
        assert lab.bench.cell.current == 0.0
    assert outcome.state is RunState.TRIPPED
    assert isinstance(outcome.error, LimitTripped)
    assert outcome.error.exit_code == 5
    assert "below the limit of 2.45 MPa" in outcome.reason
    row = lab.rows[-1]
    assert row["negative_pressure_pa"] == pytest.approx(2.45e6, rel=0.01), "the pressure stays where it was"


async def test_a_step_may_narrow_the_limits_for_itself() -> None:
    steps = '[[step]]\nrest = "5 min"\nlimits = { temperature = ["10 degC", "20 degC"] }\n'
    async with laboratory() as lab:
        outcome = await lab.run('[[step]]\nrest = "5 min"\n' + steps)
    assert outcome.state is RunState.TRIPPED
    assert "above the limit of 20 °C" in outcome.reason
    assert [event.data["step_count"] for event in lab.events if event.kind == "step.ended"] == [1, 2]


async def test_a_trip_closes_the_step_with_a_row_and_its_charge() -> None:
    async with laboratory() as lab:
        head = HEAD.replace('"400 mAh/g"', '"5 mAh/g"').replace('"60 s"', '"1 h"')
        outcome = await lab.run(plan_of(CHARGE.replace("2 h", "10 h"), lab.assembly, head))
    assert outcome.state in (RunState.TRIPPED, RunState.FAILED)
    charged = [row for row in lab.rows if row["step_id"] == 1]
    assert charged[0]["step_time_second"] == 0.0
    last = charged[-1]
    assert last["charging_capacity_ah"] == pytest.approx(5e-3 * 14e-3 * 3.14159265 * 0.25, rel=0.01)
    assert last["current_ampere"] > 1e-4  # type: ignore[operator]
    ended = [event for event in lab.events if event.kind == "step.ended"]
    assert len(ended) == 1


async def test_a_screw_does_not_turn_on_a_force_that_it_has_already_acted_on() -> None:
    """A load cell that falls silent while the pressure is raised: what it said last is worth one turn, not five."""
    breakage = Breakage("load_cell.negative", silence)
    angles: list[float] = []

    async def fall_silent(lab: Lab, run: Run) -> None:
        while (lab.assembly.station.board.force("negative", lab.clock.now()) or 0.0) < 50.0:
            await lab.clock.sleep(1.0)
        breakage.active = True
        await lab.clock.sleep(2.0)  # the last good measurement is acted on, and the servo arrives
        angles.append(lab.bench.rig.angle)

    raise_it = '[[step]]\npressure = { negative = "3 MPa", ramp = "0.1 MPa/s" }\nuntil = "stable within 2 % for 60 s"\n'
    async with laboratory(breakages=(breakage,)) as lab:
        outcome = await lab.run(raise_it + 'timeout = "20 min"\n', meanwhile=fall_silent)
        assert lab.bench.rig.angle == angles[0]
    assert outcome.state is RunState.TRIPPED
    assert isinstance(outcome.error, InstrumentLost)


async def test_records_that_cannot_be_kept_do_not_keep_the_cell_from_its_safe_state() -> None:
    async with laboratory() as lab:
        station, told = lab.assembly.station, list[Record]()

        def full(record: Record) -> None:
            if lab.clock.now() > 120.0:
                raise StorageError("The disk is full.")
            told.append(record)

        run = Run(plan_of(CHARGE, lab.assembly), station, DeclaredOperator(), full)

        async def execute() -> None:
            async with asyncio.TaskGroup() as group:
                station.start(group)
                await run.execute()

        with pytest.raises(ExceptionGroup) as caught:
            await execute()
        assert caught.group_contains(StorageError)
        currents = [record.values[COLUMNS.index("current_ampere")] for record in told if isinstance(record, Reading)]
        assert max(current for current in currents if current is not None) > 1e-4
        assert lab.bench.cell.current == 0.0
    assert not any(isinstance(record, Event) and record.kind == "run.ended" for record in told)


async def test_overheating_stops_the_heaters() -> None:
    async def meddle(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(600.0)
        lab.bench.room.regulate(75.0)

    steps = (
        '[[step]]\ntemperature = "30 degC"\nof = "chamber"\nuntil = "stable within 1 K for 5 min"\ntimeout = "4 h"\n'
    )
    async with laboratory() as lab:
        outcome = await lab.run(steps + '[[step]]\nrest = "6 h"\n', meanwhile=meddle)
        assert lab.bench.room.heater_power <= 0.0
    assert outcome.state is RunState.TRIPPED
    assert "temperature is" in outcome.reason
    assert "above the limit of 60 °C" in outcome.reason


async def test_a_short_in_the_first_charge_ends_as_a_fault_not_as_a_success() -> None:
    async def short(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(600.0)
        lab.bench.cell.short(100.0)

    async with laboratory() as lab:
        head = HEAD.replace('capacity = "400 mAh/g"', 'capacity = "20 mAh/g"')
        plan = plan_of('[[step]]\ncharge = "C/5"\nuntil = "4.3 V"\n', lab.assembly, head)
        outcome = await lab.run(plan, meanwhile=short)
        assert lab.bench.cell.current <= 0.0
    assert outcome.state in (RunState.FAILED, RunState.TRIPPED)
    assert lab.bench.cell.voltage < 4.0
