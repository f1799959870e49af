"""The systemd units: systemd finds no fault with them, they start what exists, and they let the safe state finish."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.engine.station import SAFE_ATTEMPTS, SAFE_RETRY
from labctl.instrument import PersonWire
from labctl.registry import driver_names, load_driver

ROOT = Path(__file__).parent.parent
UNITS = sorted((ROOT / "packaging" / "systemd").glob("*.service"))
BIN = Path(sys.executable).parent
INSTRUMENTS = 4
"""A cycler, two rigs and a thermostat: what a station brings to its safe state, one after the other."""


def service(unit: Path) -> dict[str, list[str]]:
    """Every key of [Service] with its values in order."""
    keys: dict[str, list[str]] = {}
    section = unit.read_text("utf-8").partition("[Service]")[2].partition("\n[")[0]
    for key, value in re.findall(r"(?m)^(\w+)=(.*)$", section):
        keys.setdefault(key, []).append(value)
    return keys


def command(unit: Path) -> list[str]:
    """The words that the unit starts, from the installation that runs this test."""
    keys = service(unit)
    variables = dict(word.split("=", 1) for line in keys["Environment"] for word in shlex.split(line))
    line = re.sub(r"\$\{(\w+)\}", lambda match: variables[match[1]], keys["ExecStart"][0])
    return [word.replace("/opt/labctl/bin", str(BIN)) for word in shlex.split(line)]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_no_fault(unit: Path, tmp_path: Path) -> None:
    installed = tmp_path / unit.name
    installed.write_text(unit.read_text("utf-8").replace("/opt/labctl/bin", str(BIN)), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(installed)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_daemon_is_started_by_a_command_that_exists() -> None:
    (unit,) = [unit for unit in UNITS if unit.name == "labctl.service"]
    done = subprocess.run([*command(unit), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "daemon" in done.stdout


def test_the_guard_is_started_by_a_command_that_exists_and_outlives_the_daemon() -> None:
    (unit,) = [unit for unit in UNITS if unit.name == "labctl-guard.service"]
    done = subprocess.run([*command(unit), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--patience" in done.stdout
    text = unit.read_text("utf-8")
    assert "PartOf=" not in text  # what ends the daemon must not end its guard
    assert "BindsTo=" not in text


def test_the_recorder_is_started_by_a_command_that_exists(tmp_path: Path) -> None:
    (unit,) = [unit for unit in UNITS if unit.name == "labctl-recorder.service"]
    words = [word.replace("/var/lib/labctl", str(tmp_path)) for word in command(unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"The broker's runtime file {tmp_path}/run/broker/broker.json cannot be read" in done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_service_is_nobody_in_particular_and_comes_back(unit: Path) -> None:
    keys = service(unit)
    assert keys["User"] == ["labctl"]
    for key, value in {
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "ProtectSystem": "strict",
        "Restart": "always" if unit.name == "labctl-guard.service" else "on-failure",
        "RestartSec": "5",
        "StateDirectory": "labctl",
    }.items():
        assert keys[key] == [value], key


def test_the_daemon_is_watched_and_has_time_for_its_safe_state() -> None:
    (unit,) = [unit for unit in UNITS if unit.name == "labctl.service"]
    keys = service(unit)
    assert (keys["Type"], keys["WatchdogSec"], keys["KillMode"]) == (["notify"], ["30"], ["mixed"])
    assert keys["SupplementaryGroups"] == ["dialout"]
    assert {"char-ttyUSB rw", "char-ttyACM rw"} <= set(keys["DeviceAllow"])
    wires = [load_driver(name).wire for name in driver_names()]
    slowest = max(wire.timeout for wire in wires if not isinstance(wire, PersonWire))  # nobody is asked to make safe
    # an instrument that never answers: each attempt waits for one reply, and the line is opened and asked again once
    longest = SAFE_ATTEMPTS * (INSTRUMENTS * 2 * slowest + SAFE_RETRY)
    assert longest < float(keys["TimeoutStopSec"][0])
