"""Where a simulation is stopped on its way changes nothing, and an independent solver finds the same curves."""

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.cell import Cell, CellParameters, CurrentSource, Open, Source, VoltageSource
from labctl.sim.curve import Curve

from .cells import PLAIN, preset

RICH = replace(
    PLAIN,
    exchange_current=5e-4,
    interface_resistance=20.0,
    side_capacity=0.6,
    side_share=0.4,
    fade=0.01,
    fade_floor=0.3,
    resistance_growth=0.01,
    full_swing=0.7,
    discharging=Curve([3.0 + 1.4 * k / 400 - max(0.0, math.exp((40 - k) / 8) - 0.01) for k in range(401)]),
)

VOLTAGES = st.floats(2.5, 4.5)
CURRENTS = st.floats(-5e-3, 5e-3)
SOURCES = st.one_of(
    st.just(Open()),
    st.builds(VoltageSource, VOLTAGES, st.floats(0.0, 5e-3)),
    st.builds(CurrentSource, CURRENTS, st.floats(1.0, 5.0)),
    st.builds(CurrentSource, st.just(0.0), st.floats(3.0, 5.0)),
)
SPANS = st.floats(0.0, 4000.0)
HISTORIES = st.lists(st.tuples(SOURCES, SPANS), min_size=1, max_size=6)
SHORTS = st.one_of(st.just(math.inf), st.floats(200.0, 1e5))


def obeys(cell: Cell, source: Source) -> bool:
    """Whether the terminals are on the characteristic of the source."""
    near = 1e-9
    match source:
        case Open() | VoltageSource(current_limit=0.0):
            return cell.current == 0.0
        case VoltageSource(voltage=voltage, current_limit=limit):
            if cell.limiting == "voltage":
                return cell.voltage == voltage and abs(cell.current) <= limit + near
            sense = math.copysign(1.0, cell.current)
            return abs(cell.current) == limit and sense * (voltage - cell.voltage) >= -near
        case CurrentSource(current=current, voltage_limit=limit):
            if cell.limiting == "current":
                return cell.current == current and abs(cell.voltage) <= limit + near
            sense = math.copysign(1.0, cell.voltage)
            return abs(cell.voltage) == limit and sense * (current - cell.current) >= -near


@given(HISTORIES, SHORTS, st.sampled_from([PLAIN, RICH]))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_the_terminals_stay_on_the_source_and_the_cell_stays_continuous(
    history: list[tuple[Source, float]], short: float, parameters: CellParameters
) -> None:
    cell = Cell(parameters)
    cell.short(short)
    for source, span in history:
        cell.drive(source)
        assert obeys(cell, source)
        end = cell.time + span
        while (event := cell.next_event()) < end:
            cell.advance_to(max(math.nextafter(event, 0.0), cell.time))
            before = cell.voltage, cell.current, cell.charge
            cell.advance_to(event)
            assert obeys(cell, source)
            # The circuit may change where a discharge ends; everywhere else nothing jumps.
            if (before[1] < 0.0) == (cell.current < 0.0):
                assert cell.voltage == pytest.approx(before[0], abs=1e-6)
                assert cell.current == pytest.approx(before[1], abs=1e-8)
            assert cell.charge == pytest.approx(before[2], abs=1e-9)
        cell.advance_to(end)
        assert obeys(cell, source)


@given(HISTORIES, SHORTS, st.lists(st.floats(0.0, 1.0), max_size=8), st.sampled_from([PLAIN, RICH]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_cell_advanced_in_pieces_is_the_cell_advanced_at_once(
    history: list[tuple[Source, float]], short: float, cuts: list[float], parameters: CellParameters
) -> None:
    whole, pieces = Cell(parameters), Cell(parameters)
    for cell in (whole, pieces):
        cell.short(short)
    for source, span in history:
        for cell in (whole, pieces):
            cell.drive(source)
        begun = whole.time
        whole.advance_to(begun + span)
        for cut in [*sorted(cuts), 1.0]:
            pieces.advance_to(begun + span * cut)
            pieces.advance_to(begun + span * cut)
        assert (pieces.voltage, pieces.current, pieces.charge) == (whole.voltage, whole.current, whole.charge)


@given(st.lists(st.floats(0.0, 500.0), min_size=2, max_size=12), st.integers(0, 5))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_bench_advanced_in_pieces_is_the_bench_advanced_at_once(instants: list[float], seed: int) -> None:
    def started() -> Bench:
        bench = Bench.of(BenchParameters(), seed)
        bench.room.regulate(30.0)
        bench.rig.turn_to(1.0)
        bench.cell.drive(VoltageSource(3.75, 1e-3))
        return bench

    whole, pieces = started(), started()
    for instant in sorted(instants):
        pieces.advance_to(instant)
    whole.advance_to(max(instants))
    assert seen(pieces) == seen(whole)


def seen(bench: Bench) -> tuple[float, ...]:
    """Everything an instrument can see."""
    cell, rig, room = bench.cell, bench.rig, bench.room
    return (cell.voltage, cell.current, rig.force("negative"), rig.force("positive"), room.bath, room.cell)


def test_the_event_to_event_charge_does_not_depend_on_the_coupling_grid() -> None:
    free, coupled = preset("nmc83-li"), preset("nmc83-li")
    p = free.parameters
    for cell in (free, coupled):
        cell.drive(VoltageSource(4.3, 2.0 * p.area))
    for k in range(1, 6001):
        coupled.advance_to(10.0 * k)
        coupled.set_conditions(
            negative_pressure=p.reference_pressure,
            positive_pressure=p.reference_pressure,
            temperature=p.reference_temperature,
        )
    free.advance_to(60_000.0)
    assert coupled.voltage == pytest.approx(free.voltage, abs=1e-9)
    assert coupled.charge == pytest.approx(free.charge, rel=1e-9)


REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "pybamm_thevenin.json").read_text())


def test_pybamm_finds_the_same_curves() -> None:
    """10 µV and 1e-5 in time against PyBaMM's Thevenin model; scripts/pybamm_reference.py made the numbers."""
    r = REFERENCE
    curve = Curve(r["knots"])
    cell = Cell(
        CellParameters(
            area=1.0,
            loading=1.0,
            specific_capacity=r["capacity"],
            charging=curve,
            discharging=curve,
            initial_state=r["start"],
            separator_resistance=r["resistance"],
            slow_resistance=r["slow_resistance"],
            slow_time=r["slow_time"],
        )
    )

    def follow(points: list[list[float]]) -> None:
        begun = cell.time
        for elapsed, voltage, current in points[:-1]:
            cell.advance_to(begun + elapsed)
            assert cell.voltage == pytest.approx(voltage, abs=10e-6)
            assert cell.current == pytest.approx(current, abs=1e-9)

    def follow_to_limit(points: list[list[float]]) -> None:
        begun = cell.time
        follow(points)
        while cell.limiting == "current":
            cell.advance_to(cell.next_event())
        assert cell.time - begun == pytest.approx(points[-1][0], rel=1e-5)

    cell.drive(VoltageSource(r["upper"], r["current"]))
    follow_to_limit(r["charge"])
    begun = cell.time
    follow(r["constant_voltage"])
    cell.advance_to(begun + r["hold"])
    cell.drive(VoltageSource(r["lower"], r["current"]))
    follow_to_limit(r["discharge"])


def test_the_reference_sees_the_slow_voltage() -> None:
    """The reference would prove nothing about R1||C1 if its points lay after the transient."""
    first, second = REFERENCE["charge"][:2]
    assert second[0] - first[0] < REFERENCE["slow_time"]
    assert all(later[1] > earlier[1] for earlier, later in pairwise(REFERENCE["charge"]))
