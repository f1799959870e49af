"""Files that a protocol names travel with it: the daemon never sees the client's disk, and the run is stored whole."""

from pathlib import Path

import pytest

from labctl.errors import CommandRefused, ProtocolError
from labctl.protocol.load import fill
from labctl.protocol.source import parse
from tests.daemon.lab import living

PART = 'schema = "1"\n[inputs]\ntime = { default = "1 s" }\n[[step]]\nrest = "{time}"\n'
MAIN = '[[step]]\nrun = "part.toml"\ninputs = { time = "3 s" }\n'


async def test_a_run_carries_the_files_that_it_was_started_with(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        (tmp_path / "part.toml").write_text(PART)
        protocol = here.protocol(MAIN)
        started = await here.lab.start(protocol, station="A1")
        (tmp_path / "part.toml").unlink()
        run = await here.stored(started.run)
    assert run.state == "completed"
    assert run.protocol_text is not None
    assert run.protocol_text.startswith(protocol.read_text())
    again = fill(parse("stored.toml", run.protocol_text, ProtocolError), {})
    assert again.source.data["attached"] == {"part.toml": PART}
    assert "rest 3 s" in [event.data["name"] for event in here.events(run) if event.kind == "step.started"]


async def test_a_run_by_name_carries_what_lies_in_the_folders_and_says_where_it_came_from(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "part.toml").write_text(PART)
    async with living(tmp_path) as here:
        here.lab.folders = (shelf,)
        protocol = here.protocol(MAIN.replace("part.toml", "part"))
        run = await here.stored((await here.lab.start(protocol, station="A1")).run)
        (said,) = [event.data for event in here.events(run) if event.kind == "run.protocol"]
    assert run.state == "completed"
    assert run.protocol_text is not None
    again = parse("stored.toml", run.protocol_text, ProtocolError).data
    assert again["attached_from"] == {"@part/part.toml": str(shelf / "part.toml")}
    assert said == {"name": protocol.stem, "folder": str(protocol.parent), "commit": None, "modified": None}


async def test_what_is_wrong_in_such_a_file_is_told_with_its_place(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        (tmp_path / "part.toml").write_text(PART.replace('"{time}"', '"{tme}"'))
        with pytest.raises(CommandRefused, match=r"part.toml:5:8: .*nothing here is called \"tme\""):
            await here.lab.start(here.protocol(MAIN), station="A1")
        (tmp_path / "part.toml").unlink()
        with pytest.raises(ProtocolError, match=r"test.toml:\d+:7: .*\"part.toml\": this file cannot be read"):
            await here.lab.start(here.protocol(MAIN), station="A1")
