"""How a step ends, in words: what it goes on to, for how long, and what becomes of it otherwise."""

from typing import TypeGuard

from labctl.plan import Operator, Then
from labctl.plan import Quantity as Measured
from labctl.protocol.condition import Comparison, Shorthand, Steady
from labctl.protocol.endings import Ending, Follow
from labctl.protocol.verbs import Lasting
from labctl.quantity import Dimension, Quantity
from labctl.words.conditions import spoken
from labctl.words.values import Values, printed

_VOLTAGES = (Dimension.VOLTAGE, Dimension.POTENTIAL)
_CHARGES = (Dimension.CHARGE, Dimension.SPECIFIC_CHARGE, Dimension.AREAL_CHARGE)
_LED = {Then.BREAK: "the loop was left", Then.END: "the protocol ended", Then.GOTO: 'the run went on at "{}"'}
_STABLE = {"rest": "the voltage", "temperature": "its temperature", "pressure": "the pressure"}


def ordinary(step: Lasting) -> tuple[Ending, ...]:
    """Return the ends after which the next step follows."""
    return tuple(ending for ending in step.until if ending.then.then is Then.NEXT)


def until(endings: tuple[Ending, ...], verb: str, values: Values, *, past: bool = False, whole: bool = False) -> str:
    """Say when a step ends: "to 4.3 V, or for 12 h, whichever comes first"; empty where nothing is named.

    Args:
        endings: those that count, in the order of the file.
        verb: of the step, or "constant voltage" for the second part of a CC-CV step.
        past: in the past tense.
        whole: the step has two parts, and a time counts in both.
    """
    phrases = [_phrase(ending, verb, values, past=past, whole=whole) for ending in endings]
    return ", or ".join(phrases) + (", whichever comes first" if len(phrases) > 1 else "")


def otherwise(step: Lasting, verb: str, values: Values) -> list[str]:
    """Say in sentences what else ends a step: ends that lead elsewhere, and its time-out."""
    said = [
        f"{_leads(ending.then)} {'if' if _is_fault(ending.then) else 'when'} {_clause(ending, verb, values)}."
        for ending in step.until
        if ending.then.then is not Then.NEXT
    ]
    if step.timeout is not None:
        limit = printed(step.timeout.when)
        if _is_fault(step.timeout.then):
            said.append(f"{_leads(step.timeout.then)} if it takes longer than {limit}.")
        else:
            said.append(f"{_leads(step.timeout.then)} after {limit} at the latest.")
    return said


def left(step: Lasting, verb: str, values: Values) -> list[str]:
    """Say in the past tense, as clauses, which ends of a step led elsewhere than to the next one; faults are none."""
    return [
        f"{_LED[ending.then.then].format(ending.then.label)} when {_clause(ending, verb, values, past=True)}"
        for ending in step.until
        if ending.then.then in _LED
    ]


def _phrase(ending: Ending, verb: str, values: Values, *, past: bool, whole: bool) -> str:
    match ending.when.tree:
        case Shorthand(value) if value.dimension in _VOLTAGES:
            return f"to {values.voltage(value)}"
        case Shorthand(value) if value.dimension in _CHARGES:
            return f"over {values.of(value)}"
        case Shorthand(value) | Comparison(Measured.TIME, Operator.GE, value, _, None) if _is_time(value):
            return f"for {printed(value)}{' in all' if whole else ''}"
        case Comparison(Measured.CV_TIME, Operator.GE, value, _, None) if _is_time(value) and verb != "cv":
            return f"for {printed(value)}"
        case Shorthand(value):
            return f"until the current {'had' if past else 'has'} fallen to {values.of(value)}"
    return f"until {_clause(ending, verb, values, past=past)}"


def _clause(ending: Ending, verb: str, values: Values, *, past: bool = False) -> str:
    """Say an end as a clause with its own subject."""
    match ending.when.tree:
        case Steady(within, hold) if verb in _STABLE:
            be = "was" if past else "is"
            return f"{_STABLE[verb]} {be} stable within ±{printed(within)} for {printed(hold)}"
        case Shorthand(value) if value.dimension in _VOLTAGES:
            return f"the voltage {'reached' if past else 'reaches'} {values.voltage(value)}"
        case Shorthand(value) if value.dimension in _CHARGES:
            return f"{values.of(value)} {'had' if past else 'have'} passed"
        case Shorthand(value) if value.dimension is Dimension.TIME:
            return f"{printed(value)} {'had' if past else 'have'} passed"
        case Shorthand(value):
            return f"the current {'had' if past else 'has'} fallen to {values.of(value)}"
    return spoken(ending.when, values, past=past)


def _leads(follow: Follow) -> str:
    match follow.then:
        case Then.FAULT:
            return f'It fails ("{follow.why}")' if follow.why else "It fails"
        case Then.GOTO:
            return f'The run goes on at "{follow.label}"'
        case Then.BREAK:
            return "The loop is left"
        case Then.END:
            return "The protocol ends"
    return "The next step follows"


def _is_fault(follow: Follow) -> bool:
    return follow.then is Then.FAULT


def _is_time(value: Quantity | int) -> TypeGuard[Quantity]:
    return isinstance(value, Quantity) and value.dimension is Dimension.TIME
