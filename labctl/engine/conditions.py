"""Conditions of a plan, evaluated at polls; each execution of a step has evaluators of its own."""

import operator
from collections import deque
from collections.abc import Callable
from typing import Protocol

from labctl.engine.board import FORCE_GAUGE, TORQUE_GAUGE, Board
from labctl.engine.cycles import CycleBook
from labctl.engine.ledger import Ledger
from labctl.plan import (
    All,
    Answered,
    Any,
    Compare,
    CompareRate,
    Condition,
    ConstantCurrent,
    Not,
    OfCycles,
    Operator,
    Pressure,
    Quantity,
    Rest,
    Side,
    Stable,
    Step,
    Temperature,
    direction,
)

COMPARE: dict[Operator, Callable[[float, float], bool]] = {
    Operator.GE: operator.ge,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.LT: operator.lt,
}

Value = Callable[[float], float | None]
"""Of lab time; None: not known."""


Truth = bool | None
"""None: what it speaks of is not known now, so neither it nor its opposite is true."""


class Evaluator(Protocol):
    """A condition with its memory of how long it has been true."""

    def truth(self, now: float) -> Truth:
        """Whether it is true now, and has been for as long as it must."""


class View:
    """The quantities a condition can speak of, as this step sees them.

    Attributes:
        book: of the cycles that conditions speak of.
        answer: the operator's last one; None: nobody has answered yet.
    """

    answer: str | None = None

    def __init__(self, board: Board, ledger: Ledger, cycle: Callable[[], int], book: CycleBook) -> None:
        self._board = board
        self._ledger = ledger
        self._cycle = cycle
        self.book = book

    def value(self, quantity: Quantity) -> Value:
        """Return the function that gives the quantity."""
        board, ledger = self._board, self._ledger
        table: dict[Quantity, Value] = {
            Quantity.VOLTAGE: lambda now: None if (cell := board.fresh_cell(now)) is None else cell.voltage,
            Quantity.CURRENT: lambda now: None if (cell := board.fresh_cell(now)) is None else cell.current,
            Quantity.POWER: lambda now: None if (cell := board.fresh_cell(now)) is None else cell.power,
            Quantity.CAPACITY: lambda now: abs(ledger.step_charge),
            Quantity.CAPACITY_NET: lambda now: ledger.charge_in - ledger.charge_out,
            Quantity.ENERGY: lambda now: abs(ledger.step_energy),
            Quantity.TIME: lambda now: now - ledger.step_start,
            Quantity.CV_TIME: lambda now: ledger.cv_time,
            Quantity.TEST_TIME: lambda now: now - ledger.start_time,
            Quantity.CYCLE: lambda now: float(self._cycle()),
            Quantity.TEMPERATURE: board.temperature,
            Quantity.PRESSURE_NEGATIVE: lambda now: board.pressure("negative", now),
            Quantity.PRESSURE_POSITIVE: lambda now: board.pressure("positive", now),
            Quantity.FORCE: lambda now: board.force("negative", now),
            Quantity.FORCE_POSITIVE: lambda now: board.force("positive", now),
            Quantity.TORQUE: self._torque,
            Quantity.TORQUE_POSITIVE: lambda now: board.torque("positive", now),
        }
        return table[quantity]

    def _torque(self, now: float) -> float | None:
        """Return N·m at the screw of the negative side, or of the positive one where that alone has a rig."""
        side: Side = "negative" if TORQUE_GAUGE["negative"] in self._board.gauges else "positive"
        return self._board.torque(side, now)

    def slope(self, quantity: Quantity, over: float) -> Value:
        """Return the function that gives the derivative of a quantity over the last `over` seconds."""
        return _Slope(self.value(_DERIVED[quantity]), over)

    def of_cycle(self, *, charging: bool) -> Value:
        """Return the function that gives the charge (C) that has flowed one way since the present cycle began."""
        ledger, book = self._ledger, self.book

        def value(now: float) -> float | None:
            began = book.began
            if began is None:
                return None
            return ledger.charge_in - began.charge_in if charging else ledger.charge_out - began.charge_out

        return value

    def pressure(self, side: Side) -> Value:
        """Return the function that gives a side's pressure in Pa."""
        return lambda now: self._board.pressure(side, now)

    def measures(self, side: Side) -> bool:
        """Whether the station has a load cell on that side."""
        return FORCE_GAUGE[side] in self._board.gauges


_DERIVED = {
    Quantity.VOLTAGE_RATE: Quantity.VOLTAGE,
    Quantity.CURRENT_RATE: Quantity.CURRENT,
    Quantity.PRESSURE_RATE: Quantity.PRESSURE_NEGATIVE,
    Quantity.PRESSURE_RATE_POSITIVE: Quantity.PRESSURE_POSITIVE,
}


class _Slope:
    """The slope of the straight line, by least squares, through a value at the polls of the last so many seconds."""

    __slots__ = ("_over", "_seen", "_value")

    def __init__(self, value: Value, over: float) -> None:
        self._value = value
        self._over = over
        self._seen: deque[tuple[float, float]] = deque()

    def __call__(self, now: float) -> float | None:
        value, seen = self._value(now), self._seen
        if value is None:
            seen.clear()
            return None
        if not seen or now > seen[-1][0]:
            seen.append((now, value))
        while len(seen) > 2 and seen[1][0] <= now - self._over:
            seen.popleft()
        if seen[0][0] > now - self._over:
            return None
        mean_time = sum(time for time, _ in seen) / len(seen)
        spread = sum((time - mean_time) ** 2 for time, _ in seen)
        return sum((time - mean_time) * value for time, value in seen) / spread


class _Held:
    """True once the inner truth has lasted."""

    __slots__ = ("_hold", "_inner", "_since")

    def __init__(self, inner: Callable[[float], Truth], hold: float) -> None:
        self._inner = inner
        self._hold = hold
        self._since: float | None = None

    def truth(self, now: float) -> Truth:
        truth = self._inner(now)
        if not truth:
            self._since = None
            return truth
        if self._since is None:
            self._since = now
        return now - self._since >= self._hold


class _Steady:
    """True once a value has stayed within a band around where the band was last laid."""

    __slots__ = ("_anchor", "_hold", "_since", "_value", "_within")

    def __init__(self, value: Value, within: float, hold: float) -> None:
        self._value = value
        self._within = within
        self._hold = hold
        self._anchor = 0.0
        self._since: float | None = None

    def truth(self, now: float) -> Truth:
        value = self._value(now)
        if value is None:
            self._since = None
            return None
        if self._since is None or abs(value - self._anchor) > self._within:
            self._anchor, self._since = value, now
        return now - self._since >= self._hold


def evaluator(condition: Condition, step: Step, view: View) -> Evaluator:
    """Build the evaluator of a condition for one execution of a step."""
    if isinstance(condition, Stable):
        return _stable(condition, step, view)
    hold = condition.hold if isinstance(condition, Compare | All | Any) else 0.0
    return _Held(_truth(condition, step, view), hold)


def _truth(condition: Condition, step: Step, view: View) -> Callable[[float], Truth]:
    match condition:
        case Compare(quantity=quantity, operator=op, value=threshold, magnitude=magnitude, over=over):
            value, compare = _value(quantity, over, step, view), COMPARE[op]

            def true(now: float) -> Truth:
                got = value(now)
                return None if got is None else compare(abs(got) if magnitude else got, threshold)

            return true
        case CompareRate():
            raise AssertionError("a rate by measured capacity is settled before its step is looked at")
        case OfCycles(operator=op):
            of_ratio = COMPARE[op]
            return lambda now: view.book.met(condition, of_ratio)
        case Answered(text=text):
            return lambda now: None if view.answer is None else view.answer == text
        case All(parts=parts):
            every = [evaluator(part, step, view) for part in parts]
            return lambda now: _all([each.truth(now) for each in every])
        case Any(parts=parts):
            some = [evaluator(part, step, view) for part in parts]
            return lambda now: _negated(_all([_negated(each.truth(now)) for each in some]))
        case Not(part=part):
            inner = evaluator(part, step, view)
            return lambda now: _negated(inner.truth(now))
        case Stable():
            return _stable(condition, step, view).truth


def _value(quantity: Quantity, over: float, step: Step, view: View) -> Value:
    if over:
        return view.slope(quantity, over)
    if quantity is Quantity.CAPACITY_OF_CYCLE:
        return view.of_cycle(charging=direction(step.action) > 0)
    return view.value(quantity)


def _all(truths: list[Truth]) -> Truth:
    """Return False where any is false, else None where any is unknown, else True."""
    if False in truths:
        return False
    return None if None in truths else True


def _negated(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _stable(condition: Stable, step: Step, view: View) -> Evaluator:
    """What "stable" speaks of depends on the verb: set points where it has them, else its voltage."""
    match step.action:
        case Pressure(targets=targets):
            bands = [(view.pressure(side), target) for side, target in targets if view.measures(side)]
        case Temperature(celsius=celsius):
            bands = [(view.value(Quantity.TEMPERATURE), celsius)]
        case Rest():
            return _Steady(view.value(Quantity.VOLTAGE), condition.within, condition.hold)
        case ConstantCurrent():
            return _Steady(view.value(Quantity.VOLTAGE), condition.within, condition.hold)
        case _:
            return _Steady(view.value(Quantity.CURRENT), condition.within, condition.hold)

    def inside(now: float) -> Truth:
        truths: list[Truth] = []
        for value, target in bands:
            got = value(now)
            width = condition.within * abs(target) if condition.relative else condition.within
            truths.append(None if got is None else abs(got - target) <= width)
        return _all(truths)

    return _Held(inside, condition.hold)
