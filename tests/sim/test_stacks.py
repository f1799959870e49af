"""Stacks between blocking electrodes: their conductivity over pressure, what blocks and what leaks."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.cell import Cell, CellParameters, CurrentSource, Open, VoltageSource
from labctl.sim.presets import CellChoice
from labctl.sim.stacks import STACKS

MPA = 1e6
DENSE = 500 * MPA


def at(cell: Cell, pressure: float, celsius: float = 25.0) -> Cell:
    cell.set_conditions(negative_pressure=pressure, positive_pressure=pressure, temperature=celsius)
    return cell


def conductivity(parameters: CellParameters, thickness: float, pressure: float, celsius: float = 25.0) -> float:
    """S/m by the resistance at a frequency at which the electrodes' capacitance counts for nothing."""
    cell = at(Cell(parameters), pressure, celsius)
    return thickness / (cell.impedance(1e5).real * parameters.area)


@pytest.mark.parametrize(("chosen", "expected"), [({}, 0.3), ({"conductivity": "1.2 mS/cm"}, 0.12)])
def test_li6ps5cl_conducts_as_in_doerrer_2021_at_500_mpa(chosen: dict[str, str], expected: float) -> None:
    parameters = CellChoice.model_validate({"preset": "lpscl-blocking", **chosen}).parameters()
    assert conductivity(parameters, 1.5e-3, DENSE) == pytest.approx(expected, rel=1e-3)


@given(st.floats(0.1, 499.0), st.floats(1.001, 3.0))
def test_it_rises_with_pressure_to_500_mpa_and_falls_beyond(pressure: float, factor: float) -> None:
    parameters = STACKS["lpscl-blocking"].parameters()
    low, high = (conductivity(parameters, 1.5e-3, each * MPA) for each in (pressure, min(pressure * factor, 500.0)))
    assert low < high <= 0.3001
    assert conductivity(parameters, 1.5e-3, DENSE * factor) < conductivity(parameters, 1.5e-3, DENSE)


def test_it_is_the_lesser_pressure_of_both_sides_that_packs() -> None:
    one, other = Cell(STACKS["lpscl-blocking"].parameters()), Cell(STACKS["lpscl-blocking"].parameters())
    one.set_conditions(negative_pressure=50 * MPA, positive_pressure=400 * MPA, temperature=25.0)
    assert one.impedance(1e5) == at(other, 50 * MPA).impedance(1e5)


def test_it_conducts_better_where_it_is_warmer() -> None:
    parameters = STACKS["lpscl-blocking"].parameters()
    warm, cold = (conductivity(parameters, 1.5e-3, DENSE, celsius) for celsius in (60.0, 25.0))
    assert warm / cold == pytest.approx(math.exp(35e3 / 8.314462618 * (1 / 298.15 - 1 / 333.15)), rel=1e-2)


def test_a_cell_that_was_packed_before_does_not_change_with_pressure() -> None:
    parameters = CellChoice(preset="nmc83-lto").parameters()
    assert parameters.packing_pressure == 0.0
    same = {at(Cell(parameters), each).impedance(1e9).real for each in (MPA, 100 * MPA)}
    assert len({round(each, 6) for each in same}) == 1


def test_its_electrodes_block_what_does_not_leak() -> None:
    """A capacitor behind a resistance, and beside both what passes: a polarisation's current decays to that."""
    parameters = STACKS["composite-blocking"].parameters()
    series, leak = parameters.separator_resistance / parameters.area, parameters.leakage_resistance / parameters.area
    cell = at(Cell(parameters), DENSE)
    cell.drive(VoltageSource(0.3, 1.0))
    assert cell.current == pytest.approx(0.3 / series + 0.3 / leak, rel=1e-3)
    cell.advance_to(3600.0)
    assert cell.current == pytest.approx(0.3 / leak, rel=1e-6)
    assert cell.voltage == 0.3
    cell.drive(Open())
    cell.advance_to(7200.0)
    assert abs(cell.voltage) < 1e-6, "the electrons have let it run down"


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_both_directions_are_alike(sign: float) -> None:
    cell = at(Cell(STACKS["lpscl-blocking"].parameters()), DENSE)
    cell.drive(CurrentSource(sign * 1e-6, 0.4))
    cell.advance_to(100.0)
    assert cell.limiting == "voltage"
    assert cell.voltage == pytest.approx(sign * 0.4)
    assert cell.cycles == 0.0


def test_thickness_and_diameter_count_as_they_should() -> None:
    thin = CellChoice.model_validate({"preset": "lpscl-blocking", "thickness": "0.5 mm", "diameter": "12 mm"})
    assert conductivity(thin.parameters(), 0.5e-3, DENSE) == pytest.approx(0.3, rel=1e-3)


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"preset": "lno-lto", "thickness": "1 mm"}, '"lno-lto" is a cell with two electrodes, which has no thickness'),
        ({"preset": "lpscl-blocking", "loading": "1 mg/cm2"}, "between blocking electrodes, which has no loading"),
        ({"preset": "lpscl-blocking", "conductivity": "0 S/m"}, "greater than 0"),
    ],
)
def test_what_a_cell_has_not_cannot_be_chosen(choice: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        CellChoice.model_validate(choice)


def test_a_press_is_let_press_harder_at_its_times() -> None:
    rig = {"kind": "press", "force": "4 kN", "then": [["20 min", "16 kN"], ["10 min", "8 kN"]]}
    bench = Bench.of(BenchParameters.model_validate({"cell": {"preset": "lpscl-blocking"}, "rig": rig}), seed=1)
    seen = []
    for time in (0.0, 599.0, 600.0, 1199.0, 1205.0, 1e6):
        bench.advance_to(time)
        seen.append((bench.rig.force("negative"), bench.cell.impedance(1e5).real))
    assert [force for force, _ in seen] == [4e3, 4e3, 8e3, 8e3, 16e3, 16e3]
    assert seen[0][1] == seen[1][1] > seen[2][1] == seen[3][1] > seen[4][1] == seen[5][1]
