"""The daemon's heart: it stops with its pollers, and with nothing else."""

from pathlib import Path

import pytest

from labctl.clock import host_sleep
from labctl.daemon import heartbeat
from labctl.daemon.heartbeat import STILL, Heartbeat
from labctl.lab.heartbeat import read
from tests.daemon.lab import living
from tests.stations import HEAD


async def test_it_says_who_it_is_what_it_has_and_that_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "PERIOD", 0.01)
    async with living(tmp_path) as here:
        data = here.daemon._folder
        before = read(data)
        while (beat := read(data)) == before or beat is None:
            await host_sleep(0.01)
        assert beat.lives()
        assert not beat.ended
        assert beat.simulate
        assert beat.stations["A1"].connected
        assert set(beat.stations["A3"].addresses) == {"cycler"}
    last = read(data)
    assert last is not None
    assert last.ended
    assert last.process == beat.process


async def test_it_stops_when_a_station_is_not_polled_while_lab_time_passes(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        keeper = here.daemon._keepers["A1"]
        heart = Heartbeat(tmp_path, [keeper], simulate=True)
        assert heart.still() == []
        assert keeper.bench is not None
        station, clock = keeper.bench.assembly.station, keeper.bench.clock
        begun, polls = clock.now(), station.polls
        heart._polled["A1"] = polls, begun - STILL  # the last poll was just within what is allowed
        station.polls = polls
        assert heart.still() == []
        heart._polled["A1"] = polls, begun - STILL - 1.0
        station.polls = polls
        assert heart.still() == ["A1"]
        station.polls += 1
        assert heart.still() == []


async def test_a_station_that_is_being_made_safe_is_not_called_still(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        keeper = here.daemon._keepers["A1"]
        heart = Heartbeat(tmp_path, [keeper], simulate=True)
        assert keeper.bench is not None
        heart._polled["A1"] = keeper.bench.assembly.station.polls, -1e6
        bench, keeper.bench = keeper.bench, None
        assert heart.still() == []
        keeper.bench = bench


async def test_a_program_is_told_while_a_cycler_executes_it(tmp_path: Path) -> None:
    protocol = HEAD.replace("pressure.negative", "# pressure.negative") + '[[step]]\ncharge = "C/5"\nuntil = "4.0 V"\n'
    async with living(tmp_path, speed=1.0) as here:
        path = tmp_path / "charge.toml"
        path.write_text(protocol)
        await here.lab.start(path, station="A4")
        await here.until("A4", lambda state: state.word.value == "charge")
        keeper = here.daemon._keepers["A4"]
        heart = Heartbeat(tmp_path, [keeper], simulate=True)
        heart.write()
        beat = read(tmp_path)
        assert beat is not None
        assert beat.stations["A4"].program


async def test_a_station_that_was_left_unsafe_is_the_guards(tmp_path: Path) -> None:
    async def refuse(*, heaters_off: bool) -> tuple[str, ...]:
        return ("A3/cycler did not confirm its safe state",)

    async with living(tmp_path) as here:
        bench = here.daemon._keepers["A3"].bench
        assert bench is not None
        bench.assembly.station.make_safe = refuse
    last = read(here.daemon._folder)
    assert last is not None
    assert not last.ended
