"""The exercise: kills and faults, both at the double of a user's laboratory, in a folder of its own."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from labctl.clock import host_monotonic
from labctl.config import Config
from labctl.drill import case
from labctl.drill.double import doubles
from labctl.drill.household import Household
from labctl.drill.kills import Killed, kill_processes
from labctl.drill.misfortunes import befall
from labctl.drill.search import Verdict
from labctl.record.evidence import Evidence

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user asks for.

    Attributes:
        minutes: of host time after which nothing new is begun.
        seed: decides who dies when and which faults there are; not what the processes make of it.
    """

    kills: int
    faults: int
    minutes: float
    seed: int


@dataclass(frozen=True, slots=True)
class Exercise:
    """What came of it.

    Attributes:
        seeds: of the kills, where there were any, then of each case of faults.
        kept: the folder in which it can be looked up what failed; None where nothing did.
    """

    killed: Killed
    verdicts: tuple[Verdict, ...]
    seeds: tuple[int, ...]
    seconds: float
    kept: Path | None

    @property
    def evidence(self) -> Evidence:
        """What the database of the killed processes holds."""
        return self.killed.evidence

    @property
    def faults(self) -> int:
        """How many faults befell the stations."""
        return sum(verdict.faults for verdict in self.verdicts)

    @property
    def broken(self) -> Iterator[str]:
        """Every promise that was not kept, as a sentence."""
        return _broken(self.killed, self.verdicts)


async def exercise(config: Config, path: Path, asked: Asked, tell: Tell) -> Exercise:
    """Kill the processes of a simulated laboratory, then let faults befall its stations.

    Args:
        path: of the configuration's file.
        tell: gets lines of progress.

    Raises:
        RefusedForSafety: a station has a real instrument.
    """
    places, began = doubles(config, path), host_monotonic()
    deadline = began + 60.0 * asked.minutes
    folder = Path(tempfile.mkdtemp(prefix="labctl-drill-"))
    killed, verdicts, kept = Killed(), list[Verdict](), False

    def told(verdict: Verdict) -> None:
        tell(_words(verdict))

    try:
        if asked.kills:
            with Household(folder, "".join(place.config for place in places)) as home:
                killed = await kill_processes(home, places, Random(asked.seed), asked.kills, deadline, tell)
        verdicts = await befall(config, places, asked.seed, asked.faults, deadline, told)
        for verdict in verdicts:
            if verdict.breaches:
                (folder / f"faults-{verdict.case.seed}.toml").write_text(case.write(verdict.case), "utf-8")
        kept = any(True for _ in _broken(killed, verdicts))
    finally:
        if not kept:
            shutil.rmtree(folder)
    seeds = [asked.seed] * bool(asked.kills) + [verdict.case.seed for verdict in verdicts]
    seconds = host_monotonic() - began
    return Exercise(killed, tuple(verdicts), tuple(seeds), seconds, folder if kept else None)


def _words(verdict: Verdict) -> str:
    hours, broken = verdict.case.duration / 3600.0, len(verdict.breaches)
    end = f"; {broken} promises were not kept" if broken else ""
    return f"{verdict.faults} faults in {hours:g} h of lab time (seed {verdict.case.seed}){end}"


def _broken(killed: Killed, verdicts: Iterable[Verdict]) -> Iterator[str]:
    if killed.failure:
        yield killed.failure
    yield from killed.evidence.broken
    for verdict in verdicts:
        for breach in verdict.breaches:
            yield f"faults of seed {verdict.case.seed}: {breach}"
