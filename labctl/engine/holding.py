"""When a held force is corrected, and to where: by its mean over a minute, its drift, and a budget by the hour."""

from collections import deque
from math import copysign, inf

from labctl.engine.train import Train

WINDOW = 60.0
"""s over which a force is averaged: what a pressure is judged by."""
MEMORY = 600.0
"""s over which its drift is told."""
LOOKS = 60
"""Forces that are remembered, at most: more would not tell the drift better."""
PAUSE = 5.0
"""s between two judgements; an emergency does not wait for one."""
HORIZON = 60.0
"""s ahead for which it is predicted: half a window that the mean lags behind, and what a correction takes."""
EDGE = 0.8
"""Of the band: what the mean may not pass."""
PAST = 0.5
"""Of the band by which a correction goes past the middle, against the drift, so that the next one is due later."""
TEST = 0.5
"""Of the band: by how much a test move loosens, or, where the band has no room for that, tightens past the middle."""
ARRIVED = 0.1
"""Of the band: nearer a correction does not go."""
LEAST_STEPS = 1.5
"""Smallest turns in a band: nothing narrower is tried."""
NOT_WORTH = 0.6
"""Of the band: that a screw jumps by more than an error keeps it from being corrected no further out than this."""
EMERGENCY = 3.0
"""Bands: beyond, it is corrected at once, however often it has been."""
MOST_AN_HOUR = 6
HOPELESS = 12
"""Corrections within an hour, emergencies among them, after which one more would not help either."""
HOUR = 3600.0


class Hold:
    """One force that is held.

    Attributes:
        band: N by which its mean may differ: what was asked for, or more where the screw cannot do better.

    Args:
        target: N.
        band: N that are asked for.
    """

    def __init__(self, target: float, band: float, train: Train) -> None:
        self.target = target
        self.band = max(band, LEAST_STEPS * train.step)
        self._train = train
        self._corrections: deque[float] = deque(maxlen=HOPELESS)
        self._far = 0
        self.begin(-inf)

    def begin(self, now: float) -> None:
        """Look at nothing from before: the screw has been turned."""
        self._judged = now
        self._window: deque[tuple[float, float]] = deque()
        self._past: deque[tuple[float, float]] = deque()

    def corrected(self, now: float) -> None:
        """Count a correction."""
        self._corrections.append(now)

    @property
    def tolerance(self) -> float:
        """N within which a goal counts as reached; more than half a smallest turn is not asked for."""
        return max(ARRIVED * self.band, self._train.nearest)

    def see(self, force: float, now: float) -> float | None:
        """Take a force; return the one to which it is to be brought now, or None."""
        self._remember(force, now)
        beyond = abs(force - self.target) > EMERGENCY * self.band
        self._far = self._far + 1 if beyond else 0
        if self._far >= 2:  # one reading alone may be wrong
            return self.target
        if now - self._judged < PAUSE:
            return None
        self._judged = now
        if now - self._window[0][0] < WINDOW - self._pitch(now) or not self.may_correct(now):
            return None
        drift, error = self._drift(), self._mean() - self.target
        expected = error + drift * HORIZON
        if max(abs(error), abs(expected)) <= EDGE * self.band:
            return None
        if error * expected <= 0.0 and abs(error) <= self.band:
            return None  # it comes back by itself
        jump = self._train.jump
        if abs(error) <= max(self.tolerance, min(0.5 * jump, NOT_WORTH * self.band)):
            return None  # the correction would miss by as much
        if drift * error <= 0.0:
            return self.target
        # far enough that the screw, if it sticks, breaks loose on the way and does not jump beyond
        past = min(max(PAST * self.band, jump - abs(error)), EDGE * self.band - self._train.nearest)
        return self.target - copysign(max(past, 0.0), drift)

    def test(self, force: float) -> float:
        """Return the force to which a test move goes: a load cell that may be stuck is loosened under."""
        looser = force - TEST * self.band
        return looser if looser >= self.target - EDGE * self.band else self.target + TEST * self.band

    def may_correct(self, now: float) -> bool:
        """Whether the budget of this hour allows one more."""
        return self._lately(now) < MOST_AN_HOUR

    def hopeless(self, now: float) -> bool:
        """Whether it has been corrected so often that something else is wrong."""
        return self._lately(now) >= HOPELESS

    def _lately(self, now: float) -> int:
        return sum(1 for correction in self._corrections if now - correction < HOUR)

    def _remember(self, force: float, now: float) -> None:
        self._window.append((now, force))
        while now - self._window[0][0] > WINDOW:
            self._window.popleft()
        if not self._past or now - self._past[-1][0] >= MEMORY / LOOKS:
            self._past.append((now, force))
        while now - self._past[0][0] > MEMORY:
            self._past.popleft()

    def _pitch(self, now: float) -> float:
        """Return s between two measurements."""
        return (now - self._window[0][0]) / max(len(self._window) - 1, 1)

    def _mean(self) -> float:
        return sum(force for _, force in self._window) / len(self._window)

    def _drift(self) -> float:
        """Return N/s by a straight line through what is remembered since the last move."""
        count = len(self._past)
        if count < 3:
            return 0.0
        time = sum(at for at, _ in self._past) / count
        mean = sum(force for _, force in self._past) / count
        spread = sum((at - time) ** 2 for at, _ in self._past)
        return sum((at - time) * (force - mean) for at, force in self._past) / spread
