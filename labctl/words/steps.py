"""One step in words: as an instruction, or, in the past tense, as what was done; and what bounds it."""

from labctl import plan
from labctl.plan import SIDES, Then
from labctl.protocol.findings import humane
from labctl.protocol.model import Record
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
from labctl.quantity import Quantity
from labctl.words import drive
from labctl.words.drive import joined
from labctl.words.ends import ordinary, otherwise, until
from labctl.words.values import Values, as_written, listed, printed

_VERBS = {table: verb for verb, table in CLASSES.items()}
_CONTROL = {
    "force": ", holding the force in closed loop",
    "gap": ", then lock the gap",
    "free": ", then let go",
}
_CONTROLLED = {"force": ", the force held in closed loop", "gap": ", the gap then locked", "free": ", then let go"}


def verb_of(step: Named) -> str:
    """Return the key of a step's verb."""
    return _VERBS.get(type(step), "step")


def deed(step: Named, values: Values, *, past: bool = False) -> str:
    """Say what a step does, without a full stop: an instruction, or, in the past tense, what was done."""
    match step:
        case ChargeStep() | DischargeStep() | CurrentStep():
            return drive.constant_current(step, values, past=past)
        case VoltageStep():
            return drive.constant_voltage(step, values, past=past)
        case PowerStep():
            return drive.constant_power(step, values, past=past)
        case ResistanceStep():
            return drive.constant_resistance(step, values, past=past)
        case SweepStep():
            return drive.sweep(step, values, past=past)
        case ProfileStep():
            return drive.profile(step, values, past=past)
        case EisStep() | GeisStep():
            return drive.spectrum(step, values, past=past)
        case RestStep():
            rest = f"{'the cell rested' if past else 'Rest'} at open circuit for {printed(step.rest)}"
            return joined(f"{rest}{', or' if ordinary(step) else ''}", _until(step, values, past=past))
        case PressureStep():
            return _pressure(step, values, past=past)
        case TorqueStep():
            return _torque(step, values, past=past)
        case TemperatureStep():
            target = f"to {printed(step.temperature)}"
            what = f"the {step.of} was brought {target}" if past else f"Bring the {step.of} {target}"
            return joined(what, _until(step, values, past=past))
    return _by_hand(step, values, past=past) or _plainly(step, past=past)


def _by_hand(step: Named, values: Values, *, past: bool) -> str:
    """Say a step in which the operator has a part, or one that only leads elsewhere; empty for any other."""
    match step:
        case TareStep(tare=side):
            done = f"the load cell of the {side} side was zeroed"
            return done if past else f"Zero the load cell of the {side} side, once the operator has said it is unloaded"
        case PromptStep():
            return _prompt(step, past=past)
        case ParkStep():
            most = "" if step.max_current is None else f" with at most {values.of(step.max_current)}"
            where = "open circuit" if step.cv is None else f"{values.voltage(step.cv)}{most}"
            start = "the cell was kept" if past else "Keep the cell"
            return f'{start} at {where} for the operator ("{step.park}"), for {printed(step.max)} at most'
        case HandoverStep():
            start = "the cell was left" if past else "Leave the cell"
            return (
                f'{start}, at open circuit, to another instrument ("{step.handover}"), for {printed(step.max)} at most'
            )
        case GotoStep(goto=label):
            return f'the run went on at "{label}"' if past else f'Go on at "{label}"'
        case EndStep():
            return "the protocol ended" if past else "End the protocol"
    return ""


def bounds(step: Named, node: plan.Node | None, values: Values) -> list[str]:
    """Say in sentences what else may end a step and what bounds it; `node` is the step bound to its cell."""
    if not isinstance(step, Lasting):
        return []
    said = otherwise(step, verb_of(step), values)
    if isinstance(node, plan.Step):
        said += _of_the_limits(node)
    if step.limits.model_fields_set:
        said.append(f"Its own limits: {as_written(step.limits)}.")
    if step.record.model_fields_set:
        said.append(f"It records a reading {recording(step.record)}.")
    return said


def recording(record: Record, *, past: bool = False) -> str:
    """Say when a reading is due: "every 60 s, and when the voltage has moved by 5 mV"."""
    interval, be = record.interval, "had" if past else "has"
    keys = ("voltage", "current", "capacity", "temperature", "pressure")
    moved = [f"the {key} {be} moved by {printed(by)}" for key in keys if (by := getattr(record, key)) is not None]
    parts = ([f"every {printed(interval)}"] if interval is not None else []) + (
        [f"when {listed(moved, 'or')}"] if moved else []
    )
    return ", and ".join(parts) or "at the ends of steps"


def capacity_limit(node: plan.Step) -> plan.Compare | None:
    """Return the limit of capacity where it alone bounds a step; None where its author bounded it."""
    for end in node.ends:
        if end.text == "limits.capacity" and end.then is Then.FAULT and isinstance(end.condition, plan.Compare):
            return end.condition
    return None


def _of_the_limits(node: plan.Step) -> list[str]:
    """Say what the limits alone bound, where the step itself says nothing."""
    said = []
    most = capacity_limit(node)
    if most is not None:
        said.append(f"It fails if it moves more than {humane(most.value / 3600, 'Ah')}, the limit of capacity.")
    action = node.action
    named = any(
        isinstance(end.condition, plan.Compare) and end.condition.quantity is plan.Quantity.VOLTAGE for end in node.ends
    )
    if isinstance(action, plan.ConstantCurrent | plan.MeasuredCurrent) and not action.cv and not named:
        said.append(f"The instrument itself stops it at {humane(action.voltage, 'V')}, the limit of voltage.")
    return said


def _until(step: Lasting, values: Values, *, past: bool) -> str:
    return until(ordinary(step), verb_of(step), values, past=past)


def _pressure(step: PressureStep, values: Values, *, past: bool) -> str:
    asked = step.pressure
    sides = [
        f"the {side} side {_target(target, values)}" for side in SIDES if (target := getattr(asked, side)) is not None
    ]
    ramp = "" if asked.ramp is None else f" at {printed(asked.ramp)}"
    told = listed(sides).replace(" side ", " side was brought ", 1) if past else f"Bring {listed(sides)}"
    start = f"{told}{ramp}{(_CONTROLLED if past else _CONTROL)[asked.control]}"
    return joined(start + ("," if ordinary(step) else ""), _until(step, values, past=past))


def _target(target: Quantity | PressureChange, values: Values) -> str:
    if isinstance(target, Quantity):
        return f"to {values.pressure(target)}"
    least = "" if target.min is None else f", not below {values.pressure(target.min)}"
    most = "" if target.max is None else f", not above {values.pressure(target.max)}"
    return f"to {printed(target.by)} more than before{least}{most}"


def _torque(step: TorqueStep, values: Values, *, past: bool) -> str:
    asked = {side: target for side in SIDES if (target := getattr(step.torque, side)) is not None}
    loosens = any(target.value < 0 for target in asked.values())
    how, to = ("loosen", "with at most") if loosens else ("tighten", "to")
    sides = listed(
        f"the {side} side {f'was {how}ed ' if past else ''}{to} {printed(target).lstrip('-')}"
        for side, target in asked.items()
    )
    pace = "" if step.torque.speed is None else f" at {printed(step.torque.speed)}"
    start = f"{'' if past else f'{how.capitalize()} '}{sides}{pace}, {'and left' if past else 'and leave it'} locked"
    return joined(start + ("," if ordinary(step) else ""), _until(step, values, past=past))


def _prompt(step: PromptStep, *, past: bool) -> str:
    if past:
        return f'the operator was asked "{step.prompt}"'
    answers = f" (answers: {listed(step.answers, 'or')})" if step.answers else ""
    answers = answers if step.quantity is None else f" (answer: a {step.quantity})"
    return f'Ask the operator, at open circuit: "{step.prompt}"{answers}'


def _plainly(step: Named, *, past: bool) -> str:
    """Say a step without words of its own by its keys, so that nothing is left out."""
    general = set(Lasting.model_fields)
    own = [
        f"{name} {as_written(getattr(step, name))}"
        for name in type(step).model_fields
        if name in step.model_fields_set
        if name not in general
    ]
    verb = verb_of(step)
    said = listed(own).removeprefix(f"{verb} ")
    ended = listed((as_written(end.when) for end in step.until), "or") if isinstance(step, Lasting) else ""
    start = f"{verb} was done: {said}" if past else f"{verb.capitalize()}: {said}"
    return f"{start}, until {ended}" if ended and ended != "none" else start
