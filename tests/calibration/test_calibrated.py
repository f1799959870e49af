"""What a station makes of its calibrations: quoted in the header, applied to readings, told, asked for on real ones."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.calibration.model import AnyCalibration, Instrument
from labctl.calibration.quote import KEY
from labctl.calibration.store import Calibrations
from labctl.config import Config, load
from labctl.daemon.continuing import begun_with
from labctl.engine.board import FORCE_GAUGE
from labctl.errors import RefusedForSafety
from labctl.lab.abilities import abilities
from labctl.lab.calibrated import correct, refuse_uncalibrated, still, told, uncalibrated
from labctl.lab.recording import header, of_plan
from labctl.plan import Plan
from labctl.reading import RunHeader, Severity
from labctl.record.writer import Writer
from tests.calibration.records import EXPIRES, load_cell, torque
from tests.laboratory import batches, new_run, started
from tests.stations import CONFIG, Lab, laboratory, plan_of

SIMULATED = {
    "load_cell.negative": Instrument(
        driver="mark10", identity="Mark-10 Digital Force Gauge M5 (serial 1000001, firmware 1.00)", simulated=True
    ),
    "pressure_rig.negative": Instrument(
        driver="dynamixel-x", identity="ROBOTIS XM540-W270 (serial ID 1, firmware 46)", simulated=True
    ),
}
PRESS = """
[[step]]
pressure = { negative = "2 MPa", ramp = "0.1 MPa/s" }
until = "stable within 5 % for 10 s"
timeout = "20 min"
"""
TURN = '[[step]]\ntorque = { negative = "0.2 N m" }\ntimeout = "5 min"\n'
REST = '[[step]]\nrest = "1 s"\n'
BEFORE, AFTER = EXPIRES.timestamp() - 1.0, EXPIRES.timestamp() + 1.0


def standing(made: AnyCalibration) -> AnyCalibration:
    """Return a calibration of the instruments that simulate A1."""
    return made.model_copy(update={"instruments": {name: SIMULATED[name] for name in made.instruments}})


@asynccontextmanager
async def lab_with(data: Path, *made: AnyCalibration) -> AsyncIterator[tuple[Lab, Config]]:
    """Open A1 with a data folder that holds these."""
    path = data / "config.toml"
    path.write_text(CONFIG.read_text().replace('data = ""', f'data = "{data}"'))
    config = load(path)
    for each in made:
        Calibrations(config.storage.folder).add(standing(each))
    async with laboratory(config=config) as lab:
        yield lab, config


def about(lab: Lab, config: Config, plan: Plan, unix: float = BEFORE) -> RunHeader:
    """Return the header of a run."""
    watch = header(config, "A1", lab.assembly, lab.clock, run="r", operator="ana", seed=1)
    return of_plan(replace(watch, started_unix_second=unix), plan)


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABCTL_DATA", raising=False)


async def test_a_header_quotes_what_stands_and_how_right_a_load_cell_is(tmp_path: Path) -> None:
    async with lab_with(tmp_path, torque(), load_cell()) as (lab, config):
        found = about(lab, config, plan_of(REST, lab.assembly)).instruments
    assert found["pressure_rig.negative"][KEY]["kind"] == "torque"
    assert found["load_cell.negative"][KEY]["fit"]["gain"] == pytest.approx(1.02)
    assert found["load_cell.negative"]["accuracy_newton"] == 0.5
    assert KEY not in found["load_cell.positive"]
    assert KEY not in found["cycler"]


async def test_readings_are_corrected_and_a_tare_takes_the_offset_away(tmp_path: Path) -> None:
    async with lab_with(tmp_path, load_cell()) as (lab, config):
        station, gauge = lab.assembly.station, lab.assembly.station.board.gauges[FORCE_GAUGE["negative"]]
        raw = await station.instruments.load_cells["negative"].read()
        correct(station, about(lab, config, plan_of(REST, lab.assembly)).instruments)
        await station._read_force(station.instruments.load_cells["negative"], "negative")
        assert gauge.value == pytest.approx((raw - 2.0) / 1.02)
        station.tared("negative")
        station.tared("positive")
        await station._read_force(station.instruments.load_cells["negative"], "negative")
        assert gauge.value == pytest.approx(raw / 1.02)


async def test_a_run_is_told_what_it_uses_and_what_a_torque_is_held_to_be(tmp_path: Path) -> None:
    async with lab_with(tmp_path, torque(), load_cell()) as (lab, config):
        plan = plan_of(TURN, lab.assembly)
        events = told(about(lab, config, plan), plan, 8e-3)
    assert [event.kind for event in events] == ["calibration.used"] * 3
    assert {event.severity for event in events} == {Severity.INFO}
    assert "pressure_rig.negative, torque, of 2026-01-10 (run 11112222), stands" in events[0].message
    low, force, high = events[2].data["force_newton"]
    assert low < force < high
    assert force == pytest.approx(119.0, rel=0.01)


async def test_a_run_without_a_calibration_says_so_and_takes_a_textbook(tmp_path: Path) -> None:
    async with lab_with(tmp_path) as (lab, config):
        plan = plan_of(TURN, lab.assembly)
        events = told(about(lab, config, plan), plan, 8e-3)
        assert told(about(lab, config, plan), plan, None) == events[:1]
        rest = plan_of(REST, lab.assembly)
        assert told(about(lab, config, rest), rest, 8e-3) == []
    assert [event.kind for event in events] == ["calibration.missing"] * 2
    assert {event.severity for event in events} == {Severity.WARNING}
    assert "by a textbook's K = 0.2, ±30 %" in events[1].message
    assert events[1].data["force_newton"][1] == pytest.approx(125.0)


async def test_real_instruments_press_calibrated_or_with_consent(tmp_path: Path) -> None:
    async with lab_with(tmp_path, torque()) as (lab, config):
        plan, rest = plan_of(PRESS, lab.assembly), plan_of(REST, lab.assembly)
        for unix, sentence in ((BEFORE, ""), (AFTER, "has expired")):
            real = replace(about(lab, config, plan, unix), simulated=False)
            if sentence:
                with pytest.raises(RefusedForSafety, match=sentence) as refused:
                    refuse_uncalibrated(real, plan, " ")
                assert "--consent" in refused.value.remedy
            refuse_uncalibrated(real, plan, "ana: the stack is scrap" if sentence else "")
            refuse_uncalibrated(replace(real, simulated=True), plan, "")
            refuse_uncalibrated(replace(about(lab, config, rest, unix), simulated=False), rest, "")
    (tmp_path / "other").mkdir()
    async with lab_with(tmp_path / "other") as (lab, config):
        real = replace(about(lab, config, plan), simulated=False, instruments=_bare(about(lab, config, plan)))
        with pytest.raises(RefusedForSafety, match="No torque calibration stands") as refused:
            refuse_uncalibrated(real, plan, "")
        assert "no calibration, no class" in refused.value.sentence
        refuse_uncalibrated(real, replace(plan, name="calibrate-torque-negative"), "")


def _bare(header: RunHeader) -> dict[str, dict[str, object]]:
    """Return the instruments of a header without what is known of their accuracy and calibration."""
    extra = {"accuracy_newton", KEY}
    return {
        name: {key: value for key, value in said.items() if key not in extra}
        for name, said in header.instruments.items()
    }


def test_a_run_that_goes_on_keeps_what_it_was_begun_with_of_each_instrument_that_is_still_there(tmp_path: Path) -> None:
    gauge = {"driver": "mark10", "identity": "gauge 1", "simulated": False}
    rig = {"driver": "dynamixel-x", "identity": "servo 1", "simulated": False}
    begun = {"load_cell.negative": gauge | {KEY: "of May"}, "pressure_rig.negative": rig | {KEY: "of May"}}
    other = rig | {"identity": "servo 2"}
    now = {"load_cell.negative": gauge | {KEY: "of June"}, "pressure_rig.negative": other, "cycler": rig}
    kept = still(begun, now)
    assert kept == {"load_cell.negative": begun["load_cell.negative"], "pressure_rig.negative": other, "cycler": rig}
    assert still({}, now) == now, "its beginning is not known here"

    run, database = new_run(), tmp_path / "lab.db"
    assert begun_with(database, run) == {}
    writer = Writer(database)
    writer.apply(batches(run, [started(run)], 50))
    writer.close()
    assert begun_with(database, run) == {"cycler": {"driver": "keithley-2450", "simulated": True}}
    assert begun_with(database, new_run()) == {}


async def test_what_a_station_lacks_is_known_unconnected(tmp_path: Path) -> None:
    async with lab_with(tmp_path, torque()) as (_, config):
        assert uncalibrated(config.storage.folder, abilities(config, "A1")) == (
            ("negative", "the torque calibration of the negative side, of 2026-01-10, has expired"),
        )
        assert uncalibrated(config.storage.folder, abilities(config, "A2")) == (
            ("negative", "no torque calibration of the negative side is stored"),
        )
        assert uncalibrated(config.storage.folder, abilities(config, "A3")) == ()
