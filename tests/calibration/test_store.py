"""The files of calibrations: written whole, read back exactly, never passed over; and which of them stands."""

from datetime import timedelta
from pathlib import Path

import pytest

from labctl.calibration.quote import KEY, quote, quoted_at, quoted_load_cell
from labctl.calibration.store import Calibrations
from labctl.errors import StorageError
from tests.calibration.records import DATE, EXPIRES, GAUGE, SERVO, load_cell, torque

STANDING = {"load_cell.negative": GAUGE, "pressure_rig.negative": SERVO}


def test_what_is_written_is_read_and_nothing_else_is_left(tmp_path: Path) -> None:
    store = Calibrations(tmp_path)
    paths = [store.add(torque()), store.add(load_cell())]
    assert [path.name for path in paths] == [
        "2026-01-10T12-00-00Z-torque-negative.json",
        "2026-01-10T12-00-00Z-loadcell-negative.json",
    ]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)
    assert store.every() == [load_cell(), torque()]
    assert store.every("A2") == []
    text = paths[0].read_text()
    assert '"free_torque":' in text
    assert text.count('{"tightening":') == len(torque().points)
    assert all(line.count("tightening") <= 1 for line in text.splitlines()), "a point is a line"


def test_the_newest_of_a_side_and_kind_stands_for_the_instruments_that_are_there(tmp_path: Path) -> None:
    store, later = Calibrations(tmp_path), torque(DATE + timedelta(days=1), run="later")
    for each in (torque(), later, load_cell()):
        store.add(each)
    found = store.active("A1", "negative", "torque", STANDING)
    assert found == later
    assert store.active("A1", "positive", "torque", STANDING) is None
    assert store.active("A2", "negative", "torque", STANDING) is None
    assert store.newest("A1") == [later, load_cell()]
    other = GAUGE.model_copy(update={"identity": "Mark-10 M5 (serial 2, firmware 1.00)"})
    assert store.active("A1", "negative", "torque", STANDING | {"load_cell.negative": other}) is None
    assert store.active("A1", "negative", "loadcell", STANDING | {"load_cell.negative": other}) is None
    simulated = {name: each.model_copy(update={"simulated": True}) for name, each in STANDING.items()}
    assert store.active("A1", "negative", "torque", simulated) is None
    drive = SERVO.model_copy(update={"driver": "tmcl"})
    assert store.active("A1", "negative", "torque", STANDING | {"pressure_rig.negative": drive}) is None
    assert store.active("A1", "negative", "loadcell", STANDING | {"pressure_rig.negative": drive}) == load_cell()


def test_many_points_are_read_back(tmp_path: Path) -> None:
    many = torque(points=torque().points * 500)
    Calibrations(tmp_path).add(many)
    assert Calibrations(tmp_path).every() == [many]


def test_expiry_and_age() -> None:
    made = torque()
    assert not made.expired(EXPIRES.timestamp() - 1.0)
    assert made.expired(EXPIRES.timestamp())
    assert not torque(expires=None).expired(1e12)
    assert made.age(DATE.timestamp() + 5.0) == 5.0


def test_a_file_that_cannot_be_read_back_is_told(tmp_path: Path) -> None:
    path = Calibrations(tmp_path).add(torque())
    path.write_text(path.read_text().replace('"exponent"', '"exponend"', 1))
    with pytest.raises(StorageError) as told:
        Calibrations(tmp_path).every("A1")
    assert str(path) in told.value.sentence
    assert Calibrations(tmp_path).every("A2") == []


def test_a_quote_has_no_points_and_tells_every_interval() -> None:
    quoted = quote(torque())
    assert "points" not in quoted
    again = quoted_at({KEY: quoted})
    assert again is not None
    assert again.fit.force(0.2) == torque().fit.force(0.2)
    assert quoted_load_cell({KEY: quoted}) is None
    assert quoted_load_cell({}) is None
    cell = quoted_load_cell({KEY: quote(load_cell())})
    assert cell is not None
    assert cell.fit == load_cell().fit
