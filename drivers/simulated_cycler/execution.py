"""The execution of one program on one cell: steps, loops, ends, records and limits, from event to event.

The instrument looks at its cell every 10 ms. Looks that would find nothing are not made: the closed form of the cell
says when something will be met, and the next look after that instant finds it. So where the bench stops, and whether
anybody is connected, changes nothing.
"""

import math
from collections.abc import Callable, Iterator

from drivers.simulated_cycler.language import Line, Listing, LoopLine, StepLine
from drivers.simulated_cycler.looks import LOOK_MS, LOOKS, Excess, Watch, look_at
from drivers.simulated_cycler.records import LONGEST_GAP, Entry
from labctl.program import Kept, ProgramState
from labctl.sim.cell import Cell, Open, Quantity, VoltageSource
from labctl.sim.counts import Counts

VOLTAGE_RESOLUTION, CURRENT_RESOLUTION, CHARGE_RESOLUTION = 1e-5, 1e-8, 1e-7
"""V, A, C. A limit is passed by more than this."""

_EARLY = 1e-6
"""s by which an instant that was searched for may be late: it must not fall behind the look that stands on it."""

_QUANTITIES: dict[str, Quantity] = {"V": "voltage", "I": "current", "P": "power", "Q": "capacity", "E": "energy"}


class Execution:
    """One execution of one program. It begins at once.

    Attributes:
        state: running, paused, done, stopped or tripped.
        reason: a sentence, where it tripped.
        records: how many were kept.

    Args:
        keep: takes each record.
    """

    def __init__(self, listing: Listing, cell: Cell, keep: Callable[[Entry], None]) -> None:
        self.state = ProgramState.RUNNING
        self.reason = ""
        self.records = 0
        self._listing = listing
        self._watches = {k: Watch.over(line) for k, line in enumerate(listing.lines) if isinstance(line, StepLine)}
        self._cell = cell
        self._keep_entry = keep
        self._look_number = self._began = look_at(cell.time)
        self._began_counts = cell.counts
        self._passes: list[list[int]] = []
        self._steps = self._cycles = 0
        self._inside = False
        self._held_since: int | None = None
        self._go_to(0)
        self._foresee()

    # -- commands --------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Open the circuit and stay in the step."""
        self._come_to_now()
        self._keep(Kept.SAMPLE)
        self._open()
        self._note_held()
        self.state = ProgramState.PAUSED

    def go_on(self) -> None:
        """Go on with the rest of the step; the pause does not count as its time."""
        before = self._look_number
        self._come_to_now()
        self._step_began += self._look_number - before
        self.state = ProgramState.RUNNING
        self._drive()
        self._keep(Kept.SAMPLE)
        self._foresee()

    def skip(self) -> None:
        """End the step and go on with the next line."""
        self._come_to_now()
        self._keep(Kept.END)
        self._go_to(self._index + 1)
        self._foresee()

    def stop(self) -> None:
        """End the step and the program."""
        self._come_to_now()
        self._keep(Kept.END)
        self._finish(ProgramState.STOPPED)

    # -- time ------------------------------------------------------------------------------------------------------

    def next_event(self) -> float:
        """Return the lab time at which the bench must stop for it."""
        if self.state is not ProgramState.RUNNING:
            return math.inf
        if self._foreseen != self._cell.stretches:
            self._foresee()
        return self._event

    def advance_to(self, time: float) -> None:
        """Look, where a look is due now."""
        if self.next_event() <= time and time >= self._due / LOOKS:
            self._look_number = self._due
            self._look()

    def _come_to_now(self) -> None:
        """A command counts as given at the look that is about to come."""
        self._look_number = look_at(self._cell.time)

    # -- steps -----------------------------------------------------------------------------------------------------

    def _go_to(self, index: int) -> None:
        """Begin the step that follows from a line on, around and out of loops."""
        lines, passes = self._listing.lines, self._passes
        while passes and not self._listing.inside(index, passes[-1][0]):
            passes.pop()
        while index < len(lines):
            match lines[index]:
                case StepLine() as step:
                    self._begin(index, step)
                    return
                case LoopLine(counts=counts):
                    passes.append([index, 1])
                    self._cycles += counts
                case _:
                    index = self._next_pass(lines, index)
            index += 1
        self._finish(ProgramState.DONE)

    def _next_pass(self, lines: tuple[Line, ...], end: int) -> int:
        """Return the line behind which to go on at the end of a loop: the loop's own, or this."""
        loop = lines[self._listing.partner[end]]
        assert isinstance(loop, LoopLine)
        if self._passes[-1][1] == loop.passes:
            self._passes.pop()
            return end
        self._passes[-1][1] += 1
        self._cycles += loop.counts
        return self._listing.partner[end]

    def _begin(self, index: int, step: StepLine) -> None:
        self._index, self._step = index, step
        self._cut_off = step.cut_off
        self._watch = self._watches[index]
        self._bounds = step.bounds or self._listing.bounds
        self._steps += 1
        self._step_began = self._look_number
        self._step_counts = self._cell.counts
        self._held_before = 0
        self._held_since = None
        self._drive()
        self._keep(Kept.START)

    def _drive(self) -> None:
        """Connect what the step asks for; a constant current is not driven where the cell is already beyond it."""
        step, voltage = self._step, self._cell.voltage
        self._beyond = step.kind == "CC" and (
            voltage >= step.voltage if step.current > 0.0 else voltage <= step.voltage
        )
        if step.kind == "REST" or self._beyond:
            self._open()
        else:
            self._cell.drive(VoltageSource(step.voltage, abs(step.current)))
        self._note_held()

    def _open(self) -> None:
        self._cell.drive(Open())

    def _end(self, number: int) -> None:
        self._keep(Kept.END, number)
        match self._step.ends[number].then:
            case "NEXT":
                self._go_to(self._index + 1)
            case "EXIT":
                self._finish(ProgramState.DONE)
            case int(line):
                self._go_to(line)

    def _finish(self, state: ProgramState, reason: str = "") -> None:
        self._open()
        self.state, self.reason = state, reason

    # -- a look ----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._note_held()
        number = self._met()
        if number is not None:
            self._end(number)
        elif reason := self._wrong():
            self._keep(Kept.END)
            self._finish(ProgramState.TRIPPED, reason)
        elif self._record_is_due():
            self._keep(Kept.SAMPLE)
        if self.state is ProgramState.RUNNING:
            self._foresee()

    def _met(self) -> int | None:
        """Return the number of the first end that is met."""
        if self._beyond:
            return self._cut_off
        for number, end in enumerate(self._step.ends):
            if end.cv_only and self._held_since is None:
                continue
            if number == self._cut_off and self._held_since is not None:
                return number
            if any(test.excess(self._value(test.quantity)) >= 0.0 for test in end.tests):
                return number
        return None

    def _wrong(self) -> str:
        """Return in which way a limit is passed, or nothing; a lower voltage counts once it was above, or driven."""
        cell, bounds = self._cell, self._bounds
        if self._unasked_voltage():
            return "held at its voltage limit"
        voltage, current, charge = cell.voltage, cell.current, self._value("Q")
        self._inside = self._inside or voltage >= bounds.low
        if voltage > bounds.high + VOLTAGE_RESOLUTION:
            return f"voltage is {voltage:.5g} V, above the limit of {bounds.high:.5g} V"
        if voltage < bounds.low - VOLTAGE_RESOLUTION and (self._inside or current < 0.0):
            return f"voltage is {voltage:.5g} V, below the limit of {bounds.low:.5g} V"
        if abs(current) > bounds.current + CURRENT_RESOLUTION:
            return f"current is {1e3 * current:.5g} mA, beyond the limit of {1e3 * bounds.current:.5g} mA"
        if abs(charge) > bounds.capacity + CHARGE_RESOLUTION:
            return f"charge of this step is {charge / 3.6:.5g} mAh, beyond the limit of {bounds.capacity / 3.6:.5g} mAh"
        return ""

    def _unasked_voltage(self) -> bool:
        """Whether a constant current without a cut-off has come to its voltage."""
        held = self._beyond or self._held_since is not None
        return held and self._step.kind == "CC" and self._cut_off is None

    def _note_held(self) -> None:
        """Note since which look the voltage is held, or that it no longer is."""
        held = self._cell.limiting == "voltage"
        if held and self._held_since is None:
            self._held_since = look_at(self._cell.time)
        elif not held and self._held_since is not None:
            self._held_before += look_at(self._cell.time) - self._held_since
            self._held_since = None

    def _value(self, name: str) -> float:
        cell = self._cell
        match name:
            case "V":
                return cell.voltage
            case "I":
                return cell.current
            case "P":
                return cell.voltage * cell.current
            case "Q":
                return cell.counts.charge - self._step_counts.charge
            case "E":
                return cell.counts.energy - self._step_counts.energy
            case "T":
                return (self._look_number - self._step_began) / LOOKS
        held = 0 if self._held_since is None else self._look_number - self._held_since
        return (self._held_before + held) / LOOKS

    # -- records ---------------------------------------------------------------------------------------------------

    def _keep(self, kept: Kept, end: int | None = None) -> None:
        cell, counts = self._cell, self._cell.counts
        self.records += 1
        self._kept_at = self._look_number
        self._kept_voltage, self._kept_current, self._kept_charge = cell.voltage, cell.current, self._value("Q")
        self._keep_entry(
            Entry(
                number=self.records,
                clock=LOOK_MS * (self._look_number - self._began),
                step_clock=LOOK_MS * (self._look_number - self._step_began),
                steps=self._steps,
                cycles=self._cycles,
                step=self._listing.number[self._index],
                voltage=self._kept_voltage,
                current=self._kept_current,
                counts=Counts(*(now - then for now, then in zip(counts, self._began_counts, strict=True))),
                kept=kept,
                end=end,
            )
        )

    def _next_record(self) -> int:
        """Return the look at which time alone asks for a record."""
        interval = self._step.rule.interval
        longest = LONGEST_GAP // LOOK_MS
        return self._kept_at + (longest if interval is None else min(look_at(interval), longest))

    def _moved(self) -> Iterator[tuple[str, Excess]]:
        """Each quantity of the record rule, and by how much more than asked it has moved since the last record."""
        rule = self._step.rule
        for name, delta, last in (
            ("V", rule.voltage, self._kept_voltage),
            ("I", rule.current, self._kept_current),
            ("Q", rule.capacity, self._kept_charge),
        ):
            if delta is not None:
                yield name, _beyond(last, delta)

    def _record_is_due(self) -> bool:
        if self._look_number >= self._next_record():
            return True
        return any(excess(self._value(name)) >= 0.0 for name, excess in self._moved())

    # -- what is coming --------------------------------------------------------------------------------------------

    def _foresee(self) -> None:
        """Find the next look that finds something, as far as the cell's present closed form reaches."""
        cell, watch = self._cell, self._watch
        self._foreseen = cell.stretches
        self._note_held()
        held_since = self._held_since
        now = max(look_at(cell.time), self._look_number + 1)
        due = min(self._next_record(), self._step_began + watch.after)
        if held_since is not None:
            due = min(due, self._step_began + watch.after_held, held_since - self._held_before + watch.held_for)
        elif watch.held_ever <= self._held_before:
            due = now
        if self._beyond or self._unasked_voltage() or (held_since is not None and self._cut_off is not None):
            due = now
        instant = math.inf
        for cv_only, name, excess in watch.tests:
            if held_since is not None or not cv_only:
                instant = min(instant, self._when(name, excess))
        for name, excess in (*self._limits(), *self._moved()):
            instant = min(instant, self._when(name, excess))
        if instant < math.inf:
            due = min(due, look_at(instant - _EARLY))
        self._due = max(now, due)
        self._event = min(self._due / LOOKS, cell.next_event())

    def _limits(self) -> Iterator[tuple[str, Excess]]:
        """Each quantity that a limit watches, and by how much it is beyond; a held voltage is where it was set."""
        low, high, most = self._bounds.low, self._bounds.high, self._bounds.capacity
        if abs(self._step.current) * (self._cell.next_event() - self._step_began / LOOKS) > most:
            yield "Q", lambda charge: abs(charge) - most - CHARGE_RESOLUTION
        if self._held_since is None:
            yield "V", lambda voltage: voltage - high - VOLTAGE_RESOLUTION
            if self._inside or self._cell.current < 0.0:
                yield "V", lambda voltage: low - VOLTAGE_RESOLUTION - voltage
            else:
                yield "V", lambda voltage: voltage - low

    def _when(self, name: str, excess: Excess) -> float:
        """Return the lab time at which an excess reaches 0, as far as that is foreseeable."""
        match name:
            case "Q":
                zero = self._step_counts.charge
                return self._cell.when("capacity", lambda charge: excess(charge - zero))
            case "E":
                zero = self._step_counts.energy
                return self._cell.when("energy", lambda energy: excess(energy - zero))
        return self._cell.when(_QUANTITIES[name], excess)


def _beyond(last: float, delta: float) -> Excess:
    return lambda value: abs(value - last) - delta
