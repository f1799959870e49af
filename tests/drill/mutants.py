"""Mistakes that somebody could make, each put into the product on purpose; a search has to find every one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from drivers.keithley_2450.driver import Keithley2450
from labctl.bus.codec import Batch, Watermark
from labctl.engine import comeback
from labctl.engine.board import Board
from labctl.engine.ends import StepEnds
from labctl.engine.guard import Guard
from labctl.engine.journal import Journal
from labctl.engine.ledger import Ledger
from labctl.engine.station import Station
from labctl.engine.telling import Teller
from labctl.instrument import CellReading, Range
from labctl.plan import Bound, Compare, Limits, Operator, Quantity, Step
from labctl.record.aggregate import Aggregates
from labctl.record.stream import Stream
from labctl.record.writer import Writer

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Mutant:
    """A mistake, a seed whose laboratory shows it, and a promise that it breaks there."""

    apply: Patch
    seed: int
    promise: str


def cut_off_sign(patch: pytest.MonkeyPatch) -> None:
    """A charge ends below its cut-off voltage, a discharge above."""
    flipped = {Operator.GE: Operator.LE, Operator.LE: Operator.GE, Operator.GT: Operator.LT, Operator.LT: Operator.GT}
    original = StepEnds.__init__

    def init(self: StepEnds, step: Step, *rest: Any) -> None:
        ends = tuple(
            replace(end, condition=replace(c, operator=flipped[c.operator]))
            if isinstance(c := end.condition, Compare) and c.quantity is Quantity.VOLTAGE
            else end
            for end in step.ends
        )
        original(self, replace(step, ends=ends), *rest)

    patch.setattr(StepEnds, "__init__", init)


def hardware_limit_skipped(patch: pytest.MonkeyPatch) -> None:
    """The instrument is told to go to the end of its range; the host is to stop it in time."""
    original, arm = Keithley2450.drive, Keithley2450.arm

    async def open_window(self: Keithley2450, voltage: Range, current: float) -> None:
        await arm(self, Range(0.0, 5.0), current)

    async def drive(self: Keithley2450, current: float, voltage: float) -> None:
        await original(self, current, 5.0 if current > 0 else 0.0)

    patch.setattr(Keithley2450, "arm", open_window)
    patch.setattr(Keithley2450, "drive", drive)


def early_watermark(patch: pytest.MonkeyPatch) -> None:
    """The recorder says that it has what it then does not store."""
    original = Writer.apply

    def apply(self: Writer, batches: list[Batch]) -> list[Watermark]:
        calls = _of(self, list[int])
        calls.append(1)
        if len(calls) % 5:
            return original(self, batches)
        return [Watermark(batch.run, batch.channel, batch.last) for batch in batches]

    patch.setattr(Writer, "apply", apply)


def dropped_trip(patch: pytest.MonkeyPatch) -> None:
    """What the guard says is not acted on."""
    patch.setattr(Guard, "check", lambda self, measured, now: None)


def reused_number(patch: pytest.MonkeyPatch) -> None:
    """The journal gives a number twice, now and then."""
    original = Journal.append

    def append(self: Journal, record: Any) -> int:
        if self.last and self.last % 40 == 0 and self.last > self.durable + 1:
            self.last -= 1
        return original(self, record)

    patch.setattr(Journal, "append", append)


def resume_without_check(patch: pytest.MonkeyPatch) -> None:
    """A run is gone on with after an outage, whatever its policy says."""
    patch.setattr(comeback, "objections", lambda *_: ())


def stale_value(patch: pytest.MonkeyPatch) -> None:
    """What is looked at is what was measured half a minute ago."""
    original = Board.see_cell

    def see_cell(self: Any, reading: CellReading, now: float) -> None:
        waiting = _of(self, list[CellReading])
        waiting.append(reading)
        original(self, waiting[max(0, len(waiting) - 30)], now)

    patch.setattr(Board, "see_cell", see_cell)


def safe_state_swapped(patch: pytest.MonkeyPatch) -> None:
    """The pressure is frozen first, and then the circuit opened."""
    original = Station._confirmed

    async def confirmed(self: Station, order: Any) -> tuple[str, ...]:
        return await original(self, list(reversed(order)))

    patch.setattr(Station, "_confirmed", confirmed)


def ledger_sign(patch: pytest.MonkeyPatch) -> None:
    """Charge that goes in is counted as charge that comes out."""
    original = Ledger.add
    patch.setattr(Ledger, "add", lambda self, r, now: original(self, replace(r, current=-r.current), now))


def guard_not_armed(patch: pytest.MonkeyPatch) -> None:
    """The guard of a run is given no limits."""
    original = Guard.__init__

    def init(self: Guard, limits: Limits, *rest: Any, **more: Any) -> None:
        original(self, Limits(Bound(), 1.0, 1e9), *rest, **more)

    patch.setattr(Guard, "__init__", init)
    patch.setattr(Guard, "follow", lambda self, limits, **more: None)


def forgotten_age(patch: pytest.MonkeyPatch) -> None:
    """Silence of an instrument is no reason to trip."""
    patch.setattr(Guard, "_listen", lambda self, now: None)


def row_dropped_at_the_boundary(patch: pytest.MonkeyPatch) -> None:
    """A step does not end with a row."""
    patch.setattr(Teller, "step_closed", lambda self, reason, *rest, **more: self.step_ended(reason, *rest, **more))


def gaps_passed_over(patch: pytest.MonkeyPatch) -> None:
    """The recorder takes what comes, whether something is missing before it or not."""
    original = Stream.offer

    def offer(self: Stream, batch: Any) -> Any:
        self.watermark = max(self.watermark, batch.first - 1)
        return original(self, batch)

    patch.setattr(Stream, "offer", offer)


def silence_not_told(patch: pytest.MonkeyPatch) -> None:
    """Nobody is told that an instrument does not answer."""
    original = Teller.tell

    def tell(self: Teller, kind: str, *rest: Any) -> None:
        if kind != "instrument.failed":
            original(self, kind, *rest)

    patch.setattr(Teller, "tell", tell)


def cycles_not_summed(patch: pytest.MonkeyPatch) -> None:
    """A batch of rows that follows another in a cycle is not added to its summary."""
    original = Aggregates.fold

    def fold(self: Any, seqs: Any, rows: Any) -> None:
        seen = _of(self, list[int])
        seen.append(len(seqs))
        if len(seen) % 3:
            original(self, seqs, rows)

    patch.setattr(Aggregates, "fold", fold)


def no_safe_state(patch: pytest.MonkeyPatch) -> None:
    """A run ends, and leaves the circuit as it is."""

    async def nothing(self: Station, **_: Any) -> tuple[str, ...]:
        return ()

    patch.setattr(Station, "make_safe", nothing)


_HIDDEN: dict[int, tuple[object, Any]] = {}


def _of(owner: object, kind: Callable[[], Any]) -> Any:
    """Return something that belongs to an object with slots or without."""
    return _HIDDEN.setdefault(id(owner), (owner, kind()))[1]


MUTANTS = (
    Mutant(cut_off_sign, 13, "a step ends where it says"),
    Mutant(hardware_limit_skipped, 0, "bounds in the instrument"),
    Mutant(early_watermark, 0, "no row is lost"),
    Mutant(dropped_trip, 38, "driven beyond a limit"),
    Mutant(reused_number, 2, "no row is lost"),
    Mutant(resume_without_check, 4, "driven before a person said so"),
    Mutant(stale_value, 0, "a step ends where it says"),
    Mutant(safe_state_swapped, 33, "the circuit opens first"),
    Mutant(ledger_sign, 1, "the ledger counts what passed"),
    Mutant(guard_not_armed, 397, "driven beyond a limit"),
    Mutant(forgotten_age, 26, "driven blindly"),
    Mutant(row_dropped_at_the_boundary, 0, "a step ends with a row"),
    Mutant(gaps_passed_over, 0, "no row is lost"),
    Mutant(silence_not_told, 0, "a failure that nobody told"),
    Mutant(cycles_not_summed, 0, "cycles equal their rows"),
    Mutant(no_safe_state, 1, "driven in a pause"),
)
