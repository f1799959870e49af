"""The command line as its user sees it: output, sentences and exit status."""

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.cli.app import run
from labctl.reading import COLUMNS
from labctl.registry import driver_names
from tests.stations import CONFIG, HEAD, ROOT

Labctl = Callable[..., tuple[int, str, str]]

QUICK = (
    HEAD
    + '[[step]]\nrest = "5 min"\n[[step]]\ncounts = "cycle"\nrepeat = 1\ndo = [{charge = "C/5", until = "10 min"}]\n'
)


@pytest.fixture
def labctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Labctl:
    """Run the command line in this process: exit status, standard output, standard error."""
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LABCTL_CONFIG", str(CONFIG))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["labctl", *arguments])
        status = run()
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def quick(tmp_path: Path) -> str:
    path = tmp_path / "quick.toml"
    path.write_text(QUICK)
    return str(path)


def test_help_has_examples(labctl: Labctl) -> None:
    status, out, _ = labctl("--help")
    assert status == 0
    assert "First: labctl run protocols/doerrer-2021/asymmetric.toml --station A1" in out
    for command in ("run", "check", "sim", "runs", "show", "drivers"):
        status, out, _ = labctl(command, "--help")
        assert status == 0
        assert "Example" in out


def test_version(labctl: Labctl) -> None:
    status, out, _ = labctl("--version")
    assert (status, out) == (0, "labctl 0.1.0\n")


def test_usage_errors_are_two(labctl: Labctl, quick: str) -> None:
    for arguments in (
        ("bogus",),
        ("run",),
        ("run", quick),
        ("run", quick, "--station", "A1", "--set", "cycles"),
        ("run", quick, "--station", "A1", "--speed", "fast"),
        ("run", quick, "--station", "A1", "--simulate", "--speed", "600"),
        ("sim",),
        ("sim", "mark10", "--listen", "nowhere"),
    ):
        status, _, err = labctl(*arguments)
        assert status == 2, arguments
        assert err


def test_drivers(labctl: Labctl) -> None:
    status, out, _ = labctl("drivers")
    assert status == 0
    assert out.count("untested") == len(driver_names())
    status, out, _ = labctl("drivers", "--json")
    found = json.loads(out)
    assert found["schema"] == 1
    assert [driver["name"] for driver in found["drivers"]] == driver_names()
    assert not any(driver["tried_on_hardware"] for driver in found["drivers"])


def test_check_tells_every_error_with_place_caret_and_remedy(labctl: Labctl, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(HEAD + '[[step]]\ncharge = "9 mA"\nuntil = "4.3 V"\ntimeout = "1 h"\n[[step]]\nrst = "1 h"\n')
    status, _, err = labctl("check", str(wrong))
    assert status == 3
    line = len(HEAD.splitlines()) + 2
    assert f'{wrong}:{line}:10: error[current]: "9 mA" is 9 mA on this cell' in err
    assert f'{wrong}:{line + 4}:1: error[verb]: "rst" is no verb (did you mean "rest"?)' in err
    assert '| charge = "9 mA"' in err
    assert "         ^^^^^^" in err
    status, out, _ = labctl("check", str(wrong), "--json")
    assert status == 3
    findings = json.loads(out)["files"][0]["findings"]
    assert [finding["code"] for finding in findings] == ["current", "verb"]


def test_check_against_a_station(labctl: Labctl) -> None:
    files = ("doerrer-2021/asymmetric.toml", "ma-2024/lto-0.2C.toml", "lee-2022/cccv-pellet.toml")
    status, out, _ = labctl("check", *(str(ROOT / "protocols" / file) for file in files))
    assert status == 0
    assert out.count("no errors") == 3
    ma = str(ROOT / "protocols/ma-2024/lto-0.2C.toml")
    assert labctl("check", ma, "--station", "A2")[0] == 0
    status, _, err = labctl("check", ma, "--station", "A3")
    assert status == 3
    assert "station A3" in err


def test_run_records_and_show_shows(labctl: Labctl, quick: str, tmp_path: Path) -> None:
    status, out, err = labctl("run", quick, "--station", "A1", "--simulate", "--seed", "3")
    assert status == 0, err
    database = tmp_path / "data" / "labctl.db"
    assert f"Database: {database}" in out
    assert "Cycles (simulated)" in out
    assert "cycle 1/1" in err
    status, out, _ = labctl("runs")
    assert "simulated" in out
    status, out, _ = labctl("runs", "--json")
    [row] = json.loads(out)["runs"]
    assert (row["simulated"], row["state"], row["seed"], row["station"]) == (True, "completed", 3, "A1")
    assert row["instruments"]["cycler"]["identity"].startswith("KEITHLEY INSTRUMENTS 2450")
    status, out, _ = labctl("show", "1", "--json")
    shown = json.loads(out)
    assert shown["run"]["end_reason"] == "The plan is done."
    assert [step["verb"] for step in shown["steps"]] == ["rest", "charge", "end"]
    assert shown["cycles"][0]["charging_capacity_ah"] > 0
    assert labctl("show", "1")[0] == 0
    status, _, err = labctl("show", "99")
    assert status == 1
    assert "No run" in err
    connection = sqlite3.connect(database)
    assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)
    last = connection.execute("SELECT max(seq) FROM (SELECT seq FROM readings UNION SELECT seq FROM events)").fetchone()
    assert last == connection.execute("SELECT seq FROM watermarks").fetchone()
    connection.close()
    assert list((tmp_path / "data").glob("*.journal/*")) == []


def test_a_cell_file_fills_the_protocols_cell(labctl: Labctl, quick: str, tmp_path: Path) -> None:
    cell = tmp_path / "nmc-07.toml"
    cell.write_text('schema = "1"\n[cell]\nname = "NMC-07"\npositive = { active_mass = "22 mg" }\n')
    status, _, err = labctl("run", quick, "--station", "A1", "--simulate", "--cell", str(cell))
    assert status == 0, err
    shown = json.loads(labctl("show", "1", "--json")[1])
    assert shown["run"]["cell_name"] == "NMC-07"
    assert shown["run"]["cell"]["active_mass"] == pytest.approx(22e-6)
    cell.write_text('schema = "1"\n[cell]\npositive = { active_mas = "22 mg" }\n')
    status, _, err = labctl("run", quick, "--station", "A1", "--simulate", "--cell", str(cell))
    assert status == 3
    assert f'{cell}:3:14: error[unknown-key]: "active_mas" is unknown here (did you mean "active_mass"?)' in err


def test_json_result_of_a_run(labctl: Labctl, quick: str, tmp_path: Path) -> None:
    status, out, _ = labctl("run", quick, "--station", "A1", "--simulate", "--json", "--db", str(tmp_path / "my.db"))
    result = json.loads(out)
    assert status == 0
    assert (result["schema"], result["state"], result["simulated"]) == (1, "completed", True)
    assert result["database"] == str(tmp_path / "my.db")
    assert result["cycles"][0]["cycle_count"] == 1


def test_three_runs_of_one_seed_have_the_same_data_columns(labctl: Labctl, quick: str, tmp_path: Path) -> None:
    def rows(name: str) -> list[bytes]:
        database = tmp_path / f"{name}.db"
        assert labctl("run", quick, "--station", "A1", "--simulate", "--seed", "5", "--db", str(database))[0] == 0
        columns = ", ".join(column for column in COLUMNS if column != "unix_time_second")
        connection = sqlite3.connect(database)
        found = connection.execute(f"SELECT seq, {columns} FROM readings ORDER BY seq").fetchall()
        connection.close()
        return [repr(row).encode() for row in found]

    first = rows("a")
    assert len(first) > 10
    assert first == rows("b") == rows("c")


@pytest.mark.parametrize(
    ("steps", "status", "sentence"),
    [
        ('[[step]]\ncharge = "C/5"\nuntil = "4.3 V"\ntimeout = "5 min"\n', 1, "ended in a fault"),
        ('[[step]]\nprompt = "Is it closed?"\n', 6, "declares no answer for a simulation"),
        ('[[step]]\ncharge = "C/5"\nuntil = "1 h"\n', 5, "temperature is"),
        ('[[step]]\ncharge = "9 mA"\nuntil = "1 h"\n', 3, "beyond the limit"),
    ],
)
def test_exit_status_says_why_a_run_ended(
    labctl: Labctl, tmp_path: Path, steps: str, status: int, sentence: str
) -> None:
    path = tmp_path / "p.toml"
    head = HEAD.replace('"60 degC"', '"20 degC"') if status == 5 else HEAD
    path.write_text(head + steps)
    got, _, err = labctl("run", str(path), "--station", "A1", "--simulate")
    assert got == status
    assert sentence in err
    assert "Traceback" not in err


def test_an_unreachable_instrument_is_four_and_records_nothing(
    labctl: Labctl, quick: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CONFIG.read_text().replace('address   = "sim://"', 'address   = "TCPIP::127.0.0.1::9::SOCKET"')
    text = text.replace('address  = "sim://"', 'address  = "/dev/does-not-exist"')
    text = text.replace('address      = "sim://"', 'address      = "/dev/does-not-exist"')
    text = text.replace('address = "sim://"', 'address = "/dev/does-not-exist"')
    config = tmp_path / "config.toml"
    config.write_text(text)
    monkeypatch.setenv("LABCTL_CONFIG", str(config))
    status, _, err = labctl("run", quick, "--station", "A1")
    assert status == 4
    assert "A1/cycler at TCPIP::127.0.0.1::9::SOCKET: cannot be opened" in err
    assert not (tmp_path / "data" / "labctl.db").exists()
    status, _, err = labctl("run", quick, "--station", "A1", "--speed", "600")
    assert status == 6
    assert "whose time cannot be hurried" in err


def test_storage_that_cannot_be_used_is_one_and_a_sentence(
    labctl: Labctl, quick: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("somebody's notes\n" * 100)
    for database, sentence in (
        (notes / "lab.db", "cannot be made"),
        (notes, "file is not a database"),
        (tmp_path, "cannot be opened for writing"),
    ):
        status, _, err = labctl("run", quick, "--station", "A1", "--simulate", "--db", str(database))
        assert status == 1
        assert sentence in err
    monkeypatch.setenv("LABCTL_DATA", str(notes / "data"))
    status, _, err = labctl("run", quick, "--station", "A1", "--simulate")
    assert status == 1
    assert f"The folder {notes / 'data'} cannot be made: Not a directory." in err
    assert notes.read_text().startswith("somebody's notes")


def test_a_real_address_that_does_not_fit_its_driver(
    labctl: Labctl, quick: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.read_text().replace('"sim://"', '"/dev/ttyUSB9"'))
    monkeypatch.setenv("LABCTL_CONFIG", str(config))
    status, _, err = labctl("run", quick, "--station", "A1")
    assert status == 4
    assert 'the address "/dev/ttyUSB9" does not fit this driver' in err
