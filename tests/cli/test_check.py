"""`labctl check`: findings for people and machines, the exit status, one code explained."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.cli.app import run
from tests.lint.files import CYCLE, protocol

CONFIG = Path(__file__).parents[2] / "config.toml"
Labctl = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Labctl:
    """Run `labctl check` in this process: exit status, standard output, standard error."""
    monkeypatch.setenv("LABCTL_CONFIG", str(CONFIG))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["labctl", "check", *arguments])
        status = run()
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


def file(folder: Path, text: str) -> str:
    path = folder / "p.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_exit_status_says_the_worst(check: Labctl, tmp_path: Path) -> None:
    wrong = CYCLE.replace('"2.2 V"', '"voltage >= 2.2 V"')
    late = CYCLE.replace('"15 h"', '"9 h"', 1)
    for text, status, said in (
        (protocol(), 0, "no errors\n"),
        (protocol(record=""), 0, "no errors, 1 note\n"),
        (protocol(late), 7, "no errors, 1 warning\n"),
        (protocol(late, record=""), 7, "no errors, 1 warning, 1 note\n"),
        (protocol(wrong), 3, ""),
    ):
        path = file(tmp_path, text)
        assert check(path)[:2] == (status, f"{path}: {said}" if said else "")


def test_the_worst_of_several_files_counts(check: Labctl, tmp_path: Path) -> None:
    fine, late = tmp_path / "fine.toml", tmp_path / "late.toml"
    fine.write_text(protocol(), encoding="utf-8")
    late.write_text(protocol(CYCLE.replace('"15 h"', '"9 h"', 1)), encoding="utf-8")
    assert check(str(late), str(fine))[0] == 7
    assert check(str(fine), str(late), str(tmp_path / "none.toml"))[0] == 3


def test_machines_are_told_the_same(check: Labctl, tmp_path: Path) -> None:
    path = file(tmp_path, protocol(CYCLE.replace('"15 h"', '"9 h"', 1)))
    status, out, err = check(path, "--json", "--station", "A1")
    assert (status, err) == (7, "")
    (told,) = json.loads(out)["files"]
    (finding,) = told["findings"]
    assert (finding["code"], finding["severity"], finding["file"]) == ("timeout-short", "warning", path)
    assert told["estimate"]["readings"] == pytest.approx(told["estimate"]["duration"] / 60.0, rel=0.1)


def test_a_station_adds_how_long_it_takes(check: Labctl, tmp_path: Path) -> None:
    path = file(tmp_path, protocol())
    told = f"{path}: no errors; at most about 1 d 06 h, 1804 readings, 0.58 MB\n"
    assert check(path, "--station", "A1") == (0, told, "")


def test_a_code_is_explained(check: Labctl) -> None:
    status, out, _ = check("--explain", "load-cell")
    assert status == 0
    assert out.startswith("warning[load-cell]: the load cell's error is larger than the band")
    assert "Found only where a station is named." in out
    assert '[check] allow = { "load-cell" = "why" }' in out
    status, out, _ = check("--explain", "wrong-way", "--json")
    assert (status, json.loads(out)["severity"]) == (0, "error")
    status, _, err = check("--explain", "load_cell")
    assert status == 2
    assert "load-cell" in err
    assert check()[0] == 2
