"""How often a rehearsal looks: rarely in a long step, as often as a real run in a short one."""

import asyncio
import math
from collections.abc import Callable

from labctl.clock import LATE, LabClock
from labctl.engine.station import POLLS_TO_SILENCE, Instruments, Station
from labctl.plan import (
    ConstantCurrent,
    ConstantPower,
    ConstantResistance,
    ConstantVoltage,
    MeasuredCurrent,
    Rest,
    Step,
)

POLLS_A_STEP = 100
"""At least: a step's end is then found within a hundredth of its length."""
POLLS_A_CHANGE = 5
"""Of the time since the last change, the part that may pass between two polls: what jumps settles slower and slower."""


LONGEST_IN_PROGRAM = 14400.0
"""s between two looks at a cycler that executes by itself, where nothing else is measured."""


class RehearsedStation(Station):
    """A station that looks less often in long steps, at instants counted from the last change.

    A change is the beginning of a step, or that the cell has met the voltage (or current) it was driven to: around it
    every instrument is read as in a real run. One with a watchdog is read as often as that asks for.

    Attributes:
        gap: s between the last two polls of the cycler; 0 where it finds by itself when a row is due.

    Args:
        longest: s between two polls at most.
        next_switch: tells the lab time of the next change of the latter kind, inf where there is none in sight.
    """

    def __init__(
        self, name: str, instruments: Instruments, clock: LabClock, longest: float, next_switch: Callable[[], float]
    ) -> None:
        super().__init__(name, instruments, clock)
        self.gap = 0.0
        self._longest = longest
        self._next_switch = next_switch
        self._real = {name: each.poll_period for name, each in instruments.named().items()}
        self._watched = {name for name, each in instruments.named().items() if each.FEATURES.watchdog}
        self._origin = self._anchor = clock.now()
        self._period = 0.0
        self._left: Callable[[], float] | None = None
        patience = POLLS_TO_SILENCE * longest
        self.board.cell_max_age = max(self.board.cell_max_age, patience)
        for gauge in self.board.gauges.values():
            gauge.max_age = max(gauge.max_age, patience)

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start polling, as in a real run."""
        self._origin = self.clock.now()
        super().start(group)

    def begin(self, step: Step, expected: float) -> None:
        """Take the rhythm of a step that begins now and is expected to take so many seconds."""
        self._anchor = self.clock.now()
        self._period = period_of(step, expected, self._longest)

    def follow(self, left: Callable[[], float] | None) -> None:
        """Take the rhythm of a program that the cycler executes by itself, or leave it.

        Args:
            left: tells how many s are expected to the end of the plan; None: no program.
        """
        self._anchor = self.clock.now()
        self._left, self._period = left, 0.0 if left is None else self._longest

    async def _wait_for_poll(self, name: str, due: float) -> None:
        clock, real = self.clock, self._real[name]
        if name == "cycler" and self._longest > real:
            # A step that ended at this poll makes way for the next before that one's rhythm is taken.
            await clock.sleep_until(clock.now(), LATE)
        if name not in self._watched and self._period > real:
            due = self._due(clock.now(), real)
        else:
            due = _next(clock.now(), self._origin, real)
        if name == "cycler":
            self.gap = 0.0 if self._left is not None else due - clock.now()
        await clock.sleep_until(due)

    def _due(self, now: float, real: float) -> float:
        if self._left is not None and not self.board.gauges:
            return now + max(real, min((now - self._anchor) / POLLS_A_STEP, LONGEST_IN_PROGRAM, self._left() / 2.0))
        soonest, due = now + real, _next(now, self._anchor, self._period)
        due = min(due, now + real * max(1, (now - self._anchor) // (POLLS_A_CHANGE * real)))
        switch = self._next_switch()
        if switch <= soonest:
            self._anchor = due = soonest
        elif switch <= due:  # look just before it, too
            due = now + real * ((switch - now) // real)
        return max(due, soonest)


_UNHURRIED = Rest | ConstantCurrent | MeasuredCurrent | ConstantVoltage | ConstantPower | ConstantResistance


def period_of(step: Step, expected: float, longest: float) -> float:
    """Return s between two polls in a step; 0: as often as a real run.

    What a controller or a person has to do with is looked at as in a real run, and so is a set point that moves by the
    clock. An interval between rows is a multiple.
    """
    if not isinstance(step.action, _UNHURRIED):
        return 0.0
    period, interval = min(longest, expected / POLLS_A_STEP), step.record.interval
    return period if interval is None or period == 0.0 else interval / math.ceil(interval / period)


def _next(now: float, anchor: float, period: float) -> float:
    """Return the first instant after now that lies whole periods behind the anchor."""
    return anchor + (math.floor((now - anchor) / period + 1e-9) + 1) * period
