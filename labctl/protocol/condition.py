"""The grammar of conditions: "voltage >= 4.3 V for 30 s and not temperature > 40 degC" -> a tree of exact quantities.

condition  = all { "or" all }
all        = one { "and" one }
one        = "not" one | "(" condition ")" [ "for" time ] | comparison [ "for" time ] | shorthand | stable
comparison = quantity ( ">=" | "<=" | ">" | "<" ) value        quantity may stand between bars: |current|
           | derivative comparator value [ "over" time ]       "dV/dt <= 1 mV/h over 10 min"
           | ratio comparator value [ "for" count "cycles" ]   "retention(ref = 3, tag = "ageing") < 90 % for 3 cycles"
           | "operator" "=" text                               the operator's last answer
shorthand  = value                                             what it means, the step's verb says
stable     = "stable within" value "for" time
"""

import difflib
import re
from dataclasses import dataclass, field

from labctl.plan import CycleQuantity, Operator, Quantity
from labctl.quantity import Dimension, WordingError, parse, shown
from labctl.quantity import Quantity as Value

MAX_LENGTH = 500
MAX_NESTING = 20


class ConditionError(WordingError):
    """A condition that cannot be read; says why and how to write it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`quantity operator value`; a count (of cycles) is a plain integer."""

    quantity: Quantity
    operator: Operator
    value: Value | int
    magnitude: bool = False
    hold: Value | None = None
    over: Value | None = None


@dataclass(frozen=True, slots=True)
class CycleComparison:
    """`ratio operator value`, met by each of the last `cycles` complete cycles."""

    quantity: CycleQuantity
    operator: Operator
    value: Value
    ref: int | None = None
    tag: str = ""
    cycles: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """`operator = text`: what the operator has answered last."""

    text: str


@dataclass(frozen=True, slots=True)
class Shorthand:
    """A bare value, such as "4.3 V"; the step's verb says what it is compared with."""

    value: Value


@dataclass(frozen=True, slots=True)
class Steady:
    """`stable within X for T`."""

    within: Value
    hold: Value


@dataclass(frozen=True, slots=True)
class Both:
    """Every part is true."""

    parts: "tuple[Tree, ...]"
    hold: Value | None = None


@dataclass(frozen=True, slots=True)
class Either:
    """At least one part is true."""

    parts: "tuple[Tree, ...]"
    hold: Value | None = None


@dataclass(frozen=True, slots=True)
class Negation:
    """The part is false."""

    part: "Tree"


Tree = Comparison | CycleComparison | Answer | Shorthand | Steady | Both | Either | Negation


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition and how its author wrote it; equal where its meaning is."""

    tree: Tree
    text: str = field(compare=False)


_CHARGES = (Dimension.CHARGE, Dimension.SPECIFIC_CHARGE, Dimension.AREAL_CHARGE)

VALUES: dict[Quantity, tuple[Dimension, ...]] = {
    Quantity.VOLTAGE: (Dimension.VOLTAGE, Dimension.POTENTIAL),
    Quantity.CURRENT: (
        Dimension.CURRENT,
        Dimension.RATE,
        Dimension.CURRENT_DENSITY,
        Dimension.SPECIFIC_CURRENT,
        Dimension.MEASURED_RATE,
    ),
    Quantity.POWER: (Dimension.POWER,),
    Quantity.CAPACITY: _CHARGES,
    Quantity.CAPACITY_OF_CYCLE: _CHARGES,
    Quantity.CAPACITY_NET: _CHARGES,
    Quantity.ENERGY: (Dimension.ENERGY,),
    Quantity.TIME: (Dimension.TIME,),
    Quantity.CV_TIME: (Dimension.TIME,),
    Quantity.TEST_TIME: (Dimension.TIME,),
    Quantity.CYCLE: (),
    Quantity.TEMPERATURE: (Dimension.TEMPERATURE,),
    Quantity.PRESSURE_NEGATIVE: (Dimension.PRESSURE,),
    Quantity.PRESSURE_POSITIVE: (Dimension.PRESSURE,),
    Quantity.FORCE: (Dimension.FORCE,),
    Quantity.FORCE_POSITIVE: (Dimension.FORCE,),
    Quantity.TORQUE: (Dimension.TORQUE,),
    Quantity.TORQUE_POSITIVE: (Dimension.TORQUE,),
    Quantity.SOC: (Dimension.RATIO,),
    Quantity.VOLTAGE_RATE: (Dimension.VOLTAGE_RATE,),
    Quantity.CURRENT_RATE: (Dimension.CURRENT_RATE,),
    Quantity.PRESSURE_RATE: (Dimension.PRESSURE_RATE,),
    Quantity.PRESSURE_RATE_POSITIVE: (Dimension.PRESSURE_RATE,),
}
"""What each quantity may be compared with; none: a plain count."""

DERIVATIVES = (
    Quantity.VOLTAGE_RATE,
    Quantity.CURRENT_RATE,
    Quantity.PRESSURE_RATE,
    Quantity.PRESSURE_RATE_POSITIVE,
)
MOST_CYCLES = 1000
"""That a condition may look back."""

_ALIASES = {"pressure.anode": Quantity.PRESSURE_NEGATIVE, "pressure.cathode": Quantity.PRESSURE_POSITIVE}
_OPERATORS = {"≥": ">=", "≤": "<="}
_RATIO = r"(?:retention|coulombic_efficiency)\s*\([^()]*\)"
_MEASURED = r"(?:[+-]?[\d.]+(?:[eE][+-]?\d+)?\s*|[+-])?(?<![A-Za-z])C\s*\([^()]*\)(?:\s*/\s*[\d.]+(?:[eE][+-]?\d+)?)?"
_SPLIT = re.compile(rf"""("[^"]*"|'[^']*'|{_RATIO}|{_MEASURED}|>=|<=|==|=|>|<|≥|≤|\(|\)|\b(?:and|or|not|for)\b)""")
_STABLE = re.compile(r"stable\s+within\s+(.+)", re.DOTALL)
_HOW = 'write for example "voltage >= 4.3 V", "4.3 V and time >= 1 h" or "stable within 2 % for 60 s"'


def read(text: str) -> Condition:
    """Read a condition; raises ConditionError, or labctl.quantity.QuantityError for a value that is none."""
    if len(text) > MAX_LENGTH:
        raise ConditionError(f"a condition of {len(text)} characters is too long", "split it into a list, of which any")
    return Condition(_Reader(text).whole(), text)


class _Reader:
    """Recursive descent over the tokens of one condition."""

    def __init__(self, text: str) -> None:
        self._tokens = [token.strip() for token in _SPLIT.split(text) if token.strip()]
        self._at = 0
        self._depth = 0

    def whole(self) -> Tree:
        tree = self._any()
        if self._at < len(self._tokens):
            raise ConditionError(f"{shown(self._peek())} is unexpected here", _HOW)
        return tree

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _any(self) -> Tree:
        parts = [self._all()]
        while self._peek() == "or":
            self._take()
            parts.append(self._all())
        if len(parts) == 1:
            return parts[0]
        _refuse_ambiguous_hold(parts)
        return Either(tuple(parts))

    def _all(self) -> Tree:
        parts = [self._one()]
        while self._peek() == "and":
            self._take()
            parts.append(self._one())
        if len(parts) == 1:
            return parts[0]
        _refuse_ambiguous_hold(parts)
        return Both(tuple(parts))

    def _one(self) -> Tree:
        if self._peek() == "not":
            self._take()
            self._descend()
            part = self._one()
            _refuse_ambiguous_hold([part])
            return Negation(part)
        return self._group() if self._peek() == "(" else self._simple()

    def _descend(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise ConditionError("this condition has too many brackets", "split it into a list, of which any")

    def _group(self) -> Tree:
        self._take()
        self._descend()
        tree = self._any()
        if self._take() != ")":
            raise ConditionError('a "(" is not closed', _HOW)
        hold = self._hold()
        held = isinstance(tree, Comparison) and tree.hold is not None
        return Both((tree,), hold) if held or hold is not None else tree

    def _simple(self) -> Tree:
        left = self._take()
        stable = _STABLE.fullmatch(left)
        if stable:
            within = parse(
                stable[1],
                Dimension.RATIO,
                Dimension.PRESSURE,
                Dimension.TEMPERATURE_DIFFERENCE,
                Dimension.VOLTAGE,
            )
            hold = self._hold()
            if within.value <= 0 or hold is None:
                raise ConditionError(
                    '"stable" needs a band above zero and a time', 'write "stable within 2 % for 60 s"'
                )
            return Steady(within, hold)
        if left == "operator":
            return self._answer()
        if re.match(r"(?:retention|coulombic_efficiency)\b", left):
            return self._of_cycles(left)
        if self._peek() in {*Operator, *_OPERATORS}:
            return self._comparison(left)
        if self._peek() in {"=", "=="}:
            raise ConditionError("a measured value is never exactly equal", "use >= or <=")
        if not left or left in {")", "and", "or", "for", *Operator}:
            raise ConditionError("here a condition is missing", _HOW)
        if self._peek() == "for":
            raise ConditionError(
                f'{shown(left)} with "for" needs its quantity', 'write for example "voltage >= 4.3 V for 30 s"'
            )
        return Shorthand(parse(left))

    def _comparison(self, left: str) -> Comparison:
        bars = re.fullmatch(r"\|\s*([^|]*?)\s*\|", left)
        quantity = _quantity(bars[1] if bars else left)
        sign = self._take()
        operator = Operator(_OPERATORS.get(sign, sign))
        right, over = _window(self._take(), quantity)
        allowed = VALUES[quantity]
        if allowed:
            value: Value | int = parse(right, *allowed)
        elif right.isascii() and right.isdigit() and len(right) < 10:
            value = int(right)
        else:
            raise ConditionError(f"{shown(right)} is no count", f'write for example "{quantity} >= 3"')
        return Comparison(quantity, operator, value, bars is not None, self._hold(), over)

    def _answer(self) -> Answer:
        sign, right = self._take(), self._take().strip("\"'")
        if sign not in {"=", "=="} or not right:
            raise ConditionError("an answer is a text, and equal or not", "write for example operator = 'yes'")
        return Answer(right)

    def _of_cycles(self, left: str) -> CycleComparison:
        quantity, ref, tag = _cycle_quantity(left)
        sign = self._take()
        if sign not in {*Operator, *_OPERATORS}:
            raise ConditionError(f'"{quantity}" is compared with nothing', f"write for example {_EXAMPLE[quantity]}")
        value = parse(self._take(), Dimension.RATIO)
        cycles = 1
        if self._peek() == "for":
            self._take()
            count = re.fullmatch(r"([1-9]\d{0,3})\s+cycles?", self._take())
            if count is None or int(count[1]) > MOST_CYCLES:
                most = f"cycles are counted: 1 to {MOST_CYCLES} of them"
                raise ConditionError(most, f"write for example {_EXAMPLE[quantity]} for 3 cycles")
            cycles = int(count[1])
        return CycleComparison(quantity, Operator(_OPERATORS.get(sign, sign)), value, ref, tag, cycles)

    def _hold(self) -> Value | None:
        if self._peek() != "for":
            return None
        self._take()
        duration = parse(self._take(), Dimension.TIME)
        if duration.value <= 0:
            raise ConditionError('"for" needs a time above zero', 'write for example "for 30 s"')
        return duration


def _refuse_ambiguous_hold(parts: list[Tree]) -> None:
    """Refuse "a and b for 30 s": nobody can say whether b lasts or both do. A bracket wraps its comparison."""
    if any(isinstance(part, Comparison) and part.hold is not None for part in parts):
        raise ConditionError(
            'it is unclear what "for" belongs to', 'put brackets: "(a and b) for 30 s" or "a and (b for 30 s)"'
        )


def _quantity(name: str) -> Quantity:
    name = re.sub(r"\s+", " ", name)
    if name in _ALIASES:
        return _ALIASES[name]
    try:
        return Quantity(name)
    except ValueError:
        near = difflib.get_close_matches(name, [*Quantity, *_ALIASES], n=1, cutoff=0.6)
        hint = f' (did you mean "{near[0]}"?)' if near else ""
        known = ", ".join(Quantity)
        raise ConditionError(f"{shown(name)} is nothing to compare{hint}", f"known are {known}") from None


def _window(right: str, quantity: Quantity) -> tuple[str, Value | None]:
    """Split a value from the time over which a derivative is taken."""
    value, over, window = right.partition(" over ")
    if not over:
        return right, None
    if quantity not in DERIVATIVES:
        raise ConditionError(f'"{quantity}" is taken at an instant', 'write "for 30 s" where it must last')
    span = parse(window, Dimension.TIME)
    if span.value <= 0:
        raise ConditionError('"over" needs a time above zero', 'write for example "over 10 min"')
    return value, span


def _cycle_quantity(written: str) -> tuple[CycleQuantity, int | None, str]:
    """Read a ratio of cycles with what stands in its brackets: reference and tag."""
    name, _, inside = written.partition("(")
    quantity = CycleQuantity(name.strip())
    said: dict[str, str] = {}
    for part in inside.rstrip(") ").split(",") if inside else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in ("ref", "tag") or key in said:
            raise ConditionError(f"{shown(part.strip())} says nothing here", f"write for example {_EXAMPLE[quantity]}")
        said[key] = value.strip("\"'")
    ref = said.get("ref")
    if quantity is CycleQuantity.COULOMBIC_EFFICIENCY:
        if ref is not None:
            raise ConditionError("an efficiency has no reference", f"write for example {_EXAMPLE[quantity]}")
        return quantity, None, said.get("tag", "")
    if ref is None or not re.fullmatch(r"[1-9]\d{0,6}", ref):
        reason = "a retention needs the cycle that it is compared with; there is no default"
        raise ConditionError(reason, f"write for example {_EXAMPLE[quantity]}")
    return quantity, int(ref), said.get("tag", "")


_EXAMPLE = {
    CycleQuantity.RETENTION: '"retention(ref = 3) < 90 %"',
    CycleQuantity.COULOMBIC_EFFICIENCY: '"coulombic_efficiency < 99 %"',
}
