"""The writer: exactly once, in order, one transaction; what cannot be stored is put aside and told."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.bus.codec import Batch, Watermark
from labctl.errors import RefusedForSafety, StorageError
from labctl.reading import COLUMNS, Event, Reading, Record
from labctl.record.recompute import recompute
from labctl.record.schema import CYCLE_COLUMNS, STEP_COLUMNS
from labctl.record.writer import Writer
from tests.laboratory import batches, ended, experiment, new_run, reading, started


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "lab.db"


@pytest.fixture
def writer(database: Path) -> Iterator[Writer]:
    writer = Writer(database)
    yield writer
    writer.close()


def select(database: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def table(connection: sqlite3.Connection, name: str, columns: tuple[str, ...]) -> list[dict[str, object]]:
    found = connection.execute(f"SELECT {', '.join(columns)} FROM {name} ORDER BY {columns[0]}")
    return [dict(zip(columns, row, strict=True)) for row in found]


def assert_stored(database: Path, records: list[Record]) -> None:
    """Every record is there once, under its number, as it was; steps and cycles equal a computation from scratch."""
    readings = select(database, f"SELECT seq, {', '.join(COLUMNS)} FROM readings ORDER BY seq")
    assert readings == [(seq, *r.values) for seq, r in enumerate(records, 1) if isinstance(r, Reading)]
    events = select(database, "SELECT seq, kind, data FROM events ORDER BY seq")
    assert [(s, k, orjson.loads(str(d))) for s, k, d in events] == [
        (seq, r.kind, r.data) for seq, r in enumerate(records, 1) if isinstance(r, Event)
    ]
    connection = sqlite3.connect(database)
    steps, cycles = recompute(connection, 1, 0)
    assert table(connection, "steps", STEP_COLUMNS) == steps
    assert table(connection, "cycles", CYCLE_COLUMNS) == cycles
    connection.close()


def test_a_run_is_stored_with_its_header_its_steps_its_cycles_and_its_end(database: Path, writer: Writer) -> None:
    run = new_run()
    records = list(experiment(run, seed=1))
    assert writer.apply(batches(run, records, 50)) == [Watermark(run, 0, len(records))]
    assert_stored(database, records)
    assert select(
        database, "SELECT uuid, station, protocol_name, simulated, seed, state, end_reason, inputs FROM runs"
    ) == [(run, "A1", "doerrer-2021", 1, 7, "completed", "as planned", '{"rate":"C/10"}')]
    assert select(database, "SELECT seq FROM watermarks") == [(len(records),)]
    assert select(database, "SELECT count(*), min(complete) FROM cycles") == [(6, 1)]
    assert select(database, "SELECT name, verb, end_reason FROM steps WHERE step_count = 2") == [
        ("step 1", "charge", "4.3 V")
    ]
    assert writer.quarantined == 0


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    size=st.integers(1, 60),
    order=st.integers(0, 2**32),
    restarts=st.booleans(),
)
def test_any_order_any_repetition_any_grouping_gives_the_same_tables(
    tmp_path_factory: pytest.TempPathFactory, seed: int, size: int, order: int, restarts: bool
) -> None:
    database = tmp_path_factory.mktemp("any") / "lab.db"
    run, random = new_run(), Random(order)
    records = list(experiment(run, seed, steps=6, rows=20))
    parts = batches(run, records, size)
    writer = Writer(database)
    for _ in range(3):
        shuffled = random.sample(parts, len(parts)) + random.choices(parts, k=3)
        while shuffled:
            count = random.randint(1, 4)
            now, shuffled = shuffled[:count], shuffled[count:]
            writer.apply(now)
        if restarts:
            writer.close()
            writer = Writer(database)
    writer.apply(parts)
    assert writer.quarantined == 0
    writer.close()
    assert_stored(database, records)


def test_what_waited_for_a_lost_batch_is_not_another_record(database: Path, writer: Writer) -> None:
    run = new_run()
    records = [started(run), *map(reading, range(1, 9))]
    first, *later = batches(run, records, 1)
    everything = batches(run, records, 50)
    writer.apply([first, *later[1:]])
    assert writer.apply(everything) == [Watermark(run, 0, 9)]
    assert_stored(database, records)
    assert writer.quarantined == 0


def test_another_record_with_a_known_number_is_put_aside_once_and_told(
    database: Path, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    run = new_run()
    records: list[Record] = [started(run), reading(2), reading(3)]
    writer.apply(batches(run, records, 10))
    other = [started(run), reading(2), reading(99)]
    for _ in range(3):
        writer.apply(batches(run, list(other), 10))
    assert_stored(database, records)
    assert writer.quarantined == 1
    assert "record 3 of run 1, channel 0 is put aside: another record has this number" in caplog.text
    [(seq, record)] = select(database, "SELECT seq, record FROM quarantine")
    assert (seq, orjson.loads(str(record))) == (3, list(reading(99).values))


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("current_ampere", None, "NOT NULL constraint failed: readings.current_ampere"),
        ("cycle_count", 1.5, "cannot store REAL value in INTEGER column readings.cycle_count"),
        ("step_count", 2**63, "Python int too large"),
    ],
)
def test_a_row_that_the_schema_refuses_is_put_aside_and_the_rest_goes_on(
    database: Path, writer: Writer, column: str, value: float | None, reason: str
) -> None:
    run = new_run()
    values = list(reading(3).values)
    values[COLUMNS.index(column)] = value
    records: list[Record] = [started(run), reading(2), Reading(tuple(values)), reading(4)]
    for _ in range(2):
        assert writer.apply(batches(run, records, 10)) == [Watermark(run, 0, 4)]
    assert select(database, "SELECT seq FROM readings ORDER BY seq") == [(2,), (4,)]
    [(seq, told)] = select(database, "SELECT seq, reason FROM quarantine")
    assert seq == 3
    assert reason in str(told)
    assert writer.quarantined == 1
    assert select(database, "SELECT row_count, first_seq, last_seq FROM cycles") == [(2, 2, 4)]


@pytest.mark.parametrize(
    "event",
    [
        Event("run.started", 0.0, 0.0, "", data={"station": "A1"}),
        Event("run.ended", 0.0, 0.0, "", data={"state": "running"}),
        Event("run.ended", 0.0, 0.0, "", data={"state": "exploded"}),
        Event("step.started", 0.0, 0.0, "", data={"step_count": "one"}),
        Event("step.ended", 0.0, 0.0, "", data={}),
        Event("step.ended", 0.0, 0.0, "", data={"step_count": 2**60, "reason": ""}),
    ],
)
def test_an_event_that_says_nothing_is_kept_and_put_aside(database: Path, writer: Writer, event: Event) -> None:
    run = new_run()
    records: list[Record] = [started(run), event, reading(3)]
    assert writer.apply(batches(run, records, 10)) == [Watermark(run, 0, 3)]
    assert select(database, "SELECT seq, kind FROM events WHERE seq = 2") == [(2, event.kind)]
    assert writer.quarantined == 1
    assert select(database, "SELECT state FROM runs") == [("running",)]


def test_a_simulated_run_stays_simulated(database: Path, writer: Writer) -> None:
    run = new_run()
    writer.apply(batches(run, [started(run)], 10))
    connection = sqlite3.connect(database)
    for value in ("0", "NULL"):
        with pytest.raises(sqlite3.IntegrityError, match="a simulated run stays marked as simulated"):
            connection.execute(f"UPDATE runs SET simulated = {value}")
    connection.close()
    again = started(run, simulated=False)
    writer.apply([Batch(run, 0, 2, [], [again])])
    assert select(database, "SELECT simulated FROM runs") == [(1,)]
    assert writer.quarantined == 1


def test_the_first_end_of_a_run_counts(database: Path, writer: Writer) -> None:
    run = new_run()
    writer.apply(batches(run, [started(run), ended(5.0, "stopped"), ended(9.0, "lost")], 10))
    assert select(database, "SELECT state, ended_unix_second FROM runs") == [("stopped", ended(5.0).unix_time_second)]


def test_channels_and_runs_do_not_mix(database: Path, writer: Writer) -> None:
    run, other = new_run(), new_run()
    parts = [
        *batches(run, [started(run), reading(2)], 10),
        *batches(other, [started(other), reading(2), reading(3)], 10),
        *batches(run, [reading(1)], 10, channel=1),
    ]
    assert writer.apply(parts) == [Watermark(run, 0, 2), Watermark(other, 0, 3), Watermark(run, 1, 1)]
    assert select(database, "SELECT run_id, channel, seq FROM readings") == [
        (1, 0, 2),
        (1, 1, 1),
        (2, 0, 2),
        (2, 0, 3),
    ]


def test_trouble_with_the_database_commits_nothing_and_is_over_when_it_is_over(database: Path, writer: Writer) -> None:
    run = new_run()
    records: list[Record] = [started(run), *(reading(n) for n in range(2, 40))]
    parts = batches(run, records, 10)
    writer.apply(parts[:2])
    writer._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageError, match="does not take what was measured"):
        writer.apply(parts[2:])
    writer._connection.execute("PRAGMA query_only = OFF")
    assert select(database, "SELECT seq FROM watermarks") == [(parts[1].last,)]
    assert writer.apply(parts[3:]) == [Watermark(run, 0, parts[1].last)]
    assert writer.apply(parts[2:]) == [Watermark(run, 0, len(records))]
    assert_stored(database, records)


def test_a_disk_that_fills_up_in_mid_transaction_leaves_nothing_half_done(database: Path, writer: Writer) -> None:
    run = new_run()
    records = list(experiment(run, seed=2, rows=200))
    parts = batches(run, records, 50)
    writer.apply(parts[:1])
    (pages,) = writer._connection.execute("PRAGMA page_count").fetchone()
    writer._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StorageError, match="database or disk is full"):
        writer.apply(parts[1:])
    writer._connection.execute("PRAGMA max_page_count = 1000000")
    assert writer.apply(parts[1:]) == [Watermark(run, 0, len(records))]
    assert_stored(database, records)


def test_one_database_has_one_writer(database: Path, writer: Writer) -> None:
    with pytest.raises(RefusedForSafety, match="in use by another process"):
        Writer(database)


def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but somebody's notes\n" * 50)
    with pytest.raises(StorageError, match="file is not a database"):
        Writer(path)
    assert path.read_text().startswith("not a database")


def test_rows_without_their_step_started_still_make_a_step(database: Path, writer: Writer) -> None:
    run = new_run()
    records: list[Record] = [started(run), reading(2, 1, 3, 9), reading(3, 1, 3, 9)]
    writer.apply(batches(run, records, 10))
    assert select(database, "SELECT step_count, step_id, name, cycle_count, row_count FROM steps") == [
        (3, 9, None, 1, 2)
    ]
    assert_stored(database, records)


def test_a_pure_gap_moves_the_watermark(database: Path, writer: Writer) -> None:
    run = new_run()
    gap = Event("gap", 0.0, 0.0, "", data={"first": 3, "last": 7})
    writer.apply(batches(run, [started(run), reading(2)], 10))
    assert writer.apply([Batch(run, 0, 8, [], [gap])]) == [Watermark(run, 0, 8)]
    assert writer.apply(batches(run, [reading(9)], 10, first=9)) == [Watermark(run, 0, 9)]
    assert writer.apply([replace(batches(run, [reading(4)], 10, first=4)[0])]) == [Watermark(run, 0, 9)]
    assert writer.quarantined == 1
