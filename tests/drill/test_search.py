"""Fresh laboratories keep every promise; a seed is one laboratory for ever; what is found is shrunk to a script."""

from collections.abc import Callable
from pathlib import Path
from random import SystemRandom

import pytest

from labctl.drill.case import Case, Death, read, write
from labctl.drill.generate import generate
from labctl.drill.search import judge, reproduce, search, shrunk
from labctl.engine.guard import Guard

BATCHES, BATCH = 10, 5
HOURS = 0.25


@pytest.mark.parametrize("batch", range(BATCHES))
async def test_fresh_laboratories_keep_every_promise(
    batch: int, record_property: Callable[[str, object], None]
) -> None:
    first = SystemRandom().randrange(10**9)
    record_property("seeds", f"{first} to {first + BATCH - 1}, {HOURS} h each")
    report = await search(range(first, first + BATCH), HOURS)
    found = [f"seed {verdict.case.seed}: {breach}" for verdict in report.failed for breach in verdict.breaches]
    assert not found, "\n".join([*found, write(report.failed[0].case)])
    assert report.records > BATCH


async def test_a_seed_is_one_laboratory_for_ever() -> None:
    seed = next(seed for seed in range(100) if len(generate(seed, HOURS).deaths) == 2)
    once, again = await reproduce(seed, HOURS), await reproduce(seed, HOURS)
    assert once.fingerprint == again.fingerprint
    assert once.records == again.records > 50
    assert (await reproduce(seed + 1, HOURS)).fingerprint != once.fingerprint


@pytest.mark.parametrize("seed", range(40))
def test_a_case_is_read_back_to_the_last_digit(seed: int, tmp_path: Path) -> None:
    case, file = generate(seed, HOURS), tmp_path / "case.toml"
    file.write_text(write(case))
    assert read(file) == case


async def test_what_is_found_is_shrunk_to_what_it_takes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Guard, "check", lambda self, measured, now: None)
    seed = 38
    verdict = await judge(generate(seed, HOURS))
    assert "driven beyond a limit" in verdict.broken
    small = await shrunk(verdict, attempts=40)
    file = tmp_path / "case.toml"
    file.write_text(write(small))
    again = await judge(read(file))
    assert again.broken & verdict.broken
    assert len(write(small)) < len(write(verdict.case))
    assert len(small.places) == 1
    assert sum(len(place.faults) for place in small.places) <= 1
    assert not small.deaths


async def test_a_death_loses_only_what_was_not_on_disk() -> None:
    deaths = tuple(Death(at, 5.0, 0.7) for at in (60.0, 130.0, 240.0, 400.0))
    place = next(place for seed in range(100) for place in generate(seed, HOURS).places if not place.faults)
    verdict = await judge(Case(1, 600.0, (place,), deaths, flush_every=7.0))
    assert not verdict.breaches
