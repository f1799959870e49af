"""Queries: typed rows, runs by any of their names, and connections that cannot write."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.errors import StorageError
from labctl.reading import COLUMNS, RunState, Severity
from labctl.record.queries import Queries
from labctl.record.writer import Writer
from tests.laboratory import batches, experiment, reading, started

FIRST = "11111111-d9cb-469f-a165-70867728950e"
SECOND = "11112222-d9cb-469f-a165-70867728950e"


@pytest.fixture
def queries(tmp_path: Path) -> Iterator[Queries]:
    writer = Writer(tmp_path / "lab.db")
    writer.apply(batches(FIRST, list(experiment(FIRST, seed=3)), 50))
    writer.apply(batches(SECOND, [started(SECOND), reading(2), reading(3)], 50))
    with Queries(tmp_path / "lab.db") as queries:
        yield queries
    writer.close()


def test_runs_are_listed_the_newest_first(queries: Queries) -> None:
    assert [(run.uuid, run.state) for run in queries.runs()] == [
        (SECOND, RunState.RUNNING),
        (FIRST, RunState.COMPLETED),
    ]
    run = queries.run("1")
    assert run.simulated is True
    assert run.inputs == {"rate": "C/10"}
    assert run.instruments == {"cycler": {"driver": "keithley-2450", "simulated": True}}


def test_a_run_has_a_number_a_uuid_and_its_beginning(queries: Queries) -> None:
    for name in ("2", SECOND, SECOND.upper(), "11112"):
        assert queries.run(name).uuid == SECOND


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("1111", r"More than one run \(2\)"), ("3", "No run"), ("", "No run"), ("%", "No run"), ("x' OR 1", "No run")],
)
def test_a_name_that_is_not_one_run_is_told(queries: Queries, name: str, sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence):
        queries.run(name)


def test_events_steps_and_readings_are_typed(queries: Queries) -> None:
    events = queries.events(1)
    assert events[0].kind == "run.started"
    assert events[0].severity is Severity.INFO
    assert events[0].data["run"] == FIRST
    assert [step.step_count for step in queries.steps(1)] == list(range(1, 14))
    assert queries.readings(2) == [(2, *reading(2).values), (3, *reading(3).values)]
    assert queries.readings(2, ("voltage_volt",), after=2) == [(3, reading(3).values[COLUMNS.index("voltage_volt")])]
    assert len(queries.readings(1, limit=5)) == 5
    assert queries.watermark(2) == 3
    assert queries.watermark(99) == 0


def test_an_unknown_column_is_told_with_those_that_exist(queries: Queries) -> None:
    with pytest.raises(StorageError, match=r"no column volts(.|\n)*They have unix_time_second, "):
        queries.readings(1, ("volts",))


def test_a_query_cannot_write(queries: Queries) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        queries._connection.execute("DELETE FROM readings")


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="There is no database"):
        Queries(tmp_path / "absent.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_our_tables_is_told(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "other.db").close()
    (tmp_path / "other.db").touch()
    with Queries(tmp_path / "other.db") as queries, pytest.raises(StorageError, match="no such table: runs"):
        queries.runs()
