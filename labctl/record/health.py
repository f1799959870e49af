"""How a database is, looked at over a connection that can only read: whole, of this version, with nothing put aside."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TypeVar

from labctl.clock import host_monotonic
from labctl.errors import StorageError
from labctl.record.recompute import recompute
from labctl.record.schema import CYCLE_COLUMNS, STEP_COLUMNS, applied

T = TypeVar("T")

BYTES_PER_ROW = 320
"""Of the database, for a reading with a value in every column; one that fills a third of them takes 140. Measured."""
CHECK_STEPS = 100_000
"""Instructions of SQLite between two looks at the host's clock."""


@dataclass(frozen=True, slots=True)
class Health:
    """What was found.

    Attributes:
        damage: what SQLite's check says, empty where it found nothing; None: it was given up after its time.
        untrue: tables of the newest run that are not what its rows and events give; None: as above.
        journal_mode: "wal" for a database that a recorder has opened.
        missing: migrations of this version that it has not seen; `unknown` those that only another version knows.
        quarantined: records that were put aside.
        newest_unix_second: beginning of the newest run that was not simulated; None: there is none.
    """

    size_byte: int
    damage: str | None
    untrue: tuple[str, ...] | None
    journal_mode: str
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    quarantined: int
    newest_unix_second: float | None


def examine(database: Path, patience: float, *, thorough: bool = False) -> Health:
    """Examine a database that may be written meanwhile; blocks for up to about `patience` seconds of host time.

    Args:
        thorough: whether also indexes are checked against their tables, however long that takes.

    Raises:
        StorageError: it cannot be read, or is no database of labctl.
    """
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            missing, unknown = applied(connection)
            check = "integrity_check" if thorough else "quick_check"
            deadline = inf if thorough else host_monotonic() + patience
            damage = _until(deadline, connection, lambda: _damage(connection, check))
            comparable = not (damage or unknown or missing)
            return Health(
                size_byte=database.stat().st_size,
                damage=damage,
                untrue=_until(deadline, connection, lambda: _untrue(connection)) if comparable else (),
                journal_mode=str(connection.execute("PRAGMA journal_mode").fetchone()[0]),
                missing=tuple(sorted(missing)),
                unknown=tuple(sorted(unknown)),
                quarantined=int(connection.execute("SELECT count(*) FROM quarantine").fetchone()[0]),
                newest_unix_second=connection.execute(_NEWEST).fetchone()[0],
            )
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"The database {database} cannot be examined: {error}.",
            f"Check that it is a labctl database. Of a damaged one, rescue what can be read: labctl repair {database}",
        ) from error


_NEWEST = "SELECT max(started_unix_second) FROM runs WHERE simulated = 0"


_NEWEST_RUN = "SELECT id FROM runs WHERE kind = 'protocol' ORDER BY started_unix_second DESC LIMIT 1"


def _until(deadline: float, connection: sqlite3.Connection, work: Callable[[], T]) -> T | None:
    """Work, but give up at an instant of the host's clock."""
    connection.set_progress_handler(lambda: host_monotonic() > deadline, CHECK_STEPS)
    try:
        return work()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise
    finally:
        connection.set_progress_handler(None, 0)


def _damage(connection: sqlite3.Connection, check: str) -> str:
    said = [str(line) for (line,) in connection.execute(f"PRAGMA {check}(5)")]
    return "" if said == ["ok"] else "; ".join(said)


def _untrue(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Hold steps and cycles of the newest run against its rows and events, all of one instant."""
    connection.execute("BEGIN")
    try:
        newest = connection.execute(_NEWEST_RUN).fetchone()
        if newest is None:
            return ()
        steps, cycles = recompute(connection, newest[0], 0)
        return tuple(
            table
            for table, columns, true in (("steps", STEP_COLUMNS, steps), ("cycles", CYCLE_COLUMNS, cycles))
            if connection.execute(
                f"SELECT {', '.join(columns)} FROM {table} WHERE run_id = ? AND channel = 0 ORDER BY {columns[0]}",
                newest,
            ).fetchall()
            != [tuple(line.values()) for line in true]
        )
    finally:
        connection.rollback()
