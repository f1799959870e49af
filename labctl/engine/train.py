"""What its own moves have taught of the train between a screw and the cell: how stiff it is, and how far it slips."""

FIRST_STIFFNESS = 2000.0
"""N/rad assumed until moves in contact have taught better: 1e7 N/m on 1.25 mm of lead, as stiff as a frame gets, so the
first moves are too small rather than too large."""
STIFFNESS_RANGE = (2.0, 20_000.0)
"""N/rad: 1e4 N/m, a soft spring behind a stack that slides, to ten times a stiff frame."""
LEARNING_TURN = 0.015
"""rad, and so many of the smallest turns: what sticks, and plays, within a shorter turn is no stiffness."""
LEARNING_STEPS = 12
LEARNING_RATE = 0.5
"""At most by half as soft at a time: a reading that stays where it is must not let the next turns grow."""
NEAREST = 0.6
"""Of the force of a smallest turn: half of it, and noise."""
FIRST_JUMP = 2.0
"""Smallest turns by which a standing screw is expected to jump until one has been felt."""
JUMP_FADES = 0.7
"""Of a jump, what is still expected when the next one is smaller."""


class Train:
    """Learns from pairs of force and angle; what the force does while the screw stands is the cell's affair.

    Attributes:
        stiffness: N/rad, of the last long turns: soft where the stack slid in its die with them.
        learnt: whether that is what moves in contact have shown, and no assumption.

    Args:
        resolution: rad, the smallest turn.
    """

    def __init__(self, resolution: float) -> None:
        self.stiffness = FIRST_STIFFNESS
        self._stiffest = self._jump = 0.0
        self._resolution = resolution
        self._least = max(LEARNING_TURN, LEARNING_STEPS * resolution)
        self.learnt = False
        self.forget()

    def forget(self) -> None:
        """Compare nothing from before with what comes; what has been learnt stays."""
        self._force = self._angle = 0.0
        self._way = 0
        self._anchor: tuple[float, float] | None = None

    @property
    def stiffest(self) -> float:
        """N/rad that the next turn may be worth: a stack that slid before may stick now."""
        return max(self._stiffest, self.stiffness)

    def stiffer(self, secant: float) -> None:
        """Know of a turn that was worth so many N/rad."""
        self._stiffest = min(max(self._stiffest, secant), STIFFNESS_RANGE[1])

    @property
    def step(self) -> float:
        """N that the smallest turn makes."""
        return self.stiffness * self._resolution

    @property
    def nearest(self) -> float:
        """N by which the smallest turns may miss a force."""
        return NEAREST * self.step

    def see(self, force: float, angle: float, contact: float, *, softer: bool) -> None:
        """Take force (N) and angle (rad) after a move, or none; below the force `contact` nothing is learnt.

        Args:
            softer: whether it may turn out to be softer than was thought; else only stiffer.
        """
        moved, answered = angle - self._angle, force - self._force
        self._force, self._angle = force, angle
        way = (moved > 0.0) - (moved < 0.0)
        if abs(moved) < 0.5 * self._resolution:
            if self._anchor is not None:
                self._anchor = self._anchor[0] + answered, self._anchor[1]
        elif way != self._way or self._anchor is None:
            self._way, self._anchor = way, (force, angle)  # a first move in another sense takes up the play
        else:
            self._learn(force, angle, contact, self._anchor, softer=softer)

    def _learn(self, force: float, angle: float, contact: float, anchor: tuple[float, float], *, softer: bool) -> None:
        """Take the secant of a turn that is long enough; one that was not answered teaches nothing."""
        turned = angle - anchor[1]
        if min(force, anchor[0]) <= contact:
            self._anchor = force, angle
        elif abs(turned) >= self._least:
            self._anchor = force, angle
            secant = (force - anchor[0]) / turned
            if secant <= 0.0:
                return
            self.stiffer(secant)
            if secant < self.stiffness and not softer:
                return
            low, high = STIFFNESS_RANGE
            learnt = self.stiffness + LEARNING_RATE * (secant - self.stiffness)
            self.stiffness = min(max(learnt, low), high)
            self.learnt = True

    @property
    def jump(self) -> float:
        """N that a standing screw is likely to jump by when it breaks loose."""
        return self._jump or FIRST_JUMP * self.step

    def jumped(self, force: float) -> None:
        """Know by how much (N) a screw has jumped that had been turned in vain before."""
        self._jump = max(force, JUMP_FADES * self._jump)
