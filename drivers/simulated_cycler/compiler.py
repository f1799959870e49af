"""From a part of a plan to a program, where the instrument keeps it unaltered; nothing is approximated."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from drivers.simulated_cycler.language import (
    HIGHEST,
    LOWEST,
    Bounds,
    Comparison,
    Ending,
    EndLoop,
    Kind,
    LanguageError,
    Line,
    Listing,
    LoopLine,
    Rule,
    StepLine,
)
from labctl.plan import (
    Any,
    Compare,
    Condition,
    ConstantCurrent,
    ConstantVoltage,
    End,
    ForEach,
    Limits,
    Loop,
    Node,
    Quantity,
    RecordRule,
    Rest,
    Step,
    Then,
)
from labctl.program import Program

_QUANTITIES = {
    Quantity.VOLTAGE: "V",
    Quantity.CURRENT: "I",
    Quantity.POWER: "P",
    Quantity.CAPACITY: "Q",
    Quantity.ENERGY: "E",
    Quantity.TIME: "T",
    Quantity.CV_TIME: "TCV",
}


class _Unkept(Exception):
    """Something that the instrument cannot keep as it is."""


def compile_program(nodes: Sequence[Node], limits: Limits) -> Program | None:
    """Return the program, or None where a verb, an end, a record rule or a limit cannot be kept unaltered."""
    draft = _Draft()
    try:
        draft.add(nodes, breaks=None)
        listing = Listing(_bounds(limits), tuple(draft.lines()))
    except (_Unkept, LanguageError):
        return None
    return Program(listing.text().encode("ascii"), tuple(draft.steps), tuple(draft.counting))


@dataclass(eq=False)
class _Way:
    """Where a `break` leads to: a line that is not yet known."""

    line: int | None = None


@dataclass
class _Draft:
    """Lines as they come, whose breaks still lead to ways."""

    steps: list[int] = field(default_factory=list)
    counting: list[bool] = field(default_factory=list)
    written: list[Line | tuple[Step, _Way | None]] = field(default_factory=list)

    def add(self, nodes: Sequence[Node], breaks: _Way | None) -> None:
        for node in nodes:
            match node:
                case Step():
                    self.steps.append(node.id)
                    self.written.append((node, breaks))
                case Loop(hooks=()):
                    behind = _Way()
                    self.counting.append(node.counts)
                    self.written.append(LoopLine(node.passes, node.counts))
                    self.add(node.body, behind)
                    self.written.append(EndLoop())
                    behind.line = len(self.written)
                case ForEach(bodies=bodies):
                    behind = _Way()
                    for body in bodies:
                        self.add(body, behind)
                    behind.line = len(self.written)
                case _:
                    raise _Unkept

    def lines(self) -> Iterator[Line]:
        for line in self.written:
            yield _step(*line) if isinstance(line, tuple) else line


def _step(step: Step, breaks: _Way | None) -> StepLine:
    kind, current, voltage = _action(step)
    ends = step.ends if step.timeout is None else (*step.ends, step.timeout)
    return StepLine(
        kind,
        current,
        voltage,
        tuple(_ending(end, breaks) for end in ends),
        _rule(step.record),
        None if step.limits is None else _bounds(step.limits),
    )


def _action(step: Step) -> tuple[Kind, float, float]:
    match step.action:
        case Rest():
            return "REST", 0.0, 0.0
        case ConstantCurrent(current=current, voltage=voltage, cv=cv):
            return ("CCCV" if cv else "CC"), current, voltage
        case ConstantVoltage(voltage=voltage, max_current=most, relative=None):
            return "CV", most, voltage
    raise _Unkept


def _ending(end: End, breaks: _Way | None) -> Ending:
    then: Literal["NEXT", "EXIT"] | int
    match end.then:
        case Then.NEXT:
            then = "NEXT"
        case Then.END | Then.FAULT:
            then = "EXIT"
        case Then.BREAK if breaks is not None and breaks.line is not None:
            then = breaks.line
        case _:
            raise _Unkept
    return Ending(tuple(_tests(end.condition)), then, end.cv_only)


def _tests(condition: Condition) -> Iterator[Comparison]:
    match condition:
        case Compare(quantity=quantity, hold=0.0) if quantity in _QUANTITIES:
            # A plan means the magnitude of charge and energy.
            magnitude = condition.magnitude or quantity in (Quantity.CAPACITY, Quantity.ENERGY)
            yield Comparison(_QUANTITIES[quantity], condition.operator, condition.value, magnitude)
        case Any(parts=parts, hold=0.0) if len(parts) > 1:
            for part in parts:
                yield from _tests(part)
        case _:
            raise _Unkept


def _rule(rule: RecordRule) -> Rule:
    if rule.temperature is not None or rule.pressure is not None:
        raise _Unkept
    return Rule(rule.interval, rule.voltage, rule.current, rule.capacity)


def _bounds(limits: Limits) -> Bounds:
    """Return what the instrument enforces; the rest of the limits is the guard's, who watches during a program too."""
    low, high = limits.voltage.low, limits.voltage.high
    return Bounds(LOWEST if low is None else low, HIGHEST if high is None else high, limits.current, limits.capacity)
