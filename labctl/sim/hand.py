"""A person at the bench: turns a screw to a torque, or presses to a force, in as many seconds as a hand takes."""

import math
from collections.abc import Callable

from labctl.sim.bench import Bench
from labctl.sim.rig import Press, Side
from labctl.sim.sensor import gaussian

STROKE, PERIOD = 0.01, 0.05
"""rad and s of one small turn: 0.2 rad/s, slow enough for a scale to be read; assumed."""
NEAR = 2e-3
"""Of the value: closer a person does not try to come."""
CARE = 0.02
"""Relative standard deviation of what a person brings a scale to: half of the 4 % of ISO 6789; assumed."""
MOST_TURNS = 4000
"""Strokes after which a person gives up: 40 rad, 8 mm of thread."""
PRESSING = 5.0
"""s in which a press is brought to its force; assumed."""


class Hand:
    """Moves the screw, or works the press, of one side; a part of the bench.

    Args:
        name: tells this hand's scatter from that of any other on the bench.
        torque: whether it feels a torque, N·m, or else a force, N.
    """

    def __init__(self, bench: Bench, side: Side, name: str, *, torque: bool) -> None:
        self._bench = bench
        self._rig = bench.rig
        self._side: Side = side
        self._name = name
        self._feels: Callable[[], float] = (
            (lambda: self._rig.torque(+1, side)) if torque else (lambda: self._rig.indicated(side))
        )
        self._asked = 0
        self._goal: float | None = None
        self._lets_go = False
        self._strokes = 0
        self._stroke = STROKE
        self._next = math.inf
        bench.attach(self)

    def bring_to(self, value: float, *, release: bool) -> float:
        """Begin to bring the scale to a value; 0 lets go. Return what it will show.

        Args:
            release: whether to let go before.
        """
        self._asked += 1
        missed = CARE * gaussian(self._bench.seed, self._name, self._asked)
        self._goal = value * (1.0 + missed)
        self._lets_go = release or not value
        self._strokes, self._stroke = 0, STROKE
        self._next = self._bench.time + PERIOD
        return self._goal

    def next_event(self) -> float:
        """Return when the next stroke is due."""
        return self._next

    def advance_to(self, time: float) -> None:
        """Move by a stroke when it is due."""
        if time < self._next or self._goal is None:
            return
        self._next = time + PERIOD
        if isinstance(self._rig, Press):
            done = self._press(self._rig, self._goal)
        else:
            done = self._let_go() if self._lets_go else self._tighten(self._goal)
        self._strokes += 1
        if done or self._strokes >= MOST_TURNS:
            self._next, self._goal = math.inf, None

    def _press(self, press: Press, goal: float) -> bool:
        """Pump on; True when the force is there."""
        left = goal - press.force(self._side)
        step = max(goal, press.force(self._side)) * PERIOD / PRESSING
        press.press_with(press.force(self._side) + min(max(left, -step), step))
        return abs(left) <= step

    def _let_go(self) -> bool:
        """Loosen by a stroke; True when nothing is left to do."""
        if self._rig.indicated(self._side) <= 0.0:
            self._lets_go = False
            return not self._goal
        self._rig.turn_to(self._rig.angle_of(self._side) - STROKE, self._side)
        return False

    def _tighten(self, goal: float) -> bool:
        """Tighten by a stroke, a smaller one the nearer it gets; True when the scale is there."""
        before = self._feels()
        if before >= goal * (1.0 - NEAR):
            return True
        self._rig.turn_to(self._rig.angle_of(self._side) + self._stroke, self._side)
        rise = (self._feels() - before) / self._stroke
        if rise > 0.0:
            self._stroke = min(STROKE, max(0.5 * (goal - self._feels()) / rise, 1e-6))
        return False
