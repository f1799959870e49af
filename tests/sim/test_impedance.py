"""The impedance of the simulated cell is that of the circuit which charges it."""

import cmath
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.sim.cell import Cell, CurrentSource, VoltageSource
from labctl.sim.curve import Curve
from labctl.sim.impedance import LEADS
from labctl.sim.presets import PRESETS
from tests.sim.cells import PLAIN, at_reference, preset, run_to

EVERYTHING = replace(
    PLAIN,
    interface_resistance=30.0,
    interface_time=1e-3,
    exchange_current=1e-3,
    activation_energy=35e3,
    charging=Curve([3.0 + 1.4 * k / 400 for k in range(401)]),
    discharging=Curve([2.9 + 1.5 * k / 400 for k in range(401)]),
)
"""Every element of the circuit; 1.4 V (charge) and 1.5 V (discharge) for 10 C."""
THERMAL = 2 * 8.314462618 * 298.15 / 96485.33212


def inductance(frequency: float) -> complex:
    return 2j * math.pi * frequency * LEADS


@given(st.floats(-4.0, 7.0).map(lambda exponent: 10.0**exponent))
def test_each_element_stands_where_it_belongs(frequency: float) -> None:
    rate = 2j * math.pi * frequency
    transfer = 30.0 + THERMAL / 2e-3
    expected = 50.0 + transfer / (1 + 1e-3 * rate) + 40.0 / (1 + 80.0 * rate) + 0.14 / rate + 1e-6 * rate
    assert Cell(EVERYTHING).impedance(frequency) == pytest.approx(expected, rel=1e-3)  # chords of the overpotential


@pytest.mark.parametrize("name", PRESETS)
def test_fast_and_slow_limits(name: str) -> None:
    cell = preset(name)
    p = cell.parameters
    run_to(cell, cell.voltage + 0.3, 1e-4)
    cell.drive(CurrentSource(0.0, 10.0))
    cell.advance_to(cell.time + 1e5)
    fast = cell.impedance(1e9) - inductance(1e9)
    assert fast.real == pytest.approx(p.separator_resistance / p.area, rel=1e-6)
    assert fast.imag == pytest.approx(0.0, abs=1e-3)
    slow = [cell.impedance(frequency) for frequency in (1e-6, 1e-7)]
    assert slow[0].imag * 1e-6 == pytest.approx(slow[1].imag * 1e-7, rel=1e-3), "a capacitance"
    assert slow[0].real == pytest.approx(slow[1].real, rel=1e-6)


@pytest.mark.parametrize("bias", [0.0, 2e-3, -2e-3])
def test_the_slow_limit_is_what_a_small_step_of_current_shows(bias: float) -> None:
    """A huge capacity keeps the state where it is while R1 C1 settles."""
    cells = [Cell(replace(EVERYTHING, specific_capacity=1e9, initial_state=0.5)) for _ in range(2)]
    step = 1e-7 if bias >= 0.0 else -1e-7
    for cell, current in zip(cells, (bias, bias + step), strict=True):
        cell.drive(CurrentSource(current, 100.0))
        cell.advance_to(80.0 * 40.0)
    resistance = (cells[1].voltage - cells[0].voltage) / step
    assert cells[0].impedance(1e-6).real == pytest.approx(resistance, rel=1e-4)


def test_the_bias_current_chooses_the_branch_and_the_slope_of_the_overpotential() -> None:
    cell = Cell(replace(EVERYTHING, initial_state=0.5))
    seen = {}
    for current in (0.0, 4e-3, -4e-3):
        cell.drive(CurrentSource(current, 100.0))
        seen[current] = cell.impedance(1e-5)
    transfer = THERMAL / math.hypot(2e-3, 4e-3)
    assert seen[4e-3].real == pytest.approx(120.0 + transfer, rel=2e-3)
    assert seen[-4e-3].real == pytest.approx(seen[4e-3].real, rel=1e-6)
    assert seen[0.0].real == pytest.approx(120.0 + THERMAL / 2e-3, rel=2e-3)
    capacitive = {current: -each.imag * 2e-5 * math.pi for current, each in seen.items()}
    assert capacitive == pytest.approx({0.0: 0.14, 4e-3: 0.14, -4e-3: 0.15}, rel=0.02)


def test_causal_as_kramers_and_kronig_ask() -> None:
    """The imaginary part, without lead and capacitance, follows from the real part at all other frequencies."""
    cell = Cell(replace(EVERYTHING, specific_capacity=1e9))
    logs = [math.log(1e-7) + k * (math.log(1e9) - math.log(1e-7)) / 20_000 for k in range(20_001)]
    real = [cell.impedance(math.exp(x)).real for x in logs]
    for frequency in (1e-3, 2e-3, 1.0, 160.0, 1e3, 1e5):
        here = cell.impedance(frequency)
        total = 0.0
        for x, each in zip(logs, real, strict=True):
            ratio = math.exp(x) / frequency
            if abs(ratio - 1.0) > 1e-6:
                total += (each - here.real) / (ratio - 1.0 / ratio)
        expected = 2.0 / math.pi * total * (logs[1] - logs[0])
        assert (here - inductance(frequency)).imag == pytest.approx(expected, abs=0.1)


def test_a_short_lies_parallel_to_all_but_the_leads() -> None:
    cell = Cell(replace(EVERYTHING, exchange_current=math.inf))
    whole = cell.impedance(1e3)
    cell.short(25.0)
    inner = whole - inductance(1e3)
    assert cell.impedance(1e3) == pytest.approx(inner * 25.0 / (inner + 25.0) + inductance(1e3), rel=1e-6)
    assert abs(cell.impedance(1e-6)) == pytest.approx(25.0, rel=1e-3)


def test_a_broken_wire_has_no_end_of_impedance() -> None:
    cell = Cell(EVERYTHING)
    cell.open_circuit()
    assert math.isinf(abs(cell.impedance(1e3)))
    cell.open_circuit(False)
    assert cmath.isfinite(cell.impedance(1e3))


def width(cell: Cell) -> float:
    """Of the arc of interface and overpotential, ohm."""
    return (cell.impedance(1.0) - cell.impedance(1e6)).real


def test_pressure_temperature_lost_contact_and_added_resistance_act_as_in_direct_current() -> None:
    parameters = replace(EVERYTHING, exchange_current=math.inf)
    cell = at_reference(parameters)
    reference, fast = width(cell), cell.impedance(1e6).real
    assert reference == pytest.approx(30.0, rel=1e-3)
    cell.set_conditions(negative_pressure=2.5e6, positive_pressure=10e6, temperature=25.0)
    assert width(cell) == pytest.approx(reference / 2.0, rel=1e-3)
    cell.lose_contact(0.5)
    assert width(cell) == pytest.approx(reference, rel=1e-3)
    cell.add_resistance(7.0)
    assert cell.impedance(1e6).real == pytest.approx(fast + 7.0, rel=1e-3)
    cell.set_conditions(negative_pressure=2.5e6, positive_pressure=10e6, temperature=5.0)
    factor = math.exp(35e3 / 8.314462618 * (1 / 278.15 - 1 / 298.15))
    assert width(cell) == pytest.approx(reference * factor, rel=1e-3)


def test_the_capacitance_of_the_interface_changes_nothing_that_a_cycler_sees() -> None:
    cells = [Cell(replace(EVERYTHING, interface_time=time)) for time in (0.0, 1e-3)]
    for cell in cells:
        cell.drive(VoltageSource(3.9, 1e-3))
        cell.advance_to(5e3)
    assert cells[0].voltage == cells[1].voltage
    assert cells[0].counts == cells[1].counts
