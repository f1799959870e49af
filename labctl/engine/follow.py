"""Following: the cycler executes a segment by itself, and the run writes down what it keeps, poll by poll.

What is lost here is only time: the instrument obeys ends and limits without this process. So silence of the cycler
does not end a run while a program is in it; the pressure is frozen until it answers again.
"""

import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

from labctl.engine.execution import Execution
from labctl.engine.guard import Guard
from labctl.engine.ledger import NOTHING, Carried
from labctl.engine.position import EVERY, KIND, PAUSE, Following, Position, data_of
from labctl.engine.progress import Progress
from labctl.engine.segments import Segment
from labctl.engine.station import Station
from labctl.engine.telling import Teller
from labctl.engine.transcript import Transcript
from labctl.engine.verbs import Verbs
from labctl.engine.words import Words
from labctl.errors import (
    GarbledReply,
    InstrumentError,
    LimitTripped,
    NoReply,
    RunLost,
    StepFailed,
    Unreachable,
)
from labctl.plan import End, Limits, Step
from labctl.program import Program, ProgrammableCycler, ProgramState, ProgramStatus
from labctl.reading import Severity

SILENT = (NoReply, GarbledReply, Unreachable)
"""What a wire does that may heal; anything else that an instrument says ends the run."""
_REMEDY = "The circuit is open and the pressure frozen. Find the cause before the cell is used again."

Ended = tuple[Step, End]


class Follower:
    """Sees the segments of one run through, one after the other.

    Attributes:
        cycler: which executes them.

    Args:
        transcribe: begins the transcript of a segment at a position.
    """

    def __init__(
        self,
        station: Station,
        cycler: ProgrammableCycler,
        verbs: Verbs,
        words: Words,
        teller: Teller,
        progress: Progress,
        guard: Guard,
        execution: Execution,
        transcribe: Callable[[Segment, Limits, Position], Transcript],
    ) -> None:
        self._station = station
        self.cycler = cycler
        self._verbs = verbs
        self._words = words
        self._teller = teller
        self._progress = progress
        self._guard = guard
        self._execution = execution
        self._transcribe = transcribe
        self._program: tuple[Program, Limits, Transcript] | None = None
        self._told = 0
        """Number of the record at which the position was last told."""
        self._unseen = False
        """Whether the cycler has been silent for longer than its age limit."""
        self._skipped = (0, "")
        """Count of the executed step that was skipped last, and by whom."""

    @property
    def at_work(self) -> bool:
        """Whether rows are records of a program now: so not in its pauses."""
        return self._program is not None and not self._program[2].following.paused

    @property
    def token(self) -> str:
        """Of the program that is in the cycler now; empty: none."""
        return "" if self._program is None else self._program[2].following.token

    async def execute(self, segment: Segment, limits: Limits, where: Callable[[], Position]) -> Ended | None:
        """Execute a segment; return the step and the end by which it was left, None where it was walked to its end.

        Args:
            limits: of the run; a step may have narrower ones.
            where: gives the position of the run before the segment.

        Raises:
            LimitTripped: by the instrument's own limit.
            StepFailed: another hand stopped the program, or records of it are lost.
        """
        if self._words.paused:
            await self._execution.pause(next(iter(segment.steps.values())), NOTHING)
        self._verbs.go_on()
        token = uuid4().hex
        before = self._begin(segment, limits, where(), token)
        await self.cycler.start_program(segment.program, token)
        if self._begun(segment, where(), token) != before:
            self._begin(segment, limits, where(), token)
        return await self._see_through(segment)

    async def take_up(self, segment: Segment, limits: Limits, position: Position) -> Ended | None:
        """Go on with the program that another process has started; else as `execute`.

        Raises:
            RunLost: it is not in the instrument any more, or is another one.
        """
        following = position.following
        assert following is not None
        status = await self.cycler.program_status()
        if status.state is ProgramState.NONE or status.token != following.token:
            raise RunLost("The program of this run is not in the cycler any more.")
        if following.checksum != zlib.crc32(segment.program.text) or status.records < following.records:
            raise RunLost("The program in the cycler is not the one that this plan asks for now.")
        transcript = self._transcribe(segment, limits, position)
        self._program = segment.program, limits, transcript
        carried = NOTHING
        if following.records:
            self._require_kept(status, following.records)
            (last, *_) = await self.cycler.program_records(segment.program, following.records - 1)
            carried = transcript.recall(last)
        await self._verbs.restore(position.surroundings)
        self._teller.event("run.reattached", "Followed again, by another process.", records=following.records)
        self._guard.without_cycler = True
        if following.paused:
            await self._pause_again(transcript, carried, status.state)
        else:
            self._tell_position()
        return await self._see_through(segment)

    async def finish(self) -> None:
        """Write down what a program that was broken off has kept to its end, as far as the cycler tells."""
        if self._program is not None:
            with suppress(InstrumentError, StepFailed):
                await self._catch_up()
            self._leave()

    # -- a program from its first record to its last -----------------------------------------------------------------

    def _begun(self, segment: Segment, position: Position, token: str) -> Position:
        count = position.step_count
        now, unix = self._teller.test_time, self._station.clock.unix()
        checksum = zlib.crc32(segment.program.text)
        cycle = self._progress.number
        following = Following(token, checksum, now, unix, cycle, position.counts, started=count, ended=count)
        return replace(position, following=following)

    def _begin(self, segment: Segment, limits: Limits, position: Position, token: str) -> Position:
        begun = self._begun(segment, position, token)
        self._program = segment.program, limits, self._transcribe(segment, limits, begun)
        self._guard.without_cycler = True
        self._tell_position()
        return begun

    def _leave(self) -> None:
        self._program = None
        self._unseen = self._guard.without_cycler = False

    async def _see_through(self, segment: Segment) -> Ended | None:
        assert self._program is not None
        transcript = self._program[2]
        while True:
            status = await self._look()
            if status is not None:
                if self._is_over(status):
                    self._leave()
                    return None if transcript.last is None or not segment.leaves(*transcript.last) else transcript.last
                if status.state is ProgramState.PAUSED and not self._words.paused:
                    self._paused_elsewhere()
                if self._words.paused:
                    await self._pause(transcript)
                    continue
                skipper = self._words.skipper(self._progress.step_count)
                if skipper is not None and self._skipped[0] != self._progress.step_count:
                    await self._skip(skipper)
                    continue
            await self._words.heard.wait()

    def _is_over(self, status: ProgramStatus) -> bool:
        match status.state:
            case ProgramState.RUNNING | ProgramState.PAUSED:
                return False
            case ProgramState.DONE if not self._teller.step_is_open:
                return True
            case ProgramState.TRIPPED:
                raise LimitTripped(f"The cycler has tripped: {status.reason}.", _REMEDY)
        raise StepFailed(f"The program in the cycler was broken off, and not by this run ({status.state}).", _REMEDY)

    async def _look(self) -> ProgramStatus | None:
        """Catch up, and judge the silence of a cycler that does not let us."""
        try:
            status = await self._catch_up()
        except SILENT:
            await self._miss()
            return None
        if self._unseen:
            self._unseen = False
            self._teller.event("program.reached", "The cycler answers again; what it has kept meanwhile is here.")
            if not self._words.paused:
                self._verbs.go_on()
        return status

    async def _catch_up(self) -> ProgramStatus:
        """Write down every record that the cycler has kept so far, and return how it then was."""
        assert self._program is not None
        program, _, transcript = self._program
        status = await self.cycler.program_status()
        if status.state is ProgramState.NONE or status.token != transcript.following.token:
            raise StepFailed("The program is not in the cycler any more: it was switched off or erased.", _REMEDY)
        while (after := transcript.following.records) < status.records:
            self._require_kept(status, after + 1)
            for record in await self.cycler.program_records(program, after):
                count, who = self._skipped
                transcript.take(record, who if count == self._progress.step_count else "")
            if transcript.following.records >= self._told + EVERY:
                self._tell_position()
        return status

    def _require_kept(self, status: ProgramStatus, number: int) -> None:
        """Tell the gap and end the run where a record is not in the cycler any more."""
        if number >= status.oldest:
            return
        words = f"The cycler has overwritten records {number} to {status.oldest - 1} of its program."
        self._teller.event("program.gap", words, Severity.ALARM, first=number, last=status.oldest - 1)
        raise StepFailed(words, _REMEDY)

    async def _miss(self) -> None:
        clock, board = self._station.clock, self._station.board
        if self._unseen or board.fresh_cell(clock.now()) is not None:
            return
        self._unseen = True
        words = (
            "The cycler does not answer. Its program goes on within its own limits; the pressure is frozen meanwhile."
        )
        self._teller.event("program.unreachable", words, Severity.ALARM)
        self._verbs.hold()
        self._tell_unconfirmed(await self._station.freeze())
        self._verbs.frozen()

    # -- the operator's words ----------------------------------------------------------------------------------------

    async def _skip(self, who: str) -> None:
        count, step = self._progress.step_count, self._progress.step
        assert step is not None
        self._skipped = count, who
        self._teller.event("step.skipped", f"{step.name} is skipped by {who}.", who=who, step_count=count)
        await self.cycler.skip_program_step()

    def _paused_elsewhere(self) -> None:
        self._words.pause("somebody at the cycler")
        self._verbs.hold()
        words = "The program was paused, and not by this run."
        self._teller.event("run.paused", words, Severity.WARNING, who=self._words.who, reason="")

    async def _pause(self, transcript: Transcript) -> None:
        """Open the circuit, freeze the pressure, wait for the word to go on, and go on with the rest of the step."""
        step, who = self._progress.step, self._words.who
        unconfirmed = await self._station.make_safe(heaters_off=False, open_circuit=self.cycler.pause_program)
        self._verbs.frozen()
        self._tell_unconfirmed(unconfirmed)
        if unconfirmed:
            raise StepFailed(
                f"The pause could not be confirmed: {unconfirmed[0]}",
                "Look at the cell and its rig before anything else is done with them.",
            )
        if (await self._catch_up()).state is not ProgramState.PAUSED:
            return
        transcript.note(replace(transcript.following, paused=True))
        self._tell_position()
        carried = await self._execution.stand(step, "pause", PAUSE, f"paused by {who}")
        await self._resume(transcript, carried)

    async def _resume(self, transcript: Transcript, carried: Carried) -> None:
        """Wait for the word to go on, then begin what is left of the step as an executed step of its own."""
        assert self._program is not None
        await self._execution.wait_out()
        step, following = self._progress.step, transcript.following
        assert step is not None
        await self.cycler.resume_program()
        self._verbs.go_on()
        self._teller.step_announced(step.id, step.name, step.verb)
        await self._execution.open_step(step, step.limits or self._program[1], carried)
        count = self._progress.step_count
        transcript.note(
            replace(
                following,
                inserted=following.inserted + 2,
                paused=False,
                not_before=self._teller.test_time - following.began,
                started=count,
                ended=count - 1,
            )
        )
        self._tell_position()

    async def _pause_again(self, transcript: Transcript, carried: Carried, state: ProgramState) -> None:
        """Stand in the pause in which another process stood; where that had told of its end, it has ended."""
        step, following = self._progress.step, transcript.following
        assert step is not None
        if following.started == self._progress.step_count + 2:
            inserted = following.inserted + 2
            self._progress.step_count = following.started
            self._teller.step_reopened(step.name)
            transcript.note(replace(following, paused=False, inserted=inserted))
            self._tell_position()
            return
        if state is ProgramState.RUNNING:
            await self.cycler.pause_program()
        self._words.pause("the process before")
        self._verbs.hold()
        if following.started == self._progress.step_count:
            await self._execution.stand(step, "pause", PAUSE, f"paused by {self._words.who}")
        else:
            self._progress.step_count = following.started
            self._teller.step_reopened("pause")
        await self._resume(transcript, carried)

    def _tell_position(self) -> None:
        assert self._program is not None
        transcript = self._program[2]
        self._told = transcript.following.records
        self._teller.event(KIND, "The run can be gone on with from here.", **data_of(transcript.position))

    def _tell_unconfirmed(self, sentences: tuple[str, ...]) -> None:
        for sentence in sentences:
            self._teller.event("instrument.unsafe", sentence, Severity.ALARM)
