"""The language of its programs: what a line says, written and read; numbers as doubles, without loss.

Line 1 is `LIMIT low high current capacity`. Each later line is `STEP ...`, `LOOP passes COUNT|PLAIN` or `ENDLOOP`.
A step is `REST`, `CC current voltage`, `CCCV current voltage` or `CV voltage current`, then clauses after semicolons:
`LIMIT ...` narrower ones, `RECORD T=60.0 V=0.005 I=0.001 Q=1.0`, `END NEXT|EXIT|GOTO line [CV] test [OR test ...]`.
A test compares V, I, P, Q (net C in the step), E (net J), T (s in the step) or TCV (s at constant voltage), where
asked as magnitude: `|I|<=0.0001`.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

FIRST = 2
"""Number of the line behind the limits."""
DEEPEST = 4
MOST_LINES = 1000
LEAST_CURRENT = 1e-6
"""A, magnitude of the smallest set point."""
MOST_CURRENT = 0.1
LOWEST, HIGHEST = -1.0, 5.0
"""V."""

Kind = Literal["REST", "CC", "CCCV", "CV"]
_COMPARISON = re.compile(r"(?:(V|I|P|Q|E|TCV|T)|\|([VIPQE])\|)(>=|<=|>|<)(\S+)")


class LanguageError(Exception):
    """A program that is none; the sentence names its line."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison; `magnitude` compares the absolute value."""

    quantity: str
    operator: str
    value: float
    magnitude: bool = False

    def excess(self, value: float) -> float:
        """Return by how much a value is beyond the threshold: not negative exactly where the comparison holds."""
        if self.magnitude:
            value = abs(value)
        match self.operator:
            case ">=":
                return value - self.value
            case "<=":
                return self.value - value
            case ">":
                return value - math.nextafter(self.value, math.inf)
        return math.nextafter(self.value, -math.inf) - value

    def __str__(self) -> str:
        name = f"|{self.quantity}|" if self.magnitude else self.quantity
        return f"{name}{self.operator}{self.value!r}"


@dataclass(frozen=True, slots=True)
class Ending:
    """An end of a step: any of its tests meets it. `then` may be the index of the line to go to."""

    tests: tuple[Comparison, ...]
    then: Literal["NEXT", "EXIT"] | int = "NEXT"
    cv_only: bool = False

    def __str__(self) -> str:
        then = self.then if isinstance(self.then, str) else f"GOTO {self.then + FIRST}"
        return f"END {then} {'CV ' if self.cv_only else ''}{' OR '.join(map(str, self.tests))}"


@dataclass(frozen=True, slots=True)
class Rule:
    """When a record is due since the last: after an interval (s), or a change of V, A or C; None: not asked."""

    interval: float | None = None
    voltage: float | None = None
    current: float | None = None
    capacity: float | None = None

    def __str__(self) -> str:
        given = zip("TVIQ", (self.interval, self.voltage, self.current, self.capacity), strict=True)
        return " ".join(["RECORD", *(f"{name}={value!r}" for name, value in given if value is not None)])


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits: voltage window, magnitude of the current, magnitude of a step's charge (inf: none)."""

    low: float
    high: float
    current: float
    capacity: float

    def __str__(self) -> str:
        return f"LIMIT {self.low!r} {self.high!r} {self.current!r} {self.capacity!r}"


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step; `current` is signed for CC and CCCV, the largest magnitude for CV."""

    kind: Kind
    current: float
    voltage: float
    ends: tuple[Ending, ...]
    rule: Rule = Rule()
    bounds: Bounds | None = None

    @property
    def cut_off(self) -> int | None:
        """Number of the end that a constant current meets by reaching its voltage."""
        if self.kind != "CC":
            return None
        voltages = [[t.value for t in end.tests if t.quantity == "V" and not t.magnitude] for end in self.ends]
        return next(
            (k for k, end in enumerate(self.ends) if voltages[k] == [self.voltage] and len(end.tests) == 1), None
        )

    def __str__(self) -> str:
        match self.kind:
            case "REST":
                head = "STEP REST"
            case "CV":
                head = f"STEP CV {self.voltage!r} {self.current!r}"
            case kind:
                head = f"STEP {kind} {self.current!r} {self.voltage!r}"
        clauses: list[object] = [] if self.bounds is None else [self.bounds]
        clauses += [] if self.rule == Rule() else [self.rule]
        return "; ".join(map(str, [head, *clauses, *self.ends]))


@dataclass(frozen=True, slots=True)
class LoopLine:
    """The lines up to its ENDLOOP, so many times; `counts`: each pass is a cycle."""

    passes: int
    counts: bool

    def __str__(self) -> str:
        return f"LOOP {self.passes} {'COUNT' if self.counts else 'PLAIN'}"


@dataclass(frozen=True, slots=True)
class EndLoop:
    """The end of the innermost loop."""

    def __str__(self) -> str:
        return "ENDLOOP"


Line = StepLine | LoopLine | EndLoop


class Listing:
    """A whole program.

    Attributes:
        partner: index of each loop's ENDLOOP, and of each ENDLOOP's loop.
        number: number of each step, from 1, by the index of its line.

    Raises:
        LanguageError: it cannot be executed, or could hurt a cell.
    """

    def __init__(self, bounds: Bounds, lines: Sequence[Line]) -> None:
        self.bounds = bounds
        self.lines = tuple(lines)
        self.partner: dict[int, int] = {}
        steps = (index for index, line in enumerate(self.lines) if isinstance(line, StepLine))
        self.number = {index: number for number, index in enumerate(steps, 1)}
        _check_bounds(bounds, 1)
        if not self.number or len(self.lines) >= MOST_LINES:
            raise LanguageError(f"a program has from 1 step to {MOST_LINES} lines")
        around = self._pair_loops()
        for index in self.number:
            self._check_step(index, around)

    def text(self) -> str:
        """Return its lines, separated by line feeds."""
        return "\n".join(map(str, (self.bounds, *self.lines)))

    def __repr__(self) -> str:
        return self.text()

    def inside(self, index: int, loop: int) -> bool:
        """Whether a line stands in a loop; its ENDLOOP does."""
        return loop < index <= self.partner[loop]

    def _pair_loops(self) -> list[tuple[int, ...]]:
        """Find each loop's end; return the loops that each line stands in, and those behind the last line: none."""
        around: list[tuple[int, ...]] = []
        stack: list[int] = []
        for index, line in enumerate(self.lines):
            around.append(tuple(stack))
            if isinstance(line, LoopLine):
                stack.append(index)
                if len(stack) > DEEPEST or not 1 <= line.passes < 1 << 32:
                    raise _refused(index, f"loops are nested up to {DEEPEST} deep and have from 1 to 2^32 - 1 passes")
            elif isinstance(line, EndLoop):
                if not stack or not any(stack[-1] < step < index for step in self.number):
                    raise _refused(index, "there is no loop with a step to end here")
                loop = stack.pop()
                self.partner[loop], self.partner[index] = index, loop
        if stack:
            raise _refused(stack[-1], "this loop has no end")
        return [*around, ()]

    def _check_step(self, index: int, around: Sequence[tuple[int, ...]]) -> None:
        step = cast("StepLine", self.lines[index])
        bounds = step.bounds or self.bounds
        _check_bounds(bounds, index + FIRST)
        if step.kind != "REST":
            if not bounds.low <= step.voltage <= bounds.high:
                raise _refused(index, f"{step.voltage:g} V is not within {bounds.low:g} V to {bounds.high:g} V")
            if not LEAST_CURRENT <= abs(step.current) <= bounds.current:
                raise _refused(index, f"{step.current:g} A is not within {LEAST_CURRENT:g} A to {bounds.current:g} A")
        if not step.ends:
            raise _refused(index, "this step has no end")
        for end in step.ends:
            if isinstance(end.then, int) and (
                not 0 <= end.then <= len(self.lines) or not set(around[end.then]) <= set(around[index])
            ):
                raise _refused(index, "GOTO leads to no line, or into a loop from outside")


def parse(text: str) -> Listing:
    """Read a program.

    Raises:
        LanguageError: what is wrong, with its line.
    """
    bounds: Bounds | None = None
    lines: list[Line] = []
    for number, written in enumerate(text.split("\n"), 1):
        try:
            if bounds is None:
                bounds = _bounds(written)
            else:
                lines.append(_line(written))
        except (ValueError, IndexError):
            raise LanguageError(f"line {number}: {written[:60]!r} is not understood") from None
    assert bounds is not None
    return Listing(bounds, lines)


def _line(written: str) -> Line:
    head, *clauses = written.split("; ")
    match head.split(" "):
        case ["LOOP", passes, ("COUNT" | "PLAIN") as how] if not clauses and passes.isdecimal():
            return LoopLine(int(passes), how == "COUNT")
        case ["ENDLOOP"] if not clauses:
            return EndLoop()
        case ["STEP", "REST"]:
            return _step("REST", 0.0, 0.0, clauses)
        case ["STEP", "CV", voltage, current]:
            return _step("CV", float(current), float(voltage), clauses)
        case ["STEP", ("CC" | "CCCV") as kind, current, voltage]:
            return _step(cast("Kind", kind), float(current), float(voltage), clauses)
    raise ValueError


def _step(kind: Kind, current: float, voltage: float, clauses: Sequence[str]) -> StepLine:
    bounds, rule = None, Rule()
    ends: list[Ending] = []
    for clause in clauses:
        match clause.split(" "):
            case ["LIMIT", *_] if bounds is None:
                bounds = _bounds(clause)
            case ["RECORD", *given] if rule == Rule():
                rule = _rule(given)
            case ["END", ("NEXT" | "EXIT") as then, *tests]:
                ends.append(_ending(then, tests))
            case ["END", "GOTO", line, *tests]:
                ends.append(_ending(int(line) - FIRST, tests))
            case _:
                raise ValueError
    return StepLine(kind, current, voltage, tuple(ends), rule, bounds)


def _bounds(written: str) -> Bounds:
    word, low, high, current, capacity = written.split(" ")
    if word != "LIMIT":
        raise ValueError
    return Bounds(float(low), float(high), float(current), float(capacity))


def _rule(given: Sequence[str]) -> Rule:
    values = {name: float(value) for name, _, value in (each.partition("=") for each in given)}
    if not values or not set(values) <= set("TVIQ") or not all(0.0 < value < math.inf for value in values.values()):
        raise ValueError
    return Rule(*(values.get(name) for name in "TVIQ"))


def _ending(then: Literal["NEXT", "EXIT"] | int, words: Sequence[str]) -> Ending:
    cv_only = words[0] == "CV"
    tests = " ".join(words[cv_only:]).split(" OR ")
    return Ending(tuple(_comparison(test) for test in tests), then, cv_only)


def _comparison(written: str) -> Comparison:
    found = _COMPARISON.fullmatch(written)
    if found is None or not math.isfinite(value := float(found[4])):
        raise ValueError
    return Comparison(found[1] or found[2], found[3], value, magnitude=found[2] is not None)


def _check_bounds(bounds: Bounds, line: int) -> None:
    if not LOWEST <= bounds.low < bounds.high <= HIGHEST or not LEAST_CURRENT <= bounds.current <= MOST_CURRENT:
        raise LanguageError(f"line {line}: limits lie within {LOWEST:g} V to {HIGHEST:g} V and {MOST_CURRENT:g} A")
    if not bounds.capacity > 0.0:
        raise LanguageError(f"line {line}: the limit of charge is not above 0 C")


def _refused(index: int, reason: str) -> LanguageError:
    return LanguageError(f"line {index + FIRST}: {reason}")
