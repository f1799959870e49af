"""Faults on purpose at a user's own stations: cases of random faults, each lived through in virtual time and judged."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

from labctl.clock import host_monotonic
from labctl.config import Config
from labctl.drill.case import Case, Place
from labctl.drill.search import Verdict, judge
from labctl.sim.chance import random_script

DURATION = 3600.0
"""Seconds of lab time of a case."""
AT_A_STATION = 4
"""Faults of a case for each station, on average."""


async def befall(
    config: Config, places: Sequence[Place], seed: int, faults: int, deadline: float, tell: Callable[[Verdict], None]
) -> list[Verdict]:
    """Let so many faults befall these stations, in cases of consecutive seeds; return what came of each case.

    Args:
        deadline: on `host_monotonic`: no case begins after it.
        tell: gets each verdict.
    """
    verdicts: list[Verdict] = []
    left = faults
    while left > 0 and host_monotonic() < deadline:
        verdict = await judge(draw(config, places, seed + len(verdicts), min(left, AT_A_STATION * len(places))))
        left -= max(1, verdict.faults)  # a case that found no room for a fault counts, or this might have no end
        verdicts.append(verdict)
        tell(verdict)
    return verdicts


def draw(config: Config, places: Sequence[Place], seed: int, faults: int) -> Case:
    """Return the case of a seed; the same seed, stations and number give the same one."""
    random = Random(f"faults {seed}")
    counts = dict.fromkeys((place.name for place in places), 0)
    for name in random.choices(list(counts), k=faults):
        counts[name] += 1
    suffering = (
        replace(place, faults=random_script(random, list(_suffer(config, place.name)), DURATION, counts[place.name]))
        for place in places
    )
    return Case(seed, DURATION, tuple(suffering))


def _suffer(config: Config, station: str) -> Iterator[str]:
    """Yield everything at a station that a fault can happen to."""
    settings = config.station(station)
    yield from (name for name, _, _ in settings.instruments())
    yield "cell"
    if settings.pressure_rig.negative is not None or settings.pressure_rig.positive is not None:
        yield "rig"
    if settings.thermostat is not None:
        yield "room"
