"""Cells for the tests of the physics: a plain Thévenin cell, one with every effect, and a hand that cycles them."""

from labctl.sim.cell import Cell, CellParameters, VoltageSource
from labctl.sim.curve import Curve
from labctl.sim.presets import PRESETS

_BENT = Curve([3.0 + 1.4 * k / 400 + 0.0005 * (k % 7 == 0) for k in range(401)])
PLAIN = CellParameters(
    area=1.0,
    loading=1.0,
    specific_capacity=10.0,
    charging=_BENT,
    discharging=_BENT,
    initial_state=0.1,
    separator_resistance=50.0,
    slow_resistance=40.0,
    slow_time=80.0,
)
"""10 C, 50 ohm, 40 ohm with 80 s, on 1 m², so that area-specific and absolute numbers are the same."""


def preset(name: str) -> Cell:
    """Return a preset's cell under the pressure and at the temperature its constants were measured at."""
    return at_reference(PRESETS[name]())


def at_reference(parameters: CellParameters) -> Cell:
    """Return a cell under the pressure and at the temperature its constants were measured at."""
    cell = Cell(parameters)
    cell.set_conditions(
        negative_pressure=parameters.reference_pressure,
        positive_pressure=parameters.reference_pressure,
        temperature=parameters.reference_temperature,
    )
    return cell


def run_to(cell: Cell, voltage: float, current: float, within: float = 1e7) -> float:
    """Drive constant current until the voltage is met; return the charge moved (magnitude, C)."""
    before, deadline = cell.charge, cell.time + within
    cell.drive(VoltageSource(voltage, current))
    while cell.limiting == "current":
        assert cell.time < deadline, "the voltage was never met"
        cell.advance_to(cell.next_event())
    return abs(cell.charge - before)


def hold(cell: Cell, seconds: float) -> float:
    """Stay on the present source; return the charge moved (magnitude, C)."""
    before = cell.charge
    cell.advance_to(cell.time + seconds)
    return abs(cell.charge - before)


def per_gram(cell: Cell, charge: float) -> float:
    """Return mAh/g of active material."""
    return charge / 3600.0 / (cell.parameters.loading * cell.parameters.area)
