"""Steps as they follow each other: set points that do not fit, ends behind limits, time-outs too short, no rows."""

import math
from collections.abc import Iterator
from itertools import pairwise

from labctl.errors import Finding
from labctl.lint.subject import Subject
from labctl.lint.tree import lists
from labctl.plan import (
    Bound,
    Compare,
    ConstantCurrent,
    ConstantPower,
    ConstantResistance,
    ConstantVoltage,
    Impedance,
    Limits,
    MeasuredCurrent,
    Operator,
    Profile,
    Quantity,
    Rest,
    Step,
    Sweep,
    Then,
    rates_of,
)
from labctl.protocol.counted import complete_before
from labctl.protocol.ends import compares
from labctl.protocol.findings import humane

_AT_A_CURRENT = (ConstantCurrent, MeasuredCurrent)
JUMP = 0.05
"""V: a potentiostatic target further from where the cell is drives a surge of current."""
VOLTAGE_ROOM = 0.01
"""V between cut-off and limit, at least: noise and the last poll before the cut-off need it."""

SOONER = 1.0
"""s by which a time-out must come before the end of a pass to be told."""


def cv_follows(subject: Subject) -> Iterator[Finding]:
    """Look for a constant voltage that begins elsewhere than where the current before it stopped."""
    for nodes in lists(subject.plan.body):
        for before, step in pairwise(nodes):
            if not isinstance(before, Step) or not isinstance(step, Step):
                continue
            stopped, held = before.action, step.action
            if not isinstance(stopped, _AT_A_CURRENT) or not isinstance(held, ConstantVoltage) or held.relative:
                continue
            if _stops_at_voltage(before) and abs(stopped.voltage - held.voltage) > JUMP:
                yield subject.finding(
                    "cv-jump",
                    subject.of_step(step, "cv"),
                    f"this holds {humane(held.voltage, 'V')}, but the {before.verb} before it stops at"
                    f" {humane(stopped.voltage, 'V')}",
                    "Hold the voltage at which the current stopped; best as `cv` of that step itself.",
                )


def room_to_limits(subject: Subject) -> Iterator[Finding]:
    """Look for a cut-off so near to its limit that noise trips it."""
    for step in subject.plan.steps():
        voltage, key = _set_point(step)
        if voltage is None:
            continue
        allowed = _limits(step, subject).voltage
        room = min((abs(voltage - side) for side in (allowed.low, allowed.high) if side is not None), default=math.inf)
        if round(room, 9) < VOLTAGE_ROOM:
            yield subject.finding(
                "limit-close",
                subject.of_step(step, key),
                f"{humane(voltage, 'V')} is {humane(room, 'V')} from the limit of voltage, where noise trips",
                f"Leave {humane(VOLTAGE_ROOM, 'V')} or more between cut-off and limit.",
            )


def ends_within_limits(subject: Subject) -> Iterator[Finding]:
    """Look for an end that comes after the limit of the same quantity has tripped."""
    for step in subject.plan.steps():
        limits = _limits(step, subject)
        for index, end in enumerate(step.ends):
            for compare in compares(end.condition):
                bound = _bound(compare.quantity, limits)
                above = compare.operator in (Operator.GE, Operator.GT)
                limit = bound.high if above else bound.low
                if limit is None or (compare.value <= limit if above else compare.value >= limit):
                    continue
                if compare.quantity is Quantity.CAPACITY and end.text == "limits.capacity":
                    continue
                yield subject.finding(
                    "end-behind-limit",
                    subject.of_end(step, index),
                    f'"{end.text}" is never met: the limit of {compare.quantity} trips before it',
                    "Widen the limit, or end the step within it.",
                )


def capacity_of_a_pass(subject: Subject) -> Iterator[Finding]:
    """Look for a limit of capacity that a full charge or discharge passes."""
    one_c = subject.plan.cell.one_c
    if one_c is None:
        return
    for step in subject.plan.steps():
        limit = _limits(step, subject).capacity
        if _full_pass(step) and limit < one_c * 3600.0:
            yield subject.finding(
                "capacity-limit",
                subject.protocol.source.value(("limits", "capacity")),
                f"the limit of capacity, {humane(limit / 3600.0, 'Ah')}, is less than an hour at 1C"
                f" ({humane(one_c, 'Ah')}): a full pass trips",
                "Write what the active material holds at most, and some room.",
            )
            return


def time_for_a_pass(subject: Subject) -> Iterator[Finding]:
    """Look for a time-out that comes before the end of a full pass at the step's current."""
    one_c = subject.plan.cell.one_c
    for step in subject.plan.steps():
        action, timeout = step.action, step.timeout
        if one_c is None or timeout is None or timeout.then is not Then.FAULT or not _full_pass(step):
            continue
        if not isinstance(timeout.condition, Compare) or not isinstance(action, ConstantCurrent):
            continue
        takes = one_c * 3600.0 / abs(action.current)
        if timeout.condition.value < takes - SOONER:
            yield subject.finding(
                "timeout-short",
                subject.of_step(step, "timeout"),
                f"a full pass at {humane(abs(action.current), 'A')} takes {takes / 3600.0:.3g} h, but the time-out"
                f" comes after {timeout.condition.value / 3600.0:.3g} h and is a fault",
                'Give it more time, or write then = "next" where it is to end the step.',
            )


def rows(subject: Subject) -> Iterator[Finding]:
    """Look for steps of which nothing but the first and last row would be recorded."""
    lasting = (*_AT_A_CURRENT, ConstantVoltage, ConstantPower, ConstantResistance, Sweep, Profile, Rest)
    silent = [s for s in subject.plan.steps() if isinstance(s.action, lasting) and not _recorded(s)]
    if silent:
        yield subject.finding(
            "no-rows",
            subject.of_step(silent[0]),
            "nothing says when a row is due: of this step only the first and the last one are recorded",
            'Write [record] interval = "60 s" and voltage = "5 mV".',
        )


def cycles_of_rates(subject: Subject) -> Iterator[Finding]:
    """Look for a rate by the capacity of a cycle that this run alone cannot have completed by then."""
    for step, complete in complete_before(subject.plan.body):
        for rate in rates_of(step):
            if rate.cycle > complete:
                yield subject.finding(
                    "cycle-later",
                    subject.of_step(step, step.verb if isinstance(step.action, MeasuredCurrent) else "until"),
                    f'"{rate.text}" is told by cycle {rate.cycle}, and at most {complete:.0f} are complete when this'
                    " step first begins",
                    "Name one of them; in a run that goes on counting (--continue) the number may be right: allow it.",
                )


def _recorded(step: Step) -> bool:
    rule = step.record
    return any(getattr(rule, key) is not None for key in type(rule).__dataclass_fields__)


def _stops_at_voltage(step: Step) -> bool:
    """Whether a voltage ends the step."""
    return any(
        compare.quantity is Quantity.VOLTAGE
        for end in step.ends
        if end.then is not Then.FAULT
        for compare in compares(end.condition)
    )


def _set_point(step: Step) -> tuple[float | None, str]:
    """Return the voltage that the author gave a step, and the key of it; None where the limit itself is meant."""
    match step.action:
        case (
            ConstantVoltage(voltage=voltage, relative=None)
            | ConstantCurrent(voltage=voltage, cv=True)
            | MeasuredCurrent(voltage=voltage, cv=True)
        ):
            return voltage, "cv"
        case Impedance(of="voltage", bias=float(bias)):
            return bias, "eis"
        case (
            ConstantCurrent(voltage=voltage)
            | MeasuredCurrent(voltage=voltage)
            | ConstantPower(voltage=voltage)
            | ConstantResistance(voltage=voltage)
        ):
            return (voltage if _stops_at_voltage(step) else None), "until"
    return None, ""


def _full_pass(step: Step) -> bool:
    """Whether a current is driven until a voltage ends it, and not by its own time or charge, as a pulse is."""
    short = any(
        compare.quantity in (Quantity.TIME, Quantity.CAPACITY)
        for end in step.ends
        if end.then is not Then.FAULT
        for compare in compares(end.condition)
    )
    return isinstance(step.action, _AT_A_CURRENT) and _stops_at_voltage(step) and not short


def _limits(step: Step, subject: Subject) -> Limits:
    return step.limits or subject.plan.limits


def _bound(quantity: Quantity, limits: Limits) -> Bound:
    match quantity:
        case Quantity.TEMPERATURE:
            return limits.temperature
        case Quantity.PRESSURE_NEGATIVE:
            return limits.pressure_negative
        case Quantity.PRESSURE_POSITIVE:
            return limits.pressure_positive
        case Quantity.CAPACITY:
            return Bound(high=limits.capacity)
    return Bound()


RULES = (cv_follows, room_to_limits, ends_within_limits, capacity_of_a_pass, time_for_a_pass, rows, cycles_of_rates)
