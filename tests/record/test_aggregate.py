"""Cycles: what their numbers mean."""

import sqlite3
from pathlib import Path

import pytest

from labctl.reading import COLUMNS, Reading, Record
from labctl.record.queries import Queries
from labctl.record.writer import Writer
from tests.laboratory import batches, ended, new_run, reading, started

NAMES = ("charging_capacity_ah", "discharging_capacity_ah", "charging_energy_wh", "discharging_energy_wh")


def row(number: int, cycle: int, voltage: float | None, *cumulative: float) -> Reading:
    values = list(reading(number, cycle, step=number).values)
    values[COLUMNS.index("voltage_volt")] = voltage
    for name, value in zip(NAMES, cumulative, strict=True):
        values[COLUMNS.index(name)] = value
    return Reading(tuple(values))


@pytest.fixture
def run_of_two_cycles(tmp_path: Path) -> Path:
    """Charge 4 mAh, discharge 3 mAh; the next cycle only charges. A boundary row begins each."""
    run = new_run()
    records: list[Record] = [
        started(run),
        row(0, 1, 3.0, 0.0, 0.0, 0.0, 0.0),
        row(10, 1, 4.3, 0.004, 0.0, 0.016, 0.0),
        row(20, 1, 2.5, 0.004, 0.003, 0.016, 0.0105),
        row(20, 2, 2.5, 0.004, 0.003, 0.016, 0.0105),
        row(30, 2, 4.25, 0.0075, 0.003, 0.0295, 0.0105),
        ended(30.0, "tripped"),
    ]
    writer = Writer(tmp_path / "lab.db")
    for batch in batches(run, records, 2):
        writer.apply([batch])
    writer.close()
    return tmp_path / "lab.db"


def test_a_cycle_is_its_last_row_minus_its_first(run_of_two_cycles: Path) -> None:
    with Queries(run_of_two_cycles) as queries:
        first, second = queries.cycles(1)
    assert first.charging_capacity_ah == 0.004
    assert first.discharging_capacity_ah == 0.003
    assert first.coulombic_efficiency == 0.75
    assert first.energy_efficiency == 0.0105 / 0.016
    assert (first.min_voltage_volt, first.max_voltage_volt) == (2.5, 4.3)
    assert (first.start_test_time_second, first.end_test_time_second) == (0.0, 20.0)
    assert (first.row_count, first.complete) == (3, True)
    assert second.charging_capacity_ah == 0.0075 - 0.004
    assert second.coulombic_efficiency == 0.0
    assert not second.complete, "the run ended before the cycle did"


def test_a_cycle_that_charged_nothing_has_no_efficiency(tmp_path: Path) -> None:
    run = new_run()
    records: list[Record] = [started(run), row(0, 1, 3.0, 0, 0, 0, 0), row(9, 1, 2.9, 0, 0.001, 0, 0.002)]
    writer = Writer(tmp_path / "lab.db")
    writer.apply(batches(run, records, 10))
    writer.close()
    with Queries(tmp_path / "lab.db") as queries:
        [cycle] = queries.cycles(1)
    assert (cycle.coulombic_efficiency, cycle.energy_efficiency) == (None, None)


def test_what_comes_before_the_first_cycle_is_no_cycle_and_a_hidden_voltage_no_extreme(tmp_path: Path) -> None:
    run = new_run()
    records: list[Record] = [started(run), row(5, 0, 3.0, 0, 0, 0, 0), row(9, 1, None, 0, 0, 0, 0)]
    records += [row(10, 1, 3.1, 0.001, 0, 0.003, 0), row(11, 1, None, 0.001, 0, 0.003, 0)]
    writer = Writer(tmp_path / "lab.db")
    writer.apply(batches(run, records, 2))
    writer.close()
    with Queries(tmp_path / "lab.db") as queries:
        [cycle] = queries.cycles(1)
    assert (cycle.cycle_count, cycle.min_voltage_volt, cycle.max_voltage_volt) == (1, 3.1, 3.1)


def test_upkeep_does_not_grow_with_the_run(tmp_path: Path) -> None:
    """A restarted writer reads two rows of the present cycle, however many it has."""
    run = new_run()
    records: list[Record] = [started(run), *(reading(n) for n in range(2, 500))]
    writer = Writer(tmp_path / "lab.db")
    writer.apply(batches(run, records, 50))
    writer.close()
    writer = Writer(tmp_path / "lab.db")
    statements: list[str] = []
    writer._connection.set_trace_callback(statements.append)
    writer.apply(batches(run, [reading(500)], 1, first=500))
    writer._connection.set_trace_callback(None)
    writer.close()
    plans = sqlite3.connect(tmp_path / "lab.db")
    scans = [
        detail
        for statement in statements
        if statement.startswith("SELECT")
        for *_, detail in plans.execute(f"EXPLAIN QUERY PLAN {statement}")
        if "SCAN" in detail
    ]
    plans.close()
    assert scans == []
