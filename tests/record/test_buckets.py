"""Buckets: whatever is asked of whatever rows, no extreme is lost and no row is counted twice."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import StorageError
from labctl.reading import COLUMNS
from labctl.record.buckets import buckets
from labctl.record.queries import Queries
from labctl.record.writer import Writer
from tests.laboratory import batches, experiment

RUN = "11111111-d9cb-469f-a165-70867728950e"
WHOSE = 1, 0

Rows = list[tuple[int, float, float | None]]
"""Number, x, value."""

finite = st.floats(-1e6, 1e6)
rising_rows = st.lists(st.tuples(st.integers(1, 3), st.floats(0, 100), st.none() | finite), max_size=60).map(
    lambda steps: [
        (sum(step for step, _, _ in steps[: index + 1]), sum(by for _, by, _ in steps[: index + 1]), value)
        for index, (_, _, value) in enumerate(steps)
    ]
)
any_rows = st.lists(st.tuples(finite, st.none() | finite), max_size=60).map(
    lambda rows: [(number, x, value) for number, (x, value) in enumerate(rows, 1)]
)


def table(rows: Rows, x: str) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE readings (run_id, channel, seq INTEGER, {x} REAL, voltage_volt REAL)")
    connection.executemany("INSERT INTO readings VALUES (1, 0, ?, ?, ?)", rows)
    connection.executemany("INSERT INTO readings VALUES (?, ?, 2, 3.0, 1e9)", [(2, 0), (1, 1)])
    return connection


def check(rows: Rows, x: str, span: tuple[float | None, float | None], count: int) -> None:
    connection = table(rows, x)
    found = buckets(connection, WHOSE, ["voltage_volt"], x, span, count)
    connection.close()
    inside = [
        (at, value)
        for _, at, value in rows
        if (span[0] is None or at >= span[0]) and (span[1] is None or at <= span[1])
    ]
    values = [value for _, value in inside if value is not None]
    [low], [high] = found.low, found.high
    assert found.rows == len(inside)
    assert len(found.x) == len(low) == len(high) <= count
    assert found.x == sorted(found.x)
    assert set(found.x) <= {at for at, _ in inside}
    assert min((v for v in low if v is not None), default=None) == min(values, default=None)
    assert max((v for v in high if v is not None), default=None) == max(values, default=None)
    for index, (begin, least, greatest) in enumerate(zip(found.x, low, high, strict=True)):
        end = found.x[index + 1] if index + 1 < len(found.x) else float("inf")
        here = [value for at, value in inside if begin <= at < end and value is not None]
        assert (least, greatest) == (min(here, default=None), max(here, default=None))


spans = st.tuples(st.none() | st.floats(-10, 3000), st.none() | st.floats(-10, 3000))


@given(rising_rows, spans, st.integers(1, 50))
def test_extremes_of_a_rising_x(rows: Rows, span: tuple[float | None, float | None], count: int) -> None:
    check(rows, "test_time_second", span, count)


@given(any_rows, spans, st.integers(1, 50))
def test_extremes_of_an_x_that_falls_now_and_then(
    rows: Rows, span: tuple[float | None, float | None], count: int
) -> None:
    check(rows, "step_time_second", span, count)


@pytest.fixture
def queries(tmp_path: Path) -> Queries:
    writer = Writer(tmp_path / "lab.db")
    writer.apply(batches(RUN, list(experiment(RUN, seed=3)), 50))
    writer.close()
    return Queries(tmp_path / "lab.db")


def test_a_spike_stays_visible(queries: Queries, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "lab.db") as connection:
        connection.execute("UPDATE readings SET voltage_volt = 9 WHERE seq = (SELECT max(seq) - 7 FROM readings)")
    connection.close()
    with queries:
        found = queries.buckets(1, ["voltage_volt", "positive_pressure_pa_max"], count=3)
    assert len(found.x) == 3
    assert max(value for value in found.high[0] if value is not None) == 9.0
    assert found.low[1] == found.high[1] == [200_001.25] * 3


def test_each_cycle_has_its_bucket_where_there_are_enough(queries: Queries) -> None:
    with queries:
        found = queries.buckets(1, ["discharging_capacity_ah"], "cycle_count", count=2000)
        cycles = [cycle.cycle_count for cycle in queries.cycles(1)]
    assert found.x == [0, *cycles], "0: before the first cycle"


def test_a_run_without_rows_has_no_buckets(queries: Queries) -> None:
    with queries:
        found = queries.buckets(99, ["voltage_volt", "current_ampere"])
        assert (found.x, found.low, found.high, found.rows) == ([], [[], []], [[], []], 0)
        assert queries.buckets(1, ["voltage_volt"], start=5.0, end=4.0).rows == 0


@pytest.mark.parametrize(("x", "column"), [("test_time_second", "x; DROP TABLE runs"), ("1", COLUMNS[0])])
def test_what_is_no_column_reaches_no_query(queries: Queries, x: str, column: str) -> None:
    with queries, pytest.raises(StorageError, match="Readings have no column"):
        queries.buckets(1, [column], x)
