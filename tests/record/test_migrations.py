"""A database of an earlier version is brought up to date, and what it holds stays what it was."""

import sqlite3
from pathlib import Path

from labctl.reading import COLUMNS, EARLIER_NAMES
from labctl.record.schema import connect, migrations

GAS = [name for name in COLUMNS if "gas" in name]


def _as_before_two_rigs(path: Path) -> None:
    """Turn a new database into one of the version whose stations had one rig."""
    with sqlite3.connect(path) as db:
        for name in GAS:
            db.execute(f"ALTER TABLE readings DROP COLUMN {name}")
        for earlier, today in EARLIER_NAMES.items():
            db.execute(f"ALTER TABLE readings DROP COLUMN {today.replace('negative', 'positive')}")
            db.execute(f"ALTER TABLE readings RENAME COLUMN {today} TO {earlier}")
        db.execute(
            "DELETE FROM _sqlite_migrations WHERE migration_set = ? AND name IN ('0004_rigs_by_side', '0005_gas')",
            (migrations.name,),
        )
        for run, side in ((1, "negative"), (2, "positive")):
            db.execute(
                "INSERT INTO runs (id, uuid, instruments) VALUES (?, ?, ?)",
                (run, f"run {run}", f'{{"cycler": {{}}, "pressure_rig.{side}": {{}}}}'),
            )
            columns = "unix_time_second, test_time_second, step_time_second, cycle_count, step_count, step_id"
            db.execute(
                f"INSERT INTO readings (run_id, channel, seq, {columns}, current_ampere, charging_capacity_ah,"
                " discharging_capacity_ah, charging_energy_wh, discharging_energy_wh, torque_newton_metre,"
                " screw_angle_radian_max) VALUES (?, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.25, 3.5)",
                (run,),
            )
    db.close()


def test_torque_and_angle_go_to_the_side_that_was_driven(tmp_path: Path) -> None:
    path = tmp_path / "labctl.db"
    connect(path).close()
    _as_before_two_rigs(path)
    db = connect(path)
    rows = db.execute(
        "SELECT run_id, negative_torque_newton_metre, positive_torque_newton_metre, negative_screw_angle_radian_max,"
        " positive_screw_angle_radian_max FROM readings ORDER BY run_id"
    ).fetchall()
    gas = db.execute(f"SELECT {', '.join(GAS)} FROM readings").fetchall()
    db.close()
    assert gas == [(None,) * 6] * 2, "nobody measured it then"
    assert rows == [(1, 0.25, None, 3.5, None), (2, None, 0.25, None, 3.5)]
