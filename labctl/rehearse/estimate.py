"""What a run takes, by its plan alone: time, readings, megabytes. A rehearsal knows better, and needs longer."""

from collections.abc import Callable
from dataclasses import dataclass

from labctl.engine.forecast import Forecast
from labctl.plan import (
    Branch,
    ConstantCurrent,
    ForEach,
    Impedance,
    Loop,
    MeasuredCurrent,
    Node,
    Plan,
    StationAbilities,
    Step,
)
from labctl.rehearse.storage import POINT_BYTES, READING_BYTES, VALUE_BYTES

OF_CELL, OF_SIDE, OF_RIG, OF_BATH = 12, 6, 6, 6
"""Values of a reading: of the cell; of what else a station measures (twice last, least and most)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Rather too much than too little: no step is taken to end early.

    Attributes:
        seconds: of lab time.
        readings: rows.
        size: bytes of the database.
    """

    seconds: float
    readings: int
    size: int


def estimate(plan: Plan, station: StationAbilities) -> Estimate:
    """Return what a plan takes on a station where no step ends before its charge has passed."""
    forecast = Forecast(plan)
    rows = _total(plan.body, lambda step: _rows(step, plan, forecast.expected(step)))
    points = _total(plan.body, _points)
    values = OF_CELL + OF_SIDE * len(station.measured) + OF_RIG * len(station.actuated)
    values += OF_BATH if station.temperature is not None else 0
    size = rows * (READING_BYTES + VALUE_BYTES * values) + points * POINT_BYTES
    return Estimate(forecast.left(0.0), round(rows), round(size))


def _total(nodes: tuple[Node, ...], of: Callable[[Step], float]) -> float:
    """Return the sum of what each execution of each step has."""
    total = 0.0
    for node in nodes:
        match node:
            case Step():
                total += of(node)
            case Loop(passes=passes, body=body, hooks=hooks):
                total += passes * _total(body, of)
                for hook in hooks:
                    total += sum(map(hook.due, range(1, passes + 1))) * _total(hook.body, of)
            case ForEach(bodies=bodies):
                total += sum(_total(body, of) for body in bodies)
            case Branch(body=body):
                total += _total(body, of)
    return total


def _points(step: Step) -> float:
    """Return points of a spectrum of one execution; they are events."""
    return len(step.action.frequencies) if isinstance(step.action, Impedance) else 0


def _rows(step: Step, plan: Plan, seconds: float) -> float:
    """Return rows of one execution: its first and last, one each interval, one each delta of the voltage's window."""
    rule, window = step.record, (step.limits or plan.limits).voltage
    rows = 2.0 + (seconds / rule.interval if rule.interval else 0.0)
    driven = isinstance(step.action, ConstantCurrent | MeasuredCurrent)
    if rule.voltage and driven and window.low is not None and window.high is not None:
        rows += (window.high - window.low) / rule.voltage
    return rows
