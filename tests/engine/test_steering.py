"""Set points that the host moves: constant power and resistance, sweeps, profiles, voltages above that at rest."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import groupby, pairwise
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.clock import VirtualClock
from labctl.engine.forecast import Forecast
from labctl.engine.run import Run
from labctl.engine.steering import Steering, steering
from labctl.errors import RefusedForSafety
from labctl.plan import Bound, ConstantCurrent, ConstantPower, ConstantResistance, ConstantVoltage, Profile, Rest, Sweep
from labctl.reading import RunState
from labctl.rehearse import rehearse
from labctl.sim.cell import Cell, CurrentSource, Open
from tests.engine.lives import Process, World, plan_for
from tests.stations import HEAD, Lab, laboratory, plan_of, repository_config

CHARGED = '[[step]]\ncharge = "1C"\nuntil = "30 min"\n[[step]]\nrest = "5 min"\n'
"""As `charged`, in the words of a protocol."""
WINDOW = Bound(2.0, 4.4)
Row = dict[str, float | None]


def moved(course: Steering | None, elapsed: float, voltage: float) -> tuple[float, float] | None:
    """Current and voltage that are commanded now; None: nothing is."""
    assert course is not None
    point = course.move(elapsed, voltage)
    return None if point is None else (round(point.current, 9), point.voltage)


def step(text: str, every: str = "1 s") -> str:
    return f'[[step]]\n{text}\nrecord.interval = "{every}"\n'


def profile(rows: str, of: str = "Current / A", more: str = "") -> str:
    return step(f'profile = "x.csv"\n{more}') + f"[attached]\n\"x.csv\" = '''\nTest Time / s,{of}\n{rows}'''\n"


def of_step(lab: Lab, number: int) -> list[Row]:
    return [row for row in lab.rows if row["step_id"] == number]


def column(rows: list[Row], name: str) -> list[float]:
    return [value for row in rows if (value := row[name]) is not None]


def reasons(lab: Lab) -> list[str]:
    return [event.data["reason"] for event in lab.events if event.kind == "step.ended"]


def alarms(lab: Lab) -> list[str]:
    return [event.message for event in lab.events if event.kind.startswith("guard.")]


# -- set points ------------------------------------------------------------------------------------------------------


def test_a_power_is_divided_by_the_voltage_and_never_beyond_the_largest_current() -> None:
    course = steering(ConstantPower(-4e-3, 2.5, 2e-3), 3.6)
    assert moved(course, 0.0, 4.0) == (-1e-3, 2.5)
    assert moved(course, 1.0, 3.9999) is None, "a thousandth is not worth a command"
    assert moved(course, 2.0, 3.2) == (-1.25e-3, 2.5)
    assert moved(course, 3.0, 1.0) == (-2e-3, 2.5)
    assert moved(course, 4.0, -0.1) is None, "still the largest current"


def test_a_resistor_takes_what_the_voltage_drives_through_it() -> None:
    course = steering(ConstantResistance(2000.0, 2.5, 1.9e-3), 3.6)
    assert moved(course, 0.0, 3.8) == (-0.19e-3, 2.5), "a little first"
    assert moved(course, 0.0, 3.8 - 0.19e-3 * 1800.0) == (-1e-3, 2.5), "1800 ohm are the cell's own"
    assert moved(course, 1.0, 2.8) == (-1.2e-3, 2.5)
    assert moved(course, 2.0, 6.0) == (-1.9e-3, 2.5)
    assert course is not None
    assert course.duration == inf


CORNERS = st.lists(st.integers(25, 43).map(lambda tenths: tenths / 10), min_size=1, max_size=6)


@given(CORNERS, st.floats(1e-5, 1e-2), st.floats(0.0, 1.2), st.floats(2.6, 4.2))
def test_a_sweep_is_between_its_corners_and_no_faster_than_its_rate(
    turns: list[float], rate: float, part: float, rested: float
) -> None:
    course = steering(Sweep((None, *turns), rate, 1e-3, WINDOW), rested)
    assert course is not None
    corners = [rested, *turns]
    assert course.duration == pytest.approx(sum(abs(b - a) for a, b in pairwise(corners)) / rate)
    time = part * course.duration
    here, later = course._at(time, 3.0), course._at(time + 1.0, 3.0)
    assert min(corners) - 1e-9 <= here.voltage <= max(corners) + 1e-9
    assert abs(later.voltage - here.voltage) <= rate * (1.0 + 1e-6) + 1e-9
    assert here.current == 1e-3
    assert course._at(course.duration, 3.0).voltage == corners[-1]


@pytest.mark.parametrize(
    ("linear", "expected"),
    [(False, [1e-3, 1e-3, -1e-3, 0.0, 0.0]), (True, [1e-3, 0.0, -1e-3, -0.5e-3, 0.0])],
)
def test_a_profile_holds_its_values_or_joins_them(linear: bool, expected: list[float]) -> None:
    action = Profile((0.0, 10.0, 20.0, 30.0), (1e-3, -1e-3, 0.0, 0.0), "current", linear, 2.5, 4.2, 2e-3)
    course = steering(action, 3.6)
    assert course is not None
    points = [course._at(time, 3.6) for time in (0.0, 5.0, 10.0, 15.0, 20.0)]
    expected = expected if linear else [1e-3, 1e-3, -1e-3, -1e-3, 0.0]
    assert [point.current for point in points] == pytest.approx(expected)
    bounds = {1: 4.2, -1: 2.5, 0: 0.0}
    assert [p.voltage for p in points] == [bounds[(p.current > 0) - (p.current < 0)] for p in points]
    assert course.duration == 30.0


def test_a_voltage_at_rest_that_leads_out_of_the_limits_is_refused() -> None:
    above = ConstantVoltage(0.5, 1e-3, relative=WINDOW)
    assert steering(above, 3.8) is not None
    with pytest.raises(RefusedForSafety, match=r"at 4\.5 V, not inside 2 V to 4\.4 V"):
        steering(above, 4.0)
    with pytest.raises(RefusedForSafety, match=r"The cell is at 1\.9 V"):
        steering(Sweep((None, 3.0), 1e-3, 1e-3, WINDOW), 1.9)


def test_other_actions_are_not_steered() -> None:
    assert steering(Rest(), 3.0) is None
    assert steering(ConstantCurrent(1e-3, 4.2), 3.0) is None
    assert steering(ConstantVoltage(4.0, 1e-3), 3.0) is None


@asynccontextmanager
async def charged(station: str) -> AsyncIterator[Lab]:
    """A laboratory whose cell has had its first, irreversible charge, a further one, and a rest."""
    async with laboratory(station) as lab:
        for source, seconds in ((CurrentSource(2.2e-3, 4.4), 1800.0), (Open(), 300.0)):
            lab.bench.cell.drive(source)
            async with asyncio.TaskGroup() as group:
                lab.clock.spawn(group, lab.clock.sleep(seconds), "charge")
            lab.bench.advance_to(lab.clock.now())
        yield lab


# -- runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("station", ["A3", "A4"])
async def test_power_stays_what_it_is_while_the_voltage_moves(station: str) -> None:
    head = HEAD.replace("2.0 V", "1.8 V")
    steps = step('power = "3 mW"\nuntil = "10 min"', "10 s") + step('power = "-2 mW"\nuntil = "2.3 V"', "10 s")
    async with charged(station) as lab:
        outcome = await lab.run(plan_of(steps, lab.assembly, head))
    assert outcome.state is RunState.COMPLETED
    assert alarms(lab) == []
    for number, watts in ((1, 3e-3), (2, -2e-3)):
        rows = of_step(lab, number)[1:-1]  # in the last seconds the voltage falls faster than polls can follow
        voltages, currents = column(rows, "voltage_volt"), column(rows, "current_ampere")
        assert len(rows) > 30
        assert max(voltages) - min(voltages) > 0.03
        assert [v * i for v, i in zip(voltages, currents, strict=True)] == pytest.approx([watts] * len(rows), rel=0.004)
    assert "2.3 V" in reasons(lab)


async def test_a_resistor_discharges_as_ohm_says() -> None:
    async with charged("A3") as lab:
        outcome = await lab.run(step('resistance = "2.5 kOhm"\nuntil = ["2.2 V", "20 min"]', "10 s"))
    assert outcome.state is RunState.COMPLETED
    rows = of_step(lab, 1)[1:]
    ohms = [v / -i for v, i in zip(column(rows, "voltage_volt"), column(rows, "current_ampere"), strict=True)]
    assert ohms == pytest.approx([2500.0] * len(rows), rel=0.004)


async def test_a_resistor_smaller_than_that_of_the_cell_finds_its_current() -> None:
    head = HEAD.replace("2.0 V", "0.8 V")
    async with charged("A3") as lab:
        lab.bench.cell.add_resistance(2600.0)
        steps = step('resistance = "2.5 kOhm"\nuntil = ["1.0 V", "60 s"]')
        outcome = await lab.run(plan_of(steps, lab.assembly, head))
    assert outcome.state is RunState.COMPLETED
    assert reasons(lab)[0] == "60 s"
    rows = of_step(lab, 1)[3:]
    ohms = [v / -i for v, i in zip(column(rows, "voltage_volt"), column(rows, "current_ampere"), strict=True)]
    assert ohms == pytest.approx([2500.0] * len(rows), rel=0.01)


async def test_a_cell_that_is_beyond_the_cut_off_of_a_power_is_not_driven() -> None:
    async with laboratory("A3") as lab:
        outcome = await lab.run('[[step]]\npower = "-2 mW"\nuntil = "2.5 V"\n')
    assert outcome.state is RunState.COMPLETED
    assert max(abs(row["current_ampere"] or 0.0) for row in lab.rows) < 1e-6
    assert reasons(lab)[0] == "2.5 V"


SWEEP = 'sweep = ["ocv", "3.1 V", "2.95 V"]\nrate = "0.5 mV/s"\nmax_current = "2 mA"\ncycles = 2'


@pytest.mark.parametrize("station", ["A3", "A4"])
async def test_a_sweep_turns_at_its_corners_in_stairs(station: str) -> None:
    async with charged(station) as lab:
        rested = lab.bench.cell.voltage
        outcome = await lab.run(step(SWEEP))
    assert outcome.state is RunState.COMPLETED
    assert alarms(lab) == []
    rows = of_step(lab, 1)
    voltages, currents = column(rows, "voltage_volt"), column(rows, "current_ampere")
    assert voltages[0] == pytest.approx(rested, abs=5e-4)
    assert reasons(lab)[0] == "its end is reached"
    length = abs(3.1 - rested) + 3 * 0.15
    assert rows[-1]["step_time_second"] == pytest.approx(length / 0.5e-3, abs=2.0)
    assert max(voltages) == pytest.approx(3.1, abs=6e-4)
    assert min(voltages) == pytest.approx(2.95, abs=6e-4)
    assert max(abs(b - a) for a, b in pairwise(voltages)) < 0.5e-3 + 2e-4
    assert max(map(abs, currents)) <= 2e-3 * 1.001
    assert min(currents) < 0.0 < max(currents)
    assert sum(a > 0.0 >= b for a, b in pairwise(currents)) >= 2


async def test_the_host_sweeps_between_two_programs_of_the_cycler() -> None:
    sweep = 'sweep = ["ocv", "3.05 V"]\nrate = "1 mV/s"\nmax_current = "2 mA"'
    rest = '[[step]]\nrest = "1 min"\n'
    async with charged("A4") as lab:
        outcome = await lab.run(rest + step(sweep) + rest)
    assert outcome.state is RunState.COMPLETED
    assert reasons(lab)[:3] == ["1 min", "its end is reached", "1 min"]
    followed = ["following" in e.data for e in lab.events if e.kind == "run.position"]
    assert [follows for follows, _ in groupby(followed)] == [False, True, False, True]


async def test_a_sweep_that_begins_a_run_is_no_open_circuit() -> None:
    async with laboratory("A3") as lab:
        slow = 'sweep = ["ocv", "2.75 V"]\nrate = "0.1 mV/s"\nmax_current = "1 mA"\nuntil = "60 s"'
        outcome = await lab.run(step(slow))
    first = column(of_step(lab, 1)[:3], "current_ampere")
    assert max(map(abs, first)) < 3e-6, "less than what counts as a current"
    assert outcome.state is RunState.COMPLETED
    assert alarms(lab) == []


async def test_a_profile_is_followed_and_counted_exactly_also_when_it_turns_at_every_poll() -> None:
    rows = "".join(f"{second},{0.001 if second % 2 else -0.001}\n" for second in range(60)) + "60,0\n"
    async with charged("A3") as lab:
        outcome = await lab.run(profile(rows))
    assert outcome.state is RunState.COMPLETED
    assert alarms(lab) == []
    assert reasons(lab)[0] == "its end is reached"
    done = of_step(lab, 1)
    for name in ("charging_capacity_ah", "discharging_capacity_ah"):
        moved = column(done, name)[-1] - column(done, name)[0]
        assert moved * 3600.0 == pytest.approx(0.03, rel=0.02), name


async def test_a_profile_rests_where_it_is_zero_and_goes_on() -> None:
    async with charged("A4") as lab:
        outcome = await lab.run(profile("0,0.001\n10,0\n30,-0.0005\n40,0\n"))
    assert outcome.state is RunState.COMPLETED
    rows = of_step(lab, 1)
    # what a poll measures is what was set at the one before
    at = {round(row["step_time_second"] or 0.0): row["current_ampere"] or 0.0 for row in rows}
    assert [at[second] for second in (5, 20, 35)] == pytest.approx([1e-3, 0.0, -5e-4], abs=2e-6)


async def test_a_profile_of_power_follows_the_voltage() -> None:
    async with charged("A3") as lab:
        outcome = await lab.run(profile("0,0.002\n60,-0.002\n120,0\n", "Power / W"))
    assert outcome.state is RunState.COMPLETED
    at = {round(row["step_time_second"] or 0.0): row for row in of_step(lab, 1)}
    for second, watts in ((30, 2e-3), (90, -2e-3)):
        voltage, current = at[second]["voltage_volt"] or 0.0, at[second]["current_ampere"] or 0.0
        assert voltage * current == pytest.approx(watts, rel=0.01)


@pytest.mark.parametrize(
    ("until", "state", "reason"),
    [
        ("", RunState.FAILED, "held at its voltage limit"),
        ('until = "voltage <= 2.3 V"', RunState.COMPLETED, "voltage <= 2.3 V"),
    ],
)
async def test_a_profile_that_meets_its_bound_ends(until: str, state: RunState, reason: str) -> None:
    async with laboratory("A3") as lab:
        outcome = await lab.run('[[step]]\nrest = "1 min"\n' + profile("0,0.0005\n20,-0.002\n600,0\n", more=until))
    assert outcome.state is state
    assert reasons(lab)[1] == reason
    assert alarms(lab) == []


async def test_a_voltage_above_that_at_rest_is_kept_through_a_pause() -> None:
    async def pause(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(300.0)
        run.pause("ana")
        await lab.clock.sleep(60.0)
        run.resume("ana")

    async with charged("A3") as lab:
        rested = lab.bench.cell.voltage
        steps = step('cv = "20 mV"\nvs = "ocv"\nmax_current = "1 mA"\nuntil = "10 min"', "10 s")
        outcome = await lab.run(steps, meanwhile=pause)
    assert outcome.state is RunState.COMPLETED
    held = [v for row in of_step(lab, 1) if row["current_ampere"] and (v := row["voltage_volt"]) is not None]
    assert "paused by ana" in reasons(lab)
    assert held == pytest.approx([rested + 0.02] * len(held), abs=5e-4)


async def test_a_voltage_outside_the_limits_is_refused_when_the_cell_tells() -> None:
    async with laboratory("A3") as lab:
        outcome = await lab.run('[[step]]\ncv = "2 V"\nvs = "ocv"\nmax_current = "1 mA"\nuntil = "10 min"\n')
    assert outcome.state is RunState.FAILED
    assert isinstance(outcome.error, RefusedForSafety)
    assert "not inside 2 V to 4.4 V" in outcome.reason


async def test_a_cell_far_beyond_its_cv_is_not_driven_backwards() -> None:
    async with charged("A3") as lab:
        steps = '[[step]]\ncharge = "C/5"\ncv = "2.6 V"\nuntil = "10 min"\n'
        outcome = await lab.run(steps)
    assert isinstance(outcome.error, RefusedForSafety)
    assert "it would be driven backwards" in outcome.reason
    assert min(column(lab.rows, "current_ampere")) > -1e-6


async def test_a_falling_ramp_of_a_charging_current_is_no_short_and_a_short_is_one() -> None:
    ramp = profile("0,0.002\n1800,0.0001\n", more='interpolation = "linear"')
    async with charged("A3") as lab:
        outcome = await lab.run(ramp)
    voltages = column(of_step(lab, 1), "voltage_volt")
    assert voltages[0] - voltages[-1] > 0.05, "it falls by more than a short is told by"
    assert outcome.state is RunState.COMPLETED
    assert alarms(lab) == []

    async def hurt(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(600.0)
        lab.bench.cell.short(3000.0)

    async with charged("A3") as lab:
        outcome = await lab.run(step('power = "3 mW"\nuntil = "1 h"', "60 s"), meanwhile=hurt)
    assert outcome.state is RunState.TRIPPED
    assert alarms(lab)[0].startswith("A short")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda cell: cell.open_circuit(), "The circuit is open"),
        (lambda cell: cell.add_resistance(60.0), "Contact is lost"),
        (lambda cell: cell.add_resistance(300.0), "Contact is lost"),
    ],
)
async def test_a_power_whose_contact_is_lost_is_told(fault: Callable[[Cell], None], told: str) -> None:
    async def hurt(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(300.0)
        fault(lab.bench.cell)

    async with laboratory("A3") as lab:
        await lab.run(step('power = "3 mW"\nuntil = "1 h"', "60 s"), meanwhile=hurt)
    assert alarms(lab)[0].startswith(told)


async def test_a_rehearsal_looks_rarely_at_a_power_and_counts_its_energy_all_the_same() -> None:
    steps = '[[step]]\ncharge = "1C"\nuntil = "30 min"\n[[step]]\npower = "-1 mW"\nuntil = "1 h"\n'
    async with laboratory("A3") as lab:
        done = await asyncio.to_thread(asyncio.run, rehearse(plan_of(steps, lab.assembly), repository_config(), "A3"))
    assert done.outcome.state is RunState.COMPLETED
    assert [step.end_reason for step in done.steps[:2]] == ["30 min", "1 h"]
    assert done.steps[1].discharging_energy_wh == pytest.approx(1e-3, rel=0.003)


async def test_a_sweep_and_a_profile_take_as_long_as_they_say() -> None:
    rows = "0,0.001\n600,0\n900,0\n"
    sweep = step('sweep = ["3 V", "4 V", "3 V"]\nrate = "1 mV/s"\nmax_current = "1 mA"')
    async with laboratory("A3") as lab:
        plan = plan_of(sweep + profile(rows), lab.assembly)
    forecast = Forecast(plan)
    assert [forecast.expected(each) for each in plan.steps()] == pytest.approx([2000.0, 900.0])


@pytest.mark.parametrize("instant", [2150.0, 2700.0])
async def test_a_sweep_goes_on_after_a_death_where_it_was(tmp_path: Path, instant: float) -> None:
    """Also where the rest at which it began was long ago, and the cell is elsewhere."""
    steps = CHARGED + step(SWEEP, "10 s")
    world = World(tmp_path, "A3")
    plan = plan_for(world, steps)
    await Process(world, flush_every=0.1).live(plan, dies_at=instant)

    async def go_on(clock: VirtualClock, run: Run) -> None:
        while True:
            await clock.sleep(20.0)
            if run.paused:
                run.resume("ana")

    outcome = await Process(world).live(plan, words=go_on)
    assert outcome is not None
    assert outcome.state is RunState.COMPLETED
    rows = [row for row in world.rows() if row[5] == 3 and abs(row[7] or 0.0) > 0.0]
    times, voltages = [row[2] or 0.0 for row in rows], [row[6] or 0.0 for row in rows]
    rested = [row[6] for row in world.rows() if row[5] == 2][-1]
    assert rested is not None
    course = steering(Sweep((None, 3.1, 2.95, 3.1, 2.95), 0.5e-3, 2e-3, WINDOW), rested)
    assert course is not None
    held = [(t, v) for t, v in zip(times, voltages, strict=True)]
    off = [abs(course._at(t, 3.0).voltage - v) for t, v in held]
    assert sum(each > 1.2e-3 for each in off) <= 2, "but for the rows of the pause"
    assert times[-1] == pytest.approx(course.duration, abs=2.0)
