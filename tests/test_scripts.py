"""The scripts: what they say to labctl is still what labctl understands."""

import re
import subprocess
from pathlib import Path

import pytest

from labctl.errors import ProtocolError
from labctl.lab.abilities import abilities
from labctl.protocol import bind, load
from labctl.protocol.load import fill
from labctl.protocol.source import parse
from tests.stations import ROOT, repository_config

SHELL = [ROOT / "scripts" / "demo", ROOT / "scripts" / "test", ROOT / "scripts" / "install", ROOT / ".ci" / "run"]


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_a_script_is_one(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)


def test_the_demo_measures_with_a_protocol_that_binds_and_runs_one_that_does() -> None:
    text = (ROOT / "scripts" / "demo").read_text()
    station = abilities(repository_config(), "A1")
    [probe] = re.findall(r"<<'TOML'\n(.*?)\nTOML\n", text, flags=re.DOTALL)
    [rest] = bind(fill(parse("probe", probe, ProtocolError), {}), station).steps()
    assert rest.verb == "rest"
    [path] = re.findall(r"labctl run (protocols/\S+\.toml) --station A1 --simulate", text)
    assert bind(load(ROOT / path), station, None, {"cycles": "5"})
