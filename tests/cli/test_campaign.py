"""`labctl campaign`, over a real broker: each trial is started once, and what is recorded is reported."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labctl.api import Queued, Word
from labctl.cells.shelf import Shelf
from labctl.cli.app import run
from tests.cells.recorded import Lab
from tests.cli.test_client_commands import Served
from tests.scripted import station_state
from tests.stations import CONFIG, ROOT

Labctl = Callable[..., tuple[int, str, str]]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "data" / "run" / "broker")
    served.say(station_state())
    yield served
    served.stop()


@pytest.fixture
def labctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Labctl:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    (tmp_path / "config.toml").write_bytes(CONFIG.read_bytes())
    shelf = Shelf.read(tmp_path / "cells")
    for name in ("a", "b", "c", "d"):
        shelf.add(name, {}, {})
    protocol = "cccv.toml"
    (tmp_path / protocol).write_bytes((ROOT / "protocols" / "wang-2023" / "cccv.toml").read_bytes())
    (tmp_path / "lives.toml").write_text(
        f'[campaign]\nprotocol = "{protocol}"\nvary = {{ cycles = [1, 2] }}\nreplicates = 2\n'
        'cells = ["a", "b", "c", "d"]\n'
    )

    def call(*arguments: str) -> tuple[int, str, str]:
        common = ["labctl", "--config", str(tmp_path / "config.toml"), "campaign", str(tmp_path / "lives.toml")]
        monkeypatch.setattr(sys, "argv", [*common, *arguments])
        status = run()
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


def test_every_trial_is_started_once(labctl: Labctl, served: Served, tmp_path: Path) -> None:
    lab = Lab(tmp_path / "data", "labctl.db")
    lab.run("a", range(1, 2), campaign="lives", inputs={"cycles": "1"})
    waiting = Queued(run="r", protocol="p", cell="c", operator="anna", queued_unix_second=1.0)
    served.say(station_state(word=Word.READY, queue=(waiting,)))
    served.daemon.answer = lambda request: {"run": "r", "station": "A1", "position": 1}
    status, out, err = labctl("--json", "--reason", "rates")
    assert (status, err) == (0, "")
    sent = [request.action for request in served.daemon.requests]
    assert [(action.inputs, action.campaign, action.station) for action in sent] == [  # type: ignore[union-attr]
        ({"cycles": "1"}, "lives", None),
        ({"cycles": "2"}, "lives", None),
    ]
    assert [Path(str(action.cell_file)).stem for action in sent] == ["b", "d"]  # type: ignore[union-attr]
    assert {request.reason for request in served.daemon.requests} == {"rates"}
    said = json.loads(out)
    assert [(one["cell"], one["values"]) for one in said["started"]] == [("b", {"cycles": "1"}), ("d", {"cycles": "2"})]
    assert [group["cells"] for group in said["groups"]] == [["a"]]
    lab.close()


def test_a_report_needs_no_daemon(labctl: Labctl, tmp_path: Path) -> None:
    status, out, _ = labctl("--report")
    assert (status, out) == (0, "lives: 4 trials, 0 recorded, 0 started now\n")
    lab = Lab(tmp_path / "data", "labctl.db")
    for cell, cycles in (("a", "1"), ("b", "1"), ("c", "2")):
        lab.run(cell, range(1, 1 + int(cycles)), campaign="lives", inputs={"cycles": cycles})
    lab.close()
    status, out, _ = labctl("--report")
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "lives: 4 trials, 3 recorded, 0 started now"
    assert lines[1].split() == ["cycles", "Cells", "Cycle", "n", "Qdis/mAh", "mAh/g", "CE/%"]
    assert [line.split()[:4] for line in lines[2:]] == [
        ["1", "2", "1", "2"],
        ["2", "1", "1", "1"],
        ["2", "1", "2", "1"],
    ]
    assert "±" in lines[2]
    assert "±" not in lines[3]


def test_a_wrong_campaign_starts_nothing(labctl: Labctl, served: Served, tmp_path: Path) -> None:
    file = tmp_path / "lives.toml"
    file.write_text(file.read_text().replace('"d"]', '"x"]'))
    status, _, err = labctl()
    assert status == 3
    assert 'there is no cell "x"' in err
    assert served.daemon.requests == []
