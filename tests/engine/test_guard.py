"""The guard: what trips it, what does not, and that it latches."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.engine.board import BATH, FORCE_GAUGE, TORQUE_GAUGE, Board
from labctl.engine.guard import Guard, Trip
from labctl.engine.ledger import Ledger
from labctl.instrument import CellReading, Limiting
from labctl.plan import Bound, Disagreement, Limits, Margins, Rates

LIMITS = Limits(
    voltage=Bound(2.5, 4.3),
    current=1e-3,
    capacity=10.0,
    temperature=Bound(10.0, 40.0),
    pressure_negative=Bound(0.5e6, 5e6),
    torque=1.0,
)
AREA = 78.54e-6


class Watched:
    """A guard with a board on which a test writes."""

    def __init__(self) -> None:
        self.board = Board()
        self.board.bore_area = AREA
        self.board.cell_max_age = 5.0
        names = (FORCE_GAUGE["negative"], TORQUE_GAUGE["negative"], "surface_temperature_celsius")
        for name in names:
            self.board.gauge(name, 5.0).update(0.0 if name == TORQUE_GAUGE["negative"] else 25.0, 0.0)
        self.ledger = Ledger(0.0)
        self.guard = Guard(LIMITS, self.board, self.ledger, names, 0.0)
        self.now = 0.0

    def cell(self, voltage: float | None, current: float = 0.0, *, output: bool = True) -> Trip | None:
        self._pass()
        self.board.see_cell(CellReading(voltage, current, output, Limiting.CURRENT), self.now)
        return self.guard.check("cycler", self.now)

    def gauge(self, name: str, value: float, instrument: str) -> Trip | None:
        self._pass()
        self.board.gauges[name].update(value, self.now)
        return self.guard.check(instrument, self.now)

    def _pass(self) -> None:
        self.now += 1.0
        for gauge in self.board.gauges.values():
            gauge.time = self.now
        self.board.cell_time = self.now


def test_one_measurement_beyond_a_limit_is_not_enough_two_are() -> None:
    watched = Watched()
    assert watched.cell(4.31) is None
    assert watched.cell(4.29) is None
    assert watched.cell(4.31) is None
    trip = watched.cell(4.32, +5e-4)
    assert trip is not None
    assert trip.sentence == "voltage is 4.32 V, above the limit of 4.3 V."


def test_a_measurement_looked_at_twice_counts_once() -> None:
    watched = Watched()
    assert watched.cell(4.31) is None
    assert watched.guard.check(None, watched.now) is None
    assert watched.gauge(TORQUE_GAUGE["negative"], 0.1, "pressure_rig.negative") is None


def test_a_trip_latches() -> None:
    watched = Watched()
    watched.cell(4.31)
    first = watched.cell(4.32)
    assert watched.cell(3.7) is first
    assert watched.cell(3.7) is first


def test_a_fresh_cell_may_sit_below_its_window_but_is_not_driven_further_out() -> None:
    watched = Watched()
    for _ in range(5):
        assert watched.cell(2.1) is None
        assert watched.cell(2.1, +5e-4) is None
    assert watched.cell(2.1, -5e-4) is None
    trip = watched.cell(2.1, -5e-4)
    assert trip is not None
    assert trip.sentence == "voltage is 2.1 V, below the limit of 2.5 V."


def test_a_lower_limit_arms_once_the_cell_has_been_inside() -> None:
    watched = Watched()
    watched.cell(3.0)
    assert watched.cell(2.4) is None
    assert watched.cell(2.4) is not None


def test_an_open_circuit_without_voltage_is_no_excess() -> None:
    watched = Watched()
    watched.cell(3.0)
    for _ in range(4):
        assert watched.cell(None, output=False) is None


@pytest.mark.parametrize("current", [1.01e-3, -1.01e-3])
def test_current_is_limited_in_both_directions(current: float) -> None:
    watched = Watched()
    assert watched.cell(3.7, current) is None
    trip = watched.cell(3.7, current)
    assert trip is not None
    assert trip.quantity == "current"


def test_capacity_of_a_step_is_limited() -> None:
    watched = Watched()
    watched.ledger.step_charge = -10.1
    watched.cell(3.7)
    trip = watched.cell(3.7)
    assert trip is not None
    assert trip.quantity == "capacity"


def test_pressure_arms_late_below_and_trips_above() -> None:
    watched, force = Watched(), FORCE_GAUGE["negative"]
    for _ in range(3):
        assert watched.gauge(force, 0.1e6 * AREA, "load_cell.negative") is None
    assert watched.gauge(force, 1e6 * AREA, "load_cell.negative") is None
    assert watched.gauge(force, 0.1e6 * AREA, "load_cell.negative") is None
    trip = watched.gauge(force, 0.1e6 * AREA, "load_cell.negative")
    assert trip is not None
    assert trip.sentence == "pressure.negative is 0.1 MPa, below the limit of 0.5 MPa."


def test_torque_is_limited() -> None:
    watched = Watched()
    watched.gauge(TORQUE_GAUGE["negative"], 1.1, "pressure_rig.negative")
    assert watched.gauge(TORQUE_GAUGE["negative"], -1.1, "pressure_rig.negative") is not None


def test_only_a_temperature_trip_asks_for_the_heaters_to_go_off() -> None:
    watched = Watched()
    watched.gauge("surface_temperature_celsius", 41.0, "thermostat")
    trip = watched.gauge("surface_temperature_celsius", 41.0, "thermostat")
    assert trip is not None
    assert trip.heat
    other = Watched()
    other.cell(5.0)
    second = other.cell(5.0)
    assert second is not None
    assert not second.heat


def test_silence_trips_at_its_age_limit_and_names_the_gauge() -> None:
    watched = Watched()
    watched.cell(3.7)
    force = watched.board.gauges[FORCE_GAUGE["negative"]]
    seen = force.time
    assert watched.guard.check(None, seen + 5.0) is None
    watched.board.cell_time = seen + 5.1
    for name, gauge in watched.board.gauges.items():
        gauge.time = seen if name == force.name else seen + 5.1
    trip = watched.guard.check(None, seen + 5.1)
    assert trip is not None
    assert trip.silent
    assert trip.sentence == "negative_force_newton has had no valid reading for 5.1 s (allowed: 5 s)."


def test_a_silent_cycler_trips() -> None:
    watched = Watched()
    watched.cell(3.7)
    trip = watched.guard.check(None, watched.now + 5.5)
    assert trip is not None
    assert trip.quantity == "cycler"


# -- what is configured beyond limits ------------------------------------------------------------------------------


def watched_within(**more: Any) -> Watched:
    watched = Watched()
    watched.guard.follow(replace(LIMITS, **more))
    return watched


def test_a_debounce_time_is_waited_for_and_begins_anew_inside() -> None:
    watched = watched_within(debounce=3.0)
    for _ in range(3):
        assert watched.cell(4.31) is None
    assert watched.cell(4.29) is None
    for _ in range(3):
        assert watched.cell(4.31) is None
    assert watched.cell(4.31) is not None


def test_an_excess_while_nothing_is_driven_says_so() -> None:
    watched = Watched()
    watched.cell(3.7, 0.0)
    watched.gauge("surface_temperature_celsius", 41.0, "thermostat")
    trip = watched.gauge("surface_temperature_celsius", 41.0, "thermostat")
    assert trip is not None
    assert trip.driven is False
    assert trip.sentence == "temperature is 41 °C, above the limit of 40 °C. No current was driven."
    assert trip.heat


@pytest.mark.parametrize(
    ("voltage", "side"), [(4.28, "above the warning of 4.25 V"), (2.52, "below the warning of 2.55 V")]
)
def test_a_margin_warns_inside_the_limit_and_latches_until_it_is_forgiven(voltage: float, side: str) -> None:
    watched = watched_within(margins=Margins(voltage=0.05))
    watched.cell(3.7, 5e-4)
    for _ in range(4):
        assert watched.cell(voltage, 5e-4) is None
    first = watched.guard.warning
    assert first is not None
    assert first.sentence == f"voltage is {voltage:g} V, {side}."
    watched.cell(3.7, 5e-4)
    assert watched.guard.warning is first
    watched.guard.forgive()
    assert watched.guard.warning is None
    watched.cell(voltage, 5e-4)
    watched.cell(voltage, 5e-4)
    assert watched.guard.warning is not None


def test_beyond_a_warned_limit_still_trips() -> None:
    watched = watched_within(margins=Margins(voltage=0.05))
    watched.cell(4.31)
    assert watched.cell(4.31) is not None


@given(st.lists(st.floats(0.0, 2.49), max_size=30), st.floats(2.5, 4.3), st.floats(0.0, 2.49))
def test_no_history_below_arms_a_lower_limit_and_every_visit_inside_does(
    below: list[float], inside: float, after: float
) -> None:
    watched = Watched()
    for voltage in below:
        assert watched.cell(voltage) is None
        assert watched.cell(voltage, +5e-4) is None
    watched.cell(inside)
    watched.cell(after)
    assert watched.cell(after) is not None


@given(st.lists(st.floats(0.0, 0.49e6), max_size=30), st.floats(5.001e6, 9e6))
def test_a_pressure_that_was_only_beyond_its_upper_limit_arms_the_lower_one_too(
    below: list[float], above: float
) -> None:
    watched, force = Watched(), FORCE_GAUGE["negative"]
    for pressure in below:
        assert watched.gauge(force, pressure * AREA, "load_cell.negative") is None
    watched.gauge(force, above * AREA, "load_cell.negative")
    watched.gauge(force, 0.1e6 * AREA, "load_cell.negative")
    assert watched.gauge(force, 0.1e6 * AREA, "load_cell.negative") is not None


@given(st.floats(-0.02, 0.02), st.floats(0.0, 0.01))
def test_a_rate_trips_beyond_its_limit_and_noise_does_not(rate: float, noise: float) -> None:
    watched = watched_within(rates=Rates(temperature=0.011))
    trip = None
    for number in range(120):
        value = 25.0 + rate * number + (noise if number % 2 else -noise)
        trip = watched.gauge("surface_temperature_celsius", value, "thermostat")
    if abs(rate) < 0.01:
        assert trip is None
    elif abs(rate) > 0.012:
        assert trip is not None
        assert trip.quantity == "rate.temperature"
        assert trip.heat


def test_a_pressure_that_falls_too_fast_trips() -> None:
    watched = watched_within(rates=Rates(pressure=1e3))
    trips = [watched.gauge(FORCE_GAUGE["negative"], (2e6 - 2e3 * n) * AREA, "load_cell.negative") for n in range(90)]
    trip = trips[-1]
    assert trip is not None
    assert trip.sentence == "rate of pressure.negative is -2 kPa/s, beyond the limit of 1 kPa/s."


def test_a_change_of_current_is_no_rate_of_voltage() -> None:
    watched = watched_within(rates=Rates(voltage=1e-3))
    for number in range(400):
        on = number // 50 % 2
        assert watched.cell(3.7 + 0.1 * on, 5e-4 * on) is None


def test_probes_that_disagree_for_half_an_hour_trip_and_cool() -> None:
    watched = watched_within(disagreement=Disagreement(temperature=5.0))
    watched.board.gauge(BATH, 5.0)
    for _ in range(1800):
        watched.board.gauges[BATH].update(33.0, watched.now)
        assert watched.gauge("surface_temperature_celsius", 25.0, "thermostat") is None
    watched.board.gauges[BATH].update(33.0, watched.now)
    trip = watched.gauge("surface_temperature_celsius", 25.0, "thermostat")
    assert trip is not None
    assert trip.sentence == "Probes disagree: the cell is at 25 °C and its bath at 33 °C (allowed: 5 K)."
    assert trip.heat


def test_forces_that_disagree_for_a_minute_trip_and_small_ones_do_not() -> None:
    for positive, trips in ((150.0, True), (185.0, False)):
        watched = watched_within(disagreement=Disagreement(force=0.1))
        watched.board.gauge(FORCE_GAUGE["positive"], 5.0)
        for _ in range(62):
            watched.board.gauges[FORCE_GAUGE["positive"]].update(positive, watched.now)
            trip = watched.gauge(FORCE_GAUGE["negative"], 196.0, "load_cell.negative")
        assert (trip is not None) == trips


def test_a_torque_that_needs_more_force_than_a_stuck_load_cell_tells_trips() -> None:
    watched = watched_within(disagreement=Disagreement(screw=8e-3))
    watched.board.gauges[FORCE_GAUGE["negative"]].value = 20.0
    assert watched.gauge(TORQUE_GAUGE["negative"], 0.09, "pressure_rig.negative") is None
    watched.gauge(TORQUE_GAUGE["negative"], 0.1, "pressure_rig.negative")
    trip = watched.gauge(TORQUE_GAUGE["negative"], 0.1, "pressure_rig.negative")
    assert trip is not None
    assert trip.quantity == "disagreement.torque"
