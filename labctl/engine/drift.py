"""Drift: a force that follows the temperature by more than a load cell may, while nothing moves."""


class Drift:
    """Compares force and temperature with those of a time when the temperature stood.

    What the force did then, creep above all, goes on ever slower: so much is allowed for.
    """

    STANDS = 600.0
    """s for which temperature and screw must have stood before."""
    STOOD = 0.5
    """K that it may have changed by then."""
    CHANGED = 3.0
    """K from which on force and temperature are compared."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Compare nothing from before with what comes: something moved, or a current flows."""
        self._first: tuple[float, float, float] | None = None
        """Lab time, force and temperature when everything began to stand."""
        self._base: tuple[float, float, float, float] | None = None
        """The same when it had stood, and the force by which it moved in a second."""

    def see(
        self, now: float, force: float, temperature: float, per_kelvin: float, least: float
    ) -> tuple[float, float, float] | None:
        """Return changes of force (N) and temperature (K) and what would be allowed (N), where that is passed.

        Args:
            per_kelvin: N that the load cell and its rig may change by.
            least: N that it tells from none.
        """
        if self._first is None:
            self._first = now, force, temperature
        if self._base is None:
            began, before, stood = self._first
            if abs(temperature - stood) > self.STOOD:
                self._first = now, force, temperature
            elif now - began >= self.STANDS:
                self._base = now, force, temperature, (abs(force - before) + least) / (now - began)
            return None
        began, before, stood, rate = self._base
        kelvin, change = temperature - stood, force - before
        if abs(kelvin) < self.CHANGED:
            if now - began >= self.STANDS and abs(kelvin) < self.STOOD:
                self._base = now, force, temperature, (abs(change) + least) / (now - began)
            return None
        allowed = per_kelvin * abs(kelvin) + least + rate * (now - began)
        return (change, kelvin, allowed) if abs(change) > allowed else None
