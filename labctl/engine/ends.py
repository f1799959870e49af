"""The ends of one execution of a step: those its author wrote, and those that a current has by its nature."""

from labctl.engine.conditions import View, evaluator
from labctl.instrument import CellReading, Limiting
from labctl.plan import Compare, ConstantCurrent, ConstantVoltage, End, Operator, Quantity, Step, Then

POLLS_AT_THE_LIMIT = 2
_ALWAYS = Compare(Quantity.TIME, Operator.GE, 0.0)
OUTPUT_OFF = End(_ALWAYS, "the cycler's output is off", Then.FAULT)
AT_THE_LIMIT = End(_ALWAYS, "held at its voltage limit", Then.FAULT)
DONE = End(_ALWAYS, "done")
"""Of a step that has no ends: its command was carried out, its question answered."""


def skipped(who: str) -> End:
    """Return the end that an operator puts to a step."""
    return End(_ALWAYS, f"skipped by {who}")


class StepEnds:
    """The ends of one execution of a step, asked at every poll.

    A cut-off voltage counts as reached when the instrument itself says that it holds that voltage: it was told the
    same number, and may settle a microvolt short of it for ever. A constant current without such a cut-off that runs
    into the voltage limit is a fault: nobody asked for a constant voltage. So is an output that opened by itself.
    """

    def __init__(self, step: Step, view: View) -> None:
        ends = step.ends if step.timeout is None else (*step.ends, step.timeout)
        self._ends = [(end, evaluator(end.condition, step, view)) for end in ends]
        self._cut_off: End | None = None
        self._polls_left = 0
        self._action = action = step.action
        self._drives = isinstance(action, ConstantCurrent | ConstantVoltage)
        if isinstance(action, ConstantCurrent) and not action.cv:
            self._cut_off = next((end for end in ends if _is_cut_off(end, action.voltage)), None)
            self._polls_left = POLLS_AT_THE_LIMIT if self._cut_off is None else 0

    def already(self, voltage: float | None) -> End | None:
        """Return the end that a cell at this voltage (V) has met before any current flows.

        A source set to a voltage that the cell is already beyond would drive it backwards.
        """
        action = self._action
        if voltage is None or not isinstance(action, ConstantCurrent) or action.current == 0.0:
            return None
        beyond = voltage >= action.voltage if action.current > 0.0 else voltage <= action.voltage
        if not beyond or action.cv:
            return None
        return self._cut_off or AT_THE_LIMIT

    def first_met(self, now: float, reading: CellReading) -> End | None:
        """Return the first end in the author's order that is met now."""
        if self._drives and not reading.output:
            return OUTPUT_OFF
        holding_voltage = reading.limiting is Limiting.VOLTAGE
        met: End | None = None
        for end, each in self._ends:
            if end.cv_only and not holding_voltage:
                continue
            if (each.truth(now) or (holding_voltage and end is self._cut_off)) and met is None:
                met = end
        if met is None and holding_voltage and self._polls_left:
            self._polls_left -= 1
            return AT_THE_LIMIT if self._polls_left == 0 else None
        return met


def _is_cut_off(end: End, voltage: float) -> bool:
    condition = end.condition
    return (
        isinstance(condition, Compare)
        and condition.quantity is Quantity.VOLTAGE
        and condition.value == voltage
        and condition.hold == 0.0
    )
