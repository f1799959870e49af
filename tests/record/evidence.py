"""What journals and databases hold: nothing lost, nothing twice, everything in order, every end named."""

import sqlite3
from pathlib import Path

import orjson

from labctl.engine.segment import parse
from labctl.reading import COLUMNS, RunState
from labctl.record.queries import Queries
from labctl.record.recompute import recompute
from labctl.record.schema import CYCLE_COLUMNS, STEP_COLUMNS

Payloads = dict[int, bytes]
"""JSON of records by their number."""


def journalled(journals: Path) -> dict[str, Payloads]:
    """What every journal on disk holds, read line by line without opening it as an owner would."""
    found: dict[str, Payloads] = {}
    for path in sorted(journals.glob("*/0/*.jsonl")):
        try:
            lines = path.read_bytes().split(b"\n")[1:]
        except FileNotFoundError:  # its owner lives, and has forgotten it meanwhile
            continue
        entries = [parse(line + b"\n") for line in lines]
        found.setdefault(path.parent.parent.name, {}).update(entry for entry in entries if entry is not None)
    return found


def stored(database: Path) -> dict[str, Payloads]:
    connection = sqlite3.connect(database)
    found: dict[str, Payloads] = {uuid: {} for (uuid,) in connection.execute("SELECT uuid FROM runs")}
    for uuid, seq, *values in connection.execute(
        f"SELECT uuid, seq, {', '.join(COLUMNS)} FROM readings JOIN runs ON runs.id = run_id"
    ):
        assert seq not in found[uuid]
        found[uuid][seq] = orjson.dumps(values)
    for uuid, seq, *event, data in connection.execute(
        "SELECT uuid, seq, events.kind, unix_time_second, test_time_second, message, severity, data"
        " FROM events JOIN runs ON runs.id = run_id"
    ):
        assert seq not in found[uuid]
        names = ("kind", "unix_time_second", "test_time_second", "message", "severity")
        found[uuid][seq] = orjson.dumps({**dict(zip(names, event, strict=True)), "data": orjson.loads(data)})
    connection.close()
    return found


def assert_had(database: Path, had: dict[str, Payloads]) -> None:
    """Every record that a journal had is stored under its number; SQLite keeps -0.0 as 0.0."""
    found = stored(database)
    for run, payloads in had.items():
        for number, payload in payloads.items():
            assert orjson.loads(found[run][number]) == orjson.loads(payload)


def assert_whole(database: Path) -> None:
    """Numbers are contiguous up to the watermark but for gaps, nothing was put aside, aggregates are true.

    Time never falls along the numbers of a run.
    """
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)
    assert connection.execute(f"SELECT count(*) FROM ({_STEPS_IN_TIME}) WHERE step < 0").fetchone() == (0,)
    records = stored(database)
    with Queries(database) as queries:
        for run in queries.runs(watches=True):
            gaps = [event.data for event in queries.events(run.id) if event.kind == "gap"]
            burnt = {number for gap in gaps for number in range(gap["first"], gap["last"] + 1)}
            numbers = set(records[run.uuid]) | burnt
            assert numbers == set(range(1, queries.watermark(run.id) + 1))
            assert run.state is not RunState.RUNNING
    for (run_id,) in connection.execute("SELECT id FROM runs").fetchall():
        steps, cycles = recompute(connection, run_id, 0)
        assert rows(connection, "steps", STEP_COLUMNS, run_id) == steps
        assert rows(connection, "cycles", CYCLE_COLUMNS, run_id) == cycles
    connection.close()


_STEPS_IN_TIME = """SELECT test_time_second - lag(test_time_second)
OVER (PARTITION BY run_id, channel ORDER BY seq) AS step FROM readings"""


def longest_step(database: Path, run: str) -> float:
    """Return the longest time between two rows of a run, in seconds of its test time."""
    connection = sqlite3.connect(database)
    query = f"SELECT max(step) FROM ({_STEPS_IN_TIME} JOIN runs ON runs.id = run_id WHERE uuid = ?)"
    (longest,) = connection.execute(query, (run,)).fetchone()
    connection.close()
    assert longest is not None, f"run {run} has no two rows"
    return float(longest)


def rows(connection: sqlite3.Connection, table: str, columns: tuple[str, ...], run_id: int) -> list[dict[str, object]]:
    found = connection.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE run_id = ?", (run_id,))
    return [dict(zip(columns, row, strict=True)) for row in found]
