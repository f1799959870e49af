"""What a run takes, by its plan alone: time, readings, megabytes. A rehearsal knows better, and needs longer."""

from dataclasses import dataclass

from labctl.engine.forecast import Forecast
from labctl.plan import Branch, ConstantCurrent, ForEach, Loop, Node, Plan, StationAbilities, Step
from labctl.rehearse.storage import READING_BYTES, VALUE_BYTES

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
    rows = _rows(plan.body, plan, forecast)
    values = OF_CELL + OF_SIDE * len(station.measured) + OF_RIG * len(station.actuated)
    values += OF_BATH if station.temperature is not None else 0
    return Estimate(forecast.left(0.0), round(rows), round(rows * (READING_BYTES + VALUE_BYTES * values)))


def _rows(nodes: tuple[Node, ...], plan: Plan, forecast: Forecast) -> float:
    total = 0.0
    for node in nodes:
        match node:
            case Step():
                total += _of_step(node, plan, forecast.expected(node))
            case Loop(passes=passes, body=body, hooks=hooks):
                total += passes * _rows(body, plan, forecast)
                for hook in hooks:
                    total += sum(map(hook.due, range(1, passes + 1))) * _rows(hook.body, plan, forecast)
            case ForEach(bodies=bodies):
                total += sum(_rows(body, plan, forecast) for body in bodies)
            case Branch(body=body):
                total += _rows(body, plan, forecast)
    return total


def _of_step(step: Step, plan: Plan, seconds: float) -> float:
    """Return rows of one execution: its first and last, one each interval, one each delta of the voltage's window."""
    rule, window = step.record, (step.limits or plan.limits).voltage
    rows = 2.0 + (seconds / rule.interval if rule.interval else 0.0)
    driven = isinstance(step.action, ConstantCurrent)
    if rule.voltage and driven and window.low is not None and window.high is not None:
        rows += (window.high - window.low) / rule.voltage
    return rows
