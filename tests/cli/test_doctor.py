"""`labctl doctor` as its user sees it."""

import io
import json
import sys
from pathlib import Path

import pytest

from labctl.cli import app, doctor
from labctl.lab.doctor.check import error, fine
from tests.stations import CONFIG


@pytest.fixture(autouse=True)
def _a_laboratory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LABCTL_CONFIG", str(CONFIG))


def labctl(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["labctl", *arguments])
    return app.run()


def test_a_fresh_laboratory_has_no_errors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert labctl(monkeypatch, "doctor") == 0
    out = capsys.readouterr().out
    assert "✓ fine    configuration " in out
    assert "✓ fine    instruments   A1: 5 simulated" in out
    assert "! warning daemon        none is running → labctl daemon" in out
    assert "0 error(s)" in out


def test_json_says_the_same(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert labctl(monkeypatch, "doctor", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["schema"], said["errors"]) == (1, 0)
    assert said["warnings"] == sum(check["verdict"] == "warning" for check in said["checks"])
    assert set(said["checks"][0]) == {"part", "verdict", "found", "remedy"}


def test_a_wrong_configuration_is_an_error_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.toml"
    text = CONFIG.read_text().replace("four_wire = true", "for_wire = true", 1)
    wrong.write_text(text)
    line = 1 + text[: text.index("for_wire")].count("\n")
    assert labctl(monkeypatch, "--config", str(wrong), "doctor") == 1
    assert f'✖ error   configuration {wrong}:{line}:1: "for_wire" is no key of keithley-2450' in capsys.readouterr().out


def test_a_terminal_without_unicode_gets_words_and_plain_glyphs(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    doctor._print(error("disk", "is full\x1b[2J", "Make room."))
    doctor._print(fine("time", "is right"))
    assert (
        raw.getvalue() == b"x error   disk          is full\\x1b[2J -> Make room.\n+ fine    time          is right\n"
    )
