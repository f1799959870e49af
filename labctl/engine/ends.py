"""The ends of one execution of a step: those its author wrote, and those that a current has by its nature."""

from labctl.engine.conditions import View, evaluator
from labctl.engine.steering import Steering
from labctl.errors import RefusedForSafety
from labctl.instrument import CellReading, Limiting
from labctl.plan import (
    Compare,
    ConstantCurrent,
    ConstantPower,
    ConstantResistance,
    ConstantVoltage,
    End,
    Operator,
    Park,
    Profile,
    Quantity,
    Step,
    Sweep,
    Then,
)

POLLS_AT_THE_LIMIT = 2
_ALWAYS = Compare(Quantity.TIME, Operator.GE, 0.0)
OUTPUT_OFF = End(_ALWAYS, "the cycler's output is off", Then.FAULT)
AT_THE_LIMIT = End(_ALWAYS, "held at its voltage limit", Then.FAULT)
OVER = End(_ALWAYS, "its end is reached")
"""Of a sweep or a profile."""
FAR = 0.05
"""V: by more a potentiostat may not pull a cell that nobody expects there."""
DONE = End(_ALWAYS, "done")
"""Of a step that has no ends: its command was carried out, its question answered."""


def skipped(who: str) -> End:
    """Return the end that an operator puts to a step."""
    return End(_ALWAYS, f"skipped by {who}")


class StepEnds:
    """The ends of one execution of a step, asked at every poll.

    A cut-off voltage counts as reached when the instrument itself says that it holds that voltage: it was told the
    same number, and may settle a microvolt short of it for ever. A current without such a cut-off that runs into the
    voltage limit is a fault: nobody asked for a constant voltage. So is an output that opened by itself.
    """

    def __init__(self, step: Step, view: View, steering: Steering | None = None) -> None:
        ends = step.ends if step.timeout is None else (*step.ends, step.timeout)
        self._ends = [(end, evaluator(end.condition, step, view)) for end in ends]
        self._elapsed = view.value(Quantity.TIME)
        self._polls_left = POLLS_AT_THE_LIMIT
        self._action = step.action
        self._timeout = step.timeout
        self._steering = steering
        self.waits = False
        """Whether nothing but a fault or the time-out ends the step: a person was asked for what it is about."""

    def already(self, voltage: float | None) -> End | None:
        """Return the end that a cell at this voltage (V) has met before any current flows.

        A source set to a voltage that the cell is already beyond would drive it backwards.

        Raises:
            RefusedForSafety: a constant-voltage part would, from further away than anybody expects.
        """
        action = self._action
        if voltage is None:
            return None
        if isinstance(action, ConstantCurrent) and action.cv:
            if _beyond(voltage, action.current, action.voltage) > FAR:
                raise RefusedForSafety(
                    f"The cell is at {voltage:.4g} V, beyond the {action.voltage:.4g} V that this step would hold: "
                    "it would be driven backwards.",
                    "Bring it there with a current of its own, or with a cv and its max_current.",
                )
            return None
        aim = self._aim()
        if aim is None or _beyond(voltage, *aim) < 0.0:
            return None
        return self._cut_off(aim[1]) or AT_THE_LIMIT

    def first_met(self, now: float, reading: CellReading) -> End | None:
        """Return the first end in the author's order that is met now."""
        if self._drives() and not reading.output:
            return OUTPUT_OFF
        holding_voltage = reading.limiting is Limiting.VOLTAGE
        aim = self._aim() if holding_voltage else None
        cut_off = None if aim is None else self._cut_off(aim[1])
        met: End | None = None
        for end, each in self._ends:
            if end.cv_only and not holding_voltage:
                continue
            if self.waits and end.then is not Then.FAULT and end is not self._timeout:
                each.truth(now)
                continue
            if (each.truth(now) or (end is cut_off and holding_voltage)) and met is None:
                met = end
        if met is None and self._steering is not None and (self._elapsed(now) or 0.0) >= self._steering.duration:
            return OVER
        if met is None and aim is not None:
            self._polls_left -= 1
            return AT_THE_LIMIT if self._polls_left == 0 else None
        return met

    def _drives(self) -> bool:
        """Whether the output is to be closed."""
        match self._action:
            case Profile():
                return self._aim() is not None
            case ConstantCurrent() | ConstantVoltage() | ConstantPower() | ConstantResistance() | Sweep():
                return True
            case Park(voltage=float()):
                return True
        return False

    def _aim(self) -> tuple[float, float] | None:
        """Return the current that flows now and the voltage at which it stops; None where a voltage may be held."""
        match self._action:
            case ConstantCurrent(current=current, voltage=voltage, cv=False) if current != 0.0:
                return current, voltage
            case ConstantPower() | ConstantResistance() | Profile():
                point = None if self._steering is None else self._steering.point
                return None if point is None or point.current == 0.0 else (point.current, point.voltage)
        return None

    def _cut_off(self, voltage: float) -> End | None:
        """Return the end that is a cut-off at this voltage."""
        return next((end for end, _ in self._ends if _is_cut_off(end, voltage)), None)


def _beyond(voltage: float, current: float, stop: float) -> float:
    """Return by how much (V) a cell is beyond the voltage at which a current of this sign stops; below 0: it is not."""
    return voltage - stop if current > 0.0 else stop - voltage


def _is_cut_off(end: End, voltage: float) -> bool:
    condition = end.condition
    return (
        isinstance(condition, Compare)
        and condition.quantity is Quantity.VOLTAGE
        and condition.value == voltage
        and condition.hold == 0.0
    )
