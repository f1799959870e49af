"""The execution of a step in the host: its command, its ends at every poll, its pauses and its skip."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

from labctl.engine.capacity import settle
from labctl.engine.conditions import View
from labctl.engine.ends import DONE, OVER, StepEnds, skipped
from labctl.engine.forecast import Forecast
from labctl.engine.guard import Guard
from labctl.engine.hands import Applied
from labctl.engine.ledger import NOTHING, Carried, Ledger
from labctl.engine.outage import RESTS
from labctl.engine.position import PAUSE
from labctl.engine.progress import Progress
from labctl.engine.spectrum import Spectrum, is_biased_by_rest
from labctl.engine.station import Station
from labctl.engine.steering import SetPoint, Steering, is_steered, refers_to_rest, steering
from labctl.engine.telling import Teller
from labctl.engine.verbs import Verbs
from labctl.engine.whereabouts import Whereabouts
from labctl.engine.words import Words
from labctl.errors import InstrumentError, RefusedForSafety, StepFailed
from labctl.instrument import CellReading
from labctl.plan import End, Impedance, Limits, Prompt, Step, Sweep, is_by_hand
from labctl.quantity import parse
from labctl.reading import Severity


class Execution:
    """Carries out one step after the other.

    A pause opens the circuit, confirmed, then freezes the pressure. It is an executed step of its own, and so is what
    it leaves of the step that it interrupts, whose counts are carried.
    """

    def __init__(
        self,
        station: Station,
        verbs: Verbs,
        words: Words,
        teller: Teller,
        ledger: Ledger,
        progress: Progress,
        guard: Guard,
        view: View,
        forecast: Forecast,
        whereabouts: Whereabouts,
    ) -> None:
        self._station = station
        self._clock = station.clock
        self._verbs = verbs
        self._words = words
        self._teller = teller
        self._ledger = ledger
        self._progress = progress
        self._guard = guard
        self._view = view
        self._forecast = forecast
        self._whereabouts = whereabouts
        self._ends: StepEnds | None = None
        self._steering: Steering | None = None
        self._spectrum: Spectrum | None = None
        self._met: End | None = None
        self._asking: asyncio.Task[None] | None = None
        self._answer: str | None = None

    async def carry_out(self, step: Step, limits: Limits, group: asyncio.TaskGroup, carried: Carried = NOTHING) -> End:
        """Carry out a step, through every pause; return the end that it met.

        Args:
            limits: that the guard is to follow meanwhile.
            group: in which the operator is asked, where the step has a question.
            carried: what another process had counted of it.
        """
        step = self._settled(step, limits)
        end: End | None = None
        try:
            while end is None:
                if self._words.paused:
                    self._withdraw(step)
                    carried = await self.pause(step, carried)
                end = await self._execute(step, limits, carried, group)
        finally:
            if self._asking is not None:
                self._asking.cancel()
            self._asking = self._answer = None
            self._verbs.hands.begin()
        await self._verbs.conclude(step)
        self._count()
        self._learn(step)
        self._teller.step_closed(end.text, end)
        return end

    def _settled(self, step: Step, limits: Limits) -> Step:
        """Return a step in amperes, and tell by which capacities; after an outage they are those of the position."""
        settled = settle(step, self._view.book, limits.current)
        if settled.one_c:
            capacities = {str(cycle): one_c for cycle, one_c in settled.one_c.items()}
            self._teller.event("step.rate", settled.sentence, step_id=step.id, capacity_ah=capacities)
        return settled.step

    def look(self, now: float, reading: CellReading) -> bool:
        """Look at a poll whether the step meets an end; where it does, its last row is about to be written."""
        if self._ends is None:
            return False
        self._met = self._ends.first_met(now, reading)
        if self._met is None:
            self._whereabouts.look(now, reading)
            if self._acts_at_polls:
                self._words.heard.set(None)
            return False
        self._ends = None
        self._words.heard.set(None)
        return True

    async def stand(self, step: Step | None, name: str, verb: str, reason: str) -> Carried:
        """Record how the cell stands at open circuit, as an executed step of its own (id 0 where it is of no step).

        What flowed until the output was confirmed off counts to the step before, which is closed with `reason` where it
        is still open; what that step had counted is returned.
        """
        reading = await self._station.instruments.cycler.read()
        now, progress = self._clock.now(), self._progress
        self._count()
        carried = self._ledger.carried(now)
        if self._teller.step_is_open:
            self._teller.step_closed(reason)
        self._station.board.see_cell(reading, now)
        self._ledger.start_step(now)
        self._teller.step_announced(0 if step is None else step.id, name, verb)
        progress.step, progress.step_count = step, progress.step_count + 1
        self._teller.step_opened(name)
        return carried

    async def pause(self, step: Step, carried: Carried) -> Carried:
        """Open the circuit, freeze the pressure, and wait for the word to go on; return what the step has counted."""
        began, who = self._teller.step_is_open, self._words.who
        unconfirmed = await self._station.make_safe(heaters_off=False)
        self._verbs.frozen()
        for sentence in unconfirmed:
            self._teller.event("instrument.unsafe", sentence, Severity.ALARM)
        if unconfirmed:
            raise StepFailed(
                f"The pause could not be confirmed: {unconfirmed[0]}",
                "Look at the cell and its rig before anything else is done with them.",
            )
        counted = await self.stand(step, "pause", PAUSE, f"paused by {who}")
        await self.wait_out()
        return counted if began else carried

    async def wait_out(self) -> None:
        """Wait for the word to go on, and close the pause."""
        while self._words.paused:
            await self._words.heard.wait()
        self._count()
        self._teller.step_closed(f"resumed by {self._words.who}")

    async def open_step(self, step: Step, limits: Limits, carried: Carried) -> None:
        """Look at the cell and write the first row of a step that has been commanded, or of what is left of it."""
        reading = await self._station.instruments.cycler.read()
        now, progress = self._clock.now(), self._progress
        self._station.board.see_cell(reading, now)
        self._ledger.start_step(now, carried)
        self._ledger.add(reading, now)
        progress.step, progress.step_count = step, progress.step_count + 1
        near_rest = isinstance(step.action, Sweep | Impedance) or refers_to_rest(step.action)
        handled = self._verbs.question(step) is not None or is_by_hand(step)
        self._guard.follow(limits, near_rest=near_rest, handled=handled)
        self._teller.follow(step.record)
        self._teller.step_opened(step.name)

    # -- one execution -----------------------------------------------------------------------------------------------

    async def _execute(self, step: Step, limits: Limits, carried: Carried, group: asyncio.TaskGroup) -> End | None:
        """Execute a step, or what is left of it, to its end; None where a pause interrupts it."""
        at_rest = is_biased_by_rest(step.action) or (refers_to_rest(step.action) and carried.rested is None)
        cell = await self._verbs.cell_before(step, at_rest=at_rest)
        if self._words.paused:
            return None
        rested = cell.voltage if cell is not None and (at_rest or abs(cell.current) < RESTS) else None
        carried = carried if carried.rested is not None else replace(carried, rested=rested)
        self._steering, point = _steering(step, carried, cell)
        self._spectrum = self._spectrum_of(step, cell)
        ends = StepEnds(step, self._view, self._steering)
        met = None if cell is None else ends.already(cell.voltage)
        await self._begin(step, limits, carried, rested, point, drive=met is None)
        if met is not None:
            return met
        question = self._verbs.question(step)
        if question is not None and self._asking is None:
            self._asking = self._clock.spawn(group, self._ask(question, step), "question")
        if is_by_hand(step):
            ends.waits = True
            self._asking = self._clock.spawn(group, self._by_hand(step, ends), "hands")
        if question is None and not self._acts_at_polls and not step.ends and step.timeout is None:
            return DONE
        return await self._wait(step, ends)

    @property
    def _acts_at_polls(self) -> bool:
        """Whether the host has more to do in a step than to wait for its ends."""
        return self._steering is not None or self._spectrum is not None

    def _spectrum_of(self, step: Step, cell: CellReading | None) -> Spectrum | None:
        if not isinstance(step.action, Impedance):
            return None
        return Spectrum(step.action, self._station.instruments.cycler, cell, self._teller, self._progress)

    async def _begin(
        self,
        step: Step,
        limits: Limits,
        carried: Carried,
        rested: float | None,
        point: SetPoint | None,
        *,
        drive: bool,
    ) -> None:
        """Command the step, then look at the cell at once: current has jumped, and the first row must show it.

        Args:
            rested: V of the resting cell just before; None where it did not rest or was not looked at.
            point: where the host steers the step, the set point with which it begins.
            drive: false for a cell that is already where the step would take it.
        """
        self._teller.step_announced(step.id, step.name, step.verb, rested)
        self._met = None
        await self._verbs.restore_what_was_kept()
        self._verbs.go_on()
        if drive:
            await self._verbs.command(step, point)
            if self._spectrum is not None:
                await self._spectrum.begin()
        await self.open_step(step, limits, carried)
        cell = self._station.board.cell
        assert cell is not None
        self._whereabouts.jumped(rested, cell)

    async def _wait(self, step: Step, ends: StepEnds) -> End | None:
        """Wait for an end, the operator's skip or answer; None where a pause comes first."""
        self._ends = ends
        try:
            while True:
                if self._met is not None:
                    return self._met
                skipper = self._words.skipper(self._progress.step_count)
                if skipper is not None:
                    return self._skip(step, skipper)
                if self._words.paused:
                    return None
                self._verbs.go_on()
                if self._answer is not None:
                    return await self._answered(step, self._answer)
                beyond = await self._steer(ends)
                if beyond is not None:
                    return beyond
                if self._spectrum is not None and await self._spectrum.collect():
                    return OVER
                await self._words.heard.wait()
        finally:
            self._ends = None

    async def _steer(self, ends: StepEnds) -> End | None:
        """Move the set point to where it belongs now, and look at the cell, whose current has jumped.

        Meanwhile no poll is asked for an end: a change of range opens the output for a moment. A cell that is already
        beyond where the new current stops is not driven; the end that it has met is returned.
        """
        course, now = self._steering, self._clock.now()
        cell = self._station.board.fresh_cell(now)
        if course is None or cell is None or cell.voltage is None:
            return None
        before, point = course.point, course.move(now - self._ledger.step_start, cell.voltage)
        if point is None:
            return None
        met = ends.already(cell.voltage)
        if met is not None:
            return met
        self._ends = None
        await self._verbs.steer(point)
        if before is None or point.jumps_from(before):
            self._guard.jumped()
        with suppress(InstrumentError):  # a measurement that fails is told by the next poll, as any other
            reading = await self._station.instruments.cycler.read()
            self._station.board.see_cell(reading, self._clock.now())
            self._ledger.add(reading, self._clock.now())
        self._ends = ends
        return None

    def _count(self) -> None:
        """Count what has flowed since the last poll; an operator's word comes between two of them."""
        cell = self._station.board.cell
        if cell is not None:
            self._ledger.add(cell, self._clock.now())

    # -- what ends a step without its plan ---------------------------------------------------------------------------

    def _skip(self, step: Step, who: str) -> End:
        count = self._progress.step_count
        self._teller.event("step.skipped", f"{step.name} is skipped by {who}.", who=who, step_count=count)
        return skipped(who)

    async def _ask(self, question: Prompt, step: Step) -> None:
        self._answer = await self._verbs.ask(question, step)
        self._words.heard.set(None)

    async def _by_hand(self, step: Step, ends: StepEnds) -> None:
        """Have a person do it; when they have said what every tool showed, the step ends as it says."""

        def told(done: Applied) -> None:
            data: dict[str, Any] = {"side": done.side, "scale": done.shows, "asked": done.asked, "shown": done.shown}
            self._teller.event("hand.applied", done.sentence, step_count=self._progress.step_count, **data)

        def all_asked() -> None:
            ends.waits = False

        await self._verbs.hands.work(step, told, all_asked)

    def _withdraw(self, step: Step) -> None:
        """Ask nobody to move anything while the run is paused; whoever has not answered is asked again after it."""
        if is_by_hand(step) and self._asking is not None:
            self._asking.cancel()
            self._asking = None

    async def _answered(self, step: Step, answer: str) -> End:
        data: dict[str, Any] = {"step_count": self._progress.step_count, "answer": answer}
        if isinstance(step.action, Prompt) and step.action.quantity is not None:
            data["value"] = float(parse(answer, step.action.quantity))
        self._teller.event("operator.answered", answer, **data)
        self._view.answer = answer
        await self._verbs.answered(step, answer)
        return DONE

    def _learn(self, step: Step) -> None:
        seconds = self._clock.now() - self._ledger.step_start
        if self._words.skipper(self._progress.step_count) is not None:
            self._forecast.skipped(step, seconds)
        else:
            self._forecast.took(step, seconds)


def _steering(step: Step, carried: Carried, cell: CellReading | None) -> tuple[Steering | None, SetPoint | None]:
    """Return how the host steers a step, and the set point with which it begins, or goes on; None: it does not."""
    if not is_steered(step.action):
        return None, None
    if cell is None or cell.voltage is None:
        raise RefusedForSafety(
            "The voltage of the cell is not known, and this step is told by it.", "Look at the cell and its wiring."
        )
    course = steering(step.action, cell.voltage if carried.rested is None else carried.rested)
    return course, None if course is None else course.move(carried.time, cell.voltage)
