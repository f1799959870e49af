"""The commands that read and write protocols: their output, their status, and what they refuse."""

import io
import json
import os
import pty
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.cli.app import run
from tests.stations import CONFIG, HEAD, ROOT

Labctl = Callable[..., tuple[int, str, str]]

CYCLE = (
    HEAD
    + """
[[step]]
counts = "cycle"
repeat = 1
do = [{charge = "C/5", until = "1 h"}, {discharge = "C/5", until = "5 min"}]
"""
)
ANSWERS = {
    "positive": "NMC811",
    "loading": "14 mg/cm2",
    "diameter": "10 mm",
    "one-c": "200 mA/g",
    "negative": "Li-In",
    "potential": "0.62 V vs Li",
    "current": "C/10",
    "upper": "4.3 V vs Li",
    "lower": "2.6 V vs Li",
    "hold": "C/20",
    "capacity": "300 mAh/g",
    "timeout": "20 h",
    "temperature": "30 degC",
    "pressure": "3 MPa",
    "bore": "10 mm",
}


@pytest.fixture
def labctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Labctl:
    """Run the command line in this process, with a configuration of its own."""
    extra = '\n[protocols]\nfolders = ["shared"]\n'
    (tmp_path / "config.toml").write_text(CONFIG.read_text("utf-8") + extra, "utf-8")
    (tmp_path / "shared" / "group").mkdir(parents=True)
    (tmp_path / "shared" / "group" / "quick.toml").write_text(CYCLE)
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LABCTL_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["labctl", *arguments])
        status = run()
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


def options(answers: dict[str, str]) -> list[str]:
    return [word for name, answer in answers.items() for word in (f"--{name}", answer)]


def test_protocols_are_listed_and_found_by_name(labctl: Labctl, tmp_path: Path) -> None:
    status, out, _ = labctl("protocols")
    assert status == 0
    assert "group/quick" in out
    assert "ma-2024/lto-0.2C" in out, "the shipped ones, for none lie beside the configuration"
    listed = json.loads(labctl("protocols", "--json")[1])["protocols"]
    assert listed[0]["file"] == str(tmp_path / "shared" / "group" / "quick.toml")
    (tmp_path / "protocols").mkdir()
    assert [each["name"] for each in json.loads(labctl("protocols", "--json")[1])["protocols"]] == ["group/quick"]
    assert labctl("check", "quick")[1] == f"{tmp_path / 'shared' / 'group' / 'quick.toml'}: no errors\n"
    (tmp_path / "protocols" / "quick.toml").write_text(CYCLE)
    (tmp_path / "shared" / "quick.toml").write_text(CYCLE)
    status, _, err = labctl("explain", "quick")
    assert status == 3
    assert 'several protocols are called "quick"' in err
    assert labctl("explain", "nothing")[0] == 3


def test_a_run_by_name_and_its_paragraph(labctl: Labctl) -> None:
    assert labctl("run", "group/quick", "--station", "A1", "--simulate")[0] == 0
    status, out, _ = labctl("methods", "1")
    assert status == 0
    assert out.startswith("SIMULATED, not measured: ")
    for part in (
        "The following was done once: the cell was charged with C/5",
        "cycler (simulated) KEITHLEY INSTRUMENTS 2450",
        "[Calibrations that labctl does not know: those of the cycler, ",
        "labctl 0.1.0 controlled and recorded this: run ",
        " UTC, 1 complete cycle.",
    ):
        assert part in out
    digest = labctl("methods", "group/quick")[1].split()[-1]
    assert out.split()[-1] == digest, "the hash of the run is that of the file"
    assert labctl("methods", "7")[0] == 1
    assert labctl("methods", "1", "--cell", "c.toml")[0] == 2


def test_a_run_says_where_its_protocol_came_from(labctl: Labctl, tmp_path: Path) -> None:
    (tmp_path / "shared" / "group" / "short.toml").write_text(HEAD + '[[step]]\nrest = "10 s"\n')
    (tmp_path / "mine.toml").write_text(HEAD + '[[step]]\nrun = "group/short"\n')
    assert f'Files. "group/short" is {tmp_path}/shared/group/short.toml.' in labctl("explain", "mine.toml")[1]
    assert labctl("run", "group/short", "--station", "A3", "--simulate")[0] == 0
    assert f'The protocol is "group/short" of {tmp_path / "shared"}.\n' in labctl("show", "1")[1]
    (said,) = [e for e in json.loads(labctl("show", "1", "--json")[1])["events"] if e["kind"] == "run.protocol"]
    folder = str(tmp_path / "shared")
    assert said["data"] == {"name": "group/short", "folder": folder, "commit": None, "modified": None}
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("0123456789" * 4)
    assert labctl("run", "mine.toml", "--station", "A3", "--simulate")[0] == 0
    said_of_it = f'The protocol is "mine" of {tmp_path}, git commit {"0123456789" * 4}.\n'
    assert said_of_it in labctl("show", "2")[1]
    assert f"(git commit {'0123456789' * 4}), SHA-256 of its meaning" in labctl("methods", "2")[1]


def test_diff_and_its_status(labctl: Labctl, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(CYCLE.replace("1 h", "2 h"))
    assert labctl("diff", "quick", "other.toml") == (
        1,
        "Step 1.1 (charge): it goes on for 2 h instead of for 1 h.\nAll else is the same.\n",
        "",
    )
    other.write_text("# hello\n" + CYCLE)
    assert labctl("diff", "quick", "other.toml") == (0, "They mean the same.\n", "")
    assert json.loads(labctl("diff", "quick", "other.toml", "--json")[1])["differences"] == []


def test_fmt_changes_the_layout_alone(labctl: Labctl, tmp_path: Path) -> None:
    untidy = tmp_path / "untidy.toml"
    untidy.write_text(CYCLE + "# the end\n")
    untidy.chmod(0o640)
    before = untidy.read_text()
    assert labctl("fmt", "--check", str(untidy)) == (1, f"{untidy}: would be laid out anew\n", "")
    assert untidy.read_text() == before
    assert labctl("fmt", str(untidy)) == (0, f"{untidy}: was laid out anew\n", "")
    assert untidy.read_text().endswith("# the end\n")
    assert untidy.stat().st_mode & 0o777 == 0o640
    assert labctl("fmt", "--check", str(untidy)) == (0, "", "")
    assert labctl("diff", "quick", str(untidy))[0] == 0
    untidy.write_text("=")
    assert labctl("fmt", str(untidy))[0] == 3
    assert untidy.read_text() == "="


def test_new_writes_what_a_check_lets_pass(labctl: Labctl, tmp_path: Path) -> None:
    status, out, err = labctl("new", "mine.toml", *options(ANSWERS), "--cycles", "3")
    assert (status, err) == (0, "")
    assert out == "mine.toml: written; `labctl explain mine.toml` says what it does\n"
    assert labctl("check", "mine.toml", "--station", "A1")[0] in (0, 7)
    assert labctl("fmt", "--check", "mine.toml")[0] == 0
    assert "do this 3 times" in labctl("explain", "mine.toml")[1]
    text = (tmp_path / "mine.toml").read_text()
    assert 'voltage           = ["2.5 V vs Li", "4.4 V vs Li"]' in text
    status, _, err = labctl("new", "mine.toml", *options(ANSWERS))
    assert status == 2
    assert "is there already" in err
    assert (tmp_path / "mine.toml").read_text() == text


@pytest.mark.parametrize("current", ["0.2 mA/cm2", "150 µA", "20 mA/g", "1C/3"])
def test_new_takes_any_kind_of_current(labctl: Labctl, current: str) -> None:
    few = {name: ANSWERS[name] for name in ANSWERS if name not in ("hold", "temperature", "pressure", "bore")}
    assert labctl("new", "mine.toml", *options(few | {"current": current}))[0] == 0


@pytest.mark.parametrize(
    ("answers", "status", "reason"),
    [
        ({"lower": "4.5 V vs Li"}, 3, "error"),
        ({"loading": "14"}, 2, "has no unit"),
        ({"bore": ""}, 3, "bore"),
        ({"positive": "{x}"}, 2, "braces"),
    ],
)
def test_new_writes_nothing_that_is_wrong(
    labctl: Labctl, tmp_path: Path, answers: dict[str, str], status: int, reason: str
) -> None:
    said, _, err = labctl("new", "mine.toml", *options(ANSWERS | answers))
    assert said == status
    assert reason in err
    assert not (tmp_path / "mine.toml").exists()


def test_new_asks_nobody_where_there_is_no_terminal(
    labctl: Labctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    status, _, err = labctl("new", "mine.toml", "--positive", "NMC")
    assert status == 2
    assert "say --loading" in err


def test_new_asks_at_a_terminal_until_it_is_answered(
    labctl: Labctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    answers = list(ANSWERS.values())
    with os.fdopen(ours, "wb", 0) as typist, os.fdopen(theirs, "r") as terminal:
        typist.write("\n".join([answers[0], "fourteen", *answers[1:], ""]).encode())
        monkeypatch.setattr(sys, "stdin", terminal)
        status, _, err = labctl("new", "mine.toml")
    assert status == 0
    assert "does not begin with a finite decimal number" in err
    assert (tmp_path / "mine.toml").exists()


@pytest.mark.parametrize("kind", ["protocol", "cell", "config"])
def test_schema_prints_one_object(labctl: Labctl, kind: str) -> None:
    status, out, _ = labctl("schema", kind)
    assert status == 0
    assert json.loads(out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_explain_with_a_cell_and_inputs(labctl: Labctl, tmp_path: Path) -> None:
    cell = tmp_path / "CD-031.toml"
    cell.write_text('schema = "1"\n[cell]\npositive = { active_mass = "5 mg" }\n[limits]\ncurrent = "1 mA"\n')
    protocol = str(ROOT / "protocols" / "wang-2023" / "cccv.toml")
    cell.write_text(cell.read_text().replace('current = "1 mA"', 'current = "0.8 mA"'))
    out = labctl("explain", protocol, "--cell", str(cell), "--set", "cycles=7")[1]
    assert 'A full cell "CD-031"' in out
    assert "Charge with 1C (750 µA)" in out
    assert "Limits of this cell, which narrow these: current 0.8 mA." in out
    assert "do this 7 times" in out
