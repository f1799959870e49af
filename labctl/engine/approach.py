"""The way of a force to its set point: softly until there is contact, then along a ramp."""

from labctl.engine.train import FIRST_STIFFNESS, Train

CONTACT = 0.02
"""Of the set point: below this force, or FIRST_NEWTONS, the screw is still on its way to the stack."""
FIRST_NEWTONS = 2.0
SOFT = 10.0
"""N that a poll may bring before there is contact, were the train as stiff as any: 1 µm/s at a poll each second."""
LEAD = 2
"""Ramp steps that the aim may be ahead of the force: a stack met late must not meet a large step."""
NEAR = 0.25
"""Of the band: an approach ends here."""


class Approach:
    """One way from a force to another.

    Attributes:
        target: N.
        lets_go: whether the drive is switched off at its end, because nothing presses there any more.

    Args:
        ramp: N/s.
        band: N, in which the force will be held.
        force: N, from which it goes.
    """

    def __init__(self, target: float, ramp: float, band: float, force: float, *, lets_go: bool = False) -> None:
        self.target = target
        self.lets_go = lets_go
        self._ramp = ramp
        self._band = band
        self._began = self._aim = force

    @property
    def contact(self) -> float:
        """N below which nothing is known of the stack."""
        return max(CONTACT * abs(self.target), FIRST_NEWTONS)

    def progress(self, force: float) -> float:
        """Return which part of the way is done."""
        way = self.target - self._began
        return 1.0 if way == 0.0 else (force - self._began) / way

    def arrived(self, force: float, train: Train) -> bool:
        """Whether the force is where it was to go, as near as the screw can bring it."""
        if self.lets_go:
            return force <= FIRST_NEWTONS
        return abs(self.target - force) <= max(NEAR * self._band, train.nearest)

    def turn(self, force: float, train: Train, period: float) -> float:
        """Return the next turn in rad, for a poll of `period` seconds; 0 where it is not worth a smallest turn yet."""
        step = self._ramp * period
        lead = max(LEAD * step, train.step)
        self._aim += min(max(self.target - self._aim, -step), step)
        self._aim = min(max(self._aim, force - lead), force + lead)
        error = self._aim - force
        if abs(error) < train.nearest:
            return 0.0
        if force < self.contact and error > 0.0:
            return min(error, SOFT) / FIRST_STIFFNESS
        return error / train.stiffness
