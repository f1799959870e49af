"""Steering: set points that the host moves at polls: constant power and resistance, sweeps, profiles.

Between two polls the instrument keeps the last set point within both its bounds, whatever becomes of the host.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import copysign, inf

from labctl.errors import RefusedForSafety
from labctl.plan import Action, ConstantPower, ConstantResistance, ConstantVoltage, Profile, Sweep

STAIR = 1e-4
"""V: a sweep moves on by no less, whatever its rate: a source knows no finer ones."""
SAME = 1e-3
"""Of a current: by less it is not set anew."""
JUMP = 0.02
"""Of a current or power: by more it is another one."""
NONE = 1e-4
"""Of the largest current of a step: less is none, and the cell rests."""


@dataclass(frozen=True, slots=True)
class SetPoint:
    """What the cycler is told: to drive a current (A, positive charges) up to a voltage (V); 0 A: to rest.

    `asked` is the current or power for which a profile asks at this time; 0 where the time asks for none.
    """

    current: float
    voltage: float
    asked: float = 0.0

    def jumps_from(self, before: "SetPoint") -> bool:
        """Whether the time asks for another current: one that follows the voltage of the cell is still the same."""
        return abs(self.asked - before.asked) > JUMP * max(abs(self.asked), abs(before.asked))


_At = Callable[[float, float], SetPoint]
"""Of the time of the step (s), and the voltage of the cell (V)."""


class Steering:
    """The set point of one execution of a step.

    Attributes:
        point: what the cycler was told last; None: nothing yet.
        duration: s after which the step is over by itself; inf: never.
    """

    def __init__(self, at: _At, duration: float = inf) -> None:
        self.point: SetPoint | None = None
        self.duration = duration
        self._at = at

    def move(self, elapsed: float, voltage: float) -> SetPoint | None:
        """Return the set point that is to be commanded now; None where the last one still serves.

        Args:
            elapsed: s that the step itself has taken.
            voltage: V of the cell.
        """
        wanted, before = self._at(elapsed, voltage), self.point
        if before is not None and _serves(before, wanted):
            return None
        self.point = wanted
        return wanted


def refers_to_rest(action: Action) -> bool:
    """Whether an action is told by the voltage of the cell at open circuit just before."""
    match action:
        case ConstantVoltage(relative=window):
            return window is not None
        case Sweep(corners=corners):
            return None in corners
    return False


def is_steered(action: Action) -> bool:
    """Whether the host has to find, or to move, the set point of an action."""
    return isinstance(action, ConstantPower | ConstantResistance | Sweep | Profile) or refers_to_rest(action)


def steering(action: Action, rested: float) -> Steering | None:
    """Return the steering of an action; None where its set point is its own.

    Args:
        rested: V of the cell at open circuit just before the step first began.

    Raises:
        RefusedForSafety: the cell's voltage leads out of its limits.
    """
    match action:
        case ConstantVoltage(voltage=difference, max_current=most, relative=window) if window is not None:
            held = SetPoint(most, _inside(rested + difference, action, rested))
            return Steering(lambda elapsed, voltage: held)
        case ConstantPower(power=power, voltage=stop, max_current=most):
            return Steering(lambda elapsed, voltage: SetPoint(_current(power, voltage, most), stop))
        case ConstantResistance(resistance=ohms, voltage=stop, max_current=most):
            resistor = _Resistor(ohms, stop)
            return Steering(lambda elapsed, voltage: SetPoint(-min(resistor.current(voltage), most), stop))
        case Sweep(max_current=most):
            corners = [_inside(rested, action, rested) if corner is None else corner for corner in action.corners]
            times = list(_times(corners, action.rate))
            return Steering(lambda elapsed, voltage: SetPoint(most, _line(times, corners, elapsed)), times[-1])
        case Profile(times=times_of_rows):
            return Steering(_following(action), times_of_rows[-1])
    return None


def _serves(before: SetPoint, wanted: SetPoint) -> bool:
    current = max(abs(before.current), abs(wanted.current))
    same = abs(before.current - wanted.current) <= SAME * current
    return same and abs(before.voltage - wanted.voltage) < STAIR


def _inside(volts: float, action: ConstantVoltage | Sweep, rested: float) -> float:
    window = action.relative if isinstance(action, ConstantVoltage) else action.window
    assert window is not None
    if (window.low is None or volts > window.low) and (window.high is None or volts < window.high):
        return volts
    low, high = ("anything" if side is None else f"{side:.4g} V" for side in (window.low, window.high))
    raise RefusedForSafety(
        f"The cell is at {rested:.4g} V, and this step would hold it at {volts:.4g} V, not inside {low} to {high}.",
        "Bring the cell into its limits first, or change the step.",
    )


def _current(power: float, voltage: float, most: float) -> float:
    """Return the current (A) that makes a power (W) at a voltage (V), at most `most`."""
    needed = abs(power) / voltage if voltage > 0.0 else inf
    return copysign(min(needed, most), power)


class _Resistor:
    """Finds the current (magnitude) that a load takes from a cell whose voltage depends on it.

    A little current first tells what the cell's own resistance is, so that the voltage is not drawn down to where the
    step stops; from then on the mean of the last current and the one that the voltage asks for does not overshoot.
    """

    FIRST = 0.1
    """Of the current that the voltage at rest would drive."""

    def __init__(self, ohms: float, stop: float) -> None:
        self._ohms = ohms
        self._stop = stop
        self._rested: float | None = None
        self._current: float | None = None

    def current(self, voltage: float) -> float:
        """Return A for a voltage that was measured with the last one; at first, at rest."""
        asked = max(voltage, self._stop) / self._ohms
        if self._rested is None:
            self._rested = voltage
            return self.FIRST * asked
        if self._current is None:
            inner = max(self._rested - voltage, 0.0) / (self.FIRST * max(self._rested, self._stop) / self._ohms)
            self._current = max(self._rested, self._stop) / (self._ohms + inner)
        else:
            self._current = 0.5 * (self._current + asked)
        return self._current


def _times(corners: list[float], rate: float) -> list[float]:
    times = [0.0]
    for before, after in pairwise(corners):
        times.append(times[-1] + abs(after - before) / rate)
    return times


def _line(times: list[float] | tuple[float, ...], values: list[float] | tuple[float, ...], elapsed: float) -> float:
    """Return the value at a time on straight lines between points; before the first and behind the last, theirs."""
    after = bisect_right(times, elapsed)
    if after == 0:
        return values[0]
    if after == len(times):
        return values[-1]
    part = (elapsed - times[after - 1]) / (times[after] - times[after - 1])
    return values[after - 1] + part * (values[after] - values[after - 1])


def _following(profile: Profile) -> _At:
    least = NONE * max(map(abs, profile.values))

    def value(elapsed: float) -> float:
        if profile.linear:
            return _line(profile.times, profile.values, elapsed)
        return profile.values[max(0, bisect_right(profile.times, elapsed) - 1)]

    def at(elapsed: float, voltage: float) -> SetPoint:
        wanted = value(elapsed)
        if abs(wanted) <= least:
            return SetPoint(0.0, 0.0, wanted)
        current = wanted if profile.of == "current" else _current(wanted, voltage, profile.max_current)
        return SetPoint(current, profile.high if current > 0.0 else profile.low, wanted)

    return at
