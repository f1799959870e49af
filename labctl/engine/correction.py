"""One correction of a held force: how far it has to go, and when the screw has been turned enough in vain."""

import math
from dataclasses import dataclass

from labctl.engine.train import Train

LOST_MOTION = 0.0175
"""rad, 1°, that play and a shaft that winds up may take before the force answers: four times the play of a servo."""
IN_VAIN = 3.0
"""Times the turn that should have been enough for what is left."""
SLIDES = 20.0
"""Times as soft as the train: what a stack that slides in its die may leave of it, with a soft spring behind, where the
force has answered once; what shows exactly the same from then on is for the guard to find."""
PROGRESS = 0.02
"""Of the whole correction: the force has come so much nearer, and what has been turned since begins anew."""
CAREFULLY = 0.25
"""Of what is left, the turn that follows one in vain."""
LONGEST = 600.0
"""s."""
ENOUGH = 0.6
"""Of a jump: where a correction was answered and no more than this is left, another jump would take it further off."""


@dataclass(slots=True)
class Correction:
    """A correction under way.

    Attributes:
        start, goal: N.
        began: lab time.
        turned: rad that the screw has turned so far, either way, by its encoder.
        answered: whether the force has moved since.
    """

    start: float
    goal: float
    began: float
    turned: float = 0.0
    answered: bool = False
    _last: float | None = None
    _angle: float = 0.0
    _nearest: float = math.inf
    """N that were left at the last progress."""
    _since: float = 0.0
    """rad that the screw has turned since."""
    _sent: float = 0.0
    _stiffness: float = 0.0
    """N/rad that the last turn was worth; 0 while none was answered."""
    _in_vain: bool = False

    def feel(self, force: float, angle: float, train: Train) -> None:
        """Take force and angle after a move, or before the first.

        A jump behind moves in vain is one of a standing screw.
        """
        if self._last is not None:
            self.turned += abs(angle - self._angle)
            self._since += abs(angle - self._angle)
            moved = abs(force - self._last)
            if moved < train.nearest:
                self._in_vain = True
            else:
                if self._in_vain:
                    train.jumped(moved)
                elif (force - self._last) * self._sent > 0.0:
                    self._stiffness = moved / abs(self._sent)
                    train.stiffer(self._stiffness)
                self.answered, self._in_vain = True, False
        self._last, self._angle = force, angle
        if self.left(force) <= self._nearest - max(train.nearest, PROGRESS * abs(self.goal - self.start)):
            self._nearest, self._since = self.left(force), 0.0

    def done(self, force: float, tolerance: float, train: Train) -> bool:
        """Whether the force is where it was to go, or so near that a jump would only take it away."""
        return self.left(force) <= max(tolerance, ENOUGH * train.jump if self.answered else 0.0)

    def left(self, force: float) -> float:
        """Return N that are left, below 0 where the force has passed the goal."""
        return (self.goal - force) * math.copysign(1.0, self.goal - self.start)

    def turn(self, force: float, train: Train) -> float:
        """Return the next turn in rad: all that is left, or a part of it where the last one was not answered.

        What is wound up in vain comes with the jump. The first turn takes the train for as stiff as it has ever been,
        each other one for as stiff as the last one has shown it.
        """
        stiffness = max(self._stiffness, train.stiffness) if self._stiffness else train.stiffest
        self._sent = (CAREFULLY if self._in_vain else 1.0) * (self.goal - force) / stiffness
        return self._sent

    def in_vain(self, now: float, train: Train) -> bool:
        """Whether the screw was turned without progress by more than what is left needs with its play, or too long."""
        soft = train.stiffness / SLIDES if self.answered else train.stiffness
        left = abs(self.goal - (self.start if self._last is None else self._last))
        return self._since > LOST_MOTION + IN_VAIN * left / soft or now - self.began > LONGEST

    def told(self, force: float) -> str:
        """Say what it came to."""
        return (
            f"was turned by {math.degrees(self.turned):.2g}°, and the force went from {self.start:.4g} N to "
            f"{force:.4g} N instead of {self.goal:.4g} N"
        )
