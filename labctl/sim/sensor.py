"""A sensor's error: offset, gain, drift, and noise that is a pure function of (seed, name, lab time)."""

import math
from collections.abc import Callable
from hashlib import blake2b
from struct import Struct

_INSTANT = Struct("<d")
_DRAWS = Struct("<QQ")
_DAY = 86400.0


def gaussian(seed: int, name: str, number: float) -> float:
    """Draw from the standard normal distribution, always the same for the same three arguments."""
    return _normal(_key(seed, name), number)


def _key(seed: int, name: str) -> bytes:
    return blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()


def _normal(key: bytes, number: float) -> float:
    first, second = _DRAWS.unpack(blake2b(_INSTANT.pack(number), key=key, digest_size=16).digest())
    # Box-Muller; the +1 keeps the logarithm's argument above zero.
    return math.sqrt(-2.0 * math.log((first + 1) / 2.0**64)) * math.cos(math.tau * second / 2.0**64)


class Sensor:
    """What a sensor makes of a true value; in the unit of that value.

    Args:
        now: tells the present lab time in seconds.
        seed: of the bench; another seed is another history of noise.
        name: tells this sensor's noise from that of any other on the bench.
        offset: added to every reading.
        gain_error: relative; 0.01 reads 1 % high.
        drift_per_day: offset that grows with lab time.
        noise: standard deviation of one reading.
    """

    __slots__ = ("_key", "_now", "drift_per_day", "gain_error", "name", "noise", "offset")

    def __init__(
        self,
        now: Callable[[], float],
        seed: int,
        name: str,
        *,
        offset: float = 0.0,
        gain_error: float = 0.0,
        drift_per_day: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        self._now = now
        self._key = _key(seed, name)
        self.name = name
        self.offset = offset
        self.gain_error = gain_error
        self.drift_per_day = drift_per_day
        self.noise = noise

    def read(self, true_value: float) -> float:
        """Return the reading of a true value now; the same instant gives the same noise."""
        now = self._now()
        reading = true_value * (1.0 + self.gain_error) + self.offset + self.drift_per_day * now / _DAY
        return reading + self.noise * _normal(self._key, now) if self.noise else reading
