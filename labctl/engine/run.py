"""A run: one plan walked on one station, from the first step to a named end, with its guard beside it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

from labctl.clock import Signal
from labctl.engine.board import FORCE_GAUGE
from labctl.engine.conditions import View, evaluator
from labctl.engine.ends import StepEnds
from labctl.engine.forecast import Forecast
from labctl.engine.guard import Guard, Trip
from labctl.engine.ledger import Ledger
from labctl.engine.operator import Operator
from labctl.engine.pressure import PressureControl
from labctl.engine.rows import RowWriter
from labctl.engine.station import Station, to_the_end
from labctl.engine.verbs import Verbs
from labctl.engine.walk import Leave, Walk, cycles_of
from labctl.errors import InstrumentError, InstrumentLost, LabctlError, LimitTripped, StepFailed, first_of
from labctl.instrument import Range
from labctl.plan import Branch, End, Finish, Plan, Step, Then
from labctl.reading import Event, Record, RunState, Severity


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; `error` is what a user is told where it did not complete."""

    state: RunState
    reason: str
    error: LabctlError | None = None


STOPPED = Outcome(RunState.STOPPED, "Stopped by the operator.")


@dataclass(slots=True)
class Progress:
    """Where a run is, for whoever shows it; replaced whole at each step, changed in place at each tick."""

    step: Step | None = None
    step_count: int = 0
    cycle: int = 0
    cycles: int = 0
    test_time: float = 0.0


class Run:
    """Walks a plan. The station is connected and polled before it starts, and stays so when it has ended.

    Attributes:
        outcome: None until the run has ended and its safe state was sought.

    Args:
        sink: takes each record in order; it never blocks.
    """

    def __init__(self, plan: Plan, station: Station, operator: Operator, sink: Callable[[Record], None]) -> None:
        now = station.clock.now()
        self.plan = plan
        self.progress = Progress(cycles=cycles_of(plan.body))
        self.ledger = Ledger(now)
        self.forecast = Forecast(plan)
        self.outcome: Outcome | None = None
        self._station = station
        self._clock = station.clock
        self._operator = operator
        self._sink = sink
        station.board.bore_area = plan.cell.bore_area
        self._rows = RowWriter(station.board, self.ledger, station.instruments.cycler.poll_period)
        self._guard = Guard(plan.limits, station.board, self.ledger, self._needed(), now)
        self._view = View(station.board, self.ledger, lambda: self.progress.cycle)
        self._ends: StepEnds | None = None
        self._ended: Signal[End] = Signal(self._clock)
        self._trip: Trip | None = None
        self._stopped = False
        self._step_is_open = False
        self._workers: list[asyncio.Task[None]] = []
        self._controls = {
            side: PressureControl(side, rig, station.board, self._clock, plan.limits.torque or rig.torque_range.high)
            for side, rig in station.instruments.rigs.items()
        }
        self._verbs = Verbs(station, self._controls, operator)

    def _needed(self) -> tuple[str, ...]:
        """Gauges whose silence trips: all that gave a value at the start and that mean something here."""
        board, plan = self._station.board, self.plan
        names = {name for name, gauge in board.gauges.items() if gauge.time > -inf}
        if plan.cell.bore_area is None:
            names -= set(FORCE_GAUGE.values())
        return tuple(sorted(names))

    def stop(self) -> None:
        """End the run by the operator's word: `execute` makes the station safe and returns."""
        self._stopped = True
        self._halt()

    async def execute(self) -> Outcome:
        """Run the plan to its end, then make the station safe, whatever happened, also on cancellation."""
        station = self._station
        station.follow_run(self._on_tick, self._on_poll, self._tell)
        outcome = Outcome(RunState.FAILED, "The program itself failed; its log says why.")
        try:
            outcome = await self._outcome()
        except asyncio.CancelledError:
            outcome = Outcome(RunState.FAILED, "The run was cut off by the process around it.")
            raise
        finally:
            heat = self._trip is not None and self._trip.heat
            loop = asyncio.get_running_loop()
            work = self._make_safe(outcome.reason, heaters_off=heat)
            safe = self._clock.spawn(loop, work, f"{station.name} safe state")
            try:
                await to_the_end(safe)
            finally:
                self.outcome = outcome
                self._tell_end(outcome)
                station.forget_run()
        return outcome

    async def _outcome(self) -> Outcome:
        failed: LabctlError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                spawn = self._clock.spawn
                walker = spawn(group, self._walk_to_the_end(), "walker")
                controls = [spawn(group, c.run(), f"pressure {side}") for side, c in self._controls.items()]
                self._workers = [walker, *controls]
                if self._stopped:
                    self._halt()
                walker.add_done_callback(lambda _: [control.cancel() for control in controls])
        except* LabctlError as errors:
            failed = first_of(errors)
        if self._stopped:
            return STOPPED
        if failed is not None:
            return Outcome(RunState.FAILED, failed.sentence, failed)
        if self._trip is not None:
            error = InstrumentLost if self._trip.silent else LimitTripped
            remedy = "The circuit is open and the pressure frozen. Find the cause before the cell is used again."
            return Outcome(RunState.TRIPPED, self._trip.sentence, error(self._trip.sentence, remedy))
        return Outcome(RunState.COMPLETED, "The plan is done.")

    async def _make_safe(self, reason: str, *, heaters_off: bool) -> None:
        try:
            if self._step_is_open:
                self._close_step(reason)
        finally:  # whatever becomes of the records, the cell comes first
            unconfirmed = await self._station.make_safe(heaters_off=heaters_off)
        for sentence in unconfirmed:
            self._event("instrument.unsafe", sentence, Severity.ALARM)
        await self._record_safe_state()

    async def _record_safe_state(self) -> None:
        """Count the charge until the output was confirmed off, and record how the cell is left as a step of its own."""
        try:
            reading = await self._station.instruments.cycler.read()
        except InstrumentError as error:
            self._event("instrument.failed", str(error), Severity.WARNING)
            return
        now, board, progress = self._clock.now(), self._station.board, self.progress
        if board.cell is not None:
            self.ledger.add(board.cell, now)
        board.see_cell(reading, now)
        self.ledger.start_step(now)
        progress.step, progress.step_count = None, progress.step_count + 1
        self._tell_step(0, "safe state", "end", progress.step_count)
        self._write_row()

    # -- what happens at polls ---------------------------------------------------------------------------------------

    def _on_poll(self, measured: str | None, now: float) -> None:
        trip = self._guard.check(measured, now)
        if trip is not None and self._trip is None:
            self._trip = trip
            self._halt()
            self._event("guard.tripped", trip.sentence, Severity.ALARM, quantity=trip.quantity)

    def _halt(self) -> None:
        """End every command at once; whatever exchange is under way is finished by its link."""
        for worker in self._workers:
            worker.cancel()

    def _on_tick(self, now: float) -> None:
        reading = self._station.board.fresh_cell(now)
        self.progress.test_time = now - self.ledger.start_time
        if reading is None or self.progress.step is None or self._station.board.cell_time < self.ledger.step_start:
            return
        self.ledger.add(reading, now)
        if self._ends is not None:
            end = self._ends.first_met(now, reading)
            if end is not None:
                self._ends = None
                self._ended.set(end)
                return  # the walker writes the boundary row
        if self._rows.due(reading, now):
            self._write_row()

    def _write_row(self) -> None:
        progress, reading = self.progress, self._station.board.cell
        if reading is not None:
            step_id = progress.step.id if progress.step is not None else 0
            row = self._rows.row(
                reading, self._clock.now(), self._clock.unix(), progress.cycle, progress.step_count, step_id
            )
            self._sink(row)

    # -- the walk ----------------------------------------------------------------------------------------------------

    async def _walk_to_the_end(self) -> None:
        await self._arm()
        try:
            await Walk(self._step, self._decide, self._begin_cycle).walk(self.plan.body)
        except Leave as leave:
            if leave.then is not Then.END:
                raise StepFailed(f"Nothing around the step is meant by {leave}.") from leave

    async def _arm(self) -> None:
        limits = self.plan.limits
        low, high = limits.voltage.low, limits.voltage.high
        cycler = self._station.instruments.cycler
        window = Range(
            cycler.voltage_range.low if low is None else low, cycler.voltage_range.high if high is None else high
        )
        await cycler.arm(window, limits.current)

    def _decide(self, branch: Branch) -> bool:
        here = self.progress.step or next(self.plan.steps())
        truth = evaluator(branch.condition, here, self._view).truth(self._clock.now())
        if truth is None:
            raise StepFailed(
                f'Whether "{branch.text}" (line {branch.line}) holds is not known now.',
                "The circuit is open and the pressure frozen. Check that what it speaks of is measured here.",
            )
        return truth

    def _begin_cycle(self) -> None:
        self.progress.cycle += 1

    async def _step(self, step: Step) -> None:
        if isinstance(step.action, Finish):
            raise Leave(Then.END)
        ends = StepEnds(step, self._view)
        end = await self._begin(step, ends)
        if end is None and (step.ends or step.timeout):
            self._ended.clear()
            self._ends = ends
            end = await self._ended.wait()
        await self._verbs.conclude(step)
        self.forecast.took(step, self._clock.now() - self.ledger.step_start)
        self._close_step("done" if end is None else end.text)
        if end is not None and end.then is not Then.NEXT:
            self._leave(step, end)

    async def _begin(self, step: Step, ends: StepEnds) -> End | None:
        """Command the step, then look at the cell at once: current has jumped, and the first row must show it.

        A cell that is already where the step would take it is not driven; that end is returned.
        """
        count = self.progress.step_count + 1
        self._tell_step(step.id, step.name, step.verb, count)
        met = ends.already(await self._verbs.voltage_before(step))
        if met is None:
            answer = await self._verbs.command(step)
            if answer is not None:
                self._event("operator.answered", answer, step_count=count, answer=answer)
        reading = await self._station.instruments.cycler.read()
        now = self._clock.now()
        self._station.board.see_cell(reading, now)
        self.ledger.start_step(now)
        self.ledger.add(reading, now)
        self.progress.step, self.progress.step_count = step, count
        self._guard.follow(step.limits or self.plan.limits)
        self._rows.follow(step.record)
        self._write_row()
        self._step_is_open = True
        return met

    def _close_step(self, reason: str) -> None:
        """Write the row with which a step ends, however it ends."""
        self._step_is_open = False
        self._write_row()
        step, count = self.progress.step, self.progress.step_count
        assert step is not None
        self._event("step.ended", f"{step.name}: {reason}", step_count=count, reason=reason)

    def _leave(self, step: Step, end: End) -> None:
        if end.then is Then.FAULT:
            why = f": {end.why}" if end.why else ""
            raise StepFailed(
                f'Step {step.id} "{step.name}" (line {step.line}) ended in a fault: {end.text}{why}.',
                "The circuit is open and the pressure frozen. See the last rows of the run for the cause.",
            )
        raise Leave(end.then, end.label)

    # -- telling -----------------------------------------------------------------------------------------------------

    def _tell_step(self, step_id: int, name: str, verb: str, count: int) -> None:
        cycle = self.progress.cycle
        self._event("step.started", name, step_count=count, step_id=step_id, name=name, verb=verb, cycle_count=cycle)

    def _tell_end(self, outcome: Outcome) -> None:
        state, reason = outcome.state, outcome.reason
        self._event("run.ended", reason, _severity(state), state=state.value, reason=reason)

    def _tell(self, kind: str, message: str, severity: Severity) -> None:
        self._event(kind, message, severity)

    def _event(self, kind: str, message: str, severity: Severity = Severity.INFO, **data: Any) -> None:
        test_time = self._clock.now() - self.ledger.start_time
        self._sink(Event(kind, self._clock.unix(), test_time, message, severity, data))


def _severity(state: RunState) -> Severity:
    if state is RunState.COMPLETED:
        return Severity.INFO
    return Severity.WARNING if state is RunState.STOPPED else Severity.ALARM
