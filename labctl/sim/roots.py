"""Where a function that changes sign is zero: an instant of the cell, a place of the stack."""

from collections.abc import Callable

_TOLERANCE = 1e-13
"""Relative, of what is searched for."""


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function that changes sign between low and high is zero (Illinois variant of regula falsi)."""
    below, above = function(low), function(high)
    if below == 0.0 or low >= high:
        return low
    if above == 0.0:
        return high
    rising, kept, last = above > 0.0, 0, low
    for _ in range(100):
        guess = low - below * (high - low) / (above - below)
        if not low < guess < high:
            guess = 0.5 * (low + high)
        value = function(guess)
        if value == 0.0 or abs(guess - last) <= _TOLERANCE * guess:
            return guess
        last = guess
        if (value > 0.0) == rising:
            high, above, below, kept = guess, value, 0.5 * below if kept > 0 else below, 1
        else:
            low, below, above, kept = guess, value, 0.5 * above if kept < 0 else above, -1
    return last
