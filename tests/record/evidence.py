"""What journals and databases hold, read by nobody's means but the format: nothing lost, nothing twice, every end named."""

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
        entries = [parse(line + b"\n") for line in path.read_bytes().split(b"\n")[1:]]
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


def assert_whole(database: Path) -> None:
    """Numbers are contiguous up to the watermark but for gaps, nothing was put aside, aggregates are true."""
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)
    with Queries(database) as queries:
        for run in queries.runs(watches=True):
            gaps = [event.data for event in queries.events(run.id) if event.kind == "gap"]
            burnt = {number for gap in gaps for number in range(gap["first"], gap["last"] + 1)}
            numbers = set(stored(database)[run.uuid]) | burnt
            assert numbers == set(range(1, queries.watermark(run.id) + 1))
            assert run.state is not RunState.RUNNING
    for (run_id,) in connection.execute("SELECT id FROM runs").fetchall():
        steps, cycles = recompute(connection, run_id, 0)
        assert rows(connection, "steps", STEP_COLUMNS, run_id) == steps
        assert rows(connection, "cycles", CYCLE_COLUMNS, run_id) == cycles
    connection.close()


def rows(connection: sqlite3.Connection, table: str, columns: tuple[str, ...], run_id: int) -> list[dict[str, object]]:
    found = connection.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE run_id = ?", (run_id,))
    return [dict(zip(columns, row, strict=True)) for row in found]
