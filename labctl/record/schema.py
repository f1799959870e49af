"""The tables, and the migrations that bring any older database to them."""

import sqlite3
from pathlib import Path

from sqlite_utils import Database, Migrations

from labctl.errors import StorageError
from labctl.reading import CELL_COLUMNS, COLUMNS, EARLIER_NAMES

INTEGER_COLUMNS = ("cycle_count", "step_count", "step_id")

SPAN_COLUMNS = (
    "first_seq",
    "last_seq",
    "row_count",
    "start_test_time_second",
    "end_test_time_second",
    "charging_capacity_ah",
    "discharging_capacity_ah",
    "charging_energy_wh",
    "discharging_energy_wh",
    "min_voltage_volt",
    "max_voltage_volt",
)
"""What steps and cycles have in common: a stretch of rows; capacity and energy are its last row minus its first."""

STEP_COLUMNS = (
    "step_count",
    "step_id",
    "name",
    "verb",
    "cycle_count",
    *SPAN_COLUMNS,
    "end_voltage_volt",
    "end_current_ampere",
    "end_reason",
)
CYCLE_COLUMNS = ("cycle_count", *SPAN_COLUMNS, "coulombic_efficiency", "energy_efficiency", "complete")

migrations = Migrations("labctl.record")


class DamagedDatabase(StorageError):
    """A database that is not as it was written; nothing is written into it any more."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a database for writing and bring it up to date.

    Raises:
        DamagedDatabase: it is damaged, or is no database.
        StorageError: it cannot be written, or a newer labctl has made it.
    """
    connection: sqlite3.Connection | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        _refuse_newer(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        migrations.apply(Database(connection, use_counts_table=False))
    except (sqlite3.Error, OSError, StorageError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, StorageError):
            raise
        raise failure(path, "cannot be opened for writing", error) from error
    return connection


def failure(path: Path, what: str, error: sqlite3.Error | OSError) -> StorageError:
    """Return what is told of an error of SQLite; `what` goes on with "The database labctl.db "."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DamagedDatabase(
            f"The database {path} is damaged, or is none: {error}. Nothing is written into it.",
            f"What is measured stays in the journals. Rescue what can be read: labctl repair {path}",
        )
    return StorageError(f"The database {path} {what}: {error}.", _REMEDIES.get(code, _REMEDY))


_REMEDY = "Check that the file is a labctl database and that its folder may be written."
_REMEDIES = {
    sqlite3.SQLITE_FULL: "Make room on its disk. What is measured stays in the journals until there is some.",
    sqlite3.SQLITE_BUSY: "Another program holds it: end that. What is measured stays in the journals meanwhile.",
    sqlite3.SQLITE_READONLY: "Make the file and its folder writable. What is measured stays in the journals meanwhile.",
}


def applied(connection: sqlite3.Connection) -> tuple[set[str], set[str]]:
    """Return the migrations of this version that a database has not seen, and those that only another one knows."""
    seen: set[str] = set()
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'").fetchone():
        query = "SELECT name FROM _sqlite_migrations WHERE migration_set = ?"
        seen = {name for (name,) in connection.execute(query, (migrations.name,))}
    known = {each.name for each in migrations._migrations}  # noqa: SLF001 - it offers no other list
    return known - seen, seen - known


def _refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    _, unknown = applied(connection)
    if unknown:
        raise StorageError(
            f"The database {path} is of a newer labctl ({max(unknown)}).",
            "Install that version; this one does not write it. What is measured stays in the journals.",
        )


@migrations(name="0001_runs_readings_steps_cycles_events")
def _create(db: Database) -> None:
    for statement in _TABLES:
        db.execute(statement)


@migrations(name="0002_kinds_of_runs")
def _kinds(db: Database) -> None:
    for column in ("kind TEXT NOT NULL DEFAULT 'protocol'", "campaign TEXT", "continues TEXT"):
        db.execute(f"ALTER TABLE runs ADD COLUMN {column}")


@migrations(name="0003_spectra")
def _spectra(db: Database) -> None:
    db.execute(_SPECTRA)


@migrations(name="0004_rigs_by_side")
def _rigs_by_side(db: Database) -> None:
    """Give torque and angle the name of their side; runs that drove the positive one move theirs there."""
    have = {column.name for column in db["readings"].columns}
    for earlier, today in EARLIER_NAMES.items():
        positive = today.replace("negative", "positive")
        if earlier in have:
            db.execute(f"ALTER TABLE readings RENAME COLUMN {earlier} TO {today}")
            db.execute(f"ALTER TABLE readings ADD COLUMN {positive} REAL")
            db.execute(
                f"UPDATE readings SET {positive} = {today}, {today} = NULL WHERE run_id IN"
                """ (SELECT id FROM runs WHERE json_extract(instruments, '$."pressure_rig.positive"') IS NOT NULL)"""
            )


@migrations(name="0005_gas")
def _gas(db: Database) -> None:
    have = {column.name for column in db["readings"].columns}
    for name in COLUMNS:
        if name not in have:
            db.execute(f"ALTER TABLE readings ADD COLUMN {name} REAL")


_SPECTRA = """CREATE VIEW spectra AS SELECT run_id, channel, seq, unix_time_second, test_time_second,
    json_extract(data, '$.step_count') AS step_count, json_extract(data, '$.cycle_count') AS cycle_count,
    json_extract(data, '$.frequency_hertz') AS frequency_hertz,
    json_extract(data, '$.real_impedance_ohm') AS real_impedance_ohm,
    json_extract(data, '$.imaginary_impedance_ohm') AS imaginary_impedance_ohm
    FROM events WHERE kind = 'impedance.point'"""

_SPAN = """
    first_seq INTEGER, last_seq INTEGER, row_count INTEGER NOT NULL DEFAULT 0,
    start_test_time_second REAL, end_test_time_second REAL,
    charging_capacity_ah REAL, discharging_capacity_ah REAL, charging_energy_wh REAL, discharging_energy_wh REAL,
    min_voltage_volt REAL, max_voltage_volt REAL"""


def _reading_column(name: str) -> str:
    kind = "INTEGER" if name in INTEGER_COLUMNS else "REAL"
    required = name in CELL_COLUMNS and name != "voltage_volt"
    return f"{name} {kind}{' NOT NULL' if required else ''}"


_TABLES = (
    """CREATE TABLE runs (
    id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, station TEXT,
    protocol_name TEXT, protocol_title TEXT, protocol_text TEXT, protocol_hash TEXT,
    cell_name TEXT, cell TEXT, operator TEXT, instruments TEXT, config TEXT, inputs TEXT, software_version TEXT,
    simulated INTEGER CHECK (simulated IN (0, 1)), seed INTEGER,
    started_unix_second REAL, ended_unix_second REAL, state TEXT NOT NULL DEFAULT 'running', end_reason TEXT
) STRICT""",
    """CREATE TRIGGER runs_stay_simulated BEFORE UPDATE OF simulated ON runs
WHEN OLD.simulated = 1 AND NEW.simulated IS NOT 1
BEGIN SELECT RAISE(ABORT, 'a simulated run stays marked as simulated'); END""",
    f"""CREATE TABLE readings (
    run_id INTEGER NOT NULL REFERENCES runs (id), channel INTEGER NOT NULL, seq INTEGER NOT NULL,
    {", ".join(_reading_column(name) for name in COLUMNS)},
    PRIMARY KEY (run_id, channel, seq)
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE events (
    run_id INTEGER NOT NULL REFERENCES runs (id), channel INTEGER NOT NULL, seq INTEGER NOT NULL,
    kind TEXT NOT NULL, unix_time_second REAL NOT NULL, test_time_second REAL NOT NULL,
    message TEXT NOT NULL, severity TEXT NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (run_id, channel, seq)
) STRICT, WITHOUT ROWID""",
    f"""CREATE TABLE steps (
    run_id INTEGER NOT NULL REFERENCES runs (id), channel INTEGER NOT NULL, step_count INTEGER NOT NULL,
    step_id INTEGER, name TEXT, verb TEXT, cycle_count INTEGER,{_SPAN},
    end_voltage_volt REAL, end_current_ampere REAL, end_reason TEXT,
    PRIMARY KEY (run_id, channel, step_count)
) STRICT, WITHOUT ROWID""",
    f"""CREATE TABLE cycles (
    run_id INTEGER NOT NULL REFERENCES runs (id), channel INTEGER NOT NULL, cycle_count INTEGER NOT NULL,{_SPAN},
    coulombic_efficiency REAL, energy_efficiency REAL, complete INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, channel, cycle_count)
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE watermarks (
    run_id INTEGER NOT NULL REFERENCES runs (id), channel INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (run_id, channel)
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs (id), channel INTEGER NOT NULL,
    seq INTEGER NOT NULL, reason TEXT NOT NULL, record TEXT NOT NULL,
    UNIQUE (run_id, channel, seq, record)
) STRICT""",
)
