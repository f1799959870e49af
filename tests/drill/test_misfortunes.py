"""Faults at a user's own stations: drawn from a seed, as many as were asked for, kept as a case that can be read."""

from pathlib import Path

from labctl.clock import host_monotonic
from labctl.config import load
from labctl.drill.case import read, write
from labctl.drill.double import doubles
from labctl.drill.misfortunes import befall, draw
from labctl.drill.search import Verdict
from tests.drill.test_kills import SMALL, configured
from tests.stations import CONFIG, repository_config


def test_the_same_seed_draws_the_same_case_and_another_seed_another_one() -> None:
    config = repository_config()
    places = doubles(config, CONFIG)
    assert draw(config, places, 5, 30) == draw(config, places, 5, 30)
    assert draw(config, places, 5, 30) != draw(config, places, 6, 30)


def test_nothing_befalls_a_station_that_it_does_not_have() -> None:
    config = repository_config()
    drawn = draw(config, doubles(config, CONFIG), 1, 2000)
    suffering = {place.name: {fault.instrument for fault in place.faults} for place in drawn.places}
    assert suffering["A3"] == suffering["A4"] == {"cycler", "cell"}
    assert suffering["A1"] == {*(name for name, _, _ in config.station("A1").instruments()), "cell", "rig", "room"}


def test_a_case_is_read_back_as_it_was_drawn(tmp_path: Path) -> None:
    config = repository_config()
    case = draw(config, doubles(config, CONFIG), 3, 40)
    file = tmp_path / "case.toml"
    file.write_text(write(case))
    assert read(file) == case


async def test_as_many_faults_befall_as_were_asked_for_until_time_is_over(tmp_path: Path) -> None:
    path = configured(tmp_path, SMALL)
    config, told = load(path), list[Verdict]()
    places = doubles(config, path)
    verdicts = await befall(config, places, 1, 5, host_monotonic() + 60.0, told.append)
    assert told == verdicts
    assert [verdict.case.seed for verdict in verdicts] == [1, 2]
    assert sum(verdict.faults for verdict in verdicts) <= 5
    assert [breach for verdict in verdicts for breach in verdict.breaches] == []
    assert await befall(config, places, 1, 5, host_monotonic(), told.append) == []
