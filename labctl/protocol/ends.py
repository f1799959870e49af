"""Binds conditions: what a shorthand means in its step, exact quantities to SI, and what the station cannot measure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from labctl import plan
from labctl.plan import Compare, End, Operator, Quantity, StationAbilities, Then
from labctl.protocol import condition as written
from labctl.protocol.endings import Follow, Overrun
from labctl.protocol.findings import Refused, humane
from labctl.protocol.scale import Scale
from labctl.quantity import Dimension
from labctl.quantity import Quantity as Value

MIN_POLLS = 3
"""A condition that must last is looked at no fewer times."""

DRIVEN = ("charge", "discharge", "current", "cv", "power", "resistance", "sweep", "profile")
_SINES = ("eis", "geis")
_AT_A_CURRENT = ("charge", "discharge", "current")
_SIGNED = ("current", "power", "sweep", "profile")
"""Verbs whose current has a sign in conditions, as it has in what they are told."""
_OF_A_DRIVEN_STEP = (
    Quantity.CURRENT,
    Quantity.POWER,
    Quantity.CAPACITY,
    Quantity.CAPACITY_OF_CYCLE,
    Quantity.ENERGY,
    Quantity.CURRENT_RATE,
)
_OF_A_STEP = (*_OF_A_DRIVEN_STEP, Quantity.TIME, Quantity.CV_TIME, *written.DERIVATIVES)
_CV_ONLY = (Quantity.CURRENT, Quantity.CV_TIME)
_UPWARD = (Operator.GE, Operator.GT)
_CHARGES = (Quantity.CAPACITY, Quantity.CAPACITY_OF_CYCLE, Quantity.CAPACITY_NET)
WINDOW = 60.0
"""s over which a derivative is taken where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Context:
    """The step that a condition belongs to; `verb` is "if" for a branch.

    `direction` is +1 where current charges, -1 where it discharges, 0 where either may be; `cv` says whether the step
    has a constant-voltage part.
    """

    verb: str
    station: StationAbilities
    scale: Scale
    direction: int = 0
    cv: bool = False

    @property
    def cc_cv(self) -> bool:
        """Whether the step has both parts."""
        return self.cv and self.verb != "cv"


def bind(tree: written.Tree, context: Context) -> plan.Condition:
    """Turn a condition as written into one of the plan; raises Refused."""
    match tree:
        case written.Shorthand(value):
            return _shorthand(value, context)
        case written.Comparison():
            return _comparison(tree, context)
        case written.Steady():
            return _stable(tree, context)
        case written.Both(parts, hold):
            return plan.All(tuple(bind(part, context) for part in parts), _hold(hold, context))
        case written.Either(parts, hold):
            return plan.Any(tuple(bind(part, context) for part in parts), _hold(hold, context))
        case written.Negation(part):
            bound = bind(part, context)
            if _of_cycles(bound):
                reason = '"not" before a ratio of cycles would be true before there are any'
                raise Refused("condition", reason, "Turn the comparison instead: < for >=.")
            return plan.Not(bound)
        case written.CycleComparison(quantity, operator, value, ref, tag, cycles):
            return plan.OfCycles(quantity, operator, float(value), ref, tag, cycles)
        case written.Answer(text):
            return plan.Answered(text)


def end(text: str, tree: written.Tree, follow: Follow, context: Context) -> End:
    """Bind one end of a step; raises Refused, also where it points the wrong way."""
    bound = bind(tree, context)
    fault = follow.then is Then.FAULT
    speaks_of_cv = context.cc_cv and not fault and any(each in _CV_ONLY for each in _quantities(bound))
    if speaks_of_cv and _alternatives(bound):
        raise Refused(
            "condition",
            '"or" and "not" mix what counts in the constant-voltage part with what counts in both',
            "Write the alternatives as a list: until = [..., ...].",
        )
    if not fault:
        _check_sense(bound, text, context)
        _check_half(bound, text, context)
    return End(bound, text, follow.then, follow.label, follow.why, cv_only=speaks_of_cv)


def timeout(overrun: Overrun) -> End:
    """Bind a time-out."""
    follow, text = overrun.then, overrun.when.text
    why = follow.why or ("the step did not end by itself in time" if follow.then is Then.FAULT else "")
    condition = Compare(Quantity.TIME, Operator.GE, float(overrun.when))
    return End(condition, f"timeout of {text}", follow.then, follow.label, why)


def compares(condition: plan.Condition) -> tuple[Compare, ...]:
    """Return every comparison in a condition."""
    match condition:
        case Compare():
            return (condition,)
        case plan.All(parts) | plan.Any(parts):
            return tuple(c for part in parts for c in compares(part))
        case plan.Not(part):
            return compares(part)
    return ()


def _quantities(condition: plan.Condition) -> Iterator[Quantity]:
    """Yield what a condition compares with a value."""
    match condition:
        case Compare(quantity=quantity):
            yield quantity
        case plan.CompareRate():
            yield Quantity.CURRENT
        case plan.All(parts) | plan.Any(parts):
            for part in parts:
                yield from _quantities(part)
        case plan.Not(part):
            yield from _quantities(part)


def _of_cycles(condition: plan.Condition) -> bool:
    match condition:
        case plan.OfCycles():
            return True
        case plan.All(parts) | plan.Any(parts):
            return any(_of_cycles(part) for part in parts)
        case plan.Not(part):
            return _of_cycles(part)
    return False


def bounds(condition: plan.Condition, quantities: tuple[Quantity, ...]) -> bool:
    """Whether the condition must come true once one of these growing quantities has grown enough."""
    match condition:
        case Compare(quantity=quantity, operator=operator):
            return quantity in quantities and operator in _UPWARD
        case plan.Any(parts):
            return any(bounds(part, quantities) for part in parts)
        case plan.All(parts):
            return all(bounds(part, quantities) for part in parts)
    return False


def cut_off(ends: tuple[End, ...], direction: int) -> float | None:
    """Return the voltage at which a constant current stops: the first that it meets; None where no end names one."""
    voltages = [
        e.condition.value
        for e in ends
        if isinstance(e.condition, Compare) and e.condition.quantity is Quantity.VOLTAGE and not e.condition.hold
        if (e.condition.operator in _UPWARD) == (direction > 0) and e.then is not Then.FAULT
    ]
    return None if not voltages else min(voltages) if direction > 0 else max(voltages)


def _shorthand(value: Value, context: Context) -> plan.Condition:
    match value.dimension:
        case Dimension.MEASURED_RATE if context.cv:
            return plan.CompareRate(Operator.LE, _measured(value), magnitude=True)
        case Dimension.TIME:
            return Compare(Quantity.TIME, Operator.GE, float(value))
        case Dimension.VOLTAGE | Dimension.POTENTIAL if context.direction:
            operator = Operator.GE if context.direction > 0 else Operator.LE
            return Compare(Quantity.VOLTAGE, operator, context.scale.volts(value))
        case Dimension.RATE | Dimension.CURRENT | Dimension.CURRENT_DENSITY | Dimension.SPECIFIC_CURRENT if context.cv:
            return Compare(Quantity.CURRENT, Operator.LE, context.scale.amperes(value), magnitude=True)
        case Dimension.CHARGE | Dimension.SPECIFIC_CHARGE | Dimension.AREAL_CHARGE if context.verb in DRIVEN:
            return Compare(Quantity.CAPACITY, Operator.GE, context.scale.coulombs(value))
    reason = f'it is unclear what "{value}" is compared with in this step'
    raise Refused("condition", reason, 'Write it in full, such as "voltage >= 4.3 V".')


def _measured(rate: Value) -> plan.MeasuredRate:
    assert rate.cycle is not None
    return plan.MeasuredRate(float(rate), rate.cycle, rate.text.strip())


def _comparison(tree: written.Comparison, context: Context) -> plan.Condition:
    quantity = tree.quantity
    if quantity is Quantity.SOC:
        return _soc(tree, context)
    _check_meaning(quantity, context)
    _check_measured(quantity, context.station, context.scale)
    if isinstance(tree.value, int):
        value = float(tree.value)
    elif quantity is Quantity.VOLTAGE:
        value = context.scale.volts(tree.value)
    elif quantity is Quantity.CURRENT and tree.value.cycle is not None:
        value = float(tree.value)
    elif quantity is Quantity.CURRENT:
        value = context.scale.amperes(tree.value)
    elif quantity in _CHARGES:
        value = context.scale.coulombs(tree.value)
    else:
        value = float(tree.value)
    # as the verbs charge and discharge take magnitudes, so does current in their conditions
    signed = context.verb in _SIGNED or value < 0
    magnitude = tree.magnitude or (quantity in (Quantity.CURRENT, Quantity.POWER) and not signed)
    if isinstance(tree.value, Value) and tree.value.cycle is not None:
        return plan.CompareRate(tree.operator, _measured(tree.value), magnitude, _hold(tree.hold, context))
    over = 0.0
    if quantity in written.DERIVATIVES:
        magnitude, over = tree.magnitude or value >= 0, _window(tree.over, context)
    return Compare(quantity, tree.operator, value, magnitude, _hold(tree.hold, context), over)


def _soc(tree: written.Comparison, context: Context) -> Compare:
    """Bind a state of charge as the net charge since the run began."""
    cell = context.scale.cell
    if cell.soc is None or cell.one_c is None:
        reason = "the state of charge is not known: nothing says where it begins, or what the cell holds"
        remedy = 'Write soc = "0 %" (when the run begins) and capacity = "3 mAh", or one_c, in [cell].'
        raise Refused("cell", reason, remedy)
    assert not isinstance(tree.value, int)
    net = (float(tree.value) - cell.soc) * cell.one_c * 3600.0
    return Compare(Quantity.CAPACITY_NET, tree.operator, net, hold=_hold(tree.hold, context))


def _window(over: Value | None, context: Context) -> float:
    shortest = MIN_POLLS * context.station.poll_period
    if over is None:
        return max(WINDOW, shortest)
    if float(over) < shortest:
        reason = f"a slope over {over} has fewer than three polls of this station ({humane(shortest, 's')})"
        raise Refused("condition", reason, f"Ask for {humane(shortest, 's')} or more.")
    return float(over)


def _stable(tree: written.Steady, context: Context) -> plan.Stable:
    wanted = {
        "pressure": (Dimension.RATIO, Dimension.PRESSURE),
        "temperature": (Dimension.TEMPERATURE_DIFFERENCE,),
        "rest": (Dimension.VOLTAGE,),
    }.get(context.verb)
    if wanted is None:
        reason = f'"stable" says nothing in a step with the verb {context.verb}'
        raise Refused("condition", reason, "Only rest, pressure and temperature can become stable.")
    if tree.within.dimension not in wanted:
        reason = f'"{tree.within}" is a {tree.within.dimension}, but {context.verb} is stable within a {wanted[0]}'
        example = {"pressure": "2 %", "temperature": "0.5 K", "rest": "1 mV"}[context.verb]
        raise Refused("condition", reason, f'Write "stable within {example} for 60 s".')
    if context.verb == "rest" and context.station.voltage is None:
        raise Refused("station", "this station has no cycler that measures a voltage", "End the rest by its time.")
    return plan.Stable(float(tree.within), tree.within.dimension is Dimension.RATIO, _hold(tree.hold, context))


def _hold(hold: Value | None, context: Context) -> float:
    if hold is None:
        return 0.0
    if context.verb == "if":
        reason = f'"for {hold}" cannot be waited for: an `if` looks once'
        raise Refused("condition", reason, "Put a rest before it that ends when this has lasted.")
    shortest = MIN_POLLS * Fraction(str(context.station.poll_period))
    if hold.value < shortest:
        reason = f'"for {hold}" is shorter than three polls of this station ({humane(float(shortest), "s")})'
        raise Refused("condition", reason, f"Ask for {humane(float(shortest), 's')} or more.")
    return float(hold)


def _check_meaning(quantity: Quantity, context: Context) -> None:
    verb = context.verb
    if verb == "if" and quantity in _OF_A_STEP:
        reason = f'"{quantity}" belongs to a step; between steps it has no value'
        raise Refused("condition", reason, 'Ask for "cycle", "test_time", "voltage", "temperature" or a pressure.')
    if quantity is Quantity.CAPACITY_OF_CYCLE and not context.direction:
        reason = f'a step with the verb {verb} has no direction, so "{quantity}" says nothing'
        raise Refused("condition", reason, 'Ask for "capacity", of this step, or "capacity net".')
    if quantity is Quantity.CV_TIME and not context.cv:
        raise Refused("condition", "this step has no constant-voltage part", 'Add cv = "4.3 V", or ask for "time".')
    if quantity in _OF_A_DRIVEN_STEP and verb in _SINES:
        reason = f'the current of a step with the verb {verb} is a sine, so "{quantity}" says nothing'
        raise Refused("condition", reason, 'Ask for "voltage" or "time".')
    if quantity in _OF_A_DRIVEN_STEP and verb not in (*DRIVEN, "if"):
        reason = f'no current flows in a step with the verb {verb}, so "{quantity}" says nothing'
        raise Refused("condition", reason, 'Ask for "voltage" or "time".')


def _check_measured(quantity: Quantity, station: StationAbilities, scale: Scale) -> None:
    """Refuse what no instrument of the station measures."""
    sides = dict(station.measured)
    lacks = {
        Quantity.VOLTAGE: station.voltage is None,
        Quantity.TEMPERATURE: station.temperature is None,
        Quantity.PRESSURE_NEGATIVE: "negative" not in sides,
        Quantity.PRESSURE_POSITIVE: "positive" not in sides,
        Quantity.FORCE: "negative" not in sides,
        Quantity.FORCE_POSITIVE: "positive" not in sides,
        Quantity.TORQUE: station.torque is None,
        Quantity.TORQUE_POSITIVE: "positive" not in station.actuated and station.torque != math.inf,
        Quantity.VOLTAGE_RATE: station.voltage is None,
        Quantity.PRESSURE_RATE: "negative" not in sides,
        Quantity.PRESSURE_RATE_POSITIVE: "positive" not in sides,
    }
    if lacks.get(quantity, False):
        reason = f'station {station.name} does not measure "{quantity}"'
        raise Refused("station", reason, "Choose another station, or another condition.")
    if set(written.VALUES[quantity]) & {Dimension.PRESSURE, Dimension.PRESSURE_RATE} and scale.cell.bore_area is None:
        raise Refused("cell", "without the bore a force is no pressure", 'Write bore = "10 mm" in [cell].')


def _check_sense(condition: plan.Condition, text: str, context: Context) -> None:
    """Refuse a cut-off that its step moves away from, that keeps its cv from beginning, or that is met at once."""
    if isinstance(condition, plan.Not):
        return
    for compare in compares(condition):
        if compare.quantity is Quantity.VOLTAGE and context.direction:
            if (compare.operator in _UPWARD) != (context.direction > 0):
                word, way = ("charge", "rises") if context.direction > 0 else ("discharge", "falls")
                reason = f'"{text}" points the wrong way: on a {word} the voltage {way}'
                raise Refused("wrong-way", reason, 'Turn it; or write then = "fault: why" if it is an alarm.')
            if context.cc_cv and compare == condition:
                reason = f'"{text}" cannot end a step that goes on at its cv'
                raise Refused("condition", reason, 'End it by "C/20", "cv_time >= 15 min" or "1 h".')
    if Quantity.CURRENT in _quantities(condition) and not context.cv and context.verb in _AT_A_CURRENT:
        reason = f'"{text}" on a constant current is met at once or never'
        raise Refused("condition", reason, 'Add a constant-voltage part: cv = "4.3 V".')


def _check_half(condition: plan.Condition, text: str, context: Context) -> None:
    """Refuse an ordinary end of a spectrum by anything but time: it would leave a part of one, for no reason told."""
    by_time = isinstance(condition, Compare) and condition.quantity in (Quantity.TIME, Quantity.TEST_TIME)
    if context.verb in _SINES and not by_time:
        reason = f'"{text}" would end a spectrum before its last frequency'
        remedy = 'A spectrum ends by itself; write then = "fault: why" if it is an alarm, or end it by its time.'
        raise Refused("condition", reason, remedy)


def _alternatives(condition: plan.Condition) -> bool:
    match condition:
        case plan.Any(parts):
            return len(parts) > 1 or any(_alternatives(part) for part in parts)
        case plan.All(parts):
            return any(_alternatives(part) for part in parts)
        case plan.Not():
            return True
    return False
