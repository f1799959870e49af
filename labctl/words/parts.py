"""What distinguishes the ends of two steps of one verb: where they go, how they stay there, what else ends them."""

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.plan import Quantity as Measured
from labctl.protocol.condition import Comparison, Shorthand
from labctl.protocol.endings import Ending
from labctl.protocol.hash import meaning
from labctl.protocol.verbs import Lasting
from labctl.quantity import Dimension, Quantity
from labctl.words.ends import ordinary, otherwise, until
from labctl.words.steps import verb_of
from labctl.words.values import Values, printed

_VOLTAGES = (Dimension.VOLTAGE, Dimension.POTENTIAL)
_CURRENTS = (Dimension.CURRENT, Dimension.RATE, Dimension.CURRENT_DENSITY, Dimension.SPECIFIC_CURRENT)


@dataclass(frozen=True, slots=True)
class Parts:
    """The ends of a step that lead to the next one.

    Attributes:
        reach: the voltage at which a constant current stops, or from which it is held.
        held: what ends the constant-voltage part; None: there is none.
        others: all other ends.
    """

    reach: Quantity | None
    held: tuple[Ending, ...] | None
    others: tuple[Ending, ...]

    @classmethod
    def of(cls, step: Lasting) -> "Parts":
        """Return the parts of a step; one that holds a voltage alone has only other ends."""
        endings, cv = ordinary(step), getattr(step, "cv", None)
        if verb_of(step) == "cv":
            return cls(None, None, endings)
        if isinstance(cv, Quantity):
            held = tuple(ending for ending in endings if _of_constant_voltage(ending))
            return cls(cv, held, tuple(ending for ending in endings if ending not in held))
        for ending in endings:
            match ending.when.tree:
                case Shorthand(value) if value.dimension in _VOLTAGES:
                    return cls(value, None, tuple(each for each in endings if each is not ending))
        return cls(None, None, endings)


def changed(old: Lasting, new: Lasting, values: tuple[Values, Values]) -> Iterator[str]:
    """Yield what differs between the ends of two steps, as clauses; `values` are those of either cell."""
    one, other, verb = Parts.of(old), Parts.of(new), verb_of(new)
    if meaning(one.reach) != meaning(other.reach):
        yield f"it goes to {_reach(other, values[1])} instead of {_reach(one, values[0])}"
    if meaning(one.held) != meaning(other.held):
        yield f"the CV part is {_held(other, values[1])} instead of {_held(one, values[0])}"
    if meaning(one.others) != meaning(other.others):
        yield f"it goes on {_on(other, verb, values[1])} instead of {_on(one, verb, values[0])}"
    yield from _otherwise(old, new, values)


def _otherwise(old: Lasting, new: Lasting, values: tuple[Values, Values]) -> Iterator[str]:
    """Compare time-outs, and ends that lead elsewhere."""
    one, other, verb = old.timeout, new.timeout, verb_of(new)
    if one and other and meaning(one.then) == meaning(other.then):
        if meaning(one.when) != meaning(other.when):
            yield f"its time-out is {printed(other.when)} instead of {printed(one.when)}"
        old, new = (step.model_copy(update={"timeout": None}) for step in (old, new))
    if meaning((_elsewhere(old), old.timeout)) == meaning((_elsewhere(new), new.timeout)):
        return
    gone, came = otherwise(old, verb, values[0]), otherwise(new, verb, values[1])
    said = [f'"{sentence}" is new' for sentence in came if sentence not in gone]
    said += [f'"{sentence}" is gone' for sentence in gone if sentence not in came]
    yield from said or ["its other ends stand in another order"]


def _elsewhere(step: Lasting) -> tuple[Ending, ...]:
    return tuple(ending for ending in step.until if ending not in ordinary(step))


def _of_constant_voltage(ending: Ending) -> bool:
    match ending.when.tree:
        case Shorthand(value):
            return value.dimension in _CURRENTS
        case Comparison(quantity):
            return quantity in (Measured.CV_TIME, Measured.CURRENT)
    return False


def _reach(parts: Parts, values: Values) -> str:
    return "no voltage of its own" if parts.reach is None else values.voltage(parts.reach)


def _on(parts: Parts, verb: str, values: Values) -> str:
    return until(parts.others, verb, values) or "with no other end"


def _held(parts: Parts, values: Values) -> str:
    if parts.held is None:
        return "none"
    return until(parts.held, "constant voltage", values).removeprefix("for ") or "without an end of its own"
