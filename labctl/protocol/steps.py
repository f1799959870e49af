"""Binds one step: its action, ends, time-out, record rule and limits, and refuses one that might never end."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from labctl import plan
from labctl.plan import Compare, End, Operator, Quantity, RecordRule, Step, Then
from labctl.protocol import actions, ends, impedance, limits, moving
from labctl.protocol.basis import Basis
from labctl.protocol.ends import Context
from labctl.protocol.findings import Refused, humane
from labctl.protocol.labels import Scope
from labctl.protocol.model import Record
from labctl.protocol.source import KeyPath
from labctl.protocol.verbs import (
    CLASSES,
    ChargeStep,
    CurrentStep,
    DischargeStep,
    EisStep,
    EndStep,
    GeisStep,
    GotoStep,
    HandoverStep,
    Lasting,
    Named,
    ParkStep,
    PowerStep,
    PressureChange,
    PressureStep,
    ProfileStep,
    PromptStep,
    ResistanceStep,
    RestStep,
    SweepStep,
    TareStep,
    TemperatureStep,
    TorqueStep,
    VoltageStep,
)
from labctl.quantity import Duration

_VERB_OF = {table: verb for verb, table in CLASSES.items()}
_ENDS_BY_ITSELF = (SweepStep, ProfileStep, EisStep, GeisStep)
_GROWING = (Quantity.TIME, Quantity.TEST_TIME, Quantity.CAPACITY)


def bind_step(step: Named, number: int, basis: Basis, scope: Scope, path: KeyPath) -> Step:
    """Turn a step of the file into one of the plan; what is wrong with it is noted."""
    verb = _VERB_OF[type(step)]
    bound = Step(number, verb, step.name or _describe(step, verb), plan.Finish(), line=basis.findings.line(path))
    match step:
        case Lasting():
            return _lasting(step, bound, basis, scope, path)
        case TareStep():
            return replace(bound, action=actions.tare(step, basis, path))
        case PromptStep():
            return replace(bound, action=actions.prompt(step, basis, path))
        case ParkStep():
            return replace(bound, action=actions.park(step, basis, path), ends=(_most(step.max, Then.NEXT),))
        case HandoverStep():
            why = "the other instrument has had the cell for longer"
            return replace(bound, action=plan.Handover(step.handover), timeout=_most(step.max, Then.FAULT, why))
        case GotoStep():
            with basis.findings.at((*path, "goto")):
                scope.check_label(step.goto)
            return replace(bound, action=plan.Jump(step.goto))
    return bound


def record_rule(record: Record, basis: Basis, path: KeyPath) -> RecordRule:
    """Convert a record rule to SI."""
    scale = basis.scale

    def si(key: str, convert: Callable[..., float] = float) -> float | None:
        value = getattr(record, key)
        with basis.findings.at((*path, "record", key)):
            return None if value is None else convert(value)
        return None

    return RecordRule(
        interval=si("interval"),
        voltage=si("voltage"),
        current=si("current", scale.amperes),
        capacity=si("capacity", scale.coulombs),
        temperature=si("temperature"),
        pressure=si("pressure"),
    )


def _describe(step: Named, verb: str) -> str:
    """Name a step after what it does where the author gave no name."""
    if isinstance(step, PressureStep | TorqueStep):
        sides = [(side, getattr(getattr(step, verb), side)) for side in plan.SIDES]
        said = [(side, f"by {v.by}" if isinstance(v, PressureChange) else v) for side, v in sides if v is not None]
        return f"{verb} {', '.join(f'{side} {value}' for side, value in said)}"
    if isinstance(step, PromptStep | EndStep | ParkStep | HandoverStep):
        return verb
    if isinstance(step, SweepStep):
        return f"{verb} {' to '.join(str(corner) for corner in step.sweep)}"
    if isinstance(step, EisStep | GeisStep):
        table = step.eis if isinstance(step, EisStep) else step.geis
        return f"{verb} {table.from_}" + ("" if table.from_ == table.to else f" to {table.to}")
    return f"{verb} {getattr(step, verb)}"


def _most(span: Duration, then: Then, why: str = "") -> End:
    return End(Compare(Quantity.TIME, Operator.GE, float(span)), f"max of {span}", then, why=why)


def _lasting(step: Lasting, base: Step, basis: Basis, scope: Scope, path: KeyPath) -> Step:
    narrower = limits.of_step(basis.limits, step.limits, basis.scale, basis.findings, (*path, "limits"))
    basis = replace(basis, limits=narrower or basis.limits)
    context = _context(step, base.verb, basis)
    bound = tuple(_ends(step, context, basis, scope, path))
    timeout = None
    if step.timeout is not None:
        timeout = ends.timeout(step.timeout)
        with basis.findings.at((*path, "timeout")):
            scope.check(step.timeout.then)
    action = _action(step, base.verb, bound, basis, path)
    if isinstance(step, TorqueStep):
        action, by_itself = actions.torque(step, basis, path)
        bound = (*bound, *by_itself)
    if isinstance(step, RestStep):
        rest = Compare(Quantity.TIME, Operator.GE, float(step.rest))
        bound = (End(rest, step.rest.text), *bound)
    with basis.findings.at(path):
        _check_ends(step, bound, timeout, base.verb)
        if not isinstance(step, _ENDS_BY_ITSELF):
            bound = _bounded(bound, timeout, base.verb, basis)
    return replace(
        base,
        action=action,
        ends=bound,
        timeout=timeout,
        record=record_rule(step.record, basis, path),
        limits=narrower,
    )


def _context(step: Lasting, verb: str, basis: Basis) -> Context:
    if isinstance(step, ChargeStep | DischargeStep | CurrentStep):
        return Context(verb, basis.station, basis.scale, actions.direction(step), cv=step.cv is not None)
    return Context(verb, basis.station, basis.scale, actions.direction(step), cv=isinstance(step, VoltageStep))


def _ends(step: Lasting, context: Context, basis: Basis, scope: Scope, path: KeyPath) -> Iterator[End]:
    for index, ending in enumerate(step.until):
        here = (*path, "until", index)
        with basis.findings.at((*here, "then")):
            scope.check(ending.then)
        end = None
        with basis.findings.at((*here, "when")):
            end = ends.end(ending.when.text, ending.when.tree, ending.then, context)
            if (context.direction or context.verb == "profile") and end.then is not Then.FAULT:
                _check_cut_offs(end, basis)
        if end is not None:
            yield end


def _check_cut_offs(end: End, basis: Basis) -> None:
    for compare in ends.compares(end.condition):
        if compare.quantity is Quantity.VOLTAGE:
            actions.check_voltage(compare.value, f"the cut-off of {humane(compare.value, 'V')}", basis)


def _action(step: Lasting, verb: str, bound: tuple[End, ...], basis: Basis, path: KeyPath) -> plan.Action:
    match step:
        case ChargeStep() | DischargeStep() | CurrentStep():
            return actions.constant_current(step, verb, bound, basis, path)
        case VoltageStep():
            return actions.constant_voltage(step, basis, path)
        case PowerStep():
            return moving.power(step, bound, basis, path)
        case ResistanceStep():
            return moving.resistance(step, bound, basis, path)
        case SweepStep():
            return moving.sweep(step, basis, path)
        case ProfileStep():
            return moving.profile(step, bound, basis, path)
        case EisStep():
            return impedance.of_voltage(step.eis, basis, (*path, verb))
        case GeisStep():
            return impedance.of_current(step.geis, basis, (*path, verb))
        case PressureStep():
            return actions.pressure(step, bound, basis, path)
        case TemperatureStep():
            return actions.temperature(step, basis, path)
    return plan.Rest()


def _check_ends(step: Lasting, bound: tuple[End, ...], timeout: End | None, verb: str) -> None:
    """Refuse a step that can only end in a fault, or whose own time comes after its time-out."""
    every = (*bound, timeout) if timeout else bound
    by_itself = isinstance(step, _ENDS_BY_ITSELF)
    if not by_itself and len(bound) >= len(step.until) and all(end.then is Then.FAULT for end in every):
        example = {"pressure": "stable within 2 % for 60 s", "temperature": "stable within 0.5 K for 10 min"}
        how = f'until = "{example.get(verb, "1 h")}"'
        raise Refused("unbounded", f"nothing but a fault ends this {verb}", f"Write {how}, or what else it is for.")
    if timeout is None:
        return
    for end in bound:
        if _seconds(timeout) <= _seconds(end) < math.inf:
            reason = f'"{end.text}" comes after the {timeout.text}'
            raise Refused("unbounded", reason, "Make the time-out longer than what it watches over.")


def _bounded(bound: tuple[End, ...], timeout: End | None, verb: str, basis: Basis) -> tuple[End, ...]:
    """Add the capacity limit where nothing else bounds a step that drives current; refuse where that bounds nothing."""
    if timeout or any(ends.bounds(end.condition, _GROWING) for end in bound):
        return bound
    if verb not in ends.DRIVEN:
        reason = f"nothing bounds this {verb} in time"
        raise Refused("unbounded", reason, 'Write timeout = "1 h", or however long it may take.')
    most = Compare(Quantity.CAPACITY, Operator.GE, basis.limits.capacity)
    why = "the step moved more charge than the limit of capacity allows"
    return (*bound, End(most, "limits.capacity", Then.FAULT, why=why))


def _seconds(end: End) -> float:
    """Return when an end by time alone comes; infinity for any other."""
    condition = end.condition
    return condition.value if isinstance(condition, Compare) and condition.quantity is Quantity.TIME else math.inf
