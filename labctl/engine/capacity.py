"""Settles a step that is told by the capacity of a cycle: amperes, before anything is driven, or no step at all."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from labctl.engine.cycles import CycleBook
from labctl.errors import StepFailed
from labctl.plan import (
    Action,
    All,
    Any,
    Compare,
    CompareRate,
    Condition,
    ConstantCurrent,
    MeasuredCurrent,
    MeasuredRate,
    Not,
    Quantity,
    Step,
    rates_of,
)

_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Settled:
    """A step in amperes, and what tells it.

    Attributes:
        one_c: A, by number of the cycle whose discharge capacity it moves in an hour.
    """

    step: Step
    one_c: Mapping[int, float]

    @property
    def sentence(self) -> str:
        """Say what 1C is in this step."""
        return " ".join(
            f"1C is {one_c * 1e3:.6g} mA: cycle {cycle} discharged {one_c * 1e3:.6g} mAh."
            for cycle, one_c in self.one_c.items()
        )


def settle(step: Step, book: CycleBook, most: float) -> Settled:
    """Return a step whose rates are the amperes that the book makes of them.

    Args:
        most: A, as a magnitude, that this step may drive.

    Raises:
        StepFailed: a cycle is not complete, has discharged nothing, or makes a current beyond `most`.
    """
    one_c = {rate.cycle: _one_c(step, rate, book) for rate in rates_of(step)}
    if not one_c:
        return Settled(step, one_c)
    ends = tuple(replace(end, condition=_condition(end.condition, one_c)) for end in step.ends)
    return Settled(replace(step, action=_action(step, one_c, most), ends=ends), one_c)


def _one_c(step: Step, rate: MeasuredRate, book: CycleBook) -> float:
    charge = book.capacity(rate.cycle)
    if charge is None:
        under_way = "" if book.began is None else f"; cycle {book.began.number} is under way"
        raise StepFailed(
            f'{_who(step)} asks for "{rate.text}", and this run has completed no cycle {rate.cycle}{under_way}.',
            "Name a cycle that this run completes before the step: those of earlier runs are not known to it.",
        )
    if charge <= 0.0:
        raise StepFailed(
            f'{_who(step)} asks for "{rate.text}", and cycle {rate.cycle} has discharged nothing (0 mAh).',
            "Look at what that cycle recorded; name another one, or a current.",
        )
    return charge / _SECONDS


def _action(step: Step, one_c: Mapping[int, float], most: float) -> Action:
    action = step.action
    if not isinstance(action, MeasuredCurrent):
        return action
    rate = action.rate
    current = rate.factor * one_c[rate.cycle]
    if abs(current) > most:
        raise StepFailed(
            f'{_who(step)}: "{rate.text}" is {abs(current) * 1e3:.6g} mA by the {one_c[rate.cycle] * 1e3:.6g} mAh that'
            f" cycle {rate.cycle} discharged, beyond the limit of {most * 1e3:.6g} mA.",
            "The limit is the lowest of station, cell file, [limits] and step: ask for a lower rate, or widen it.",
        )
    return ConstantCurrent(current, action.voltage, action.cv)


def _condition(condition: Condition, one_c: Mapping[int, float]) -> Condition:
    match condition:
        case CompareRate(operator, rate, magnitude, hold):
            return Compare(Quantity.CURRENT, operator, rate.factor * one_c[rate.cycle], magnitude, hold)
        case All(parts, hold):
            return All(tuple(_condition(part, one_c) for part in parts), hold)
        case Any(parts, hold):
            return Any(tuple(_condition(part, one_c) for part in parts), hold)
        case Not(part):
            return Not(_condition(part, one_c))
    return condition


def _who(step: Step) -> str:
    return f'Step {step.id} "{step.name}" (line {step.line})'
