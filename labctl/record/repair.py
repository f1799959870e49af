"""Repair: a new database from what can be read of a damaged one and from the journals; the original stays as it is.

Readings and events are carved out of the pages; steps, cycles and the ends of runs are computed from them anew. Numbers
that cannot be read become events of kind `gap`, so that what the journals still hold continues them.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import orjson

from labctl.bus.codec import Batch, Malformed
from labctl.engine.salvage import gap
from labctl.engine.segment import event_of, scan
from labctl.errors import RefusedForSafety, StorageError
from labctl.filelock import FileLock
from labctl.reading import COLUMNS, Event, Severity
from labctl.record.carve import Pages, Row, rows
from labctl.record.recompute import Table, recompute
from labctl.record.schema import CYCLE_COLUMNS, STEP_COLUMNS, connect
from labctl.record.writer import Writer, end_run, event_values, start_run

Progress = Callable[[str, int, int], None]
"""Told of what is done, how far it is, and of how much."""

TABLES = ("runs", "readings", "events", "steps", "cycles", "quarantine")
_MANY = 5000
_EVENT = ("kind", "unix_time_second", "test_time_second", "message", "severity", "data")
_RUN_ROWS = range(20, 40)
"""Columns that a row of `runs` may have: migrations add some, and a row that is older has fewer."""


@dataclass(slots=True)
class Repaired:
    """What came of it.

    Attributes:
        rows: table -> how many it has in the copy.
        lost: numbers that are in none of the pages and journals; `told` a sentence for every stretch of them.
        delivered: records that came from journals.
    """

    copy: Path
    rows: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    told: list[str] = field(default_factory=list)
    delivered: int = 0


@dataclass(slots=True)
class _Carved:
    """What the pages say beside readings and events."""

    names: dict[int, str] = field(default_factory=dict)
    watermarks: dict[tuple[int, int], int] = field(default_factory=dict)


def repair(database: Path, copy: Path, journals: Path, progress: Progress) -> Repaired:
    """Write a repaired copy of a database that nobody writes meanwhile; blocks.

    Args:
        journals: what is not delivered yet goes into the copy, too, and stays where it is.

    Raises:
        RefusedForSafety: a recorder writes the database, or the copy would overwrite a file.
        StorageError: the database cannot be read at all, or the copy cannot be written.
    """
    if copy.exists():
        raise RefusedForSafety(f"There is {copy} already.", "Name another file with --output.")
    if not database.is_file():
        raise StorageError(f"There is no database {database}.", "Give the path of one.")
    draft = copy.with_name(copy.name + ".partial")
    _remove(draft)
    try:
        lock = FileLock(database.with_name(database.name + ".lock"), f"The database {database}")
        try:
            repaired = Repaired(copy)
            with closing(connect(draft)) as connection, closing(Pages(database)) as pages:
                connection.execute("PRAGMA synchronous = OFF")  # it is whole only when it has its name
                connection.execute("PRAGMA foreign_keys = OFF")
                _rebuild(connection, pages, journals, repaired, progress)
            _deliver(draft, journals, repaired)
        finally:
            lock.release()
        _finish(draft, repaired)
        draft.replace(copy)
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"{database} cannot be repaired into {copy}: {error}.", "Check that there is room for the copy."
        ) from error
    finally:
        _remove(draft)
    return repaired


def _rebuild(
    connection: sqlite3.Connection, pages: Pages, journals: Path, repaired: Repaired, progress: Progress
) -> None:
    connection.execute("BEGIN")
    carved = _carve(connection, pages, progress)
    firsts = {each.name: min(numbers, default=0) for each in journals.glob("*/") if (numbers := _numbers(each / "0"))}
    _name_runs(connection, carved, firsts)
    owners = connection.execute(
        "SELECT run_id, channel FROM readings UNION SELECT run_id, channel FROM events UNION SELECT id, 0 FROM runs"
    ).fetchall()
    for done, owner in enumerate(owners, 1):
        progress("runs", done, len(owners))
        _mark_gaps(connection, owner, carved, firsts, repaired)
        _recompute(connection, owner)
    connection.execute("COMMIT")


# -- from the pages --------------------------------------------------------------------------------------------------


def _carve(connection: sqlite3.Connection, pages: Pages, progress: Progress) -> _Carved:
    carved, found = _Carved(), rows(pages)
    runs: list[tuple[int, Row]] = []
    records: dict[str, list[Row]] = {"readings": [], "events": [], "quarantine": []}
    while some := list(islice(found, _MANY)):
        for _, rowid, row in some:
            if rowid is None:
                _sort(row, records, carved)
            elif len(row) in _RUN_ROWS and isinstance(row[1], str):
                runs.append((rowid, row))
            elif len(row) == len(_QUARANTINE) + 1:
                records["quarantine"].append(row[1:])
        for table, columns in (("readings", COLUMNS), ("events", _EVENT), ("quarantine", _QUARANTINE[3:])):
            _insert(connection, table, ("run_id", "channel", "seq", *columns), records[table])
            records[table].clear()
        progress("pages", some[-1][0], pages.count)
    columns = tuple(name for _, name, *_ in connection.execute("PRAGMA table_info(runs)"))
    for rowid, row in runs:
        _insert(connection, "runs", columns[: len(row)], [(rowid, *row[1:])])
    return carved


_QUARANTINE = ("run_id", "channel", "seq", "reason", "record")


def _sort(row: Row, records: dict[str, list[Row]], carved: _Carved) -> None:
    """Put a row to its like, known by how many columns it has and what its key is."""
    match row:
        case (str(uuid), int(run_id)):
            carved.names[run_id] = uuid
        case (int(run_id), int(channel), int(seq)):
            carved.watermarks[run_id, channel] = max(seq, carved.watermarks.get((run_id, channel), 0))
        case (int(run_id), int(channel), int(seq), *_) if min(run_id, seq) > 0 <= channel:
            if len(row) == 3 + len(COLUMNS):
                records["readings"].append(row)
            elif len(row) == 3 + len(_EVENT) and _is_event(row):
                records["events"].append(row)


def _is_event(row: Row) -> bool:
    """Whether the texts of an event are as they were written, as far as they can tell."""
    severity, data = row[-2:]
    try:
        return severity in set(Severity) and isinstance(orjson.loads(str(data)), dict)
    except ValueError:
        return False


def _insert(connection: sqlite3.Connection, table: str, columns: tuple[str, ...], some: list[Row]) -> None:
    """Insert rows; one that the schema refuses was not written by a recorder as it stands there now."""
    statement = (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) ON CONFLICT DO NOTHING"
    )
    connection.execute("SAVEPOINT some")
    try:
        connection.executemany(statement, some)
    except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError):
        connection.execute("ROLLBACK TO some")
        for row in some:
            with suppress(sqlite3.IntegrityError, sqlite3.DataError, OverflowError):
                connection.execute(statement, row)
    connection.execute("RELEASE some")


def _name_runs(connection: sqlite3.Connection, carved: _Carved, firsts: dict[str, int]) -> None:
    """Give every run that has records its row: by its index, by its first event, or else without a name."""
    missing = connection.execute(
        "SELECT run_id FROM readings UNION SELECT run_id FROM events EXCEPT SELECT id FROM runs"
    ).fetchall()
    for (run_id,) in missing:
        started = next(_events(connection, (run_id, 0), "run.started"), None)
        uuid = started.data.get("run") if started is not None else None
        name = carved.names.get(run_id) or uuid or f"unnamed-{run_id}"
        connection.execute("INSERT INTO runs (id, uuid) VALUES (?, ?) ON CONFLICT DO NOTHING", (run_id, name))
    for uuid in sorted(firsts):
        connection.execute("INSERT INTO runs (uuid) VALUES (?) ON CONFLICT DO NOTHING", (uuid,))


# -- what follows from the records -----------------------------------------------------------------------------------


def _mark_gaps(
    connection: sqlite3.Connection,
    owner: tuple[int, int],
    carved: _Carved,
    firsts: dict[str, int],
    repaired: Repaired,
) -> None:
    """Name the numbers that are in no page, up to the watermark or to where the journal goes on."""
    (uuid,) = connection.execute("SELECT uuid FROM runs WHERE id = ?", owner[:1]).fetchone()
    burnt = [(e.data["first"], e.data["last"]) for e in _events(connection, owner, "gap") if "last" in e.data]
    end = max(carved.watermarks.get(owner, 0), firsts.get(uuid, 0) - 1 if owner[1] == 0 else 0)
    for first, missing in list(_missing(_stored(connection, owner), end)):
        for begin, until in _unnamed(first, missing, burnt):
            event = gap(begin, until, _times_before(connection, owner, begin), "the database was damaged")
            _insert(
                connection, "events", ("run_id", "channel", "seq", *_EVENT), [(*owner, until, *event_values(event))]
            )
            repaired.lost += until - begin + 1
            repaired.told.append(f"run {owner[0]} ({uuid}): records {begin} to {until}")
    last = max(_stored(connection, owner), default=0)
    if owner not in carved.watermarks and last:
        repaired.told.append(f"run {owner[0]} ({uuid}): whether more came behind record {last} is not known")
    if last:
        connection.execute("INSERT INTO watermarks VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (*owner, last))


def _missing(numbers: Iterator[int], end: int) -> Iterator[tuple[int, int]]:
    expected = 1
    for number in numbers:
        if number > expected:
            yield expected, number - 1
        expected = number + 1
    if expected <= end:
        yield expected, end


def _unnamed(first: int, last: int, burnt: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the parts of a stretch that no gap names."""
    for begin, end in sorted(burnt):
        if begin <= last and end >= first:
            if begin > first:
                yield first, begin - 1
            first = end + 1
    if first <= last:
        yield first, last


def _stored(connection: sqlite3.Connection, owner: tuple[int, int]) -> Iterator[int]:
    query = " UNION ALL ".join(
        f"SELECT seq FROM {table} WHERE run_id = ?1 AND channel = ?2" for table in ("readings", "events")
    )
    for (number,) in connection.execute(f"{query} ORDER BY seq", owner):
        yield number


def _times_before(connection: sqlite3.Connection, owner: tuple[int, int], number: int) -> tuple[float, float]:
    """Return (test time, calendar time) of the last record before a number, or of the first behind it."""
    both = " UNION ALL ".join(
        f"SELECT seq, test_time_second, unix_time_second FROM {table} WHERE run_id = ?1 AND channel = ?2"
        for table in ("readings", "events")
    )
    query = f"SELECT test_time_second, unix_time_second FROM ({both}) ORDER BY seq < ?3 DESC, abs(seq - ?3) LIMIT 1"
    found = connection.execute(query, (*owner, number)).fetchone()
    return found or (0.0, 0.0)


def _events(connection: sqlite3.Connection, owner: tuple[int, int], kind: str) -> Iterator[Event]:
    query = f"SELECT {', '.join(_EVENT)} FROM events WHERE run_id = ? AND channel = ? AND kind = ? ORDER BY seq"
    for _, unix, test_time, message, severity, data in connection.execute(query, (*owner, kind)).fetchall():
        yield Event(kind, unix, test_time, message, Severity(severity), orjson.loads(data))


def _recompute(connection: sqlite3.Connection, owner: tuple[int, int]) -> None:
    with suppress(Malformed):
        for event in _events(connection, owner, "run.started"):
            start_run(connection, owner[0], event)
        for event in _events(connection, owner, "run.ended"):
            end_run(connection, owner[0], event)
    steps, cycles = recompute(connection, *owner)
    _insert_table(connection, "steps", STEP_COLUMNS, owner, steps)
    _insert_table(connection, "cycles", CYCLE_COLUMNS, owner, cycles)


def _insert_table(
    connection: sqlite3.Connection, table: str, columns: tuple[str, ...], owner: tuple[int, int], lines: Table
) -> None:
    names = ("run_id", "channel", *columns)
    connection.executemany(
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
        [(*owner, *(line[name] for name in columns)) for line in lines],
    )


# -- from the journals -----------------------------------------------------------------------------------------------


def _numbers(folder: Path) -> list[int]:
    """Return the first number of every segment of a journal."""
    return [int(path.stem) for path in folder.glob("*.jsonl")]


def _deliver(draft: Path, journals: Path, repaired: Repaired) -> None:
    """Record what journals hold, without owning them: they deliver it again, and it is known then."""
    writer = Writer(draft)
    try:
        for folder in sorted(journals.glob("*/*/")):
            for path in sorted(folder.glob("*.jsonl")):
                run, channel = folder.parent.name, int(folder.name)
                batches = [_batch(run, channel, number, payload) for number, payload in scan(path).records]
                if batches:
                    writer.apply(batches)
                    repaired.delivered += len(batches)
    finally:
        writer.close()


def _batch(run: str, channel: int, number: int, payload: bytes) -> Batch:
    event = event_of(payload)
    if event is None:
        return Batch(run, channel, number, [orjson.loads(payload)], [])
    return Batch(run, channel, number, [], [event])


# -- the end ---------------------------------------------------------------------------------------------------------


def _finish(draft: Path, repaired: Repaired) -> None:
    """Count what there is, and bring everything into the one file."""
    with closing(connect(draft)) as connection:
        found = [text for (text,) in connection.execute("PRAGMA integrity_check(5)")]
        if found != ["ok"]:
            raise StorageError(f"The copy {draft} is damaged as well: {'; '.join(found)}.", "Is the disk sound?")
        for table in TABLES:
            (repaired.rows[table],) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _remove(draft: Path) -> None:
    for suffix in ("", "-wal", "-shm", ".lock"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
