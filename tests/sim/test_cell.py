"""The cell obeys its source, conserves charge, loses energy, and takes faults."""

import math
from dataclasses import replace

import pytest

from labctl.sim.cell import Cell, CurrentSource, Open, VoltageSource
from labctl.sim.circuit import Circuit
from labctl.sim.curve import Curve
from labctl.sim.segment import Bounds, Steady

from .cells import PLAIN, hold, preset, run_to

CURRENT = 2e-3


def test_a_fresh_cell_is_open_and_discharged() -> None:
    cell = Cell(PLAIN)
    assert (cell.current, cell.limiting, cell.charge) == (0.0, None, 0.0)
    assert cell.voltage == pytest.approx(PLAIN.charging(0.1), abs=1e-12)


def test_the_current_step_is_seen_at_once_and_relaxes_with_the_time_constant() -> None:
    cell = Cell(replace(PLAIN, specific_capacity=1e9))
    rest = cell.voltage
    cell.drive(CurrentSource(CURRENT, 5.0))
    assert cell.voltage - rest == pytest.approx(CURRENT * 50.0, abs=1e-12)
    cell.advance_to(80.0)
    assert cell.voltage - rest == pytest.approx(CURRENT * (50.0 + 40.0 * (1 - math.exp(-1))), abs=1e-9)
    cell.drive(Open())
    assert cell.voltage - rest == pytest.approx(CURRENT * 40.0 * (1 - math.exp(-1)), abs=1e-9)


def test_constant_current_turns_into_constant_voltage_exactly_at_the_limit() -> None:
    cell = Cell(PLAIN)
    cell.drive(VoltageSource(4.1, CURRENT))
    while cell.limiting == "current":
        assert cell.current == CURRENT
        assert cell.voltage < 4.1
        cell.advance_to(cell.next_event())
    assert cell.voltage == 4.1
    assert cell.current == pytest.approx(CURRENT, rel=1e-9)
    currents = []
    for _ in range(50):
        cell.advance_to(cell.time + 60.0)
        currents.append(cell.current)
        assert cell.voltage == 4.1
    assert currents == sorted(currents, reverse=True)
    assert 0.0 < currents[-1] < 0.02 * CURRENT


def test_a_voltage_source_below_the_cell_discharges_it_and_clamps_the_current() -> None:
    cell = Cell(replace(PLAIN, initial_state=0.8))
    cell.drive(VoltageSource(3.3, CURRENT))
    assert (cell.current, cell.limiting) == (-CURRENT, "current")
    run_to(cell, 3.3, CURRENT)
    assert cell.voltage == 3.3
    assert cell.current == pytest.approx(-CURRENT, rel=1e-9)


@pytest.mark.parametrize(("current", "limit", "sign"), [(CURRENT, 4.0, 1), (-CURRENT, 3.1, -1)])
def test_a_current_source_gives_way_at_its_voltage_limit(current: float, limit: float, sign: int) -> None:
    cell = Cell(replace(PLAIN, initial_state=0.3))
    cell.drive(CurrentSource(current, limit))
    if sign < 0:
        # A limit of a current source is a magnitude: it does not stop a discharge at a positive voltage.
        assert cell.limiting == "voltage"
        assert cell.voltage == limit
        assert cell.current < 0.0
        return
    while cell.limiting == "current":
        cell.advance_to(cell.next_event())
    assert cell.voltage == limit
    assert cell.current == pytest.approx(current, rel=1e-9)


def test_no_current_at_a_limit_below_the_cell_is_a_discharge_all_the_same() -> None:
    cell = Cell(replace(PLAIN, initial_state=0.8))
    cell.drive(CurrentSource(0.0, 3.5))
    assert cell.limiting == "voltage"
    assert cell.current < 0.0
    hold(cell, 1e6)
    assert cell.current == pytest.approx(0.0, abs=1e-9)
    assert cell.voltage == pytest.approx(3.5, abs=1e-9)


@pytest.mark.parametrize(("name", "offset"), [("nmc83-li", 0.0), ("lno-lto", 1.55), ("nmc721-liin", 0.62)])
def test_charge_is_the_integral_of_current_and_what_is_lost_is_heat(name: str, offset: float) -> None:
    cell = preset(name)
    run_to(cell, 4.0 - offset, 1e-3)
    start, state = cell.charge, cell.state
    charge = gross = energy = 0.0
    for target, steps in [(4.25, 1000), (3.8, 100_000)]:
        cell.drive(VoltageSource(target - offset, 1e-3))
        current, voltage, begun = cell.current, cell.voltage, cell.time
        for k in range(1, steps + 1):
            cell.advance_to(begun + 4.0 * k)
            charge += 2.0 * (current + cell.current)
            gross += 2.0 * abs(current + cell.current)
            energy += 2.0 * (current * voltage + cell.current * cell.voltage)
            current, voltage = cell.current, cell.voltage
            if current < 0.0 and cell.state <= state:
                break
    assert cell.state == pytest.approx(state, abs=1e-3)
    assert charge == pytest.approx(cell.charge - start, abs=1e-4 * gross)
    assert energy > 0.0, "a closed loop in the state gave energy away"


def test_the_overpotential_is_the_inverse_hyperbolic_sine() -> None:
    smooth = replace(PLAIN, exchange_current=1e-3, reference_temperature=25.0, specific_capacity=1e9)
    cell, plain = Cell(smooth), Cell(replace(smooth, exchange_current=math.inf))
    for current in (1e-5, 3e-4, 2e-3, -1e-2):
        for one in (cell, plain):
            one.drive(CurrentSource(current, 100.0))
        expected = 2 * 8.314462618 * 298.15 / 96485.33212 * math.asinh(current / 2e-3)
        assert cell.voltage - plain.voltage == pytest.approx(expected, abs=20e-6)


@pytest.mark.parametrize(("pressure", "factor"), [(2.5e6, 1.0), (10e6, 0.5), (0.2e6, 12.5**0.5), (0.0, 125**0.5)])
def test_the_interface_resistance_falls_with_the_root_of_pressure(pressure: float, factor: float) -> None:
    cell = Cell(replace(PLAIN, interface_resistance=30.0))
    cell.set_conditions(negative_pressure=2.5e6, positive_pressure=pressure, temperature=25.0)
    rest = cell.voltage
    cell.drive(CurrentSource(1e-3, 100.0))
    assert cell.voltage - rest == pytest.approx(1e-3 * (50.0 + 30.0 * factor), abs=1e-9)


def test_cold_slows_the_cell_by_arrhenius() -> None:
    cell = Cell(replace(PLAIN, activation_energy=35e3))
    cell.set_conditions(negative_pressure=2.5e6, positive_pressure=2.5e6, temperature=5.0)
    rest = cell.voltage
    cell.drive(CurrentSource(1e-3, 100.0))
    factor = math.exp(35e3 / 8.314462618 * (1 / 278.15 - 1 / 298.15))
    assert cell.voltage - rest == pytest.approx(1e-3 * 50.0 * factor, rel=1e-9)


def test_the_first_charge_loses_what_the_side_reaction_takes() -> None:
    cell = Cell(replace(PLAIN, side_capacity=1.0, side_share=0.5))
    charged = run_to(cell, 4.2, CURRENT)
    assert charged - (cell.state - 0.1) * 10.0 == pytest.approx(1.0, abs=1e-9)
    discharged = run_to(cell, 3.2, CURRENT)
    again = run_to(cell, 4.2, CURRENT)
    assert charged > discharged + 0.9
    assert again == pytest.approx(run_to(cell, 3.2, CURRENT), rel=1e-9)


def test_the_side_reaction_takes_no_more_at_constant_voltage() -> None:
    cell = Cell(replace(PLAIN, side_capacity=1.0, side_share=0.5))
    cell.drive(VoltageSource(4.2, 1.0))
    assert cell.limiting == "voltage"
    charged = hold(cell, 1e5)
    assert charged - (cell.state - 0.1) * 10.0 == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("curve", [PLAIN.charging, Curve([3.0, 4.4])])
@pytest.mark.parametrize("short", [math.inf, 2000.0])
def test_a_current_that_rises_into_its_limit_dips_the_voltage_until_it_is_met_again(curve: Curve, short: float) -> None:
    cell = Cell(replace(PLAIN, charging=curve, discharging=curve))
    cell.drive(CurrentSource(5e-3, 10.0))
    hold(cell, 400.0)
    cell.short(short)
    voltage = curve(cell.state) + 5e-3 * 40.0 + 0.02
    limit = 1e-3 + voltage / short
    cell.drive(VoltageSource(voltage, limit))
    seen = [cell.limiting]
    lowest = voltage
    for _ in range(5000):
        cell.advance_to(cell.time + 1.0)
        assert cell.current <= limit + 1e-12
        assert cell.voltage <= voltage + 1e-12
        lowest = min(lowest, cell.voltage)
        if cell.limiting != seen[-1]:
            seen.append(cell.limiting)
    assert seen == ["voltage", "current", "voltage"]
    assert lowest < voltage - 0.02


def test_a_stretch_that_starts_on_its_limit_and_leaves_it_ends_where_it_meets_it_again() -> None:
    circuit = Circuit(
        charging=Curve([3.0, 4.4]),
        discharging=Curve([3.0, 4.4]),
        capacity=10.0,
        resistance=50.0,
        slow_resistance=40.0,
        slow_time=80.0,
        kinetic_current=math.inf,
        kinetic_voltage=0.05,
    )
    limit = circuit.voltage(0.3, 0.1, 1e-3)
    stretch = Steady(circuit, 0.3, 0.1, 1e-3, Bounds(high=limit))
    assert 300.0 < stretch.duration < 600.0
    assert stretch.bound == 1
    assert circuit.voltage(*stretch.at(stretch.duration)) == pytest.approx(limit, abs=1e-12)


def test_a_fresh_electrode_cannot_be_discharged_and_a_held_voltage_moves_nothing() -> None:
    cell = preset("nmc83-li")
    cell.drive(VoltageSource(2.5, 1e-3))
    assert (cell.voltage, cell.current) == (2.5, 0.0)
    hold(cell, 1000.0)
    assert cell.charge == 0.0


def test_fade_belongs_to_the_depth_of_discharge() -> None:
    fading = replace(PLAIN, fade=0.01, resistance_growth=0.02, full_swing=0.5, initial_state=0.2)
    cell = Cell(fading)

    def pass_between(top: float, bottom: float) -> None:
        run_to(cell, top, 1e-6, within=1e9)
        run_to(cell, bottom, 1e-6, within=1e9)

    pass_between(3.98, 3.28)
    cell.drive(CurrentSource(1e-6, 10.0))
    assert cell.cycles == pytest.approx(1.0, rel=1e-3)
    charge = run_to(cell, 3.98, 1e-6, within=1e9)
    assert charge == pytest.approx(0.5 * 10.0 * 0.99, rel=1e-3)


def test_a_short_discharges_the_open_cell_and_keeps_a_charge_from_its_limit() -> None:
    cell = Cell(replace(PLAIN, initial_state=0.5))
    cell.short(2000.0)
    assert cell.current == 0.0
    assert cell.voltage == pytest.approx(3.7 * 2000 / 2050, abs=2e-2)
    hold(cell, 50_000.0)
    assert cell.charge < -0.5 * 10 * 0.9
    cell = Cell(replace(PLAIN, initial_state=0.5))
    cell.short(1000.0)
    cell.drive(VoltageSource(4.2, 1e-3))
    hold(cell, 1e6)
    assert cell.limiting == "current"
    assert cell.voltage < 3.2


def test_charge_balances_across_a_short() -> None:
    cell = Cell(replace(PLAIN, initial_state=0.5))
    cell.short(1500.0)
    cell.drive(VoltageSource(4.0, 3e-3))
    passed = leaked = 0.0
    current, voltage, start = cell.current, cell.voltage, cell.charge
    for k in range(1, 20_001):
        cell.advance_to(0.2 * k)
        passed += 0.1 * (current + cell.current)
        leaked += 0.1 * (voltage + cell.voltage) / 1500.0
        current, voltage = cell.current, cell.voltage
    assert passed - leaked == pytest.approx(cell.charge - start, rel=1e-6)


def test_a_broken_wire_leaves_the_instrument_alone() -> None:
    cell = Cell(PLAIN)
    cell.drive(VoltageSource(4.2, 1e-3))
    cell.open_circuit()
    assert (cell.voltage, cell.current, cell.limiting) == (4.2, 0.0, "voltage")
    cell.drive(CurrentSource(-1e-3, 6.0))
    assert (cell.voltage, cell.current, cell.limiting) == (-6.0, 0.0, "voltage")
    hold(cell, 1000.0)
    assert cell.charge == 0.0
    cell.open_circuit(False)
    assert cell.current == -1e-3


def test_contact_loss_takes_capacity_and_added_resistance_takes_voltage() -> None:
    cell = Cell(replace(PLAIN, interface_resistance=10.0))
    cell.drive(CurrentSource(1e-3, 10.0))
    before = cell.voltage
    cell.add_resistance(100.0)
    assert cell.voltage - before == pytest.approx(0.1, abs=1e-12)
    cell.lose_contact(0.5)
    assert cell.voltage - before == pytest.approx(0.1 + 0.01, abs=1e-12)
    state = cell.state
    hold(cell, 100.0)
    assert cell.state - state == pytest.approx(2 * 0.1 / 10.0, rel=1e-9)


def test_sudden_death_comes_after_its_cycle() -> None:
    cell = Cell(replace(PLAIN, full_swing=0.5, death_cycle=1.5, death_resistance=500.0))
    for _ in range(2):
        run_to(cell, 4.1, CURRENT)
        run_to(cell, 3.2, CURRENT)
    cell.drive(Open())
    rest = cell.voltage
    cell.drive(CurrentSource(1e-4, 10.0))
    assert cell.voltage - rest == pytest.approx(1e-4 * 550.0, abs=1e-6)


def test_high_pressure_on_lithium_shorts_the_first_charge() -> None:
    cell = preset("nmc83-li")
    cell.set_conditions(negative_pressure=50e6, positive_pressure=50e6, temperature=30.0)
    cell.drive(VoltageSource(4.3, 2.0 * cell.parameters.area))
    hold(cell, 2e5)
    assert cell.limiting == "current"
    assert cell.voltage < 3.0


@pytest.mark.parametrize("resistance", [0.0, -1.0, math.nan])
def test_a_short_needs_a_resistance(resistance: float) -> None:
    with pytest.raises(ValueError, match="resistance above 0 ohm"):
        Cell(PLAIN).short(resistance)
