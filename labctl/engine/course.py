"""The course of a run: its plan walked, step by step in the host and segment by segment in the cycler."""

import asyncio
from collections.abc import Mapping

from labctl.engine.comeback import Comeback
from labctl.engine.conditions import View, evaluator
from labctl.engine.cycles import CycleBook
from labctl.engine.execution import Execution
from labctl.engine.follow import Follower
from labctl.engine.ledger import Ledger
from labctl.engine.position import Hosted, Position
from labctl.engine.progress import Progress
from labctl.engine.revision import PlanInForce
from labctl.engine.segments import Segment, Segments
from labctl.engine.station import Station
from labctl.engine.verbs import Verbs
from labctl.engine.walk import Leave, Walk
from labctl.engine.whereabouts import Whereabouts
from labctl.errors import RunLost, StepFailed
from labctl.instrument import Range
from labctl.plan import Branch, End, Finish, Jump, Limits, Loop, Step, Then


class Course:
    """Walks one plan.

    Args:
        follower: sees segments through; None where the cycler executes no programs.
        resume: where another process was; `comeback` judges whether the run goes on where the host executed a step.
    """

    def __init__(
        self,
        station: Station,
        in_force: PlanInForce,
        verbs: Verbs,
        ledger: Ledger,
        progress: Progress,
        view: View,
        book: CycleBook,
        execution: Execution,
        whereabouts: Whereabouts,
        follower: Follower | None,
        comeback: Comeback,
        resume: Position | None,
    ) -> None:
        self._station = station
        self._in_force = in_force
        self._verbs = verbs
        self._ledger = ledger
        self._progress = progress
        self._view = view
        self._book = book
        self._execution = execution
        self._whereabouts = whereabouts
        self._follower = follower
        self._comeback = comeback
        self._resume = resume
        self._armed: Limits | None = None
        segments = None
        if follower is not None:
            segments = Segments(follower.cycler, lambda: in_force.plan.limits, whole_cycles=not book.needed)
        self._walk = Walk(self._step, self._decide, self, in_force, segments, self._segment)
        self._group: asyncio.TaskGroup | None = None

    @property
    def passes(self) -> Mapping[int, int]:
        """Number of the present pass of each loop, by its id."""
        return self._walk.passes

    async def take(self, group: asyncio.TaskGroup) -> None:
        """Walk the plan to its end.

        Args:
            group: in which the operator is asked.
        """
        self._group = group
        resume = self._resume
        if resume is None:
            self._whereabouts.begin()
        if resume is None or resume.following is None:
            await self._arm()
        if resume is not None:
            if resume.following is None:
                await self._comeback.judge(self._in_force.plan, resume, group)
            if not resume.path:  # it died before its first step
                self._resume = None
            self._walk.return_to(resume.path, resume.fired)
            self._book.cycles, self._view.answer = resume.cycles, resume.answer
        try:
            await self._walk.walk(self._in_force.plan.body)
        except Leave as leave:
            if leave.then is not Then.END:
                raise StepFailed(f"Nothing around the step is meant by {leave}.") from leave

    async def _arm(self) -> None:
        limits = self._in_force.plan.limits
        low, high = limits.voltage.low, limits.voltage.high
        cycler = self._station.instruments.cycler
        window = Range(
            cycler.voltage_range.low if low is None else low, cycler.voltage_range.high if high is None else high
        )
        await cycler.arm(window, limits.current)
        self._armed = limits

    async def _follow_revision(self) -> None:
        """Give the instruments the limits of a revision; the cycler takes its window with its output off."""
        limits = self._in_force.plan.limits
        if limits != self._armed:
            await self._station.instruments.cycler.off()
            await self._arm()
            self._verbs.limit(limits)

    def _decide(self, branch: Branch) -> bool:
        here = self._progress.step or next(self._in_force.plan.steps())
        truth = evaluator(branch.condition, here, self._view).truth(self._station.clock.now())
        if truth is None:
            raise StepFailed(
                f'Whether "{branch.text}" (line {branch.line}) holds is not known now.',
                "The circuit is open and the pressure frozen. Check that what it speaks of is measured here.",
            )
        return truth

    def begin(self, loop: Loop) -> None:
        """A pass that counts begins."""
        self._progress.cycle += 1
        self._book.begin(loop, self._progress.number, self._ledger.counts)

    def complete(self) -> None:
        """It has come to its end."""
        self._book.complete(self._ledger.counts)

    def abandon(self) -> None:
        """It was left before its end."""
        self._book.abandon()

    async def _step(self, step: Step) -> None:
        resume, self._resume = self._resume, None
        hosted = Hosted() if resume is None else resume.hosted
        if hosted is None:
            raise RunLost("The plan has no program where the run was in one.")
        if hosted.ended is not None:
            if hosted.ended.then is not Then.NEXT:
                raise Leave(hosted.ended.then, hosted.ended.label)
            return
        if isinstance(step.action, Finish):
            raise Leave(Then.END)
        if isinstance(step.action, Jump):
            raise Leave(Then.GOTO, step.action.label)
        await self._follow_revision()
        step = self._verbs.begin(step, again=resume is not None)
        self._whereabouts.before(step, hosted.carried)
        assert self._group is not None
        limits = step.limits or self._in_force.plan.limits
        end = await self._execution.carry_out(step, limits, self._group, hosted.carried)
        if end.then is not Then.NEXT:
            _leave(step, end)

    async def _segment(self, segment: Segment) -> None:
        assert self._follower is not None
        limits = self._in_force.plan.limits
        if self._resume is not None and self._resume.following is not None:
            resume, self._resume = self._resume, None
            ended = await self._follower.take_up(segment, limits, resume)
        else:
            await self._follow_revision()
            ended = await self._follower.execute(segment, limits, lambda: self.position)
        if ended is not None:
            _leave(*ended)

    @property
    def position(self) -> Position:
        """Where the run is, before the node that comes next."""
        return Position(
            tuple(self._walk.path),
            tuple(sorted(self._walk.fired)),
            self._progress.cycle,
            self._progress.step_count,
            self._ledger.counts,
            self._verbs.surroundings,
            identities=self._station.digests,
            cycles=self._book.cycles,
            answer=self._view.answer,
        )


def _leave(step: Step, end: End) -> None:
    if end.then is Then.FAULT:
        why = f": {end.why}" if end.why else ""
        raise StepFailed(
            f'Step {step.id} "{step.name}" (line {step.line}) ended in a fault: {end.text}{why}.',
            "The circuit is open and the pressure frozen. See the last rows of the run for the cause.",
        )
    raise Leave(end.then, end.label)
