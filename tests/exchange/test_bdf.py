"""A run as a BDF table: labels, applied and surface pressure, and a program of others that reads it."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from labctl.exchange.to_bdf import Table, pressed_side
from labctl.reading import COLUMNS, Event, Reading
from labctl.record.writer import Writer
from tests.laboratory import EPOCH, batches, header, new_run, reading

from .test_commands import Labctl, labctl

__all__ = ["labctl"]
BOTH = {"negative_pressure_pa", "positive_pressure_pa"}
NEGATIVE, POSITIVE = "Negative Electrode Pressure / Pa", "Positive Electrode Pressure / Pa"


def columns(measured: set[str], *instruments: str) -> dict[str, str]:
    table = Table(measured, instruments)
    return dict(zip(table.labels, table.columns, strict=True))


@pytest.mark.parametrize("kind", ["pressure_rig", "gas_regulator", "hand_tool"])
def test_applied_is_what_the_station_presses_and_surface_the_other_side(kind: str) -> None:
    for side, other in (("negative", "positive"), ("positive", "negative")):
        found = columns(BOTH, "cycler", f"load_cell.{side}", f"load_cell.{other}", f"{kind}.{side}")
        assert found["Applied Pressure / Pa"] == f"{side}_pressure_pa"
        assert found["Surface Pressure / Pa"] == f"{other}_pressure_pa"
        assert (found[NEGATIVE], found[POSITIVE]) == ("negative_pressure_pa", "positive_pressure_pa")


def test_of_two_driven_sides_the_negative_one_leads() -> None:
    assert pressed_side(["pressure_rig.positive", "pressure_rig.negative"]) == "negative"


def test_what_nobody_presses_is_not_called_applied() -> None:
    found = columns({"negative_pressure_pa"}, "cycler", "load_cell.negative")
    assert "Applied Pressure / Pa" not in found
    assert found["Surface Pressure / Pa"] == "negative_pressure_pa"


def test_one_sensor_on_the_pressed_side_measures_no_other_surface() -> None:
    found = columns({"negative_pressure_pa"}, "pressure_rig.negative", "load_cell.negative")
    assert found["Applied Pressure / Pa"] == "negative_pressure_pa"
    assert "Surface Pressure / Pa" not in found


def test_what_was_not_measured_stays_empty_and_what_never_was_has_no_column() -> None:
    table = Table({"test_time_second", "voltage_volt", "current_ampere"}, ())
    written = io.StringIO()
    assert table.write(written, [(0.0, None, 0.0), (1.0, 3.5, -1e-4)]) == 2
    assert written.getvalue() == "Test Time / s,Voltage / V,Current / A\n0.0,,0.0\n1.0,3.5,-0.0001\n"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Three readings of a run on a rig whose negative side is driven."""
    run, path = new_run(), tmp_path / "lab.db"
    said = asdict(header(run)) | {"instruments": {"cycler": {}, "pressure_rig.negative": {}}}
    writer = Writer(path)
    begun = Event("run.started", EPOCH, 0.0, "The run starts.", data=said)
    rows = [pressed(reading(number)) for number in range(1, 4)]
    writer.apply(batches(run, [begun, *rows], 50))
    writer.close()
    return path


def pressed(row: Reading) -> Reading:
    values = dict(zip(COLUMNS, row.values, strict=True)) | {"negative_pressure_pa": 2.5e6}
    return Reading(tuple(values[name] for name in COLUMNS))


def test_a_run_is_exported_to_a_new_file(labctl: Labctl, database: Path, tmp_path: Path) -> None:
    arguments = ("export", "1", "--to", "bdf", "--db", str(database), "--output", "run.bdf.csv")
    status, out, err = labctl(*arguments)
    assert (status, out) == (0, "")
    assert "3 readings of run 1 in run.bdf.csv." in err
    rows = list(csv.DictReader((tmp_path / "run.bdf.csv").read_text().splitlines()))
    assert [row["Applied Pressure / Pa"] for row in rows] == ["2500000.0"] * 3
    assert float(rows[0]["Surface Pressure / Pa"]) == pytest.approx(200_000.8, abs=0.1)
    assert float(rows[2]["Current / A"]) == 1e-4, "positive charges"
    assert labctl(*arguments)[0] == 2, "nothing is overwritten"
    written = json.loads(labctl(*arguments[:-1], "again.bdf.csv", "--json")[1])
    assert written["readings"] == 3
    assert written["columns"] == list(rows[0])
    assert labctl(*arguments[:-2])[1] == (tmp_path / "run.bdf.csv").read_text()


def test_what_cannot_be_exported_is_told(labctl: Labctl, database: Path) -> None:
    status, _, err = labctl("export", "none", "--to", "bdf", "--db", str(database))
    assert status == 1
    assert "No run" in err
    assert labctl("export", "1", "--to", "bdf", "--db", str(database), "--json")[0] == 2
    assert labctl("export", "1", "--to", "bdf", "--db", str(database), "--set", "cycles=1")[0] == 2


def test_batterydf_reads_and_validates_it(labctl: Labctl, database: Path, tmp_path: Path) -> None:
    bdf = pytest.importorskip("bdf", reason="batterydf is of the extra `conformance`")
    labctl("export", "1", "--to", "bdf", "--db", str(database), "--output", "run.bdf.csv")
    said = bdf.validate(str(tmp_path / "run.bdf.csv"))
    assert said["ok"], said
    assert said["missing"] == []
    frame = bdf.read(str(tmp_path / "run.bdf.csv"))
    assert list(frame["Voltage / V"]) == [3.37, 3.74, 3.1]
    assert list(frame["Applied Pressure / Pa"]) == [2.5e6] * 3
