"""The factors of a 95 % interval: Student's t, the normal and the rectangular distribution."""

import math
from functools import cache

COVERAGE = 0.95
NORMAL = 1.959964
"""Standard deviations of a normal distribution to either side."""
RECTANGULAR = COVERAGE
"""Half-widths of a rectangular distribution to either side."""


@cache
def t_factor(freedom: int) -> float:
    """Return the standard deviations to either side of Student's t with so many degrees of freedom, 1 or more."""
    low, high = 0.0, 13.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < COVERAGE else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """Return the probability that |T| < t: the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle) ** 2
    term, total = 1.0, 0.0
    if freedom % 2:
        for k in range(1, (freedom - 1) // 2 + 1):
            total += term
            term *= cosine * 2 * k / (2 * k + 1)
        return 2.0 / math.pi * (angle + math.sin(angle) * math.cos(angle) * total)
    for k in range(1, freedom // 2 + 1):
        total += term
        term *= cosine * (2 * k - 1) / (2 * k)
    return math.sin(angle) * total
