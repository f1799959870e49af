"""`labctl backup` and `labctl repair` as a person uses them: one line, one JSON object, or a sentence."""

import json
import shlex
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from labctl.record.writer import Writer
from tests.cli.test_doctor import labctl
from tests.laboratory import batches, experiment, new_run
from tests.record.evidence import stored
from tests.stations import CONFIG


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path))
    with closing(Writer(tmp_path / "labctl.db")) as writer:
        writer.apply(batches(run := new_run(), list(experiment(run, seed=1)), 50))
    return tmp_path / "labctl.db"


def test_a_backup_is_a_folder_with_everything(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = database.parent / "elsewhere"
    assert labctl(monkeypatch, "--config", str(CONFIG), "backup", str(where), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    folder = Path(said["folder"])
    assert folder.parent == where
    assert stored(folder / "labctl.db") == stored(database)
    assert (folder / "config.toml").read_bytes() == CONFIG.read_bytes()
    assert (said["schema"], said["runs"], said["journals"]) == (1, 1, [])
    assert labctl(monkeypatch, "--config", str(CONFIG), "backup") == 0
    assert "verified." in capsys.readouterr().out
    assert len(list((database.parent / "backups").iterdir())) == 1


def test_a_repair_says_what_there_is_and_how_to_go_on(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stored(database)
    with database.open("r+b") as file:
        file.write(bytes(4096))
    assert labctl(monkeypatch, "repair", str(database)) == 0
    said = capsys.readouterr().out
    assert "Nothing is lost." in said
    for line in said.splitlines():
        if line.startswith("  m"):
            for command in line.split("&&"):
                subprocess.run(shlex.split(command), check=True)
    assert stored(database) == before
    assert labctl(monkeypatch, "repair", str(database), "--output", str(database.parent / "b.db"), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["lost"], told["told"], told["rows"]["runs"]) == (0, [], 1)
    assert labctl(monkeypatch, "repair", str(database), "--output", str(database)) == 6
    assert "already" in capsys.readouterr().err
