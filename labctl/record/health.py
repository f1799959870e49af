"""How a database is, looked at over a connection that can only read: whole, of this version, with nothing put aside."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from labctl.clock import host_monotonic
from labctl.errors import StorageError
from labctl.record.schema import migrations

BYTES_PER_ROW = 320
"""Of the database, for a reading with a value in every column; one that fills a third of them takes 140. Measured."""
CHECK_STEPS = 100_000
"""Instructions of SQLite between two looks at the host's clock."""


@dataclass(frozen=True, slots=True)
class Health:
    """What was found.

    Attributes:
        damage: what SQLite's quick_check says, empty where it found nothing; None: it was given up after its time.
        journal_mode: "wal" for a database that a recorder has opened.
        missing: migrations of this version that it has not seen; `unknown` those that only another version knows.
        quarantined: records that were put aside.
        newest_unix_second: beginning of the newest run that was not simulated; None: there is none.
    """

    size_byte: int
    damage: str | None
    journal_mode: str
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    quarantined: int
    newest_unix_second: float | None


def examine(database: Path, patience: float) -> Health:
    """Examine a database that may be written meanwhile; blocks for up to about `patience` seconds of host time.

    Raises:
        StorageError: it cannot be read, or is no database of labctl.
    """
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            applied = {name for (name,) in connection.execute(_APPLIED, (migrations.name,))}
            known = {each.name for each in migrations._migrations}  # noqa: SLF001 - it offers no other list
            return Health(
                size_byte=database.stat().st_size,
                damage=_damage(connection, host_monotonic() + patience),
                journal_mode=str(connection.execute("PRAGMA journal_mode").fetchone()[0]),
                missing=tuple(sorted(known - applied)),
                unknown=tuple(sorted(applied - known)),
                quarantined=int(connection.execute("SELECT count(*) FROM quarantine").fetchone()[0]),
                newest_unix_second=connection.execute(_NEWEST).fetchone()[0],
            )
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"The database {database} cannot be examined: {error}.",
            "Check that it is a labctl database. Of a damaged one, rescue what can be read: "
            f"sqlite3 {database} .recover | sqlite3 rescued.db",
        ) from error


_APPLIED = "SELECT name FROM _sqlite_migrations WHERE migration_set = ?"
_NEWEST = "SELECT max(started_unix_second) FROM runs WHERE simulated = 0"


def _damage(connection: sqlite3.Connection, deadline: float) -> str | None:
    connection.set_progress_handler(lambda: host_monotonic() > deadline, CHECK_STEPS)
    try:
        said = [str(line) for (line,) in connection.execute("PRAGMA quick_check(5)")]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise
    finally:
        connection.set_progress_handler(None, 0)
    return "" if said == ["ok"] else "; ".join(said)
