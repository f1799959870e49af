"""The looks at which the instrument decides: numbered every 10 ms of lab time, and what a step's ends wait for."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from drivers.simulated_cycler.language import Comparison, StepLine

LOOKS = 100
"""A second."""
LOOK_MS = 1000 // LOOKS
NEVER = 1 << 62
"""Looks."""

Excess = Callable[[float], float]
"""By how much a value is beyond; 0 at the threshold."""

_TIMES = ("T", "TCV")


def look_at(time: float) -> int:
    """Return the number of the first look at or after a lab time (s)."""
    number = math.ceil(time * LOOKS)
    while number / LOOKS < time:
        number += 1
    while (number - 1) / LOOKS >= time:
        number -= 1
    return number


@dataclass(frozen=True, slots=True)
class Watch:
    """What the ends of a step wait for.

    Attributes:
        after: looks after its beginning at which its time meets an end; `after_held`: likewise for the ends that
            count only while the voltage is held.
        held_for: looks of held voltage after which one is met; `held_ever`: likewise without those ends.
        tests: all others: whether they count only while the voltage is held, quantity, and how far beyond.
    """

    after: int
    after_held: int
    held_for: int
    held_ever: int
    tests: tuple[tuple[bool, str, Excess], ...]

    @classmethod
    def over(cls, step: StepLine) -> Self:
        """Return what to watch in a step."""
        every = [(end.cv_only, test) for end in step.ends for test in end.tests]
        return cls(
            min((_first_look(t, 1) for cv_only, t in every if t.quantity == "T" and not cv_only), default=NEVER),
            min((_first_look(t, 1) for cv_only, t in every if t.quantity == "T" and cv_only), default=NEVER),
            min((_first_look(t, 0) for _, t in every if t.quantity == "TCV"), default=NEVER),
            min((_first_look(t, 0) for cv_only, t in every if t.quantity == "TCV" and not cv_only), default=NEVER),
            tuple((cv_only, t.quantity, t.excess) for cv_only, t in every if t.quantity not in _TIMES),
        )


def _first_look(test: Comparison, first: int) -> int:
    """Return the first look, from a first one on, at which a time that is zero at look 0 meets a test."""
    candidates = (first, look_at(test.value), look_at(test.value) + 1)
    return next((k for k in candidates if k >= first and test.excess(k / LOOKS) >= 0.0), NEVER)
