"""The scripts: what they say to labctl is still what labctl understands."""

import os
import re
import subprocess
from contextlib import suppress
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


def test_the_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    """In a terminal of its own, with a `labctl` that notes what is asked of it instead of a laboratory."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "demo").write_text((ROOT / "scripts" / "demo").read_text())
    (tmp_path / "scripts" / "install").write_text("install_labctl() { :; }\n")
    fake = tmp_path / ".venv" / "bin" / "labctl"
    fake.parent.mkdir(parents=True)
    fake.write_text(
        '#!/bin/sh\necho "$1" >> "$PWD/asked"\n'
        'if [ "$1" = tui ] && [ -t 0 ] && [ -t 1 ] && [ -t 2 ]; then echo seen >> "$PWD/asked"; fi\n'
        'if [ "$1" = daemon ]; then trap "echo ended >> $PWD/asked; exit 0" TERM; while :; do sleep 0.05; done; fi\n'
    )
    fake.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    status = pty_run(["bash", str(tmp_path / "scripts" / "demo")], environment, tmp_path)
    asked = (tmp_path / "asked").read_text().split()
    assert status == 0
    assert asked.count("start") == 4
    assert asked.index("tui") < asked.index("ended")
    assert "seen" in asked, "the dashboard draws on its standard error, which must be the terminal"


def pty_run(command: list[str], environment: dict[str, str], folder: Path) -> int:
    """Run a command in a pseudo-terminal and read what it says until it ends."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        with suppress(OSError):  # the end of a pseudo-terminal is an error of its reader
            while os.read(ours, 4096):
                pass
        os.close(ours)
        return process.wait(30.0)
