"""What a load cell may be wrong, whatever is measured with it: its certificate, or its own calibration."""

import math
from dataclasses import dataclass

from labctl.calibration.chance import RECTANGULAR


@dataclass(frozen=True, slots=True)
class Certificate:
    """Bounds within which a load cell errs, the same at every reading: no repetition makes them smaller.

    Attributes:
        offset: N, half-width of what it may read wrong at any force.
        gain: relative half-width of what it may read wrong in proportion to the force.
        source: in words, of these numbers.
    """

    offset: float
    gain: float = 0.0
    source: str = ""

    def half_width(self, force: float) -> float:
        """Return N within which the true force lies around a reading in 95 % of cases; both parts are rectangular."""
        return RECTANGULAR * math.hypot(self.offset, self.gain * force)
