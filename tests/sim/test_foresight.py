"""What a cell says of itself ahead: when a quantity will be met, and what has passed its terminals by then."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.cell import Cell, Open, Quantity, Source, VoltageSource
from labctl.sim.roots import root

from .cells import PLAIN, preset
from .test_exactness import HISTORIES, RICH, SHORTS

QUANTITIES: tuple[Quantity, ...] = ("voltage", "current", "power", "capacity", "energy")


def value_of(cell: Cell, quantity: Quantity) -> float:
    match quantity:
        case "voltage":
            return cell.voltage
        case "current":
            return cell.current
        case "power":
            return cell.voltage * cell.current
        case "capacity":
            return cell.counts.charge
        case "energy":
            return cell.counts.energy


@given(HISTORIES, SHORTS, st.sampled_from([PLAIN, RICH]), st.sampled_from(QUANTITIES), st.floats(0.01, 0.99))
@settings(max_examples=150, derandomize=True)
def test_what_is_foreseen_happens_then(
    history: list[tuple[Source, float]], short: float, parameters: object, quantity: Quantity, part: float
) -> None:
    """Whatever a quantity is somewhere within the present closed form is foreseen, at the latest for there."""
    cell = Cell(parameters)  # type: ignore[arg-type]
    cell.short(short)
    for source, span in history:
        cell.drive(source)
        cell.advance_to(cell.time + span)
    now, end = cell.time, cell.next_event()
    start = value_of(cell, quantity)
    probe = now + part * (end - now)
    level = _seen_at(cell, quantity, probe)
    sign = math.copysign(1.0, level - start)
    foreseen = cell.when(quantity, lambda value: sign * (value - level))
    if level == start:
        assert foreseen == now
        return
    assert now <= foreseen <= end
    seen = _seen_at(cell, quantity, foreseen)
    hardly = abs(level - start) < 1e-9 or abs(seen - level) < 1e-14 * max(1.0, abs(level))
    assert hardly or foreseen <= probe + 1e-3, "but where it hardly changes any more"
    assert seen == pytest.approx(level, rel=1e-7, abs=1e-9)


def _seen_at(cell: Cell, quantity: Quantity, time: float) -> float:
    """Look at a later time within the present closed form; a cell that is read there has not been changed by it."""
    before, cell.time = cell.time, time
    try:
        return value_of(cell, quantity)
    finally:
        cell.time = before


def test_what_does_not_happen_is_not_foreseen() -> None:
    cell = preset("nmc721-liin")
    cell.drive(VoltageSource(3.6, 1e-3))
    assert cell.when("voltage", lambda voltage: voltage - 3.7) == math.inf
    assert cell.when("current", lambda current: -current) == math.inf
    assert cell.when("current", lambda current: current - 1e-3) == cell.time
    cell.drive(Open())
    assert cell.when("energy", lambda energy: energy - 1.0) == math.inf
    cell.open_circuit()
    assert cell.when("power", lambda power: power - 1.0) == math.inf


def test_a_zero_at_the_very_end_is_found_there() -> None:
    assert root(lambda x: x - 2.0, 0.0, 2.0) == 2.0
    assert root(lambda x: 2.0 - x, 0.0, 2.0) == 2.0
    assert root(lambda x: x * x * x - 1.0, 0.0, 2.0) == pytest.approx(1.0, rel=1e-12)


def test_a_terminal_that_is_closed_again_stands_for_a_new_closed_form() -> None:
    cell = preset("nmc83-li")
    before = cell.stretches
    cell.drive(VoltageSource(4.0, 1e-3))
    assert cell.stretches == before + 1
    cell.advance_to(cell.next_event())
    assert cell.stretches == before + 2


@given(HISTORIES, SHORTS, st.sampled_from([PLAIN, RICH]))
@settings(max_examples=60, derandomize=True)
def test_counts_only_grow_and_are_the_charge_of_the_electrodes_where_there_is_no_short(
    history: list[tuple[Source, float]], short: float, parameters: object
) -> None:
    cell = Cell(parameters)  # type: ignore[arg-type]
    cell.short(short)
    before = cell.counts
    for source, span in history:
        cell.drive(source)
        for part in (0.3, 0.7):
            cell.advance_to(cell.time + part * span)
            compared = 4 if cell.voltage > 0.0 else 2  # nobody drives a cell through 0 V and asks for its energy
            assert all(now >= then for now, then in zip(cell.counts[:compared], before, strict=False))
            before = cell.counts
    if math.isinf(short):
        assert cell.counts.charge == pytest.approx(cell.charge, abs=1e-9)


def test_pressure_and_temperature_act_on_the_cell_again_once_they_can_change() -> None:
    """Under a press at ambient temperature nothing changes, and time need not stop; a heated bath is felt at once."""
    parameters = BenchParameters.model_validate({"rig": {"kind": "press", "force": "10 kN"}})
    bench = Bench.of(parameters, seed=1)
    stretches = bench.cell.stretches
    bench.advance_to(900.0)
    assert bench.cell.stretches == stretches
    bench.cell.drive(VoltageSource(3.8, 1e-3))
    bench.room.regulate(60.0)
    bench.advance_to(20_000.0)
    cold = Bench.of(parameters, seed=1)
    cold.advance_to(900.0)
    cold.cell.drive(VoltageSource(3.8, 1e-3))
    cold.advance_to(20_000.0)
    assert bench.cell.charge != cold.cell.charge
