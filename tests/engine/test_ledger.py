"""The ledger counts what flowed, whoever asks how often."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.engine.ledger import Ledger
from labctl.instrument import CellReading, Limiting


def reading(current: float, voltage: float = 3.7, limiting: Limiting = Limiting.CURRENT) -> CellReading:
    return CellReading(voltage, current, True, limiting)


def test_constant_current_counts_exactly() -> None:
    ledger = Ledger(100.0)
    ledger.start_step(100.0)
    for second in range(3601):
        ledger.add(reading(1e-3), 100.0 + second)
    assert ledger.charge_in == pytest.approx(3.6, rel=1e-12)
    assert ledger.energy_in == pytest.approx(3.6 * 3.7, rel=1e-12)
    assert ledger.charge_out == 0.0


def test_a_linear_current_is_counted_exactly_by_trapezoids() -> None:
    ledger = Ledger(0.0)
    ledger.start_step(0.0)
    ledger.add(reading(0.0), 0.0)
    for second in (1.0, 4.0, 10.0):
        ledger.add(reading(second), second)
    assert ledger.charge_in == pytest.approx(50.0)


def test_a_new_step_is_not_joined_to_the_old_one() -> None:
    ledger = Ledger(0.0)
    ledger.start_step(0.0)
    ledger.add(reading(1.0), 0.0)
    ledger.add(reading(1.0), 10.0)
    ledger.start_step(10.0)
    ledger.add(reading(-1.0), 10.0)
    ledger.add(reading(-1.0), 20.0)
    assert (ledger.charge_in, ledger.charge_out) == (10.0, 10.0)
    assert ledger.step_charge == -10.0


def test_what_a_pause_leaves_of_a_step_counts_the_whole() -> None:
    ledger = Ledger(0.0)
    ledger.start_step(0.0)
    ledger.add(reading(1.0, 4.0, Limiting.VOLTAGE), 0.0)
    ledger.add(reading(1.0, 4.0, Limiting.VOLTAGE), 10.0)
    carried = ledger.carried(10.0)
    ledger.start_step(10.0)
    ledger.add(CellReading(None, 0.0, False, None), 10.0)
    ledger.add(CellReading(None, 0.0, False, None), 500.0)
    assert (ledger.step_charge, ledger.step_energy, ledger.cv_time) == (0.0, 0.0, 0.0)
    ledger.start_step(500.0, carried)
    ledger.add(reading(1.0, 4.0), 500.0)
    ledger.add(reading(1.0, 4.0), 505.0)
    assert (ledger.step_charge, ledger.step_energy, ledger.cv_time) == (15.0, 60.0, 10.0)
    assert 505.0 - ledger.step_start == 15.0
    assert ledger.charge_in == 15.0


def test_cv_time_counts_only_while_the_voltage_is_held() -> None:
    ledger = Ledger(0.0)
    ledger.start_step(0.0)
    for second in range(11):
        ledger.add(reading(1.0, limiting=Limiting.VOLTAGE if second > 5 else Limiting.CURRENT), float(second))
    assert ledger.cv_time == 5.0


def test_an_open_circuit_without_voltage_counts_no_energy() -> None:
    ledger = Ledger(0.0)
    ledger.start_step(0.0)
    ledger.add(CellReading(None, 0.0, False, None), 0.0)
    ledger.add(CellReading(None, 0.0, False, None), 10.0)
    assert (ledger.energy_in, ledger.energy_out, ledger.charge_in) == (0.0, 0.0, 0.0)


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.floats(-1.0, 1.0), st.floats(2.0, 4.5)), max_size=40))
@settings(deadline=None)
def test_counts_never_fall_and_repeating_a_reading_changes_nothing(steps: list[tuple[float, float, float]]) -> None:
    ledger, now = Ledger(0.0), 0.0
    ledger.start_step(0.0)
    for span, current, voltage in steps:
        before = (ledger.charge_in, ledger.charge_out, ledger.energy_in, ledger.energy_out)
        now += span
        ledger.add(reading(current, voltage), now)
        after = (ledger.charge_in, ledger.charge_out, ledger.energy_in, ledger.energy_out)
        assert all(new >= old for new, old in zip(after, before, strict=True))
        ledger.add(reading(current, voltage), now)
        assert after == (ledger.charge_in, ledger.charge_out, ledger.energy_in, ledger.energy_out)
    assert math.isclose(ledger.step_charge, ledger.charge_in - ledger.charge_out, abs_tol=1e-9)
