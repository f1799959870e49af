"""The strain gauge inside a simulated load cell: the force on one side of the bench's rig, with errors and faults."""

from labctl.sim.bench import Bench
from labctl.sim.rig import Side

ACCURACY = 1e-3
"""Of the capacity, as of a common load cell; assumed, and how it divides into the next four, too."""
OFFSET, GAIN_ERROR, DRIFT_PER_DAY, NOISE = 0.5 * ACCURACY, 0.3 * ACCURACY, 0.05 * ACCURACY, 0.02 * ACCURACY


class StrainGauge:
    """One load cell.

    Args:
        name: of the instrument, which tells its noise from that of any other.
        port: side of the rig on which it sits.
        capacity: N.
        sign: +1 where it gives compression a positive sign, -1 where a negative one.

    Attributes:
        trouble: what a script lets happen to it.
    """

    def __init__(self, bench: Bench, port: Side, name: str, capacity: float, sign: int) -> None:
        self.trouble = bench.trouble(port)
        self._sign = sign
        self._force = self.trouble.quantity(lambda: bench.rig.indicated(port))
        self._sensor = bench.sensor(
            f"{name} {port}",
            offset=OFFSET * capacity,
            gain_error=GAIN_ERROR,
            drift_per_day=DRIFT_PER_DAY * capacity,
            noise=NOISE * capacity,
            now=self.trouble.measured_at,
        )

    def read(self) -> float:
        """Return N, before any zero; infinite beyond its range, NaN where its converter has failed."""
        return self._sign * self._sensor.read(self._force())
