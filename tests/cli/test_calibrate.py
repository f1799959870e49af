"""`labctl calibrate` and `labctl calibrations`: run, fitted, stored, listed, quoted, and refused with a sentence."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.cli.app import run
from labctl.lab.locks import hold, station_lock
from tests.stations import CONFIG, HEAD

Labctl = Callable[..., tuple[int, str, str]]
QUICK = ("torque", "A1", "--simulate", "--tightenings", "3", "--levels", "2", "--to", "100 N")


@pytest.fixture
def labctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Labctl:
    """Run the command line in this process, with a laboratory of its own."""
    (tmp_path / "config.toml").write_text(CONFIG.read_text("utf-8"), "utf-8")
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LABCTL_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["labctl", *arguments])
        status = run()
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


def test_a_screw_is_calibrated_listed_fitted_again_and_quoted(labctl: Labctl, tmp_path: Path) -> None:
    status, out, _ = labctl("calibrate", *QUICK, "--operator", "ana", "--json")
    assert status == 0
    made = json.loads(out)["calibration"]
    assert (made["kind"], made["side"], made["operator"]) == ("torque", "negative", "ana")
    assert made["instruments"]["load_cell.negative"]["simulated"]
    assert len(made["fit"]["up"]["coefficients"]) == 3

    status, out, _ = labctl("calibrations", "A1")
    assert status == 0
    assert "torque (simulated)" in out
    assert "newest" in out
    assert made["run"][:8] in out

    picture = tmp_path / "c.svg"
    status, out, _ = labctl("calibrate", "fit", "1", "--expires", "1 d", "--picture", str(picture))
    assert status == 0
    assert "SIMULATED, not measured." in out
    assert "±0.5 N (accuracy that its driver declares)" in out
    assert picture.read_text().startswith("<?xml")
    listed = json.loads(labctl("calibrations", "--json")[1])["calibrations"]
    assert [each["run"] for each in listed] == [made["run"]], "the same run has one file"
    assert "95 % prediction interval" in labctl("calibrations", "--plot", made["run"][:6])[1]
    assert labctl("calibrations", "--plot", "nothing")[0] == 1

    (tmp_path / "press.toml").write_text(HEAD + '[[step]]\ntorque = { negative = "0.1 N m" }\ntimeout = "5 min"\n')
    assert labctl("run", "press.toml", "--station", "A1", "--simulate")[0] == 0
    shown = json.loads(labctl("show", "2", "--json")[1])
    said = [event["message"] for event in shown["events"] if event["kind"] == "calibration.used"]
    assert len(said) == 2
    assert "torque and force of the screw of the negative side" in labctl("methods", "2")[1]
    assert labctl("calibrate", "fit", "2")[0] == 1


def test_the_protocol_is_shown_and_is_one(labctl: Labctl, tmp_path: Path) -> None:
    for name, arguments in {
        "torque.toml": ("torque", "A1", "--show"),
        "cell.toml": ("loadcell", "A1", "--side", "positive", "--uncertainty", "0.1 %", "--show"),
    }.items():
        status, out, _ = labctl("calibrate", *arguments)
        assert status == 0
        (tmp_path / name).write_text(out)
        assert labctl("check", name, "--station", "A1")[0] in (0, 7)
    assert not (tmp_path / "data" / "labctl.db").exists()


def test_nothing_is_listed_where_nothing_is(labctl: Labctl) -> None:
    assert labctl("calibrations") == (
        0,
        "Nothing has been calibrated. Begin with: labctl calibrate torque STATION\n",
        "",
    )


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("torque", "A3", "--simulate"), 6, "Station A3 has a screw and a load cell on no side."),
        (("torque", "A1", "--simulate", "--side", "positive"), 6, "on the negative side, not on 'positive'"),
        (("torque", "A1", "--simulate", "--to", "6 MPa"), 6, "6 MPa is too high"),
        (("torque", "A1", "--simulate", "--to", "6 mm"), 2, '"6 mm" is a length'),
        (("torque", "A1", "--simulate", "--speed", "600"), 2, "--speed is for simulators on wires"),
        (("loadcell", "A1", "--uncertainty", "0.1 %"), 6, "Name one with --side."),
        (("loadcell", "A1", "--side", "positive"), 2, "--uncertainty"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(
    labctl: Labctl, arguments: tuple[str, ...], status: int, sentence: str
) -> None:
    found, _, err = labctl("calibrate", *arguments)
    assert found == status
    assert sentence in " ".join(err.replace("│", "").split())


def test_a_station_that_another_process_keeps_is_calibrated_through_it(labctl: Labctl, tmp_path: Path) -> None:
    lock = hold(station_lock(tmp_path / "data", "A1"), "Station A1")
    status, _, err = labctl("calibrate", "torque", "A1")
    lock.release()
    assert status == 6
    assert "labctl start calibration.toml --station A1; when it has ended: labctl calibrate fit RUN" in err


def test_real_instruments_need_the_bore(labctl: Labctl, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    text = path.read_text()
    for number in range(6):
        text = text.replace('"sim://"', f'"/dev/ttyNOT{number}"', 1)
    path.write_text(text)
    status, _, err = labctl("calibrate", "torque", "A1", "--to", "1 MPa")
    assert status in (3, 6)
    assert "--bore" in err
