"""What a screw that nobody has calibrated is held to do: torque = K · diameter · force with the K of textbooks."""

from dataclasses import dataclass

from labctl.calibration.torque import Interval
from labctl.plan import TEXTBOOK_COEFFICIENT

COEFFICIENT = TEXTBOOK_COEFFICIENT
"""K of dry steel: 0.20 to 0.25; lubricated 0.14 to 0.18."""
SCATTER = 0.3
"""Of K, from one tightening to the next and from screw to screw: 25 to 30 % is usual."""


@dataclass(frozen=True, slots=True)
class Textbook:
    """A screw of a nominal diameter in m; its bounds are a rule of thumb, no prediction interval."""

    diameter: float

    def force(self, torque: float) -> Interval:
        """Return the force, N, that a torque in N·m may give."""
        lever = COEFFICIENT * self.diameter
        return Interval(torque / lever, torque / (lever * (1.0 + SCATTER)), torque / (lever * (1.0 - SCATTER)))
