"""How one screw has turned lately, by its encoder: up, down, and since when it stands."""

from collections import deque
from math import inf

REMEMBERED = 40.0
"""s of angles that are kept."""
MOVED = 0.4
"""Of the smallest turn: less is none."""
STIRRED = 1.5
"""Of the smallest turn: an encoder that stands between two counts shows both, and has not been turned."""


class Turning:
    """The angles of one screw.

    Attributes:
        angle: rad, the last one; NaN before the first.
        time: lab time of it.
        moved: lab time at which another angle was seen last, be it by one count.
        stirred: lab time at which it was surely turned last.
        way: +1 or -1 as it was turned last, 0 where it never was.
        run: rad that it has been turned that way without a turn back or a rest.

    Args:
        resolution: rad, the smallest turn.
    """

    def __init__(self, resolution: float) -> None:
        self.angle = float("nan")
        self.time = self.moved = self.stirred = -inf
        self.way = 0
        self.run = 0.0
        self._resolution = resolution
        self._rest = 0.0
        self._angles: deque[tuple[float, float]] = deque()

    def see(self, angle: float, now: float, *, moving: bool) -> None:
        """Take the next angle, and whether the drive says that it moves."""
        if self.time == -inf:
            self._rest = angle
        elif abs(angle - self.angle) > MOVED * self._resolution:
            self.moved = now
        if abs(angle - self._rest) > STIRRED * self._resolution:
            way = 1 if angle > self._rest else -1
            self.run = (self.run if way == self.way else 0.0) + abs(angle - self._rest)
            self.way, self.stirred, self._rest = way, now, angle
        if not moving:
            self.run = 0.0
        self.angle, self.time = angle, now
        self._angles.append((now, angle))
        while self._angles[0][0] < now - REMEMBERED:
            self._angles.popleft()

    def turned(self, since: float) -> tuple[float, float]:
        """Return the largest turns up and down, rad, between any two angles since a lab time."""
        if self.moved < since:
            return 0.0, 0.0
        low = high = self.angle
        up = down = 0.0
        for time, angle in reversed(self._angles):
            if time < since:
                break
            low, high = min(low, angle), max(high, angle)
            up, down = max(up, high - angle), max(down, angle - low)
        return up, down
