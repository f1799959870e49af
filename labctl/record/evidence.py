"""Evidence: what journals were seen to hold, held against the database; nothing lost, nothing twice, all in order."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from labctl.engine.segment import parse
from labctl.reading import COLUMNS, RunState
from labctl.record.recompute import Table, recompute
from labctl.record.schema import CYCLE_COLUMNS, STEP_COLUMNS

Payloads = dict[int, bytes]
"""JSON of the records of a run by their number: a reading is an array, an event is an object."""

_EVENT = ("kind", "unix_time_second", "test_time_second", "message", "severity")


class Witness:
    """Remembers every record that a journal was ever seen to hold.

    Attributes:
        had: run -> its records.
        reused: a sentence for each number that was seen with two contents.
    """

    def __init__(self) -> None:
        self.had: dict[str, Payloads] = {}
        self.reused: list[str] = []

    def look(self, journals: Path) -> None:
        """Remember what the journals hold now; their owners may be alive, or just killed."""
        for run, payloads in journalled(journals).items():
            known = self.had.setdefault(run, {})
            for number, payload in payloads.items():
                if known.setdefault(number, payload) != payload:
                    self.reused.append(f"run {run}: number {number} was given to two records")


def journalled(journals: Path) -> dict[str, Payloads]:
    """Return what every journal on disk holds, read line by line without opening it as an owner would."""
    found: dict[str, Payloads] = {}
    for path in sorted(journals.glob("*/*/*.jsonl")):
        try:
            lines = path.read_bytes().split(b"\n")[1:]
        except FileNotFoundError:  # its owner lives, and has forgotten it meanwhile
            continue
        entries = [parse(line + b"\n") for line in lines]
        found.setdefault(path.parent.parent.name, {}).update(entry for entry in entries if entry is not None)
    return found


def stored(database: Path) -> dict[str, Payloads]:
    """Return every record of a database by run and number, as JSON like that of a journal."""
    with closing(_open(database)) as connection:
        runs = connection.execute("SELECT id, uuid FROM runs").fetchall()
        return {uuid: dict(_records(connection, run_id)) for run_id, uuid in runs}


@dataclass(slots=True)
class Evidence:
    """What a database was found to hold, against what was journalled.

    Attributes:
        readings: stored.
        readings_lost: journalled and not stored under their number as they were, or missing below the watermark.
        readings_doubled: stored again behind another reading. The row of an interval that is also the last of its step
            was journalled under two numbers, with no reading between them.
        gaps: numbers that were burnt by a dying process and are marked so.
        runs: of protocols, how many ended in each state.
        broken: a sentence for everything else that should not be, and for what was lost or doubled.
    """

    readings: int = 0
    readings_lost: int = 0
    readings_doubled: int = 0
    gaps: int = 0
    runs: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing was lost or doubled, and nothing else is wrong."""
        return not self.readings_lost and not self.readings_doubled and not self.broken


def examine(database: Path, witness: Witness) -> Evidence:
    """Examine a database into which everything should be delivered, when all who write into it have ended."""
    evidence = Evidence(broken=list(witness.reused))
    with closing(_open(database)) as connection:
        integrity = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if integrity != "ok":
            evidence.broken.append(f"the database is damaged: {integrity}")
        for uuid, number, reason in connection.execute(
            "SELECT uuid, seq, reason FROM quarantine JOIN runs ON runs.id = run_id"
        ):
            evidence.broken.append(f"run {uuid}: record {number} was put aside: {reason}")
        runs = connection.execute("SELECT id, uuid, kind, state FROM runs").fetchall()
        for run_id, uuid, kind, state in runs:
            if kind == "protocol":
                evidence.runs[state] = evidence.runs.get(state, 0) + 1
            evidence.broken += (f"run {uuid}: {said}" for said in _wrong(connection, run_id, state))
            _compare(evidence, connection, run_id, uuid, witness.had.get(uuid, {}))
    for uuid in witness.had.keys() - {uuid for _, uuid, _, _ in runs}:
        lost = sum(map(_is_reading, witness.had[uuid].values()))
        evidence.readings_lost += lost
        evidence.broken.append(f"run {uuid} is not in the database, with {len(witness.had[uuid])} records")
    return evidence


def rows(connection: sqlite3.Connection, table: str, columns: tuple[str, ...], run_id: int) -> Table:
    """Return the rows that a table of steps or cycles has of a run, as `recompute` gives those that it should have."""
    found = connection.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE run_id = ?", (run_id,))
    return [dict(zip(columns, row, strict=True)) for row in found]


def _open(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)


def _compare(evidence: Evidence, connection: sqlite3.Connection, run_id: int, uuid: str, had: Payloads) -> None:
    """Hold one run against what its journal had."""
    stored: Payloads = {}
    places: dict[bytes, int] = {}
    before = b""
    for number, payload in _records(connection, run_id):
        if number in stored:
            evidence.broken.append(f"run {uuid}: number {number} is stored twice")
        stored[number] = payload
        if _is_reading(payload):
            evidence.readings += 1
            if places.setdefault(payload, number) != number and payload != before:
                evidence.readings_doubled += 1
                evidence.broken.append(f"run {uuid}: reading {number} is stored under {places[payload]}, too")
            before = payload
    for number, payload in had.items():
        # SQLite keeps -0.0 as 0.0, which are equal and differ as text
        if number not in stored or orjson.loads(stored[number]) != orjson.loads(payload):
            evidence.readings_lost += _is_reading(payload)
            evidence.broken.append(f"run {uuid}: record {number} is not stored as it was journalled")
    burnt = {
        number
        for payload in stored.values()
        if not _is_reading(payload) and (event := orjson.loads(payload))["kind"] == "gap"
        for number in range(event["data"]["first"], event["data"]["last"] + 1)
    }
    evidence.gaps += len(burnt)
    for number in sorted(set(range(1, _watermark(connection, run_id) + 1)) - stored.keys() - burnt - had.keys()):
        evidence.readings_lost += 1
        evidence.broken.append(f"run {uuid}: number {number} is missing, and no gap says why")


def _wrong(connection: sqlite3.Connection, run_id: int, state: str) -> Iterator[str]:
    """Say what is wrong with a run by itself: its end, its order, its tables."""
    if state == RunState.RUNNING.value:
        yield "it has no end"
    last = float("-inf")
    for (time,) in connection.execute("SELECT test_time_second FROM readings WHERE run_id = ? ORDER BY seq", (run_id,)):
        if time < last:
            yield f"its time falls from {last:g} s to {time:g} s"
        last = time
    (highest,) = connection.execute(
        "SELECT max(seq) FROM (SELECT seq FROM readings WHERE run_id = :run"
        " UNION ALL SELECT seq FROM events WHERE run_id = :run)",
        {"run": run_id},
    ).fetchone()
    if (highest or 0) > (confirmed := _watermark(connection, run_id)):
        yield f"it has record {highest}, and its watermark says {confirmed}"
    steps, cycles = recompute(connection, run_id, 0)
    for table, columns, expected in (("steps", STEP_COLUMNS, steps), ("cycles", CYCLE_COLUMNS, cycles)):
        if rows(connection, table, columns, run_id) != expected:
            yield f"its table of {table} is not the one that its records give"


def _records(connection: sqlite3.Connection, run_id: int) -> Iterator[tuple[int, bytes]]:
    columns = ", ".join(COLUMNS)
    for number, *values in connection.execute(
        f"SELECT seq, {columns} FROM readings WHERE run_id = ? ORDER BY seq", (run_id,)
    ):
        yield number, orjson.dumps(values)
    events = connection.execute(f"SELECT seq, {', '.join(_EVENT)}, data FROM events WHERE run_id = ?", (run_id,))
    for number, *event, data in events:
        yield number, orjson.dumps({**dict(zip(_EVENT, event, strict=True)), "data": orjson.loads(data)})


def _is_reading(payload: bytes) -> bool:
    return payload.startswith(b"[")


def _watermark(connection: sqlite3.Connection, run_id: int) -> int:
    found = connection.execute("SELECT max(seq) FROM watermarks WHERE run_id = ?", (run_id,)).fetchone()
    return int(found[0] or 0)
