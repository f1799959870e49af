"""Detectors: each finds its fault within a stated time on the simulated cell, and no healthy shape is taken for one."""

from collections.abc import Callable
from dataclasses import replace
from math import exp, log, sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.engine.detectors import Contact, Runaway, Seen, SelfDischarge, Short, Slope
from labctl.engine.run import Run
from labctl.engine.trips import Excess
from labctl.engine.watch import Watch
from labctl.instrument import Range
from labctl.reading import Event, RunState, Severity
from labctl.sim.cell import Cell
from tests.engine.test_watch import LIMITS, watch_over
from tests.stations import Lab, laboratory, plan_of

CHARGE = '[[step]]\ncharge = "C/5"\nuntil = "4.3 V"\n'
CURRENT = 4.4e-4
FAULT_AT = 1200.0


def seen(now: float, voltage: float, current: float = CURRENT, **more: Any) -> Seen:
    flows = current != 0.0
    return Seen(
        now,
        voltage,
        current,
        holds=False,
        constant=now,
        flows=flows,
        forces=(),
        temperature=None,
        charged=0.0,
        sustained=now,
    )._replace(**more)


def rested(voltage: Callable[[float], float], hours: float, poll: float = 10.0) -> tuple[float, Excess] | None:
    """Feed a rest; return when it is warned of."""
    detector = SelfDischarge()
    for number in range(int(hours * 3600.0 / poll)):
        excess = detector.see(seen(number * poll, voltage(number * poll), 0.0))
        if excess is not None:
            return number * poll, excess
    return None


# -- shapes --------------------------------------------------------------------------------------------------------


@given(st.floats(0.001, 0.1), st.floats(10.0, 7000.0), st.floats(0.0, 0.02), st.floats(0.0, 2e-4))
def test_no_relaxation_is_taken_for_self_discharge(size: float, time: float, log_part: float, diffusion: float) -> None:
    def voltage(elapsed: float) -> float:
        return 4.1 + size * exp(-elapsed / time) - log_part * log(1.0 + elapsed / 60.0) - diffusion * sqrt(elapsed)

    assert rested(voltage, 12.0) is None


@given(st.floats(0.008, 2.0), st.floats(0.0, 0.05))
def test_a_leak_is_warned_of_after_80_min(rate: float, relaxing: float) -> None:
    found = rested(lambda t: 4.1 + relaxing * exp(-t / 100.0) - rate * t / 3600.0, 3.0)
    assert found is not None
    when, excess = found
    assert when == 4800.0
    assert excess.warns
    assert excess.certain


def test_a_cell_that_stands_for_a_month_may_lose_a_millivolt_an_hour() -> None:
    assert rested(lambda t: 4.1 - 0.001 * t / 3600.0, 720.0, poll=12.0) is None


@given(st.lists(st.floats(0.0, 1e-3), min_size=50, max_size=200), st.floats(-1e-3, 1e-3))
def test_a_voltage_that_rises_or_wavers_is_no_short(rises: list[float], noise: float) -> None:
    detector, voltage = Short(None), 3.6
    for number, rise in enumerate(rises):
        voltage += rise
        wavering = voltage + (noise if number % 2 else -noise)
        assert detector.see(seen(float(number), wavering)) is None


def test_a_cell_that_warms_while_it_is_charged_has_less_resistance_and_no_short() -> None:
    detector = Short(None)
    for number in range(600):
        fallen = 0.2 * number / 600.0
        assert detector.see(seen(float(number), 3.8 - fallen, temperature=30.0 + 150.0 * fallen)) is None


def test_charge_beyond_what_the_material_holds_is_a_short_and_needs_no_voltage() -> None:
    detector = Short(10.0)
    assert detector.see(seen(1.0, 3.7, charged=11.9)) is None
    excess = detector.see(seen(2.0, 3.7, charged=12.1))
    assert excess is not None
    assert excess.sentence == "A short: 3.361 mAh have gone in, and 1.2 times what the material holds is 3.333."
    assert not excess.warns
    assert Short(None).see(seen(2.0, 3.7, charged=1e9)) is None


@given(st.floats(0.2, 5.0), st.floats(0.001, 0.04), st.floats(0.5, 10.0))
def test_a_steep_end_of_a_discharge_is_no_lost_contact(poll: float, first: float, tail: float) -> None:
    """Steeper and steeper, by a factor of e every `tail` polls or more slowly."""
    detector, voltage, now = Contact(), 3.5, 0.0
    tail = max(tail, 1.5)
    for number in range(60):
        voltage -= first * 0.01 * exp(number / tail)
        now += poll
        if voltage < 2.5:
            break
        assert detector.see(seen(now, voltage, -CURRENT)) is None


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_step_that_stays_is_lost_contact_and_one_that_goes_is_none(sign: float) -> None:
    for stays in (True, False):
        detector = Contact()
        for number in range(5):
            assert detector.see(seen(float(number), 3.7, sign * CURRENT)) is None
        assert detector.see(seen(5.0, 3.7 + sign * 0.06, sign * CURRENT)) is None
        excess = detector.see(seen(6.0, 3.7 + sign * (0.06 if stays else 0.0), sign * CURRENT))
        assert (excess is not None) == stays


def test_a_step_back_is_no_lost_contact() -> None:
    detector = Contact()
    for number in range(5):
        assert detector.see(seen(float(number), 3.7)) is None
    for number in range(5, 9):
        assert detector.see(seen(float(number), 3.5)) is None


def test_a_force_that_drops_with_it_makes_a_smaller_step_count() -> None:
    for force, counts in ((190.0, False), (150.0, True)):
        detector = Contact()
        for number in range(5):
            assert detector.see(seen(float(number), 3.7, forces=(15.0, 196.0))) is None
        detector.see(seen(5.0, 3.73, forces=(15.0, force)))
        excess = detector.see(seen(6.0, 3.73, forces=(15.0, force)))
        assert (excess is not None) == counts
        if excess is not None:
            assert "while the force dropped by 23 %" in excess.sentence


@given(st.floats(20.0, 80.0), st.floats(-60.0, 60.0), st.floats(60.0, 900.0), st.floats(0.0, 0.02))
def test_a_cell_that_follows_its_bath_is_no_runaway(start: float, step: float, time: float, noise: float) -> None:
    detector = Runaway()
    for number in range(600):
        now = 5.0 * number
        bath = start + (0.0 if now < 300.0 else step * (1.0 - exp(-(now - 300.0) / 60.0)))
        cell = bath if now < 300.0 else start + step * (1.0 - exp(-(now - 300.0) / time))
        assert detector.see(now, cell + (noise if number % 2 else -noise), bath) is None


def test_a_cell_that_heats_itself_is_a_runaway_within_minutes() -> None:
    detector = Runaway()
    for number in range(1000):
        cell = 30.0 + max(0.0, 5.0 * number - 600.0) * 2.0 / 60.0  # 2 K/min from 10 min on
        excess = detector.see(5.0 * number, cell, 30.0)
        if excess is not None:
            break
    assert excess is not None
    assert excess.heat
    assert 5.0 * number <= 600.0 + 160.0


def test_a_slope_is_that_of_the_value_whatever_the_polls() -> None:
    for period in (0.1, 1.0, 5.0):
        slope, found = Slope(), set()
        for number in range(int(300.0 / period)):
            rate = slope.see(2.0 + 0.25 * number * period, number * period)
            if rate is not None:
                found.add(round(rate, 9))
        assert found == {0.25}


# -- the simulated cell --------------------------------------------------------------------------------------------


async def charging(hurt: Callable[[Lab], None]) -> tuple[Lab, list[Event]]:
    """Charge the cell of A1, hurt it after 20 min; return what the guard said."""

    async def fail(lab: Lab, run: Run) -> None:
        await lab.clock.sleep(FAULT_AT)
        lab.bench.advance_to(lab.clock.now())
        hurt(lab)

    async with laboratory() as lab:
        outcome = await lab.run(CHARGE, meanwhile=fail)
        assert outcome.state is RunState.TRIPPED
        assert lab.bench.cell.current == 0.0
    return lab, [event for event in lab.events if event.kind.startswith("guard.")]


@pytest.mark.parametrize(("resistance", "quantity"), [(2000.0, "voltage"), (5000.0, "short"), (10_000.0, "short")])
async def test_a_short_that_takes_the_charging_current_trips_within_a_minute(resistance: float, quantity: str) -> None:
    _, (tripped,) = await charging(lambda lab: lab.bench.cell.short(resistance))
    assert tripped.kind == "guard.tripped"
    assert tripped.data == {"quantity": quantity, "driven": True}
    assert tripped.test_time_second < FAULT_AT + 60.0


async def test_an_open_circuit_is_warned_of_at_the_first_poll() -> None:
    lab, (warned,) = await charging(lambda lab: lab.bench.cell.open_circuit())
    assert warned.kind == "guard.warned"
    assert warned.severity is Severity.WARNING
    assert warned.message == "The circuit is open: 0.4398 mA flowed, and 4.3 V are met without a current."
    assert warned.test_time_second < FAULT_AT + 2.1
    ended = [event.data["reason"] for event in lab.events if event.kind == "step.ended"]
    assert "4.3 V" not in ended, "a voltage that flew to its bound is no cut-off"


@pytest.mark.parametrize(
    ("hurt", "said"),
    [
        (lambda cell: cell.add_resistance(150.0), "by 0.066 V at a constant current, as by 150 Ohm or more."),
        (lambda cell: cell.lose_contact(0.6), "by 0.082 V at a constant current, as by 188 Ohm or more."),
        (lambda cell: cell.add_resistance(20_000.0), "by 0.759"),
    ],
)
async def test_lost_contact_is_warned_of_within_two_polls(hurt: Callable[[Cell], None], said: str) -> None:
    """Also where the step of the voltage meets the cut-off of the charge."""
    lab, (warned,) = await charging(lambda lab: hurt(lab.bench.cell))
    assert warned.data == {"quantity": "contact", "driven": True}
    assert warned.message.startswith(f"Contact is lost: the voltage stepped {said}")
    assert warned.test_time_second < FAULT_AT + 2.1
    assert "4.3 V" not in [event.data["reason"] for event in lab.events if event.kind == "step.ended"]


async def test_a_cell_that_was_never_connected_completes_no_plan() -> None:
    steps = '[[step]]\ncharge = "C/5"\nuntil = "4.3 V"\n[[step]]\ndischarge = "C/5"\nuntil = "2.5 V"\n'
    async with laboratory() as lab:
        lab.bench.cell.open_circuit()
        outcome = await lab.run(plan_of(steps, lab.assembly))
    assert outcome.state is RunState.TRIPPED
    assert outcome.reason.startswith("The circuit is open: nothing has flowed at all")


async def test_a_resting_cell_with_a_soft_short_is_warned_of_at_an_idle_station() -> None:
    async def script(watch: Watch) -> None:
        cycler = lab.assembly.station.instruments.cycler
        await cycler.arm(Range(1.0, 4.5), 3e-3)
        await cycler.drive(2e-3, 4.2)
        await lab.clock.sleep(1800.0)
        await cycler.rest()
        await lab.clock.sleep(2400.0)
        assert lab.kinds() == []
        lab.bench.advance_to(lab.clock.now())
        lab.bench.cell.short(50_000.0)
        await lab.clock.sleep(4 * 3600.0)

    async with laboratory() as lab:
        assert await watch_over(lab, script, replace(LIMITS, current=3e-3)) == []
    (warned,) = lab.events
    assert warned.kind == "guard.warned"
    assert warned.data == {"quantity": "self-discharge", "driven": False}
    assert warned.message.endswith("A soft short does that. No current was driven.")
