"""`labctl drill`: kills and faults from the command line, at a copy of a laboratory; what it says and leaves."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.clock import host_sleep_blocking
from labctl.drill.household import environment
from tests.drill.test_kills import REAL, SMALL

PATIENCE = 90.0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(SMALL)
    return path


def begin(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a drill whose temporary folders, and whose user's data, are in a folder of the test's own."""
    (folder / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "labctl", "drill", *arguments],
        env={**environment(), "TMPDIR": str(folder / "tmp"), "LABCTL_DATA": str(folder / "precious")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left(folder: Path) -> list[Path]:
    """What a drill left in the folders that it may know of."""
    precious = folder / "precious"
    return [*(folder / "tmp").iterdir(), *(precious.rglob("*") if precious.exists() else ())]


def test_kills_and_faults_are_counted_in_a_last_line_of_json(tmp_path: Path, config: Path) -> None:
    asked = ("--kills", "3", "--faults", "2", "--seed", "7", "--json")
    out, err = begin(tmp_path, "--config", str(config), *asked).communicate(timeout=PATIENCE)
    said = json.loads(out.splitlines()[-1])
    assert (said["readings_lost"], said["readings_doubled"]) == (0, 0), said
    assert (said["kills"], sum(said["killed"].values())) == (3, 3)
    assert said["faults"] <= 2
    assert said["seeds"][:2] == [7, 7]
    assert said["readings"] > 0
    assert "seed 7" in err
    assert "3 of 3 killed" in err
    assert said["broken"] == []
    assert said["kept"] is None
    assert left(tmp_path) == []


def test_a_laboratory_with_real_instruments_is_refused(tmp_path: Path, config: Path) -> None:
    config.write_text(REAL)
    process = begin(tmp_path, "--config", str(config))
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 6
    assert out == ""
    assert "A drill is for simulated laboratories, and not every instrument is simulated at: B1." in err
    assert left(tmp_path) == []


def test_an_interrupted_drill_leaves_neither_process_nor_folder(tmp_path: Path, config: Path) -> None:
    process = begin(tmp_path, "--config", str(config), "--kills", "1000", "--faults", "0")
    assert process.stderr is not None
    for line in process.stderr:
        if "killed" in line:
            break
    children = children_of(process.pid)
    assert len(children) >= 2
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert out == ""
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    assert left(tmp_path) == []


def children_of(pid: int) -> list[int]:
    said = Path(f"/proc/{pid}/task/{pid}/children")
    if not said.exists():
        pytest.skip("this system does not tell whose children processes are")
    return [int(child) for child in said.read_text().split()]


def test_what_was_not_kept_is_told_and_the_evidence_stays(tmp_path: Path, config: Path) -> None:
    """A recorder that ends though the drill has not killed it stands for one that breaks down by itself."""
    process = begin(tmp_path, "--config", str(config), "--kills", "1", "--faults", "0", "--json")
    while not (recorders := [pid for pid in children_of(process.pid) if b"labctl.record" in command_of(pid)]):
        assert process.poll() is None
        host_sleep_blocking(0.02)
    os.kill(recorders[0], signal.SIGTERM)
    out, _ = process.communicate(timeout=PATIENCE)
    said = json.loads(out)
    assert process.returncode == 1
    assert "Processes ended by themselves. The recorder said last" in said["broken"][0]
    assert (Path(said["kept"]) / "recorder.log").exists()


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
