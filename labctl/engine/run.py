"""A run: one plan walked on one station, from the first step to a named end, with its guard beside it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from labctl.engine import outline
from labctl.engine.board import FORCE_GAUGE
from labctl.engine.comeback import Comeback
from labctl.engine.conditions import View
from labctl.engine.course import Course
from labctl.engine.cycles import CycleBook, cycles_of
from labctl.engine.execution import Execution
from labctl.engine.follow import Follower
from labctl.engine.forecast import Forecast
from labctl.engine.guard import Guard, Trip, Warned
from labctl.engine.ledger import Ledger
from labctl.engine.operator import Operator
from labctl.engine.position import PAUSE, Following, Hosted, Position
from labctl.engine.pressure import controls_of
from labctl.engine.progress import Progress
from labctl.engine.revision import PlanInForce
from labctl.engine.rigwatch import Rigwatch
from labctl.engine.segments import Segment
from labctl.engine.sides import with_gas
from labctl.engine.station import Station, to_the_end
from labctl.engine.telling import Sink, Teller
from labctl.engine.transcript import Transcript
from labctl.engine.verbs import Verbs
from labctl.engine.whereabouts import Whereabouts
from labctl.engine.words import THE_DISK, Words
from labctl.errors import InstrumentError, InstrumentLost, LabctlError, LimitTripped, NotNow, RunLost, first_of
from labctl.instrument import CellReading
from labctl.plan import Limits, Plan, Side, Step
from labctl.program import ProgrammableCycler
from labctl.reading import RunState, Severity

THE_GUARD = "the guard"
"""Who pauses a run that the guard warns of."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; `error` is what a user is told where it did not complete."""

    state: RunState
    reason: str
    error: LabctlError | None = None


class Run:
    """Walks a plan. The station is connected and polled before it starts, and stays so when it has ended.

    The operator's words (`pause`, `resume`, `skip`, `stop`, `note`, `revise`) are plain calls from the event loop, not
    from a participant of lab time; each raises NotNow where it makes no sense.

    Attributes:
        progress: where the run is.
        outcome: None until the run has ended and its safe state was sought.

    Args:
        sink: takes each record in order; it never blocks.
        first_cycle: cycles that the cell has done already, where its numbers go on.
        resume: where another process was in this plan. In a program, with which the cycler was told to go on, the run
            goes on from there or ends as LOST; in a step of the host it does what the plan's `outage` says.
        away: s since the last record of that process; None: not known.
        against: what else speaks against going on without a person, as sentences.
        waits: whether somebody can resume it, so that a warning of the guard pauses it; else the warning ends it.
    """

    def __init__(
        self,
        plan: Plan,
        station: Station,
        operator: Operator,
        sink: Sink,
        resume: Position | None = None,
        first_cycle: int = 0,
        away: float | None = None,
        against: tuple[str, ...] = (),
        *,
        waits: bool = False,
    ) -> None:
        now, clock, board = station.clock.now(), station.clock, station.board
        self.progress = Progress(
            first_cycle=first_cycle, cycles=cycles_of(plan.body), steps=sum(1 for _ in plan.steps())
        )
        self.ledger = Ledger(now)
        self.forecast = Forecast(plan)
        self.outcome: Outcome | None = None
        self._station = station
        self._clock = clock
        board.bore_area = plan.cell.bore_area
        self._in_force = PlanInForce(plan)
        self._words = Words(clock)
        self._waits = waits
        self._warned: Warned | None = None
        self._book = CycleBook(plan)
        self._view = View(board, self.ledger, lambda: self.progress.number, self._book)
        self._trip: Trip | None = None
        self._stop: str | None = None
        """The sentence with which the operator's stop ends the run."""
        self._stopper = ""
        self._workers: list[asyncio.Task[None]] = []
        poll_period = station.instruments.cycler.poll_period
        self._teller = Teller(sink, clock, board, self.ledger, self.progress, poll_period)
        turned = controls_of(station, self._teller.tell)
        self._controls = with_gas(station, turned)
        rig = Rigwatch(station, turned)
        self._guard = Guard(plan.limits, board, self.ledger, self._needed(), now, plan.cell.theoretical, rig)
        self._verbs = Verbs(station, self._controls, operator)
        self._verbs.limit(plan.limits)
        self._whereabouts = Whereabouts(
            clock, board, self.ledger, self.progress, self._words, self._teller, lambda: self._course.position
        )
        self._execution = Execution(
            station,
            self._verbs,
            self._words,
            self._teller,
            self.ledger,
            self.progress,
            self._guard,
            self._view,
            self.forecast,
            self._whereabouts,
        )
        self._follower = self._make_follower()
        self._course = Course(
            station,
            self._in_force,
            self._verbs,
            self.ledger,
            self.progress,
            self._view,
            self._book,
            self._execution,
            self._whereabouts,
            self._follower,
            Comeback(
                station,
                operator,
                self._verbs,
                self._words,
                self._teller,
                self.progress,
                self._whereabouts,
                away,
                against,
                self.stop,
            ),
            resume,
        )
        if resume is not None and resume.following is not None:
            self._return_to(resume.following, away)
        elif resume is not None:
            self._come_back_to(resume, resume.hosted or Hosted(), away or 0.0)

    def _make_follower(self) -> Follower | None:
        station, cycler = self._station, self._station.instruments.cycler
        if not isinstance(cycler, ProgrammableCycler):
            return None

        def transcribe(segment: Segment, limits: Limits, position: Position) -> Transcript:
            return Transcript(
                segment, limits, position, self._teller, self.ledger, self.progress, self._guard, self.forecast
            )

        return Follower(
            station,
            cycler,
            self._verbs,
            self._words,
            self._teller,
            self.progress,
            self._guard,
            self._execution,
            transcribe,
        )

    def _come_back_to(self, position: Position, hosted: Hosted, away: float) -> None:
        """Stand where another process stood in a step of the host."""
        now, test_time = self._clock.now(), 0.0 if hosted.seen is None else hosted.seen.test_time
        self.ledger.start_time = now - test_time - away
        self.ledger.recount(position.counts, position.counts, CellReading(None, 0.0, False, None), now)
        self.progress.cycle, self.progress.step_count = position.cycle, hosted.started
        if hosted.started > hosted.closed:
            name = next((step.name for step in self.plan.steps() if step.id == hosted.step), "")
            self._teller.step_reopened(PAUSE if hosted.standing else name)

    def _return_to(self, following: Following, away: float | None) -> None:
        """Stand where another process stood in a program; the time since then has passed."""
        now = self._clock.now()
        if away is None:  # the calendar is the only one that may know
            test_time = following.began + self._clock.unix() - following.began_unix
        else:
            test_time = (following.began if following.test_time is None else following.test_time) + away
        self.ledger.start_time = now - test_time
        self.ledger.recount(following.counts, following.counts, CellReading(None, 0.0, False, None), now)
        self.progress.cycle = max(0, following.cycle - self.progress.first_cycle)
        self.progress.step_count = following.started

    def _needed(self) -> tuple[str, ...]:
        """Gauges whose silence trips: all that gave a value at the start and that mean something here."""
        board, plan = self._station.board, self.plan
        names = board.answered()
        if plan.cell.bore_area is None:
            names -= set(FORCE_GAUGE.values())
        return tuple(sorted(names))

    # -- the operator's words ----------------------------------------------------------------------------------------

    @property
    def plan(self) -> Plan:
        """The plan in its latest revision."""
        return self._in_force.plan

    @property
    def paused(self) -> bool:
        """Whether the operator has paused the run; the circuit opens as soon as the exchange under way is done."""
        return self._words.paused

    def pause(self, who: str, reason: str = "") -> None:
        """Open the circuit and freeze the pressure as soon as the exchange under way is done; temperature is kept."""
        self._words.pause(who)
        self._verbs.hold()
        self._teller.event("run.paused", _said("Paused", who, reason), who=who, reason=reason)

    def resume(self, who: str) -> None:
        """Go on with the rest of the step; a cell that is beyond its cut-off by now is not driven.

        What the guard has warned of is forgiven; what is still so is warned of anew.
        """
        self._words.resume(who)
        self._guard.forgive()
        self._teller.event("run.resumed", _said("Resumed", who), who=who)

    def heed_disk(self, trouble: str) -> None:
        """Pause while the journal cannot be written, and go on when it can unless somebody else has paused meanwhile.

        Args:
            trouble: why it cannot, as a sentence; empty: it can.
        """
        with suppress(NotNow):  # it is ending already
            if trouble and not self.paused:
                self.pause(THE_DISK, trouble)
            elif not trouble and self._paused_by_disk:
                self.resume(THE_DISK)

    @property
    def _paused_by_disk(self) -> bool:
        return self.paused and self._words.who == THE_DISK

    def skip(self, who: str) -> None:
        """End the step under way, as if it had met an end, and go on with the next; this is no fault."""
        self._words.skip(who, self.progress.step_count if self._teller.step_is_open else 0)

    def stop(self, who: str = "", reason: str = "") -> None:
        """End the run: `execute` makes the station safe and returns. A second stop adds nothing."""
        if self._stop is not None and self.outcome is None:
            return
        self._words.require_open()
        self._stop, self._stopper = _said("Stopped", who or "the operator", reason), who
        self._halt("The run is being stopped.")
        self._teller.event("run.stopping", self._stop, who=who, reason=reason)

    def note(self, who: str, text: str) -> None:
        """Write what somebody has seen into the events of the run."""
        self._words.require_open()
        self._teller.event("note", text, who=who)

    def revise(self, plan: Plan, who: str, reason: str) -> None:
        """Replace the plan by a revision of the same shape.

        The step under way ends as it was; loops see their new number of passes when the next one would begin. Limits
        hold from the next step on.

        Raises:
            NotNow: also where the shape or the cell differs; the sentence says where.
        """
        self._words.require_open()
        before = self.plan
        self._in_force.revise(plan)
        self.forecast.revise(plan)
        self.progress.cycles = cycles_of(plan.body)
        self._teller.event(
            "run.revised",
            f"{_said('Revised', who, reason)} It holds from the next step on.",
            who=who,
            reason=reason,
            inputs_before=dict(before.inputs),
            inputs=dict(plan.inputs),
            hash_before=before.hash,
            hash=plan.hash,
        )

    # -- what a screen asks ------------------------------------------------------------------------------------------

    @property
    def pressures(self) -> Mapping[Side, float]:
        """Pa, that the plan has asked of each side last."""
        return self._verbs.pressures

    @property
    def next_step(self) -> Step | None:
        """The step that comes after the present one if that meets no end that leads elsewhere; None: the end."""
        return None if self._over else outline.following(self.plan, self.progress.step, self._course.passes)

    def outline(self) -> tuple[outline.Line, ...]:
        """The plan's lines, each done, now or next."""
        return outline.lines(self.plan, self.progress.step, self._course.passes, ended=self._over)

    @property
    def program(self) -> str:
        """Token of the program that the cycler executes by itself; empty: none."""
        return "" if self._follower is None else self._follower.token

    @property
    def _over(self) -> bool:
        """Whether the last step is behind: the safe state is a step of no plan."""
        return self.progress.step is None and self.progress.step_count > 0

    # -- the life of a run -------------------------------------------------------------------------------------------

    async def execute(self) -> Outcome:
        """Run the plan to its end, then make the station safe, whatever happened, also on cancellation."""
        station = self._station
        station.follow_run(self._on_tick, self._on_poll, self._teller.tell)
        self._verbs.hands.seat()
        outcome = Outcome(RunState.FAILED, "The program itself failed; its log says why.")
        try:
            outcome = await self._outcome()
        except asyncio.CancelledError:
            outcome = Outcome(RunState.FAILED, "The run was cut off by the process around it.")
            raise
        finally:
            self._words.close("The run has ended.")
            heat = self._trip is not None and self._trip.heat
            loop = asyncio.get_running_loop()
            work = self._make_safe(outcome.reason, heaters_off=heat)
            safe = self._clock.spawn(loop, work, f"{station.name} safe state")
            try:
                await to_the_end(safe)
            finally:
                self.outcome = outcome
                self._tell_end(outcome)
                self._verbs.hands.leave()
                station.forget_run()
        return outcome

    async def _outcome(self) -> Outcome:
        failed: LabctlError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                spawn = self._clock.spawn
                walker = spawn(group, self._course.take(group), "walker")
                controls = [spawn(group, c.run(), f"pressure {side}") for side, c in self._controls.items()]
                self._workers = [walker, *controls]
                if self._stop is not None:
                    self._halt("The run is being stopped.")
                walker.add_done_callback(lambda _: [control.cancel() for control in controls])
        except* LabctlError as errors:
            failed = first_of(errors)
        if self._stop is not None:
            return Outcome(RunState.STOPPED, self._stop)
        if failed is not None:
            return Outcome(_state_of(failed), failed.sentence, failed)
        if self._trip is not None:
            error = InstrumentLost if self._trip.silent else LimitTripped
            remedy = "The circuit is open and the pressure frozen. Find the cause before the cell is used again."
            return Outcome(RunState.TRIPPED, self._trip.sentence, error(self._trip.sentence, remedy))
        return Outcome(RunState.COMPLETED, "The plan is done.")

    async def _make_safe(self, reason: str, *, heaters_off: bool) -> None:
        try:
            if self._teller.step_is_open and not self._follows:
                self._teller.step_closed(reason)
        finally:  # whatever becomes of the records, the cell comes first
            unconfirmed = await self._station.make_safe(heaters_off=heaters_off)
        for sentence in unconfirmed:
            self._teller.event("instrument.unsafe", sentence, Severity.ALARM)
        if self._follower is not None:
            await self._follower.finish()
        try:
            await self._execution.stand(None, "safe state", "end", reason)
        except InstrumentError as error:
            self._teller.event("instrument.failed", str(error), Severity.WARNING)

    def _tell_end(self, outcome: Outcome) -> None:
        state, reason, who = outcome.state, outcome.reason, self._stopper
        self._teller.event("run.ended", reason, _severity(state), state=state.value, reason=reason, who=who)

    # -- what happens at polls ---------------------------------------------------------------------------------------

    @property
    def _follows(self) -> bool:
        """Whether rows are those of a program that the cycler executes."""
        return self._follower is not None and self._follower.at_work

    def _on_poll(self, measured: str | None, now: float) -> None:
        if measured is None and self._follows:
            self._words.heard.set(None)
        trip = self._guard.check(measured, now)
        if trip is not None and self._trip is None:
            self._trip = trip
            self._halt("The guard has tripped, and the run is ending.")
            self._teller.event(
                "guard.tripped", trip.sentence, Severity.ALARM, quantity=trip.quantity, driven=trip.driven
            )
        elif self._guard.warning is not self._warned:
            self._warned = self._guard.warning
            if self._warned is not None:
                self._heed(self._warned)

    def _heed(self, warning: Warned) -> None:
        """Pause for a warning of the guard, until somebody goes on; end where nobody can."""
        self._teller.event(
            "guard.warned", warning.sentence, Severity.WARNING, quantity=warning.quantity, driven=warning.driven
        )
        if not self._waits:
            self._trip = Trip(warning.quantity, warning.sentence, driven=warning.driven)
            self._halt("The guard has warned, and the run is ending: nobody can resume it.")
        elif not self.paused or self._paused_by_disk:
            with suppress(NotNow):  # it is ending already
                self.pause(THE_GUARD, warning.sentence)

    def _halt(self, why: str) -> None:
        """End every command at once; whatever exchange is under way is finished by its link."""
        self._words.close(why)
        for worker in self._workers:
            worker.cancel()

    def _on_tick(self, now: float) -> None:
        board, ledger, progress = self._station.board, self.ledger, self.progress
        if self._follows:
            self._words.heard.set(None)
        before, progress.test_time = progress.test_time, now - ledger.start_time
        if self.paused:
            self.forecast.waited(progress.test_time - before)
        reading = board.fresh_cell(now)
        if reading is None or progress.step is None or board.cell_time < ledger.began:
            return
        ledger.add(reading, now)
        if not self.paused:
            progress.step_time, progress.step_charge = now - ledger.step_start, ledger.step_charge
        if self._follows or not self._teller.step_is_open:
            return  # rows are the program's; or what was commanded belongs to a step that has not begun
        # A pause that was asked for at this poll comes before an end: a voltage that flew to its bound is no cut-off.
        if self.paused or not self._execution.look(now, reading):
            self._teller.row_if_due(reading, now)


def _state_of(error: LabctlError) -> RunState:
    match error:
        case LimitTripped():
            return RunState.TRIPPED
        case RunLost():
            return RunState.LOST
    return RunState.FAILED


def _severity(state: RunState) -> Severity:
    if state is RunState.COMPLETED:
        return Severity.INFO
    return Severity.WARNING if state is RunState.STOPPED else Severity.ALARM


def _said(what: str, who: str, reason: str = "") -> str:
    """Say who did something to the run, and why where that is known."""
    return f"{what} by {who}: {reason}" if reason else f"{what} by {who}."
