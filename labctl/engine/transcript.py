"""The transcript of a program: each record of the instrument becomes what a step in the host gives, numbered alike."""

from dataclasses import replace

from labctl.engine.ends import skipped
from labctl.engine.forecast import Forecast
from labctl.engine.guard import Guard
from labctl.engine.ledger import Carried, Counts, Ledger
from labctl.engine.position import Following, Position
from labctl.engine.progress import Progress
from labctl.engine.rows import When
from labctl.engine.segments import Segment
from labctl.engine.telling import Teller
from labctl.errors import StepFailed
from labctl.instrument import CellReading
from labctl.plan import End, Limits, Step
from labctl.program import Kept, ProgramRecord


class Transcript:
    """Writes down one program.

    Attributes:
        position: where the run is, as far as its records are written down.
        last: the step that ended last, with its end; None before the first, and while a step is under way.

    Args:
        limits: those of the run, which hold where a step has none of its own.
        position: at the beginning of the program, or where another process left it.
    """

    def __init__(
        self,
        segment: Segment,
        limits: Limits,
        position: Position,
        teller: Teller,
        ledger: Ledger,
        progress: Progress,
        guard: Guard,
        forecast: Forecast,
    ) -> None:
        assert position.following is not None
        self.position = position
        self.last: tuple[Step, End] | None = None
        self._following = position.following
        self._segment = segment
        self._limits = limits
        self._teller = teller
        self._ledger = ledger
        self._progress = progress
        self._guard = guard
        self._forecast = forecast

    @property
    def following(self) -> Following:
        """How far the program is written down."""
        return self._following

    def note(self, following: Following) -> None:
        """Go on from there: a pause has begun or ended."""
        self._following = following
        self.position = replace(self.position, following=following)

    def take(self, record: ProgramRecord, skipped_by: str = "") -> None:
        """Write down the next record.

        Args:
            skipped_by: whose word ends the step, where this record is its last.

        Raises:
            StepFailed: it is not the next one, or of no step of this program.
        """
        following = self._following
        if record.number != following.records + 1 or record.step not in self._segment.steps:
            raise StepFailed(
                f"The cycler gave record {record.number} of step {record.step} where number {following.records + 1} of "
                "its program was to come.",
                "Its driver does not keep the order of its records.",
            )
        step, count, when = self._segment.steps[record.step], self._count(record), self._when(record)
        began, ended = following.started, following.ended
        with self._teller.at(when, _reading(record)):
            if record.kept is Kept.START:
                self._begin(step, count, record, when)
                began = count
            else:
                self._recount(record, when)
                if self._close(step, record, skipped_by):
                    ended = count
                else:
                    self._teller.row()
        self.note(
            replace(
                self._following,
                cycle=self._progress.number,
                counts=self._counts(record),
                records=record.number,
                started=began,
                ended=ended,
                test_time=when.test_time,
            )
        )

    def recall(self, record: ProgramRecord) -> Carried:
        """Stand where the last record stood that another process has written down; its row is in the journal.

        Returns:
            What the step had counted by then.
        """
        step, count, when = self._segment.steps[record.step], self._count(record), self._when(record)
        progress, following = self._progress, self._following
        progress.step, progress.step_count = step, count
        progress.cycle = self.position.cycle + record.cycle
        self._ledger.start_step(self._instant(when) - record.step_time)
        self._recount(record, when)
        self._guard.follow(step.limits or self._limits)
        self._teller.follow(step.record)
        if count > following.ended:
            self._teller.step_reopened(step.name)
        if record.kept is Kept.END and record.end is not None:
            self.last = step, _end(step, record.end)
            if count > following.ended:
                with self._teller.at(when, _reading(record)):
                    self._teller.step_ended(self.last[1].text)
                self.note(replace(following, ended=count))
        return self._ledger.carried(self._instant(when))

    # -- what a record says in the numbering of the run ----------------------------------------------------------------

    def _count(self, record: ProgramRecord) -> int:
        return self.position.step_count + self._following.inserted + record.step_count

    def _counts(self, record: ProgramRecord) -> Counts:
        own = Counts(record.charge_in, record.charge_out, record.energy_in, record.energy_out)
        return self.position.counts + own

    def _when(self, record: ProgramRecord) -> When:
        following = self._following
        time = max(record.time, following.not_before)
        test_time = following.began + time
        age = self._teller.test_time - test_time
        if age < 0.0:  # the calendar was set back while nobody was here, and the cycler has counted on
            self._ledger.start_time += age
        return When(following.began_unix + time, test_time, record.step_time, max(age, 0.0))

    def _instant(self, when: When) -> float:
        """Lab time of an instant."""
        return self._ledger.start_time + when.test_time

    # -- what follows from it ------------------------------------------------------------------------------------------

    def _begin(self, step: Step, count: int, record: ProgramRecord, when: When) -> None:
        progress = self._progress
        if self._teller.step_is_open:
            self._teller.step_ended("skipped at the cycler")
        self.last = None
        progress.cycle, progress.step_count = self.position.cycle + record.cycle, count - 1
        if count > self._following.started:
            self._teller.step_announced(step.id, step.name, step.verb)
        progress.step, progress.step_count = step, count
        self._ledger.start_step(self._instant(when))
        self._following = replace(self._following, step_counts=self._counts(record))
        self._recount(record, when)
        self._guard.follow(step.limits or self._limits)
        self._teller.follow(step.record)
        self._teller.step_opened(step.name)

    def _recount(self, record: ProgramRecord, when: When) -> None:
        counts = self._counts(record)
        since = self._following.step_counts
        self._ledger.recount(counts, counts if since is None else since, _reading(record), self._instant(when))

    def _close(self, step: Step, record: ProgramRecord, skipped_by: str) -> bool:
        """Close a step with its last record; one that the instrument broke off stays open until the run is closed."""
        if record.kept is not Kept.END or (record.end is None and not skipped_by):
            return False
        end = skipped(skipped_by) if record.end is None else _end(step, record.end)
        self.last = step, end
        self._teller.step_closed(end.text)
        if record.end is None:
            self._forecast.skipped(step, record.step_time)
        else:
            self._forecast.took(step, record.step_time)
        return True


def _end(step: Step, index: int) -> End:
    """Return the end of a step that has this number; behind its own ends comes its time-out."""
    ends = step.ends if step.timeout is None else (*step.ends, step.timeout)
    if index >= len(ends):
        raise StepFailed(f'The cycler ended step {step.id} "{step.name}" by end {index + 1}, which it does not have.')
    return ends[index]


def _reading(record: ProgramRecord) -> CellReading:
    return CellReading(record.voltage, record.current, output=True, limiting=None)
