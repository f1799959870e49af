"""The tables, and the migrations that bring any older database to them."""

import sqlite3
from pathlib import Path

from sqlite_utils import Database, Migrations

from labctl.errors import StorageError
from labctl.reading import CELL_COLUMNS, COLUMNS

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


def connect(path: Path) -> sqlite3.Connection:
    """Open a database for writing and bring it up to date; raises StorageError for a file that is none."""
    connection: sqlite3.Connection | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        migrations.apply(Database(connection, use_counts_table=False))
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise StorageError(
            f"The database {path} cannot be opened for writing: {error}.",
            "Check that the file is a labctl database and that its folder may be written.",
        ) from error
    return connection


@migrations(name="0001_runs_readings_steps_cycles_events")
def _create(db: Database) -> None:
    for statement in _TABLES:
        db.execute(statement)


@migrations(name="0002_kinds_of_runs")
def _kinds(db: Database) -> None:
    for column in ("kind TEXT NOT NULL DEFAULT 'protocol'", "campaign TEXT", "continues TEXT"):
        db.execute(f"ALTER TABLE runs ADD COLUMN {column}")


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
