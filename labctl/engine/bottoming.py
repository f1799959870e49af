"""A spring whose coils touch: the force on its side rises faster than the spring allows."""

from math import inf

REMEMBERED = 30.0
"""s over which a rise is compared with the turns of the screws: the cell breathes next to nothing meanwhile."""
STIFFER = 1.5
"""Stiffnesses of the spring that it may show."""


class Bottoming:
    """Follows the force on a side that rests on a spring, while screws are turned.

    The stack moves at most as far as screws push it, and as the train on the other side, which its force has
    compressed, lengthens again when the stack slips.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Compare nothing from before with what comes."""
        self.since, self._force, self._before, self._other = -inf, inf, -inf, 0.0

    def see(
        self, now: float, force: float, turned: float, other: float, passes: float, least: float
    ) -> tuple[float, float] | None:
        """Return the rise of the force and what the spring would have made at most, N, where two readings pass it.

        Args:
            turned: N that the spring makes of what the screws have been turned since `since`; 0: nothing is judged.
            other: N on the other side.
            passes: N that the spring makes of each newton that the train there loses, at most.
            least: N that the sensor tells from none.
        """
        before, self._before = self._before, force
        if force <= self._force or not turned or now - self.since > REMEMBERED:
            self.since, self._force, self._before, self._other = now, force, -inf, other
            return None
        rise = min(force, before) - self._force
        most = STIFFER * turned + passes * max(self._other - other, 0.0)
        return (rise, most) if rise > most + least else None
