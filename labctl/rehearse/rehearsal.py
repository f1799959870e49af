"""Runs a plan on its station's simulators: the real engine and drivers, no journal, no bus, no database."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from labctl.clock import VirtualClock
from labctl.config import Config
from labctl.engine.operator import DeclaredOperator
from labctl.engine.position import KIND as POSITION
from labctl.engine.run import Outcome, Run
from labctl.errors import LabctlError, first_of
from labctl.lab.assemble import assemble, memory_links
from labctl.lab.laboratory import in_lab_time
from labctl.plan import Plan
from labctl.reading import Event, Record, RunState
from labctl.record.queries import CycleRow, StepRow
from labctl.rehearse.curves import TRACED, Curves
from labctl.rehearse.keeper import Keeper, KeptStep
from labctl.rehearse.outline import Density, with_boundaries_only, with_few_passes
from labctl.rehearse.rhythm import RehearsedStation

DISCLAIMER: Final = "A simulation of a calibrated cell, not chemistry."
POLL: Final = 10.0
"""s between two looks at a long step."""
_STARTED: Final = Event("run.started", 0.0, 0.0, "")
"""Counted, because a real run stores it, and numbers its records behind it."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a plan did in a rehearsal.

    Attributes:
        duration: s of lab time.
        readings, size: what the real run would store: rows, and bytes of its database.
        steps, cycles: as the tables of a database would hold them.
        kept: the same steps with the rows that are left of each.
        trouble: warnings and alarms, with the test time of each.
        poll: s between two polls at most; ends were found at polls. 0: as often as the real run.
    """

    plan: Plan
    station: str
    seed: int
    poll: float
    outcome: Outcome
    duration: float
    readings: int
    size: int
    steps: tuple[StepRow, ...]
    cycles: tuple[CycleRow, ...]
    kept: tuple[KeptStep, ...]
    curves: Curves
    trouble: tuple[Event, ...]

    def extremes(self, name: str) -> tuple[float, float] | None:
        """Return minimum and maximum of a traced quantity over the whole run; None where it was not measured."""
        found = [extremes for step in self.kept if (extremes := step.extremes(name)) is not None]
        return (min(low for low, _ in found), max(high for _, high in found)) if found else None

    def measured(self) -> tuple[str, ...]:
        """Return the traced quantities that had values."""
        return tuple(name for name in TRACED if self.extremes(name) is not None)


@dataclass(slots=True)
class Rehearsing:
    """A rehearsal under way, for whoever shows it, or stops it with `run.stop()`."""

    run: Run
    clock: VirtualClock
    keeper: Keeper

    @property
    def fraction(self) -> float:
        """How much of the expected lab time has passed, 0…1."""
        passed = self.run.progress.test_time
        left = self.run.forecast.left(passed)
        return passed / (passed + left) if passed > 0.0 else 0.0


async def rehearse(
    plan: Plan,
    config: Config,
    station: str,
    *,
    seed: int = 1,
    poll: float = POLL,
    boundaries: bool = False,
    started: Callable[[Rehearsing], None] = lambda _: None,
) -> Rehearsal:
    """Rehearse a plan. Physics is exact whatever the polls; the ends of steps are found at polls.

    Args:
        seed: decides noise and scatter of the simulators: the same seed gives the same rehearsal.
        poll: s between two polls at most; 0 is as often as the real run.
        boundaries: only the first and the last row of each step are made; how many readings the real run would store
            is learnt from a few passes of each loop. For thousands of cycles in a cycler that executes by itself.

    Raises:
        InstrumentError: a simulated instrument is none that its driver can use.
    """

    def performance(of: Plan, *, outlined: bool = False) -> _Performance:
        return _Performance(of, config, station, seed, poll, outlined=outlined)

    density = Density({})
    if boundaries:
        done = await performance(with_few_passes(plan)).perform(started)
        density = Density.of(done.keeper.steps)
        if done.outcome.state is not RunState.STOPPED:
            done = await performance(with_boundaries_only(plan), outlined=True).perform(started)
    else:
        done = await performance(plan).perform(started)
    keeper = done.keeper
    readings = round(density.readings(keeper.steps))
    return Rehearsal(
        plan=plan,
        station=station,
        seed=seed,
        poll=poll,
        outcome=done.outcome,
        duration=keeper.duration,
        readings=readings,
        size=keeper.size(readings),
        steps=tuple(step.row() for step in keeper.steps),
        cycles=keeper.cycles(),
        kept=tuple(keeper.steps),
        curves=keeper.curves,
        trouble=tuple(keeper.trouble),
    )


class _Performance:
    """One plan on one freshly simulated station.

    Args:
        outlined: whether rows are left out that the real run would record; what is told in their place is, too.
    """

    def __init__(self, plan: Plan, config: Config, station: str, seed: int, poll: float, *, outlined: bool) -> None:
        clock = VirtualClock(0.0)
        make, bench = memory_links(config, station, clock, seed)
        instruments = assemble(config, station, clock, make).station.instruments
        self._station = RehearsedStation(station, instruments, clock, poll, bench.cell.next_switch)
        self._clock = clock
        self._plan = plan
        self._steps = {step.id: step for step in plan.steps()}
        self._run: Run | None = None
        self._follows = False
        self._outlined = outlined
        self.keeper = Keeper(plan, instruments.cycler.poll_period, lambda: self._station.gap)
        self.outcome = Outcome(RunState.FAILED, "Not begun.")

    async def perform(self, started: Callable[[Rehearsing], None]) -> Self:
        """Run the plan to its end."""
        self.keeper(_STARTED)
        await in_lab_time(self._clock, self._station.connect())
        self._run = Run(self._plan, self._station, DeclaredOperator(), self._take)
        started(Rehearsing(self._run, self._clock, self.keeper))
        self.outcome = await _execute(self._run, self._station)
        return self

    def _take(self, record: Record) -> None:
        if isinstance(record, Event):
            if record.kind == POSITION:
                follows = record.data.get("following") is not None
                if follows or self._follows:
                    self._station.follow(self._left if follows else None)
                self._follows = follows
                if self._outlined and _within_a_step(record):
                    return
            elif record.kind == "step.started" and not self._follows:
                self._begin(record.data["step_id"])
        self.keeper(record)

    def _left(self) -> float:
        assert self._run is not None
        return self._run.forecast.left(self._run.progress.test_time)

    def _begin(self, step_id: int) -> None:
        step = self._steps.get(step_id)
        if step is not None and self._run is not None:
            self._station.begin(step, self._run.forecast.expected(step))


def _within_a_step(position: Event) -> bool:
    hosted: dict[str, dict[str, float]] = position.data.get("hosted", {})
    return hosted.get("carried", {}).get("time", 0.0) > 0.0


async def _execute(run: Run, station: RehearsedStation) -> Outcome:
    try:
        async with asyncio.TaskGroup() as group:
            station.start(group)
            try:
                return await run.execute()
            finally:
                station.stop()
    except* LabctlError as errors:
        raise first_of(errors) from None
