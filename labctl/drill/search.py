"""The search: cases drawn from seeds, each lived through and held against every promise."""

import logging
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from labctl.clock import host_monotonic
from labctl.config import load
from labctl.daemon.keeper import station_limits
from labctl.drill.audit import audit
from labctl.drill.case import Case
from labctl.drill.generate import generate
from labctl.drill.life import Life
from labctl.drill.shrink import shrink
from labctl.drill.site import Site
from labctl.drill.witness import Breach, Witness
from labctl.drill.world import World
from labctl.engine.segment import encode
from labctl.errors import ProtocolError
from labctl.lab.abilities import abilities
from labctl.plan import Plan
from labctl.protocol import bind
from labctl.protocol.load import fill
from labctl.protocol.source import parse
from labctl.reading import Event

_log = logging.getLogger(__name__)

_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A disk in memory, where there is one: a drill looks at what is written, not at a disk."""

LAST_LIFE = 120.0
"""s of lab time that the last process has at least, to end by name what it finds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one case.

    Attributes:
        breaches: promises that were not kept; empty where all were.
        fingerprint: of every record: equal for equal cases.
        records: how many there were; `faults` and `deaths` how many befell it.
        seconds: of host time.
    """

    case: Case
    breaches: tuple[Breach, ...]
    fingerprint: str
    records: int
    faults: int
    deaths: int
    seconds: float

    @property
    def broken(self) -> frozenset[str]:
        """The promises that were not kept."""
        return frozenset(breach.promise for breach in self.breaches)


@dataclass(frozen=True, slots=True)
class SearchReport:
    """What came of a search: `failed` is empty where every promise was kept."""

    seeds: tuple[int, ...]
    hours: float
    faults: int
    deaths: int
    records: int
    failed: tuple[Verdict, ...]
    seconds: float


Progress = Callable[[Verdict], None]


async def search(seeds: Iterable[int], hours: float, progress: Progress = lambda verdict: None) -> SearchReport:
    """Live through the cases of seeds, of so many hours of lab time each, one after the other.

    Args:
        progress: told of each verdict.
    """
    began = host_monotonic()
    verdicts: list[Verdict] = []
    for seed in seeds:
        verdicts.append(await judge(generate(seed, hours)))
        progress(verdicts[-1])
    return SearchReport(
        tuple(verdict.case.seed for verdict in verdicts),
        hours * len(verdicts),
        sum(verdict.faults for verdict in verdicts),
        sum(verdict.deaths for verdict in verdicts),
        sum(verdict.records for verdict in verdicts),
        tuple(verdict for verdict in verdicts if verdict.breaches),
        host_monotonic() - began,
    )


async def reproduce(seed: int, hours: float) -> Verdict:
    """Live through the case of a seed again."""
    return await judge(generate(seed, hours))


async def shrunk(verdict: Verdict, attempts: int = 200) -> Case:
    """Return the smallest case found that breaks a promise that this one broke.

    Args:
        attempts: how many cases are lived through for it.
    """

    async def broken(case: Case) -> frozenset[str]:
        return (await judge(case)).broken

    return await shrink(verdict.case, verdict.broken, broken, attempts)


async def judge(case: Case, patience: float = 10.0) -> Verdict:
    """Live through a case and hold it against every promise.

    Args:
        patience: s of host time that the recorder has at the end to store everything.
    """
    began = host_monotonic()
    with tempfile.TemporaryDirectory(prefix="labctl-drill-", dir=_MEMORY) as folder:
        world = build(case, Path(folder) / "disk")
        breaches = await _live_through(world, patience)
        breaches += [breach for witness in world.witnesses.values() for breach in witness.breaches]
        if not any(breach.promise == "no program fails" for breach in breaches):
            breaches += audit(world)
        return Verdict(
            case,
            tuple(breaches),
            _fingerprint(world),
            sum(len(kept.told) for kept in world.kept.values()),
            sum(len(place.faults) for place in case.places),
            len(case.deaths),
            host_monotonic() - began,
        )


async def _live_through(world: World, patience: float) -> list[Breach]:
    case, began = world.case, 0.0
    try:
        for death in (*case.deaths, None):
            ends = max(case.duration, began + LAST_LIFE) if death is None else death.at
            if ends <= began:
                continue
            await Life(world, began, ends, death, patience).live()
            if death is not None:
                began = death.at + death.away
                for witness in world.witnesses.values():
                    witness.site.advance_to(began)
    except Exception as error:  # noqa: BLE001 - that the program fails is what a search looks for
        _log.debug("case %d", case.seed, exc_info=error)
        return [Breach("no program fails", "process", began, repr(error))]
    return []


def build(case: Case, folder: Path) -> World:
    """Build the world of a case: everything new, its disk empty.

    Raises:
        ConfigError, ProtocolError: the case says something that is refused before anything is opened.
    """
    folder.mkdir(parents=True)
    path = folder.parent / "config.toml"
    path.write_text(case.config, "utf-8")
    config = load(path)
    plans: dict[str, Plan] = {}
    witnesses: dict[str, Witness] = {}
    for place in case.places:
        able = abilities(config, place.name)
        plans[place.name] = bind(fill(parse(f"{place.name}.toml", place.protocol, ProtocolError), {}), able)
        site = Site(config, place.name, case.seed, place.faults)
        witnesses[place.name] = Witness(site, station_limits(able))
    return World(case, config, plans, witnesses, folder)


def _fingerprint(world: World) -> str:
    digest = blake2b(digest_size=12)
    for kept in world.kept.values():
        for number, record in kept.told.items():
            # the data of an event may name what the program itself drew, such as the token of an execution
            told = replace(record, data={}) if isinstance(record, Event) else record
            digest.update(b"%d " % number + encode(told))
    return digest.hexdigest()
