"""`labctl import` and `labctl export` as their user sees them: text, sentences and exit status."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.cli.app import run
from labctl.exchange import GIVABLE

from .procedures import UNICYCLER

Labctl = Callable[..., tuple[int, str, str]]

FULL = [f"--give={key}={value}" for key, value in GIVABLE.items()]

PROTOCOL = """\
schema = "1"
[protocol]
name = "small"
doi = "10.1000/1"
[inputs]
cycles = { default = 2 }
[cell]
kind = "full"
bore = "10 mm"
capacity = "3 mAh"
[limits]
voltage = ["2.0 V", "4.4 V"]
current = "5 mA"
capacity = "4 mAh"
pressure.negative = ["0 MPa", "5 MPa"]
[record]
interval = "10 s"
[[step]]
pressure = { negative = "2 MPa", ramp = "0.1 MPa/s" }
until = "stable within 5 % for 60 s"
timeout = "1 h"
[[step]]
repeat = "{cycles}"
do = [
  { charge = "C/3", cv = "4.3 V", until = "C/20" },
  { discharge = "C/3", until = ["2.5 V", "3 mAh"] },
]
"""


@pytest.fixture
def labctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Labctl:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABCTL_CONFIG", str(tmp_path / "none.toml"))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["labctl", *arguments])
        status = run()
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def formation(tmp_path: Path) -> str:
    (tmp_path / "formation.json").write_text(UNICYCLER)
    return "formation.json"


@pytest.fixture
def protocol(tmp_path: Path) -> Path:
    path = tmp_path / "p.toml"
    path.write_text(PROTOCOL)
    return path


def test_an_import_lists_what_is_missing_and_its_text_is_refused_for_that_alone(labctl: Labctl, formation: str) -> None:
    status, text, err = labctl("import", formation)
    assert status == 3
    assert [line.split(": ", 2)[2] for line in err.splitlines() if "error[missing]" in line] == [
        "the file does not say what kind of cell this is",
        "the file does not bound the charge of a step",
    ]
    Path("f.toml").write_text(text)
    status, _, err = labctl("check", "f.toml")
    assert status == 3
    assert [line.split(": ", 2)[1] for line in err.splitlines() if "error[" in line] == ["error[missing]"]
    assert "# missing: kind" in text
    assert "# missing: capacity" in text


def test_what_is_given_makes_a_protocol_that_passes(labctl: Labctl, formation: str) -> None:
    status, out, err = labctl("import", formation, *FULL, "--output", "f.toml")
    assert (status, out) == (7, ""), err
    assert labctl("check", "f.toml")[0] != 3
    status, _, err = labctl("import", formation, "--output", "f.toml")
    assert status == 2
    assert "f.toml cannot be written: File exists" in err


def test_what_is_given_comes_before_what_the_file_says(labctl: Labctl, formation: str) -> None:
    _, text, err = labctl("import", formation, "--give", "limits.current=1 mA")
    assert '"1 mA"' in text
    assert "note[dropped]: `limits.current` is as given, and not as the file says" in err


def test_an_import_as_json(labctl: Labctl, formation: str) -> None:
    status, out, err = labctl("import", formation, "--json")
    told = json.loads(out)
    assert (status, err) == (3, "")
    assert told["text"].startswith('schema = "1"')
    assert {finding["code"] for finding in told["findings"]} == {"missing", "dropped"}


def test_an_export_says_what_it_leaves_behind_and_comes_back(labctl: Labctl, protocol: Path) -> None:
    status, out, err = labctl("export", "p.toml", "--to", "unicycler", "--set", "cycles=3")
    assert status == 7
    assert json.loads(out)["method"][-1] == {"step": "loop", "loop_to": "loop 1", "cycle_count": 3}
    assert [line.split(": ", 1)[1] for line in err.splitlines() if line.startswith("p.toml")] == [
        "note[dropped]: aurora-unicycler has no place for `doi`",
        "note[dropped]: of [cell] the name and the current of 1C alone are carried over, the rest as amperes and volts",
        "warning[dropped]: aurora-unicycler limits no pressure",
        "warning[dropped]: aurora-unicycler has no `pressure`",
        'note[dropped]: "3 mAh" is written as the time that it takes, 3 h',
    ]
    Path("back.json").write_text(out)
    status, text, _ = labctl("import", "back.json", "--give", "cell.kind=full")
    assert status == 0
    assert '= "C/3", cv = "4.3 V", until = "C/20"' in text


def test_a_rate_by_a_measured_capacity_becomes_one_by_the_nominal_one(labctl: Labctl, protocol: Path) -> None:
    after = '[[step]]\ncharge = "0.2C(measured, cycle = 1)"\ncv = "4.3 V"\nuntil = "C(measured, cycle = 1)/20"\n'
    protocol.write_text(PROTOCOL + after)
    status, out, err = labctl("export", "p.toml", "--to", "unicycler")
    assert status == 7
    charge, hold = json.loads(out)["method"][-2:]
    assert (charge["rate_C"], hold["until_rate_C"]) == (0.2, 0.05)
    reason = 'aurora-unicycler has no capacity of a cycle: "{}" is left as {} of the nominal one'
    for written, left in (("0.2C(measured, cycle = 1)", "C/5"), ("C(measured, cycle = 1)/20", "C/20")):
        assert reason.format(written, left) in err


def test_an_export_without_which_it_would_be_another_experiment_is_not_written(labctl: Labctl, protocol: Path) -> None:
    protocol.write_text(
        PROTOCOL.replace("do = [", 'at = [{ cycles = [1], after = "charge", do = [{ rest = "1 h" }] }]\ndo = [')
    )
    status, out, err = labctl("export", "p.toml", "--to", "pybamm", "--output", "p.py")
    assert (status, out) == (3, "")
    assert "p.toml:24:7: error[inexpressible]: PyBaMM has no steps for certain cycles alone" in err
    assert not Path("p.py").exists()


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ('"energy >= 1 mWh"', 'ends no step by "energy >= 1 mWh"'),
        ('"2.5 V", { when = "1 h", then = "end" }', "has nothing like `end` after a step"),
        ('"time >= 1 h and voltage <= 3 V"', "ends no step by"),
    ],
)
def test_an_end_that_cannot_be_said_is_told_with_its_place(
    labctl: Labctl, protocol: Path, end: str, reason: str
) -> None:
    protocol.write_text(PROTOCOL.replace('"2.5 V", "3 mAh"', end))
    status, _, err = labctl("export", "p.toml", "--to", "unicycler")
    assert status == 3
    assert any(line.startswith("p.toml:26:") and reason in line for line in err.splitlines())


def test_a_protocol_that_a_check_refuses_is_not_exported(labctl: Labctl, protocol: Path) -> None:
    protocol.write_text(PROTOCOL.replace("C/3", "C/0"))
    status, out, err = labctl("export", "p.toml", "--to", "unicycler")
    assert (status, out) == (3, "")
    assert '"C/0" divides by zero' in err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ["import", "formation.json", "--from", "arbin"],
            '--from knows no "arbin"; it knows unicycler, pybamm, maccor',
        ),
        (["import", "formation.json", "--give", "kind=full"], '--give knows no "kind"'),
        (["export", "p.toml", "--to", "neware"], '--to knows no "neware"; it knows unicycler, pybamm'),
    ],
)
def test_unknown_words_are_refused(labctl: Labctl, formation: str, arguments: list[str], reason: str) -> None:
    status, _, err = labctl(*arguments)
    assert status == 2
    assert reason in " ".join(err.replace("│", " ").split())


def test_a_file_that_is_none(labctl: Labctl) -> None:
    status, _, err = labctl("import", "nowhere.json")
    assert status == 3
    assert "nowhere.json:1:1: error[file]: this file cannot be read: No such file or directory" in err
