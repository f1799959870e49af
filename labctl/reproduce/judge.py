"""Paper against run: what a rehearsal gives for each row of a set, and whether that lies within its tolerance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from labctl.plan import BoundCell
from labctl.quantity import Dimension, Quantity
from labctl.reading import RunState
from labctl.record.queries import CycleRow
from labctl.rehearse import Rehearsal
from labctl.rehearse.keeper import Point
from labctl.reproduce import spectra
from labctl.reproduce.table import Measure, Row, Set

_COULOMB = 3600.0
"""C of an Ah."""


class Verdict(StrEnum):
    """What became of a row."""

    MET = "met"
    MISSED = "missed"
    NOT_REACHED = "not reached"
    """The run has no such cycle: it was quick, or it ended before."""
    CANNOT = "cannot run"


@dataclass(frozen=True, slots=True)
class Judged:
    """A row with what the run gave.

    Attributes:
        run: in the row's SI unit (C/kg, C/m2, ohm m2, S/m or a ratio), or a count; None where there is no such value,
            or a state.
        state: how the run ended, where that is what the row is about.
    """

    set: Set
    row: Row
    verdict: Verdict
    run: float | None = None
    state: str = ""


def judge(each: Set, runs: Mapping[str, Rehearsal]) -> tuple[Judged, ...]:
    """Compare the rows of a set with the rehearsals of the sets by their ids."""
    return tuple(_judged(each, row, runs) for row in each.row)


def _judged(each: Set, row: Row, runs: Mapping[str, Rehearsal]) -> Judged:
    if row.cannot:
        return Judged(each, row, Verdict.CANNOT)
    run = runs.get(each.id)
    if run is None:
        return Judged(each, row, Verdict.NOT_REACHED)
    if row.measure is Measure.END:
        ended = "completed" if run.outcome.state is RunState.COMPLETED else "failed"
        return Judged(each, row, _verdict(row.state == ended), state=ended)
    value = _value(row, run)
    if row.against:
        other = runs.get(row.against)
        reference = None if other is None else _value(row, other)
        value = _ratio(value, reference)
    if value is None:
        return Judged(each, row, Verdict.NOT_REACHED)
    return Judged(each, row, _verdict(_within(row, value)), value)


def _verdict(met: bool) -> Verdict:
    return Verdict.MET if met else Verdict.MISSED


def _within(row: Row, value: float) -> bool:
    if row.paper is not None and row.tolerance is not None:
        return abs(value - float(row.paper)) <= float(row.tolerance) * abs(float(row.paper))
    if row.at_least is not None:
        return value >= float(row.at_least)
    if row.at_most is not None:
        return value <= float(row.at_most)
    return value == row.count


def _value(row: Row, run: Rehearsal) -> float | None:
    """Return what a rehearsal gives for a row; None where it has not got that far."""
    match row.measure:
        case Measure.ARC:
            return _arc(run, row.spectrum)
        case Measure.ARC_RISE:
            return _ratio(_arc(run, row.spectrum), _arc(run, row.reference_spectrum))
        case Measure.CONDUCTIVITY:
            return _conductivity(run, row.spectrum)
        case Measure.LEAST_RISE:
            return _least_rise(run, row.reference_spectrum, row.spectrum)
        case Measure.POLARISATION:
            return _by_polarisation(run)
    return _of_cycles(row, run)


def _of_cycles(row: Row, run: Rehearsal) -> float | None:
    done = {cycle.cycle_count: cycle for cycle in run.cycles if cycle.complete}
    if row.measure is Measure.CYCLES:
        return float(len(done))
    cycle, reference = done.get(row.cycle), done.get(row.reference)
    if cycle is None:
        return None
    match row.measure:
        case Measure.COULOMBIC:
            return cycle.coulombic_efficiency
        case Measure.ENERGY:
            return cycle.energy_efficiency
        case Measure.LEAST_COULOMBIC:
            return _least(done, row.reference, row.cycle)
        case Measure.RETENTION:
            return (
                None if reference is None else _ratio(cycle.discharging_capacity_ah, reference.discharging_capacity_ah)
            )
        case _:
            return _capacity(row, cycle, run.plan.cell)


def _ratio(value: float | None, reference: float | None) -> float | None:
    return None if value is None or not reference else value / reference


def _least(done: Mapping[int, CycleRow], first: int, last: int) -> float | None:
    """Return the least coulombic efficiency from one cycle to another; None where one of them has none."""
    found = [done[count].coulombic_efficiency for count in range(first, last + 1) if count in done]
    known = [value for value in found if value is not None]
    return min(known) if len(known) == last - first + 1 else None


def _capacity(row: Row, cycle: CycleRow, cell: BoundCell) -> float | None:
    """Return a capacity in C by mass or by area, as the paper gives it; in C/kg where it is only compared."""
    measured = cycle.charging_capacity_ah if row.measure is Measure.CHARGE else cycle.discharging_capacity_ah
    given: Quantity | None = row.paper or row.at_least or row.at_most
    areal = given is not None and given.dimension is Dimension.AREAL_CHARGE
    scale = cell.positive_area if areal else cell.active_mass
    return None if measured is None or not scale else measured * _COULOMB / scale


def _spectrum(run: Rehearsal, number: int) -> Sequence[Point]:
    """Return a spectrum of a run by its number, from 1; empty where it has not got that far."""
    measured = [step.spectrum for step in run.kept if step.spectrum]
    return measured[number - 1] if number <= len(measured) else ()


def _arc(run: Rehearsal, number: int) -> float | None:
    """Return the width of a spectrum's arc, ohm m2."""
    width, area = spectra.arc(_spectrum(run, number)), run.plan.cell.positive_area
    return None if width is None or area is None else width * area


def _conductivity(run: Rehearsal, number: int) -> float | None:
    """Return what a spectrum tells of the stack, S/m."""
    return _of_stack(run.plan.cell, spectra.intercept(_spectrum(run, number)))


def _least_rise(run: Rehearsal, first: int, last: int) -> float | None:
    found = [_conductivity(run, number) for number in range(first, last + 1)]
    ratios = [_ratio(value, before) for before, value in pairwise(found)]
    known = [ratio for ratio in ratios if ratio is not None]
    return min(known) if known and len(known) == last - first else None


def _by_polarisation(run: Rehearsal) -> float | None:
    """Return S/m by the current that is left at the end of the last step at constant voltage."""
    held = [step.row() for step in run.kept if step.verb == "cv"]
    if not held or held[-1].end_voltage_volt is None:
        return None
    return _of_stack(run.plan.cell, _ratio(held[-1].end_voltage_volt, held[-1].end_current_ampere))


def _of_stack(cell: BoundCell, resistance: float | None) -> float | None:
    """Return the conductivity (S/m) of a stack that has a resistance (ohm)."""
    if not resistance or cell.stack_thickness is None or cell.positive_area is None:
        return None
    return cell.stack_thickness / (resistance * cell.positive_area)
