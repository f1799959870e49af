"""The guard: what trips it, what does not, and that it latches."""

import pytest

from labctl.engine.board import FORCE_GAUGE, TORQUE, Board
from labctl.engine.guard import Guard, Trip
from labctl.engine.ledger import Ledger
from labctl.instrument import CellReading, Limiting
from labctl.plan import Bound, Limits

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
        names = (FORCE_GAUGE["negative"], TORQUE, "surface_temperature_celsius")
        for name in names:
            self.board.gauge(name, 5.0).update(0.0 if name == TORQUE else 25.0, 0.0)
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
    trip = watched.cell(4.32)
    assert trip is not None
    assert trip.sentence == "voltage is 4.32 V, above the limit of 4.3 V."


def test_a_measurement_looked_at_twice_counts_once() -> None:
    watched = Watched()
    assert watched.cell(4.31) is None
    assert watched.guard.check(None, watched.now) is None
    assert watched.gauge(TORQUE, 0.1, "pressure_rig.negative") is None


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
    watched.gauge(TORQUE, 1.1, "pressure_rig.negative")
    assert watched.gauge(TORQUE, -1.1, "pressure_rig.negative") is not None


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
