"""Impedance: does a spectrum end in time, is its sine small enough, and is the cell at rest when it begins?"""

from collections.abc import Generator, Iterator

from labctl.errors import Finding
from labctl.impedance import duration
from labctl.lint.subject import Subject
from labctl.plan import (
    Branch,
    Compare,
    ConstantCurrent,
    ConstantPower,
    ConstantResistance,
    ConstantVoltage,
    Finish,
    ForEach,
    Impedance,
    Jump,
    Loop,
    MeasuredCurrent,
    Node,
    Profile,
    Step,
    Sweep,
    Then,
)
from labctl.protocol.findings import humane

SLOW = 3600.0
"""s beyond which a cell is not the same at the end of a spectrum as at its beginning."""
LINEAR = 0.02
"""V rms; RT/F is 0.0257 V at 25 °C."""

_DRIVEN = (
    ConstantCurrent,
    MeasuredCurrent,
    ConstantVoltage,
    ConstantPower,
    ConstantResistance,
    Sweep,
    Profile,
)


def slow(subject: Subject) -> Iterator[Finding]:
    """Compare the time that a spectrum takes with its time-out, and with an hour."""
    for step in subject.plan.steps():
        if not isinstance(step.action, Impedance):
            continue
        takes, lowest = duration(step.action.frequencies), min(step.action.frequencies)
        reason = f"this spectrum takes {_shown(takes)}, down to {humane(lowest, 'Hz')}"
        most = _timeout(step)
        if most is not None and takes > most:
            reason += f", but its time-out comes after {_shown(most)} and is a fault"
        elif takes <= SLOW:
            continue
        key = "to" if step.action.frequencies[-1] == lowest else "from"
        remedy = "End at a higher frequency, measure fewer points per decade, or give it more time."
        yield subject.finding("spectrum-slow", subject.of_step(step, step.verb, key), reason, remedy)


def amplitude(subject: Subject) -> Iterator[Finding]:
    """Look for a sine of voltage to which an electrode does not answer with a sine."""
    if subject.plan.cell.kind == "blocking":
        return
    for step in subject.plan.steps():
        action = step.action
        if isinstance(action, Impedance) and action.of == "voltage" and action.amplitude > LINEAR:
            yield subject.finding(
                "spectrum-amplitude",
                subject.of_step(step, step.verb, "amplitude"),
                f"{humane(action.amplitude, 'V')} rms is beyond {humane(LINEAR, 'V')}, where an electrode is linear",
                "Take 10 mV rms or less.",
            )


def unrested(subject: Subject) -> Iterator[Finding]:
    """Look for a spectrum at open circuit right behind a step that drives a current."""
    yield from _walk(subject, subject.plan.body, None)


def _walk(subject: Subject, nodes: tuple[Node, ...], before: Step | None) -> Generator[Finding, None, Step | None]:
    """Yield findings of a list that is walked after the step `before`; return the last step that lasted."""
    for node in nodes:
        match node:
            case Step(action=Jump() | Finish()):
                pass
            case Step():
                yield from _of_step(subject, node, before)
                before = node
            case Loop(body=body, hooks=hooks):
                for _ in range(min(node.passes, 2)):
                    before = yield from _walk(subject, body, before)
                for hook in hooks:
                    for step in body:
                        if isinstance(step, Step) and hook.after in (step.verb, step.name):
                            yield from _walk(subject, hook.body, step)
            case ForEach(bodies=bodies):
                for each in bodies:
                    before = yield from _walk(subject, each, before)
            case Branch(body=body, otherwise=otherwise):
                one = yield from _walk(subject, body, before)
                other = yield from _walk(subject, otherwise, before)
                before = one if _drives(one) else other
    return before


def _of_step(subject: Subject, step: Step, before: Step | None) -> Iterator[Finding]:
    action = step.action
    if not isinstance(action, Impedance) or action.of != "voltage" or action.bias is not None:
        return
    if before is not None and _drives(before):
        yield subject.finding(
            "spectrum-unrested",
            subject.of_step(step, step.verb),
            f"this spectrum at open circuit follows the {before.verb} of line {before.line} without a rest",
            'Rest first, such as { rest = "1 h", until = "stable within 1 mV for 10 min" }.',
        )


def _drives(step: Step | None) -> bool:
    if step is None:
        return False
    biased = isinstance(step.action, Impedance) and step.action.of == "current" and step.action.bias != 0.0
    return biased or isinstance(step.action, _DRIVEN)


def _timeout(step: Step) -> float | None:
    end = step.timeout
    if end is None or end.then is not Then.FAULT or not isinstance(end.condition, Compare):
        return None
    return end.condition.value


def _shown(seconds: float) -> str:
    return f"{seconds / 3600.0:.2g} h" if seconds >= SLOW else f"{seconds / 60.0:.2g} min"


RULES = (slow, amplitude, unrested)
