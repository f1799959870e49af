"""Conditions in words: "|current| <= C/20 for 30 s" is "the current is at most C/20 (112 µA) for 30 s"."""

from labctl.plan import CycleQuantity, Operator
from labctl.plan import Quantity as Measured
from labctl.protocol import condition as written
from labctl.protocol.condition import Condition
from labctl.quantity import Quantity
from labctl.words.values import Values, listed, printed

_OPERATORS = {
    Operator.GE: "at least",
    Operator.LE: "at most",
    Operator.GT: "above",
    Operator.LT: "below",
}
_NAMES: dict[Measured, str] = {
    Measured.CAPACITY_OF_CYCLE: "capacity of the cycle",
    Measured.CAPACITY_NET: "net capacity",
    Measured.SOC: "state of charge",
    Measured.VOLTAGE_RATE: "rate of the voltage",
    Measured.CURRENT_RATE: "rate of the current",
    Measured.PRESSURE_RATE: "rate of the pressure",
    Measured.PRESSURE_RATE_POSITIVE: "rate of the pressure of the positive side",
    Measured.FORCE_POSITIVE: "force of the positive side",
    Measured.TORQUE_POSITIVE: "torque of the positive side",
    Measured.CURRENT: "current",
    Measured.CV_TIME: "time at constant voltage",
    Measured.TEST_TIME: "time since the start of the run",
    Measured.TIME: "time in the step",
    Measured.CYCLE: "cycle number",
    Measured.CAPACITY: "capacity in the step",
    Measured.ENERGY: "energy in the step",
    Measured.PRESSURE_NEGATIVE: "pressure of the negative side",
    Measured.PRESSURE_POSITIVE: "pressure of the positive side",
}


def spoken(condition: Condition, values: Values, *, past: bool = False) -> str:
    """Say a condition as a clause: "the voltage is at least 4.3 V and ..."; what has no words, as it is written."""
    return _clause(condition.tree, values, "was" if past else "is") or f'"{condition.text}"'


def _clause(tree: object, values: Values, verb: str) -> str:
    """Return the words of a part of a condition; empty where it has a part without any."""
    match tree:
        case written.Comparison():
            return _comparison(tree, values, verb)
        case written.CycleComparison():
            return _of_cycles(tree, values, verb)
        case written.Answer(text):
            return f'the operator\'s last answer {verb} "{text}"'
        case written.Shorthand(value):
            return values.any(value)
        case written.Steady(within, hold):
            return f"it {verb} stable within ±{printed(within)} for {printed(hold)}"
        case written.Negation(part):
            inner = _clause(part, values, verb)
            return inner and f"it {verb} not so that {inner}"
        case written.Both(parts, hold):
            return _joined(parts, hold, values, verb, "and")
        case written.Either(parts, hold):
            return _joined(parts, hold, values, verb, "or")
    return ""


def _comparison(tree: written.Comparison, values: Values, verb: str) -> str:
    name = _NAMES.get(tree.quantity, str(tree.quantity).replace("_", " "))
    value = str(tree.value) if isinstance(tree.value, int) else values.any(tree.value)
    over = "" if tree.over is None else f" over {printed(tree.over)}"
    size = "the magnitude of the" if tree.magnitude else "the"
    return f"{size} {name} {verb} {_OPERATORS[tree.operator]} {value}{over}{_hold(tree.hold)}"


def _of_cycles(tree: written.CycleComparison, values: Values, verb: str) -> str:
    name = "capacity retention" if tree.quantity is CycleQuantity.RETENTION else "coulombic efficiency"
    tag = f' of the cycles tagged "{tree.tag}"' if tree.tag else ""
    reference = "" if tree.ref is None else f" against cycle {tree.ref}"
    lasting = "" if tree.cycles == 1 else f" for {tree.cycles} cycles"
    return f"the {name}{tag}{reference} {verb} {_OPERATORS[tree.operator]} {values.any(tree.value)}{lasting}"


def _joined(parts: tuple[object, ...], hold: Quantity | None, values: Values, verb: str, word: str) -> str:
    clauses = [_clause(part, values, verb) for part in parts]
    if not all(clauses):
        return ""
    inner = listed(clauses, word)
    nested = any(isinstance(part, written.Both | written.Either) for part in parts)
    return f"({inner}){_hold(hold)}" if (nested or hold is not None) and len(parts) > 1 else f"{inner}{_hold(hold)}"


def _hold(hold: Quantity | None) -> str:
    return "" if hold is None else f" for {printed(hold)}"
