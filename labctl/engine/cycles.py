"""The book of cycles: what went in and out in each complete pass that counts, as far as the plan asks for it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from labctl.engine.ledger import Counts
from labctl.plan import (
    Action,
    All,
    Any,
    Branch,
    Condition,
    ConstantCurrent,
    CycleQuantity,
    ForEach,
    Loop,
    MeasuredCurrent,
    Node,
    Not,
    OfCycles,
    Plan,
    Step,
    rates_of,
    steps_of,
)

SAME = 0.01
"""Of a current: by less two discharges are at the same one."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One pass, complete or under way.

    Attributes:
        number: in the life of the cell.
        tag: of its loop.
        current: A, the largest with which it discharges, as a magnitude.
        charge_in, charge_out: C; of a pass under way, those of the run when it began.
    """

    number: int
    tag: str
    discharges_first: bool
    current: float
    charge_in: float
    charge_out: float


@dataclass(frozen=True, slots=True)
class Cycles:
    """What the book holds; another process goes on with it.

    Attributes:
        open: the pass under way; None between passes.
        complete: those that are still asked for, in their order.
    """

    open: Cycle | None = None
    complete: tuple[Cycle, ...] = ()


NO_CYCLES = Cycles()


class CycleBook:
    """Keeps the cycles that conditions and rates name, and as many of the last of each tag as one looks back on."""

    def __init__(self, plan: Plan) -> None:
        asked = tuple(asked_of(plan.body))
        self.cycles = Cycles()
        self.references = references_of(plan)
        self.needed = bool(asked or self.references)
        self._depth = max((each.cycles for each in asked), default=0)

    @property
    def began(self) -> Cycle | None:
        """The pass under way, with the counts of the run when it began; None between passes."""
        return self.cycles.open

    def begin(self, loop: Loop, number: int, counts: Counts) -> None:
        """A pass of a loop that counts begins."""
        first, tag = loop.discharges_first, loop.tag
        began = Cycle(number, tag, first, self._discharge(loop), counts.charge_in, counts.charge_out)
        self.cycles = replace(self.cycles, open=began)

    def complete(self, counts: Counts) -> None:
        """The pass under way has come to its end."""
        began = self.cycles.open
        if began is None:
            return
        done = replace(
            began, charge_in=counts.charge_in - began.charge_in, charge_out=counts.charge_out - began.charge_out
        )
        self.cycles = Cycles(None, tuple(self._kept((*self.cycles.complete, done))))

    def abandon(self) -> None:
        """The pass under way was left before its end: it has no efficiency, and is compared with nothing."""
        self.cycles = replace(self.cycles, open=None)

    def _kept(self, cycles: Sequence[Cycle]) -> Iterator[Cycle]:
        for at, cycle in enumerate(cycles):
            later = sum(each.tag == cycle.tag for each in cycles[at + 1 :])
            if cycle.number in self.references or later < self._depth:
                yield cycle

    def capacity(self, cycle: int) -> float | None:
        """Return C that a complete cycle which the plan names has discharged; None where it is not complete."""
        return next((each.charge_out for each in self.cycles.complete if each.number == cycle), None)

    def _discharge(self, loop: Loop) -> float:
        """Return A of the largest current with which a pass discharges, as far as it is known when the pass begins."""
        return max((self._discharging(step.action) for step in steps_of(loop.body)), default=0.0)

    def _discharging(self, action: Action) -> float:
        match action:
            case ConstantCurrent(current=current):
                return max(0.0, -current)
            case MeasuredCurrent(rate=rate):
                return max(0.0, -rate.factor * (self.capacity(rate.cycle) or 0.0) / 3600.0)
        return 0.0

    def met(self, asked: OfCycles, compare: Callable[[float, float], bool]) -> bool:
        """Whether the last cycles meet a condition; false while there are too few of them."""
        ratios = tuple(self._ratios(asked))[-asked.cycles :]
        return len(ratios) == asked.cycles and all(compare(ratio, asked.value) for ratio in ratios)

    def _ratios(self, asked: OfCycles) -> Iterator[float]:
        complete = self.cycles.complete
        reference = next((cycle for cycle in complete if cycle.number == asked.ref), None)
        for cycle in complete:
            if asked.tag and cycle.tag != asked.tag:
                continue
            if asked.quantity is CycleQuantity.COULOMBIC_EFFICIENCY:
                over, under = cycle.charge_out, cycle.charge_in
                if cycle.discharges_first:
                    over, under = under, over
                if under > 0.0:
                    yield over / under
            elif reference is not None and _comparable(cycle, reference):
                yield cycle.charge_out / reference.charge_out


def cycles_of(nodes: Sequence[Node]) -> int:
    """Return the cycles that a walk counts, as far as its loops say it."""
    total = 0
    for node in nodes:
        match node:
            case Loop(passes=passes, counts=True):
                total += passes
            case Loop(passes=passes, body=body):
                total += passes * cycles_of(body)
            case ForEach(bodies=bodies):
                total += sum(cycles_of(body) for body in bodies)
            case Branch(body=body):
                total += cycles_of(body)
    return total


def holds_cycles(nodes: Sequence[Node]) -> bool:
    """Whether a pass of any loop in these nodes counts."""
    for node in nodes:
        match node:
            case Loop(counts=True):
                return True
            case Loop(body=body) | Branch(body=body) if holds_cycles(body):
                return True
            case Branch(otherwise=otherwise) if holds_cycles(otherwise):
                return True
            case ForEach(bodies=bodies) if any(holds_cycles(body) for body in bodies):
                return True
    return False


def references_of(plan: Plan) -> frozenset[int]:
    """Return the numbers of the cycles whose capacity a plan asks for."""
    compared = {each.ref for each in asked_of(plan.body) if each.ref is not None}
    return frozenset(compared | {rate.cycle for step in plan.steps() for rate in rates_of(step)})


def asked_of(nodes: Sequence[Node]) -> Iterator[OfCycles]:
    """Yield every condition on cycles in these nodes."""
    for node in nodes:
        match node:
            case Step(ends=ends):
                for end in ends:
                    yield from _in(end.condition)
            case Loop(body=body, hooks=hooks):
                yield from asked_of(body)
                for hook in hooks:
                    yield from asked_of(hook.body)
            case ForEach(bodies=bodies):
                for each in bodies:
                    yield from asked_of(each)
            case Branch(condition=condition, body=body, otherwise=otherwise):
                yield from _in(condition)
                yield from asked_of((*body, *otherwise))


def _in(condition: Condition) -> Iterator[OfCycles]:
    match condition:
        case OfCycles():
            yield condition
        case All(parts=parts) | Any(parts=parts):
            for part in parts:
                yield from _in(part)
        case Not(part=part):
            yield from _in(part)


def _comparable(cycle: Cycle, reference: Cycle) -> bool:
    """Whether a cycle comes after its reference and discharges with the same current."""
    later = cycle.number > reference.number and reference.charge_out > 0.0
    return later and abs(cycle.current - reference.current) <= SAME * reference.current
