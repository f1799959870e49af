"""A piecewise-linear curve on evenly spaced knots over 0…1: the open-circuit voltage that keeps the solver exact."""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise

_NEAR = 1e-9
"""Part of a knot interval within which a state counts as standing on the knot."""


class Curve:
    """Interpolates values at 0, 1/n … 1 and goes on with its last slopes outside."""

    __slots__ = ("_areas", "_values", "intervals", "slopes")

    def __init__(self, values: Sequence[float]) -> None:
        self._values = tuple(values)
        self.intervals = len(values) - 1
        self.slopes = tuple((b - a) * self.intervals for a, b in pairwise(values))
        self._areas = (0.0, *accumulate((a + b) / (2 * self.intervals) for a, b in pairwise(values)))

    def __call__(self, x: float) -> float:
        """Return the value at x."""
        k = min(max(int(x * self.intervals), 0), self.intervals - 1)
        return self._values[k] + self.slopes[k] * (x - k / self.intervals)

    def area(self, x: float) -> float:
        """Return the integral from 0 to x."""
        k = min(max(int(x * self.intervals), 0), self.intervals - 1)
        beyond = x - k / self.intervals
        return self._areas[k] + beyond * (self._values[k] + 0.5 * self.slopes[k] * beyond)

    def interval(self, x: float, direction: int) -> int:
        """Return the interval that x is in or, on a knot, is about to enter going up (+1) or down (-1)."""
        scaled = x * self.intervals
        k = math.floor(scaled + _NEAR) if direction > 0 else math.ceil(scaled - _NEAR) - 1
        return min(max(k, 0), self.intervals - 1)

    def edge(self, interval: int, direction: int) -> float:
        """Return the knot at which an interval is left; ±inf at either end of the curve."""
        knot = interval + 1 if direction > 0 else interval
        if knot in (0, self.intervals):
            return math.copysign(math.inf, direction)
        return knot / self.intervals
