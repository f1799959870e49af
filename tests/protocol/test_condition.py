"""The grammar of conditions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.plan import CycleQuantity, Operator, Quantity
from labctl.protocol.condition import (
    Answer,
    Both,
    Comparison,
    ConditionError,
    CycleComparison,
    Either,
    Negation,
    Shorthand,
    Steady,
    Tree,
    read,
)
from labctl.quantity import QuantityError, parse

HIGH = Comparison(Quantity.VOLTAGE, Operator.GE, parse("4.3 V"))
LATE = Comparison(Quantity.TIME, Operator.GT, parse("1 h"))
HOT = Comparison(Quantity.TEMPERATURE, Operator.GT, parse("40 degC"))


def lasting(seconds: str) -> Comparison:
    return Comparison(Quantity.VOLTAGE, Operator.GE, parse("4.3 V"), hold=parse(seconds))


READ: dict[str, Tree] = {
    "4.3 V": Shorthand(parse("4.3 V")),
    "C/20": Shorthand(parse("0.05C")),
    "voltage >= 4.3 V": HIGH,
    "voltage≥4.3V": HIGH,
    "(voltage >= 4.3 V)": HIGH,
    "voltage >= 4.3 V for 30 s": lasting("30 s"),
    "|current| <= C/20": Comparison(Quantity.CURRENT, Operator.LE, parse("C/20"), magnitude=True),
    "|dV/dt| < 1 mV/h over 10 min": Comparison(
        Quantity.VOLTAGE_RATE, Operator.LT, parse("1 mV/h"), magnitude=True, over=parse("600 s")
    ),
    "capacity  of cycle >= 1 mAh": Comparison(Quantity.CAPACITY_OF_CYCLE, Operator.GE, parse("1 mAh")),
    "retention(ref = 3, tag = 'a or b') < 90 % for 3 cycles": CycleComparison(
        CycleQuantity.RETENTION, Operator.LT, parse("90 %"), 3, "a or b", 3
    ),
    "|current| <= 0.05C(measured, cycle = 3) for 30 s": Comparison(
        Quantity.CURRENT, Operator.LE, parse("C(measured,cycle=3)/20"), magnitude=True, hold=parse("30 s")
    ),
    "C(measured, cycle = 3)/20": Shorthand(parse("C(measured, cycle = 3)/20")),
    "coulombic_efficiency >= 99.5 %": CycleComparison(CycleQuantity.COULOMBIC_EFFICIENCY, Operator.GE, parse("99.5 %")),
    "operator = 'keep (and for now)' or 4.3 V": Either((Answer("keep (and for now)"), Shorthand(parse("4.3 V")))),
    "cycle >= 3": Comparison(Quantity.CYCLE, Operator.GE, 3),
    "pressure.anode < 2 MPa": Comparison(Quantity.PRESSURE_NEGATIVE, Operator.LT, parse("2 MPa")),
    "stable within 2 % for 60 s": Steady(parse("2 %"), parse("1 min")),
    "voltage >= 4.3 V or time > 1 h and temperature > 40 degC": Either((HIGH, Both((LATE, HOT)))),
    "(voltage >= 4.3 V or time > 1 h) and temperature > 40 degC": Both((Either((HIGH, LATE)), HOT)),
    "not voltage >= 4.3 V and time > 1 h": Both((Negation(HIGH), LATE)),
    "not not voltage >= 4.3 V": Negation(Negation(HIGH)),
    "(voltage >= 4.3 V and time > 1 h) for 5 s": Both((Both((HIGH, LATE)),), parse("5 s")),
    "(voltage >= 4.3 V for 5 s) and time > 1 h": Both((Both((lasting("5 s"),)), LATE)),
}


@pytest.mark.parametrize(("text", "tree"), list(READ.items()))
def test_a_condition_is_read(text: str, tree: Tree) -> None:
    condition = read(text)
    assert condition.tree == tree
    assert condition.text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "and",
        "voltage",
        "voltage >=",
        ">= 4 V",
        "voltage >= 4 V 5 V",
        "voltage >= 4 V and",
        "(voltage >= 4 V",
        "voltage >= 4 V)",
        "voltage == 4 V",
        "voltage >= 4 V for",
        "voltage >= 4 V for 0 s",
        "4.3 V for 30 s",
        "stable within 2 %",
        "stable within 0 % for 1 min",
        "cycle >= 2.5",
        "cycle >= -1",
        "soc >= 50",
        "retention < 90 %",
        "retention(ref = 0) < 90 %",
        "retention(ref = 3) < 90 % for 0 cycles",
        "retention(cycle = 3) < 90 %",
        "coulombic_efficiency",
        "operator",
        "voltage >= 4 V over 30 s",
        "dV/dt < 1 mV/h over 0 s",
        "not voltage >= 4 V for 5 s",
        "voltage >= 4 V for 5 s or time > 1 h",
        "not " * 50 + "4 V",
        "(" * 50 + "4 V" + ")" * 50,
        "4 V or " * 100 + "4 V",
    ],
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises((ConditionError, QuantityError)):
        read(text)


PARTS = [
    "voltage",
    ">=",
    "<",
    "4.3 V",
    "C/20",
    "C(measured, cycle = 3)/20",
    "and",
    "or",
    "not",
    "for",
    "30 s",
    "(",
    ")",
    "|",
    "stable within",
    "2 %",
]


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=12))
def test_no_text_crashes_the_reader(parts: list[str]) -> None:
    try:
        read(" ".join(parts))
    except (ConditionError, QuantityError) as error:
        sentence, remedy = error.sentence, error.remedy
    else:
        sentence = remedy = "read"
    assert sentence
    assert remedy
