"""`labctl sim --faults`: what is wrong with a script is told before anything is served."""

import sys
from pathlib import Path

import pytest

from labctl.cli.app import run
from tests.stations import CONFIG

SHORT = '[[fault]]\ninstrument = "cell"\nkind = "short"\nbegin = "1 s"\n'
SLIP = '[[fault]]\ninstrument = "rig"\nkind = "slip"\nbegin = "1 s"\nvalue = "1 rad"\n'
BATH = '[[fault]]\ninstrument = "thermostat"\nkind = "silence"\nbegin = "1 s"\n'


@pytest.mark.parametrize(
    ("arguments", "script", "sentence"),
    [
        (("mark10",), SHORT, ":1:3: error[fault]: short at cell: its value is above zero"),
        (("mark10",), BATH, 'silence: there is no instrument "thermostat" at this simulator.'),
        (("mark10",), None, "this file cannot be read: No such file"),
        (("--station", "A4"), SLIP, "slip: this rig is a press"),
    ],
)
def test_a_script_that_cannot_be_played(
    arguments: tuple[str, ...],
    script: str | None,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "faults.toml"
    if script is not None:
        file.write_text(script)
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LABCTL_CONFIG", str(CONFIG))
    monkeypatch.setattr(sys, "argv", ["labctl", "sim", *arguments, "--faults", str(file)])
    assert run() == 3
    assert sentence in capfd.readouterr().err
