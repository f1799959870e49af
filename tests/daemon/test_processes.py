"""Daemons as processes: killed and started again, two of them, the bus dead, told to end, made safe in every way."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.clock import host_monotonic, host_sleep_blocking
from tests.stations import CONFIG, HEAD

LONG = HEAD + '[[step]]\nname = "wait"\nrecord = { interval = "1 s" }\nrest = "300 d"\n'
PATIENCE = 60.0


class Lab:
    """A data folder, and processes of labctl that work in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.environment = {**os.environ, "LABCTL_DATA": str(self.data), "LABCTL_CONFIG": str(CONFIG), "NO_COLOR": "1"}
        (folder / "long.toml").write_text(LONG)
        self.daemons: list[subprocess.Popen[str]] = []

    def start_daemon(self, *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "labctl", "daemon", *options],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.daemons.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if "stations:" in line:
                break
        return process

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "labctl", *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def station(self, name: str) -> dict[str, object]:
        said = json.loads(self.ask("status", "--json").stdout)
        return dict(said["stations"][name])

    def until(self, name: str, *words: str) -> dict[str, object]:
        deadline = host_monotonic() + PATIENCE
        while True:
            state = self.station(name)
            if state["word"] in words:
                return state
            assert host_monotonic() < deadline, state
            host_sleep_blocking(0.05)

    def end(self) -> None:
        """Leave no process behind."""
        for process in self.daemons:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def runs(self) -> list[dict[str, object]]:
        return list(json.loads(self.ask("runs", "--json").stdout)["runs"])


@pytest.fixture
def lab(tmp_path: Path):  # type: ignore[no-untyped-def]
    lab = Lab(tmp_path)
    yield lab
    lab.end()


def test_a_killed_daemon_is_started_again_and_tells_what_was_lost(lab: Lab) -> None:
    daemon = lab.start_daemon("--simulate", "--speed", "600")
    assert lab.ask("start", "long.toml", "--station", "A1").returncode == 0
    lab.until("A1", "rest")
    daemon.kill()
    daemon.wait()
    assert lab.ask("status").returncode == 1

    lab.start_daemon("--simulate", "--speed", "600")
    state = lab.until("A1", "alarm")
    assert "is lost" in str(state["why"])
    refused = lab.ask("start", "long.toml", "--station", "A1")
    assert refused.returncode == 6
    assert "labctl ack A1" in refused.stderr
    assert lab.ask("ack", "A1", "--reason", "the plug was pulled").returncode == 0
    lab.until("A1", "idle")
    assert [run["state"] for run in lab.runs()] == ["lost"]


def test_a_second_daemon_is_refused(lab: Lab) -> None:
    lab.start_daemon("--simulate")
    second = lab.ask("daemon", "--simulate")
    assert second.returncode == 6
    assert "in use by another process" in second.stderr


def test_a_daemon_that_is_told_to_end_ends_every_run_by_name(lab: Lab) -> None:
    daemon = lab.start_daemon("--simulate", "--speed", "600")
    lab.ask("start", "long.toml", "--station", "A1")
    lab.until("A1", "rest")
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE) == 0
    (run,) = lab.runs()
    assert run["state"] == "stopped"
    assert "told to end" in str(run["end_reason"])


def test_safe_reaches_a_daemon_whose_bus_is_dead(lab: Lab) -> None:
    daemon = lab.start_daemon("--simulate", "--speed", "600")
    lab.ask("start", "long.toml", "--station", "A1")
    lab.until("A1", "rest")
    (lab.data / "run" / "broker" / "broker.json").rename(lab.folder / "gone.json")
    said = lab.ask("safe", "--json")
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert "signal" in told["way"]
    assert told["stations"]["A1"] == []
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(PATIENCE)
    assert [run["state"] for run in lab.runs()] == ["stopped"]


def test_safe_over_the_bus_latches_until_the_reset(lab: Lab) -> None:
    lab.start_daemon("--simulate")
    assert "over the bus" in lab.ask("safe", "--reason", "smoke").stdout
    lab.until("A1", "estop")
    assert lab.ask("start", "long.toml", "--station", "A1").returncode == 6
    released = lab.ask("reset", "--reason", "it was the toaster")
    assert (released.returncode, released.stdout) == (0, "".join(f"A{n}: released\n" for n in range(1, 5)))
    lab.until("A1", "idle")
    assert lab.ask("start", "long.toml", "--station", "A1").returncode == 0


def test_safe_reaches_a_daemon_whose_configuration_is_half_edited(lab: Lab) -> None:
    lab.start_daemon("--simulate")
    half = lab.folder / "half.toml"
    half.write_text(CONFIG.read_text().replace('"keithley-2450"', '"keithley-24"'))
    lab.environment["LABCTL_CONFIG"] = str(half)
    assert "over the bus" in lab.ask("safe").stdout
    (lab.data / "run" / "broker" / "broker.json").rename(lab.folder / "gone.json")
    assert "by a signal" in lab.ask("safe").stdout


def test_safe_acts_by_itself_where_no_daemon_runs(lab: Lab) -> None:
    said = lab.ask("safe", "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["stations"] == {"A1": [], "A2": [], "A3": [], "A4": []}


def test_a_daemon_ends_although_its_simulators_were_ended_with_it(lab: Lab) -> None:
    """Ctrl-C at a terminal, or a service manager, signals every process of the group."""
    daemon = lab.start_daemon("--speed", "600")
    lab.ask("start", "long.toml", "--station", "A1")
    lab.until("A1", "rest")
    for children in Path(f"/proc/{daemon.pid}/task").glob("*/children"):
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGTERM)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(PATIENCE) == 0
