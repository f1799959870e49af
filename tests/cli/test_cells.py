"""`labctl cells` as its user sees it, over runs that were really made."""

import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from labctl.cli.app import run
from tests.stations import CONFIG, HEAD

Labctl = Callable[..., tuple[int, str, str]]

PROTOCOL = (
    HEAD
    + """
[[step]]
counts = "cycle"
repeat = 2
do = [ { charge = "C/5", until = "1 h" }, { discharge = "C/5", until = "5 min" } ]
"""
)


@pytest.fixture
def labctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Labctl:
    """Run the command line in this process, with a configuration of its own."""
    (tmp_path / "config.toml").write_bytes(CONFIG.read_bytes())
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LABCTL_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("LOGNAME", "anna")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["labctl", *arguments])
        status = run()
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call


def dump(database: Path) -> list[str]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        return list(connection.iterdump())


def test_a_laboratory_without_cells_and_database_lists_nothing(labctl: Labctl) -> None:
    status, out, err = labctl("cells")
    assert (status, err) == (0, "")
    assert out.split()[0] == "Cell"
    status, _, err = labctl("cells", "show", "a")
    assert status == 3
    assert 'no cell is called "a"' in err
    assert labctl("cells", "--db", "nowhere.db")[0] == 1


def test_the_life_of_a_cell(labctl: Labctl, tmp_path: Path) -> None:
    protocol, database = tmp_path / "protocol.toml", tmp_path / "data" / "labctl.db"
    protocol.write_text(PROTOCOL)
    file = str(tmp_path / "cells" / "CD-031.toml")
    assert labctl("cells", "new", "CD-031", "--mass", "10 mg") == (0, f"{file}: run it with --cell {file}\n", "")
    for _ in range(2):
        status, _, err = labctl("run", str(protocol), "--station", "A1", "--simulate", "--cell", file)
        assert status == 0, err
    before = dump(database)

    (line,) = json.loads(labctl("cells", "--json")[1])["cells"]
    assert (line["name"], line["runs"], line["cycles"], line["simulated"]) == ("CD-031", 2, 4, True)
    assert line["active_mass_kilogram"] == 1e-5
    specific = line["specific_discharging_capacity_mah_per_gram"]
    assert specific == pytest.approx(line["discharging_capacity_ah"] * 1e3 / 0.01)

    assert labctl("cells", "set", "CD-031", "--mass", "20 mg") == (0, f"{file}: active_mass = 20 mg\n", "")
    shown = json.loads(labctl("cells", "show", "CD-031", "--json")[1])
    assert [[cycle["cell_cycle"] for cycle in each["cycles"]] for each in shown["runs"]] == [[1, 2], [3, 4]]
    assert shown["active_mass"]["kilogram"] == 2e-5
    assert [(each["was"], each["value"]) for each in shown["corrections"]] == [("10 mg", "20 mg")]
    (line,) = json.loads(labctl("cells", "--json")[1])["cells"]
    assert line["specific_discharging_capacity_mah_per_gram"] == pytest.approx(specific / 2)
    (row, *_) = json.loads(labctl("show", "1", "--json")[1])["cycles"]
    assert row["specific_discharging_capacity_mah_per_gram"] == pytest.approx(
        row["discharging_capacity_ah"] * 1e3 / 0.02
    )
    _, out, _ = labctl("show", "1")
    assert f"Active mass: 20 mg, from {file} since 20" in out
    assert "; the run began with 10 mg" in out
    _, out, _ = labctl("cells", "show", "CD-031")
    assert "3–4" in out
    assert "active_mass = 20 mg (was 10 mg), by anna" in out
    assert dump(database) == before


def test_a_broken_file_is_told_and_the_others_are_listed(labctl: Labctl, tmp_path: Path) -> None:
    labctl("cells", "new", "good")
    (tmp_path / "cells" / "bad.toml").write_text('schema = "1"\n[cell]\nboar = "10 mm"\n')
    status, out, err = labctl("cells")
    assert status == 3
    assert "good" in out
    assert 'bad.toml:3:1: error[unknown-key]: "boar" is unknown here (did you mean "bore"?)' in err


def test_what_to_set_must_be_said(labctl: Labctl) -> None:
    labctl("cells", "new", "a")
    assert labctl("cells", "set", "a")[0] == 2
    assert labctl("cells", "set", "a", "--mass", "1 mg", "--loading", "1 mg/cm2")[0] == 2
    status, _, err = labctl("cells", "set", "a", "--mass", "1 mm")
    assert status == 3
    assert '"1 mm" is a length, not a mass' in err
