"""An attendant: keeps one station of a drill as a daemon does: connected, watched, and one run after the other."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from labctl.clock import VirtualClock
from labctl.drill.case import Place, Say
from labctl.drill.site import Lifetime
from labctl.drill.world import Kept, World
from labctl.engine.run import Run
from labctl.engine.watch import Watch
from labctl.errors import InstrumentError, NotNow
from labctl.lab.assemble import Assembly, assemble
from labctl.lab.laboratory import in_lab_time
from labctl.lab.recording import begin, header, of_plan
from labctl.plan import Prompt
from labctl.program import ProgrammableCycler
from labctl.reading import Event, Record, RunState
from labctl.record.datapath import DataPath, Delivery, Interrupted

BETWEEN_RUNS = 20.0
"""s of lab time between the end of a run and the beginning of the next."""
RETRY = 10.0
"""s of lab time until a station that could not be connected is tried again."""
OPERATOR = "ada"

Follow = Callable[[Delivery], None]


class SlowOperator:
    """Answers what the protocol declares, after a while of lab time."""

    def __init__(self, clock: VirtualClock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    async def ask(self, prompt: Prompt, output_state: str) -> str:
        """Return the declared answer, or the first one."""
        await self._clock.sleep(self._seconds)
        return prompt.simulated or next(iter(prompt.answers), "yes")


class Attendant:
    """Keeps one station while its process lives.

    Args:
        interrupted: the run that is to be gone on with.
        follow: told of every delivery that begins.

    Attributes:
        run: that is under way, None while none is; `run_id` its UUID.
    """

    def __init__(
        self,
        world: World,
        place: Place,
        clock: VirtualClock,
        lifetime: Lifetime,
        path: DataPath,
        interrupted: Interrupted | None,
        follow: Follow,
    ) -> None:
        self.place = place
        self.run: Run | None = None
        self.run_id = ""
        self._world = world
        self._clock = clock
        self._lifetime = lifetime
        self._path = path
        self._interrupted = interrupted
        self._follow = follow
        self._ending = False
        self._trouble = interrupted is not None
        self._witness = world.witnesses[place.name]
        site = world.witnesses[place.name].site
        self._assembly: Assembly = assemble(
            world.config, place.name, clock, lambda name, driver, _: site.link(name, driver, clock, lifetime)
        )
        self._station = self._assembly.station
        self._operator = SlowOperator(clock, place.answers_after)

    # -- what people do ----------------------------------------------------------------------------------------------

    def end(self) -> None:
        """End what runs, by name, and come to an end."""
        self._ending = True
        if self.run is not None:
            with suppress(NotNow):
                self.run.stop(OPERATOR, "the drill is over")

    def hear(self, say: Say) -> None:
        """Hear an operator's word; what makes no sense now is refused by the run."""
        if self.run is None:
            return
        words: dict[Say, Callable[[Run], None]] = {
            Say.PAUSE: lambda run: run.pause(OPERATOR, "to look"),
            Say.RESUME: lambda run: run.resume(OPERATOR),
            Say.SKIP: lambda run: run.skip(OPERATOR),
            Say.STOP: lambda run: run.stop(OPERATOR, "enough"),
            Say.NOTE: lambda run: run.note(OPERATOR, "seen"),
        }
        with suppress(NotNow):
            words[say](self.run)

    # -- the life of a station ---------------------------------------------------------------------------------------

    async def serve(self, group: asyncio.TaskGroup) -> None:
        """Connect; then watch and run until told to end; then make the station safe."""
        try:
            if not await self._connect():
                return
            self._witness.connected(self._station)
            self._station.start(group)
            watch = self._begin(self._world.new_run(), None)
            try:
                await self._work(watch)
            finally:
                self._station.stop()
                if self._lifetime.alive:
                    self._witness.leaving()
                await in_lab_time(self._clock, self._station.make_safe(heaters_off=True))
                end = {"state": RunState.STOPPED.value, "reason": "the watch ended"}
                watch(Event("run.ended", self._clock.unix(), self._clock.now(), "The watch ended.", data=end))
        finally:
            if self._lifetime.alive:
                self._witness.left()
            await self._assembly.close()

    async def _connect(self) -> bool:
        while not self._ending:
            if self._interrupted is not None and self._interrupted.position.following is not None:
                cycler = self._station.instruments.cycler
                if isinstance(cycler, ProgrammableCycler):
                    cycler.expect_program(self._interrupted.position.following.token)
            try:
                await in_lab_time(self._clock, self._station.connect())
            except InstrumentError:
                await self._clock.sleep(RETRY)
            else:
                return True
        if self._interrupted is not None:
            self._follow(self._path.lose(self._interrupted))
        return False

    async def _work(self, watch: Callable[[Record], None]) -> None:
        if self._interrupted is not None:
            await self._go_on(self._interrupted)
        while not self._ending:
            if await self._stand_by(watch):
                await self._conduct()

    async def _stand_by(self, sink: Callable[[Record], None]) -> bool:
        """Watch until the next run may begin; what went wrong must be acknowledged first."""
        watch = Watch(self._station, self._witness.limits, sink, began=0.0)
        watch.start()
        try:
            while not self._ending:
                troubled = self._trouble or watch.trip is not None
                await self._wait(self.place.acknowledged_after if troubled else BETWEEN_RUNS)
                if troubled and not self._ending:
                    self._trouble = False
                    self._witness.acknowledged()
                    watch.rearm()
                elif watch.trip is None:
                    return not self._ending
        finally:
            await watch.stop()
        return False

    async def _wait(self, seconds: float) -> None:
        due = self._clock.now() + seconds
        while not self._ending and self._clock.now() < due:
            await self._clock.sleep_until(min(due, self._clock.now() + BETWEEN_RUNS))

    async def _conduct(self) -> None:
        plan, run_id = self._world.plans[self.place.name], self._world.new_run()
        sink = self._begin(run_id, run_id)
        await self._execute(Run(plan, self._station, self._operator, sink), run_id, away=None)

    async def _go_on(self, interrupted: Interrupted) -> None:
        plan, run_id = self._world.plans[self.place.name], interrupted.run
        away = self._lifetime.began - self._world.died
        delivery = self._path.resume(interrupted)
        sink = self._taking(delivery, self._world.kept[run_id])
        run = Run(plan, self._station, self._operator, sink, resume=interrupted.position, away=away)
        follows = interrupted.position.following is not None
        await self._execute(run, run_id, away=None if follows else away)

    async def _execute(self, run: Run, run_id: str, *, away: float | None) -> None:
        kept, witness = self._world.kept[run_id], self._witness
        self.run, self.run_id = run, run_id
        witness.begins(run.plan, away)
        try:
            outcome = await run.execute()
            self._trouble = outcome.state not in (RunState.COMPLETED, RunState.STOPPED)
        finally:
            if self._lifetime.alive:
                witness.ends()
                kept.passed = (kept.passed[0], self._witness.site.bench.cell.counts)
                self.run = None

    # -- records -----------------------------------------------------------------------------------------------------

    def _begin(self, journal: str, run: str | None) -> Callable[[Record], None]:
        """Begin the journal of a run, or of a watch where `run` is None."""
        world, name = self._world, self.place.name
        delivery = self._path.begin(journal, name, simulated=True)
        kept = world.kept[journal] = Kept(journal, name)
        about = header(
            world.config,
            name,
            self._assembly,
            self._clock,
            run=journal,
            operator=OPERATOR,
            seed=world.case.seed,
        )
        if run is not None:
            kept.plan, kept.passed = world.plans[name], (self._witness.site.bench.cell.counts, None)
            about = of_plan(about, kept.plan)
        sink = self._taking(delivery, kept)
        begin(sink, about)
        return sink

    def _taking(self, delivery: Delivery, kept: Kept) -> Callable[[Record], None]:
        self._follow(delivery)

        def take(record: Record) -> None:
            number = delivery.record(record)
            if self._lifetime.alive:
                kept.told[number] = record
                self._witness.hear(record)

        return take
