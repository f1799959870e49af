"""The forecast: how long a plan still takes, from what its steps say at first and from what they took once they ran."""

from itertools import pairwise

from labctl.impedance import duration
from labctl.plan import (
    All,
    Any,
    Branch,
    Compare,
    Condition,
    ConstantCurrent,
    ConstantPower,
    ConstantResistance,
    ForEach,
    Impedance,
    Loop,
    MeasuredCurrent,
    Node,
    Plan,
    Pressure,
    Profile,
    Quantity,
    Stable,
    Step,
    Sweep,
    Temperature,
    Then,
    direction,
)

FIRST_SETTLING = 1800.0
"""Seconds assumed for a bath to settle, until it has once."""


class Forecast:
    """Expected duration of a plan; an estimate for people, never a reason to act."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._expected = {step.id: _first_guess(step, plan) for step in plan.steps()}
        self._taken: dict[int, tuple[int, float]] = {}
        self._beyond = 0.0
        """Seconds that no step was expected to take: pauses, and negative what skipped steps have saved."""

    def revise(self, plan: Plan) -> None:
        """Forecast a revision of the plan; what unchanged steps took stays known."""
        before = {step.id: step for step in self._plan.steps()}
        self._plan = plan
        for step in plan.steps():
            if step != before[step.id]:
                self._expected[step.id] = _first_guess(step, plan)
                self._taken.pop(step.id, None)

    def took(self, step: Step, seconds: float) -> None:
        """Learn from an execution of a step that has ended."""
        count, total = self._taken.get(step.id, (0, 0.0))
        self._taken[step.id] = (count + 1, total + seconds)
        self._expected[step.id] = (total + seconds) / (count + 1)

    def skipped(self, step: Step, seconds: float) -> None:
        """Count what a skip has saved; nothing is learnt from it."""
        self._beyond += seconds - self._expected[step.id]

    def waited(self, seconds: float) -> None:
        """Count a pause, which no step is expected to take."""
        self._beyond += seconds

    def expected(self, step: Step) -> float:
        """Return seconds that an execution of a step is expected to take; 0 where nothing tells."""
        return self._expected[step.id]

    def left(self, test_time: float) -> float:
        """Return seconds of lab time from `test_time` to the expected end."""
        return max(0.0, self._sum(self._plan.body) + self._beyond - test_time)

    def fraction(self, test_time: float) -> float:
        """Return how much of the expected duration has passed, 0 to 1; pauses count as no part of it."""
        whole = self._sum(self._plan.body)
        return min(1.0, max(0.0, (test_time - self._beyond) / whole)) if whole > 0.0 else 0.0

    def _sum(self, nodes: tuple[Node, ...]) -> float:
        total = 0.0
        for node in nodes:
            match node:
                case Step(id=step):
                    total += self._expected[step]
                case Loop(passes=passes, body=body, hooks=hooks):
                    total += passes * self._sum(body)
                    for hook in hooks:
                        total += sum(hook.due(n) for n in range(1, passes + 1)) * self._sum(hook.body)
                case ForEach(bodies=bodies):
                    total += sum(self._sum(body) for body in bodies)
                case Branch(body=body):
                    total += self._sum(body)
        return total


def _first_guess(step: Step, plan: Plan) -> float:
    times = [seconds for end in step.ends if end.then is not Then.FAULT for seconds in _seconds(end.condition)]
    match step.action:
        case ConstantCurrent() | MeasuredCurrent() if direction(step.action):
            cv_part = sum(times) if step.action.cv else 0.0
            return min([_charge(plan) / _amperes(step.action, plan) + cv_part, *([] if step.action.cv else times)])
        case ConstantPower(power=power, voltage=voltage):
            return min([_charge(plan) * voltage / abs(power), *times])
        case ConstantResistance(resistance=resistance, voltage=voltage):
            return min([_charge(plan) * resistance / voltage, *times])
        case Sweep(corners=corners, rate=rate):
            known = [corner for corner in corners if corner is not None]
            return min([sum(abs(b - a) for a, b in pairwise(known)) / rate, *times])
        case Impedance(frequencies=frequencies):
            return min([duration(frequencies), *times])
        case Profile(times=rows):
            return min([rows[-1], *times])
        case Pressure(targets=targets, ramp=ramp):
            way = max((pressure for _, pressure in targets), default=0.0) / ramp if ramp else 0.0
            return way + max(times, default=0.0)
        case Temperature():
            return FIRST_SETTLING + max(times, default=0.0)
    return min(times, default=0.0)


def _amperes(action: ConstantCurrent | MeasuredCurrent, plan: Plan) -> float:
    """Return A, as a magnitude; that of a measured capacity by the nominal one, within the limits."""
    if isinstance(action, ConstantCurrent):
        return abs(action.current)
    return min(abs(action.rate.factor) * (plan.cell.one_c or plan.limits.current), plan.limits.current)


def _charge(plan: Plan) -> float:
    """Return C that a step may move."""
    return plan.cell.theoretical or plan.limits.capacity


def _seconds(condition: Condition) -> list[float]:
    """Every time that a condition names."""
    match condition:
        case Compare(quantity=Quantity.TIME | Quantity.CV_TIME, value=value):
            return [value]
        case Stable(hold=hold):
            return [hold]
        case All(parts=parts) | Any(parts=parts):
            return [seconds for part in parts for seconds in _seconds(part)]
    return []
