"""SIGKILL on purpose: broker, recorder and daemon of a simulated laboratory, in any combination, at random moments.

The simulators outlive them all. What counts in the end is what the journals were seen to hold after each death.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random

from labctl.client import connect
from labctl.clock import host_monotonic, host_sleep
from labctl.drill.caretaker import Caretaker
from labctl.drill.case import Place
from labctl.drill.household import PATIENCE, Household, NotInTime
from labctl.errors import LabctlError
from labctl.record.evidence import Evidence, Witness, examine

AT_WORK, DEAD = 1.5, 0.5
"""Host seconds at most between all at work and the next deaths, and between deaths and the new start."""
UNFINISHED = 0.3
"""Probability that the next deaths come before everything is at work again, within `EARLY` s."""
EARLY = 3.0
SPEED = "60"
"""Lab seconds in a host second: rows are always on their way, and every death finds some."""
ATTEMPTS = 3
"""How often a daemon is told to end, until none of them has left a journal."""
TO_DELIVER = 2.0
"""Host seconds that a daemon has to deliver what the one before left."""

Tell = Callable[[str], None]


@dataclass(slots=True)
class Killed:
    """What became of a laboratory whose processes were killed.

    Attributes:
        kills: SIGKILLs by the process that they ended.
        started, resumed: runs that were begun, and how often one that stood was gone on with.
        failure: why the drill broke off before its end; empty where it did not.
    """

    kills: dict[str, int] = field(default_factory=dict)
    started: int = 0
    resumed: int = 0
    failure: str = ""
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def total(self) -> int:
        """How many processes were killed."""
        return sum(self.kills.values())

    @property
    def passed(self) -> bool:
        """Whether nothing was lost or doubled and everything came back each time."""
        return not self.failure and self.evidence.whole


def deaths(random: Random, kills: int) -> Iterator[tuple[str, ...]]:
    """Yield who dies together, in which order, until so many are dead."""
    while kills > 0:
        together = random.sample(VICTIMS, random.randint(1, min(len(VICTIMS), kills)))
        kills -= len(together)
        yield tuple(together)


async def kill_processes(
    home: Household, places: Sequence[Place], random: Random, kills: int, deadline: float, tell: Tell
) -> Killed:
    """Run a protocol at every station of a household and kill its processes all the while.

    Args:
        places: the stations of the household; their protocols should make many rows and not end.
        deadline: on `host_monotonic`: no process is killed after it.
        tell: gets a line of progress for each death.
    """
    killed, witness = Killed(), Witness()
    try:
        async with _at_work(home, places) as caretaker:
            for together in deaths(random, kills):
                if host_monotonic() > deadline:
                    tell("its time is over")
                    break
                await _let_die(home, caretaker, witness, random, together)
                for name in together:
                    killed.kills[name] = killed.kills.get(name, 0) + 1
                tell(f"{killed.total} of {kills} killed: {', '.join(together)}")
            await home.until(lambda: caretaker.at_work, "everything at work again")
            killed.started, killed.resumed = caretaker.started, caretaker.resumed
        await _end(home, witness)
    except LabctlError as error:
        killed.failure = str(error)
    if home.database.exists():
        killed.evidence = await asyncio.to_thread(examine, home.database, witness)
    return killed


@asynccontextmanager
async def _at_work(home: Household, places: Sequence[Place]) -> AsyncIterator[Caretaker]:
    """Start everything, keep a run going at every station, and stop the runs when the block is done."""
    files = {place.name: home.folder / f"{place.name}.toml" for place in places}
    for place in places:
        files[place.name].write_text(place.protocol, "utf-8")
    home.start_broker()
    await home.broker_was_there()
    home.start_recorder()
    await home.start_simulators(*files)
    _start_daemon(home)
    async with connect(home.config, user="drill", patience=PATIENCE) as lab:
        caretaker = Caretaker(lab, files)
        attending = asyncio.create_task(caretaker.attend(), name="caretaker")
        try:
            await home.until(lambda: caretaker.at_work, "every station at work")
            yield caretaker
        finally:
            attending.cancel()
            with suppress(asyncio.CancelledError):
                await attending
        await caretaker.end_all()


def _start_daemon(home: Household) -> None:
    home.start_daemon("--speed", SPEED)


_STARTS: dict[str, Callable[[Household], None]] = {
    "broker": Household.start_broker,
    "daemon": _start_daemon,
    "recorder": Household.start_recorder,
}
VICTIMS = tuple(_STARTS)


async def _let_die(
    home: Household, caretaker: Caretaker, witness: Witness, random: Random, together: tuple[str, ...]
) -> None:
    """Kill processes together at a random moment, look at the journals, and start them again in any order."""
    await host_sleep(random.uniform(0.0, AT_WORK))
    home.kill(*together)
    caretaker.disturbed()
    await asyncio.to_thread(witness.look, home.journals)
    for name in random.sample(together, len(together)):
        await host_sleep(random.uniform(0.0, DEAD))
        _STARTS[name](home)
    if random.random() < UNFINISHED:
        await host_sleep(random.uniform(0.0, EARLY))
    else:
        await home.until(lambda: caretaker.at_work, f"everything at work after {', '.join(together)} died")


async def _end(home: Household, witness: Witness) -> None:
    """End the daemon in order, and have the next one deliver what it left; then end the recorder."""
    for _ in range(ATTEMPTS):
        await asyncio.to_thread(witness.look, home.journals)
        await home.end("daemon")
        if not any(home.journals.iterdir()):
            break
        home.start_daemon()
        await host_sleep(TO_DELIVER)
    else:
        raise NotInTime(f"Journals were left that nobody could deliver: {sorted(map(str, home.journals.iterdir()))}.")
    await home.end("recorder")
