"""Conditions and ends of steps, evaluated at polls."""

import pytest

from labctl.engine.board import CELL_TEMPERATURE, FORCE_GAUGE, Board
from labctl.engine.conditions import View, evaluator
from labctl.engine.cycles import CycleBook
from labctl.engine.ends import AT_THE_LIMIT, OUTPUT_OFF, StepEnds
from labctl.engine.ledger import Ledger
from labctl.instrument import CellReading, Limiting
from labctl.plan import (
    All,
    Any,
    Bound,
    BoundCell,
    Compare,
    Condition,
    ConstantCurrent,
    End,
    Limits,
    Not,
    Operator,
    Plan,
    Pressure,
    Quantity,
    Rest,
    Stable,
    Step,
    Temperature,
    Then,
)

AREA = 1e-4
EMPTY = Plan("test", "", "", "", BoundCell("", "full"), Limits(Bound(), 1.0, 1.0), ())
CC, CV = Limiting.CURRENT, Limiting.VOLTAGE


class Bed:
    """A board and a ledger that a test writes, and the view on them."""

    def __init__(self) -> None:
        self.board = Board()
        self.board.bore_area = AREA
        self.board.gauge(FORCE_GAUGE["negative"], 5.0)
        self.board.gauge(CELL_TEMPERATURE, 5.0)
        self.ledger = Ledger(0.0)
        self.book = CycleBook(EMPTY)
        self.view = View(self.board, self.ledger, lambda: 3, self.book)

    def cell(self, now: float, voltage: float, current: float = 1e-3, limiting: Limiting = CC) -> CellReading:
        reading = CellReading(voltage, current, True, limiting)
        self.board.see_cell(reading, now)
        self.ledger.add(reading, now)
        return reading


def step(action: object, *ends: End, timeout: End | None = None) -> Step:
    return Step(1, "verb", "name", action, ends, timeout)  # type: ignore[arg-type]


def volts(op: Operator, value: float, hold: float = 0.0) -> Compare:
    return Compare(Quantity.VOLTAGE, op, value, hold=hold)


@pytest.mark.parametrize(
    ("op", "below", "equal", "above"),
    [
        (Operator.GE, False, True, True),
        (Operator.GT, False, False, True),
        (Operator.LE, True, True, False),
        (Operator.LT, True, False, False),
    ],
)
def test_comparisons(op: Operator, below: bool, equal: bool, above: bool) -> None:
    for voltage, expected in ((3.9, below), (4.0, equal), (4.1, above)):
        bed = Bed()
        bed.cell(1.0, voltage)
        assert evaluator(volts(op, 4.0), step(Rest()), bed.view).truth(1.0) is expected


def test_what_is_unknown_is_not_true_and_not_false() -> None:
    bed = Bed()
    bed.board.cell_max_age = 2.0
    known, high = volts(Operator.GE, 0.0), volts(Operator.GT, 4.1)
    later = Compare(Quantity.TIME, Operator.GE, 0.0)

    def truth(condition: Condition, now: float) -> bool | None:
        return evaluator(condition, step(Rest()), bed.view).truth(now)

    assert truth(known, 0.0) is None
    assert truth(Not(known), 0.0) is None
    assert truth(All((known, later)), 0.0) is None
    assert truth(Any((known, later)), 0.0) is True
    assert truth(Any((known, Not(later))), 0.0) is None
    assert truth(All((known, Not(later))), 0.0) is False
    bed.cell(1.0, 4.0)
    assert (truth(known, 1.0), truth(Not(known), 1.0), truth(high, 1.0), truth(Not(high), 1.0)) == (
        True,
        False,
        False,
        True,
    )
    assert truth(known, 4.0) is None, "it is too old"
    assert truth(Not(known), 4.0) is None
    ends = StepEnds(step(Rest(), End(Not(known), "not so")), bed.view)
    assert ends.first_met(4.0, CellReading(None, 0.0, True, None)) is None


def test_hold_begins_anew_when_it_was_interrupted() -> None:
    bed = Bed()
    condition = evaluator(volts(Operator.GE, 4.0, hold=3.0), step(Rest()), bed.view)
    met = []
    for now, voltage in enumerate([4.0, 4.0, 3.9, 4.0, 4.0, 4.0, 4.0]):
        bed.cell(float(now), voltage)
        met.append(condition.truth(float(now)))
    assert met == [False, False, False, False, False, False, True]


def test_and_or_not() -> None:
    bed = Bed()
    bed.cell(1.0, 4.0, -2e-3)
    big = Compare(Quantity.CURRENT, Operator.GE, 1e-3, magnitude=True)
    high = volts(Operator.GT, 4.1)
    assert not evaluator(All((big, high)), step(Rest()), bed.view).truth(1.0)
    assert evaluator(Any((big, high)), step(Rest()), bed.view).truth(1.0)
    assert evaluator(All((big, Not(high))), step(Rest()), bed.view).truth(1.0)


def test_stable_pressure_speaks_of_the_set_point_of_every_measured_side() -> None:
    bed = Bed()
    action = Pressure((("negative", 2e6), ("positive", 0.2e6)), 1e5)
    condition = evaluator(Stable(0.02, True, 2.0), step(action), bed.view)
    met = []
    for now, pressure in enumerate([1.9e6, 1.97e6, 2.03e6, 2.0e6, 2.1e6, 2.0e6]):
        bed.board.gauges[FORCE_GAUGE["negative"]].update(pressure * AREA, float(now))
        met.append(condition.truth(float(now)))
    assert met == [False, False, False, True, False, False]


def test_stable_temperature_and_rest() -> None:
    bed = Bed()
    warm = evaluator(Stable(0.5, False, 1.0), step(Temperature(30.0, "cell")), bed.view)
    calm = evaluator(Stable(1e-3, False, 2.0), step(Rest()), bed.view)
    seen = []
    for now, (celsius, voltage) in enumerate([(29.0, 3.7), (29.6, 3.7005), (30.4, 3.7009), (30.0, 3.8)]):
        bed.board.gauges[CELL_TEMPERATURE].update(celsius, float(now))
        bed.cell(float(now), voltage)
        seen.append((warm.truth(float(now)), calm.truth(float(now))))
    assert seen == [(False, False), (False, False), (True, True), (True, False)]


CHARGE = ConstantCurrent(1e-3, 4.3)
CUT_OFF = End(volts(Operator.GE, 4.3), "4.3 V")


def test_the_first_end_in_the_authors_order_wins() -> None:
    bed = Bed()
    late = End(Compare(Quantity.TIME, Operator.GE, 0.0), "0 s")
    ends = StepEnds(step(CHARGE, CUT_OFF, late), bed.view)
    assert ends.first_met(1.0, bed.cell(1.0, 4.31)) is CUT_OFF
    assert ends.first_met(2.0, bed.cell(2.0, 4.0)) is late


def test_a_cut_off_counts_when_the_instrument_holds_that_voltage() -> None:
    bed = Bed()
    ends = StepEnds(step(CHARGE, CUT_OFF), bed.view)
    assert ends.first_met(1.0, bed.cell(1.0, 4.2999999, limiting=CC)) is None
    assert ends.first_met(2.0, bed.cell(2.0, 4.2999999, limiting=CV)) is CUT_OFF


def test_a_current_without_cut_off_that_runs_into_its_limit_is_a_fault() -> None:
    bed = Bed()
    hour = End(Compare(Quantity.TIME, Operator.GE, 3600.0), "1 h")
    ends = StepEnds(step(CHARGE, hour), bed.view)
    assert ends.first_met(1.0, bed.cell(1.0, 4.3, limiting=CV)) is None
    met = ends.first_met(2.0, bed.cell(2.0, 4.3, limiting=CV))
    assert met is AT_THE_LIMIT
    assert met.then is Then.FAULT


def test_conditions_on_current_count_only_in_the_cv_part() -> None:
    bed = Bed()
    tail = End(Compare(Quantity.CURRENT, Operator.LE, 2e-3, magnitude=True), "C/20", cv_only=True)
    ends = StepEnds(step(ConstantCurrent(1e-3, 4.3, cv=True), tail), bed.view)
    assert ends.first_met(1.0, bed.cell(1.0, 3.7, limiting=CC)) is None
    assert ends.first_met(2.0, bed.cell(2.0, 4.3, limiting=CV)) is tail


def test_an_output_that_opened_by_itself_is_a_fault() -> None:
    bed = Bed()
    ends = StepEnds(step(CHARGE, CUT_OFF), bed.view)
    assert ends.first_met(1.0, CellReading(None, 0.0, False, None)) is OUTPUT_OFF


@pytest.mark.parametrize(
    ("current", "bound", "voltage", "already"),
    [(1e-3, 4.3, 4.3, True), (1e-3, 4.3, 4.29, False), (-1e-3, 2.5, 2.4, True), (-1e-3, 2.5, 2.51, False)],
)
def test_a_cell_that_is_already_there_is_not_driven_backwards(
    current: float, bound: float, voltage: float, already: bool
) -> None:
    op = Operator.GE if current > 0 else Operator.LE
    end = End(volts(op, bound), "cut-off")
    ends = StepEnds(step(ConstantCurrent(current, bound), end), Bed().view)
    assert (ends.already(voltage) is end) is already
