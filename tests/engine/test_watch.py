"""The watch over a station without a run: its rows, its guard, and the hand-over to a run and back."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import inf

import pytest

from labctl.engine.guard import Trip
from labctl.engine.operator import DeclaredOperator
from labctl.engine.run import Run
from labctl.engine.watch import Watch
from labctl.instrument import Range
from labctl.plan import Bound, Limits
from labctl.reading import RunState, Severity
from labctl.sim.faults import silence
from tests.stations import Breakage, Lab, laboratory, plan_of

LIMITS = Limits(voltage=Bound(1.0, 4.5), current=10e-3, capacity=inf, temperature=Bound(5.0, 60.0))
INSTRUMENTS = ["cycler", "load_cell.negative", "load_cell.positive", "pressure_rig.negative", "thermostat"]
RAMP = """
[[step]]
pressure = { negative = "2.0 MPa", ramp = "0.1 MPa/s", control = "force" }
until = "stable within 2 % for 60 s"
timeout = "20 min"
"""

Script = Callable[[Watch], Awaitable[None]]


async def watch_over(lab: Lab, script: Script, limits: Limits = LIMITS) -> list[Trip]:
    """Watch a polled station while a script goes by in lab time; return the trips that were told."""
    station, trips = lab.assembly.station, []
    async with asyncio.TaskGroup() as group:
        station.start(group)
        watch = Watch(station, limits, lab.records.append, trips.append)
        watch.start()

        await lab.clock.spawn(group, script(watch), "scene")
        await watch.stop()
        station.stop()
    return trips


async def test_rows_come_every_interval_and_belong_to_no_step() -> None:
    async def script(watch: Watch) -> None:
        await lab.clock.sleep(630.5)

    async with laboratory() as lab:
        assert await watch_over(lab, script) == []
    times = [row["test_time_second"] for row in lab.rows]
    assert times == pytest.approx([60.0 * n for n in range(11)] + [times[-1]], abs=1e-6)
    assert {(row["step_id"], row["step_count"], row["cycle_count"]) for row in lab.rows} == {(0, 0, 0)}
    assert lab.rows[-1]["negative_force_newton"] is not None
    assert lab.events == [], "who begins a watch makes its first and last record"


@pytest.mark.parametrize("instrument", INSTRUMENTS)
async def test_silence_of_any_instrument_trips(instrument: str) -> None:
    breakage = Breakage(instrument, silence)

    async def script(watch: Watch) -> None:
        await lab.clock.sleep(100.0)
        breakage.active = True
        await lab.clock.sleep(100.0)
        assert watch.trip is not None
        breakage.active = False
        await lab.clock.sleep(100.0)

    async with laboratory(breakages=(breakage,)) as lab:
        (trip,) = await watch_over(lab, script)
    assert trip.silent
    assert "has had no valid reading for" in trip.sentence
    (tripped,) = [event for event in lab.events if event.kind == "guard.tripped"]
    assert tripped.message == trip.sentence
    assert tripped.severity is Severity.ALARM
    assert 100.0 < tripped.test_time_second < 160.0
    assert "instrument.failed" in lab.kinds()
    assert lab.kinds()[-1] == "instrument.recovered"


async def test_a_trip_makes_safe_once_latches_and_is_armed_again() -> None:
    async def script(watch: Watch) -> None:
        cycler = lab.assembly.station.instruments.cycler
        await cycler.arm(Range(2.0, 4.4), 3e-3)
        await cycler.drive(1e-3, 4.2)
        await lab.clock.sleep(10.0)
        first = watch.trip
        assert first is not None
        assert first.quantity == "current"
        assert lab.bench.cell.current == 0.0
        await cycler.drive(1e-3, 4.2)
        await lab.clock.sleep(10.0)
        assert watch.trip is first, "a latched trip is one trip"
        watch.rearm()
        assert watch.trip is None
        await lab.clock.sleep(10.0)
        assert watch.trip is not None
        assert lab.bench.cell.current == 0.0
        watch.rearm()
        await lab.clock.sleep(100.0)
        assert watch.trip is None

    async with laboratory() as lab:
        trips = await watch_over(lab, script, replace(LIMITS, current=1e-4))
    assert [trip.quantity for trip in trips] == ["current", "current"]
    assert lab.kinds() == ["guard.tripped", "guard.tripped"]


async def test_a_second_trip_while_the_first_safe_state_is_still_tried_stops_no_time() -> None:
    async def script(watch: Watch) -> None:
        await lab.clock.sleep(5.0)
        mute.active = True
        while watch.trip is None:
            await lab.clock.sleep(1.0)
        watch.rearm()
        await lab.clock.sleep(60.0)

    mute = Breakage("cycler", silence)
    async with laboratory(breakages=(mute,)) as lab, asyncio.timeout(20):
        trips = await watch_over(lab, script)
    assert [trip.quantity for trip in trips] == ["cycler", "cycler"]
    assert lab.kinds().count("instrument.unsafe") == 2


async def test_heat_switches_the_heaters_off_and_nothing_else_does() -> None:
    async def script(watch: Watch) -> None:
        thermostat = lab.assembly.station.instruments.thermostat
        assert thermostat is not None
        await thermostat.set_temperature(45.0)
        while watch.trip is None:
            await lab.clock.sleep(10.0)
        await lab.clock.sleep(10.0)
        assert not (await thermostat.read()).running

    async with laboratory() as lab:
        (trip,) = await watch_over(lab, script, replace(LIMITS, temperature=Bound(None, 35.0)))
    assert trip.heat


async def test_without_a_bore_a_load_cell_beyond_its_capacity_trips() -> None:
    async def script(watch: Watch) -> None:
        await lab.clock.sleep(60.0)

    async with laboratory() as lab:
        station = lab.assembly.station
        assert station.board.bore_area is None
        limits = replace(LIMITS, pressure_positive=Bound(None, 1.0))
        assert await watch_over(lab, script, limits) == [], "a force is no pressure without a bore"
        station.instruments.load_cells["positive"].capacity = 10.0  # its spring is preloaded with 15.7 N
        (trip,) = await watch_over(lab, script, limits)
    assert trip.quantity == "positive_force_newton"
    assert "beyond its capacity of 10 N" in next(
        event.message for event in lab.events if event.kind == "instrument.failed"
    )


async def test_from_a_watch_to_a_run_and_back_to_a_watch() -> None:
    async def two_minutes(watch: Watch) -> None:
        watch.start()
        await lab.clock.sleep(120.0)

    async with laboratory() as lab:
        station, trips = lab.assembly.station, []
        async with asyncio.TaskGroup() as group:
            station.start(group)
            watch = Watch(station, LIMITS, lab.records.append, trips.append)
            await lab.clock.spawn(group, two_minutes(watch), "watch")
            await watch.stop()
            idle = len(lab.rows)
            run = Run(plan_of(RAMP, lab.assembly), station, DeclaredOperator(), lab.records.append)
            outcome = await run.execute()
            ran = len(lab.rows)
            watch = Watch(
                station, replace(LIMITS, pressure_negative=Bound(None, 3e6)), lab.records.append, trips.append
            )
            await lab.clock.spawn(group, two_minutes(watch), "watch")
            await watch.stop()
            assert trips == []
            watch = Watch(
                station, replace(LIMITS, pressure_negative=Bound(None, 1e6)), lambda record: None, trips.append
            )
            await lab.clock.spawn(group, two_minutes(watch), "watch")
            await watch.stop()
            station.stop()
    assert outcome.state is RunState.COMPLETED
    assert {row["step_count"] for row in lab.rows[:idle]} == {0}
    assert {row["step_count"] for row in lab.rows[idle:ran]} == {1, 2}
    assert {row["step_count"] for row in lab.rows[ran:]} == {0}
    for row in lab.rows[ran:]:
        assert row["negative_pressure_pa"] == pytest.approx(2.0e6, rel=0.03), "the bore is that of the run"
    assert [trip.quantity for trip in trips] == ["pressure.negative"]
