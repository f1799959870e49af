"""Torque and force of a screw, from tightenings of one rig: the force at the next tightening, and how surely.

Up and down apart, every tightening k follows torque = free + c_k · (force / reference)^exponent. The free torque and
the exponent belong to the rig; the coefficient c_k is drawn anew at each tightening, so that a tightening, and not a
point, is what repeats. What the load cell may be wrong is the same in all of them and does not average out.
"""

import math
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from labctl.calibration.certificate import Certificate
from labctl.calibration.chance import COVERAGE, NORMAL, t_factor

Direction = Literal["up", "down"]
DIRECTIONS: tuple[Direction, Direction] = ("up", "down")
STEPS = 50
"""In which the range is looked through for its largest hysteresis."""


@dataclass(frozen=True, slots=True)
class Point:
    """A torque that the screw needed while it moved, N·m without sign, and the force then, N."""

    tightening: int
    direction: Direction
    torque: float
    force: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and between which bounds it lies in 95 % of cases; infinity where nothing is known above."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Interval":
        """Return it in another unit: force over an area is a pressure."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Branch:
    """What was found in one direction; reproduces every interval by itself.

    Attributes:
        free_torque: N·m of the unloaded screw, extrapolated.
        exponent: of the force.
        coefficients: N·m at the reference force, of each tightening, without the free torque; numbered by `numbers`.
        reference: N, the largest force that was fitted.
        covariance: of free torque (N·m), exponent and mean logarithm of the coefficients, row by row.
        torques, forces: lowest and highest that were measured.
        residual: N·m, root mean square of what the fit leaves, `largest_residual` its largest magnitude.
    """

    free_torque: float
    exponent: float
    coefficients: tuple[float, ...]
    numbers: tuple[int, ...]
    reference: float
    covariance: tuple[tuple[float, float, float], ...]
    torques: tuple[float, float]
    forces: tuple[float, float]
    residual: float
    largest_residual: float

    @property
    def repeatability(self) -> float:
        """Relative standard deviation of the coefficient from one tightening to the next."""
        return stdev(map(math.log, self.coefficients))

    @property
    def coefficient(self) -> float:
        """N·m at the reference force, of the middle tightening."""
        return math.exp(fmean(map(math.log, self.coefficients)))

    def covers(self, torque: float) -> bool:
        """Whether a torque is not beyond those that were measured; what is, is extrapolated."""
        return torque <= self.torques[1]

    def torque(self, force: float) -> float:
        """Return the torque, N·m, that a force takes in the middle."""
        return self.free_torque + self.coefficient * math.pow(force / self.reference, self.exponent)

    def force(self, torque: float) -> float:
        """Return the force, N, that a torque gives in the middle; 0 at the free torque and below."""
        loaded = (torque - self.free_torque) / self.coefficient
        return 0.0 if loaded <= 0.0 else float(self.reference * loaded ** (1.0 / self.exponent))

    def force_interval(self, torque: float, certificate: Certificate) -> Interval:
        """Return the true force, N, at the next tightening for a torque, with its 95 % prediction interval.

        Both parts of the logarithm of the force, the scatter from tightening to tightening and the error of the fit,
        are added in quadrature to what the load cell may be wrong.
        """
        force = self.force(torque)
        if force <= 0.0:
            return Interval(0.0, 0.0, self._least(certificate))
        spread = self._spread(force, torque)
        system = certificate.half_width(force)
        return Interval(
            force,
            max(force - math.hypot(force * (1.0 - math.exp(-spread)), system), 0.0),
            force + math.hypot(force * math.expm1(spread), system),
        )

    def torque_interval(self, force: float, certificate: Certificate) -> Interval:
        """Return the torque, N·m, that a true force takes at the next tightening, with its 95 % prediction interval."""
        torque = self.torque(force)
        loaded = torque - self.free_torque
        spread = self.exponent * self._spread(force, torque)
        system = loaded * self.exponent * certificate.half_width(force) / force
        low, high = loaded * (1.0 - math.exp(-spread)), loaded * math.expm1(spread)
        return Interval(torque, max(torque - math.hypot(low, system), 0.0), torque + math.hypot(high, system))

    def _least(self, certificate: Certificate) -> float:
        """Return the force that may be there at the free torque or below: the lowest that was measured."""
        return self.forces[0] + certificate.half_width(self.forces[0])

    def _spread(self, force: float, torque: float) -> float:
        """Return the half-width of the interval of the logarithm of the force."""
        count = len(self.coefficients)
        scatter = t_factor(count - 1) * self.repeatability * math.sqrt(1.0 + 1.0 / count)
        gradient = (-1.0 / (torque - self.free_torque), -math.log(force / self.reference), -1.0)
        variance = sum(
            one * other * self.covariance[i][j] for i, one in enumerate(gradient) for j, other in enumerate(gradient)
        )
        fit = NORMAL * math.sqrt(max(variance, 0.0))
        return math.hypot(scatter, fit) / self.exponent


@dataclass(frozen=True, slots=True)
class TorqueFit:
    """What was found of a screw, and what its load cell may be wrong.

    Attributes:
        down: None where the screw was tightened alone, as with a wrench, which tells no torque of loosening.
    """

    up: Branch
    down: Branch | None
    certificate: Certificate
    coverage: float = COVERAGE

    @property
    def branches(self) -> dict[Direction, Branch]:
        """What was found, by direction."""
        return {"up": self.up} if self.down is None else {"up": self.up, "down": self.down}

    @property
    def hysteresis(self) -> float | None:
        """Largest difference of torque between tightening and loosening at one force, as a share of the largest."""
        if self.down is None:
            return None
        low = max(self.up.forces[0], self.down.forces[0])
        high = min(self.up.forces[1], self.down.forces[1])
        forces = [low + (high - low) * step / STEPS for step in range(STEPS + 1)]
        most = max(abs(self.up.torque(force) - self.down.torque(force)) for force in forces)
        return most / self.up.torque(high)

    def force(self, torque: float, direction: Direction = "up") -> Interval:
        """Return the force, N, at the next tightening for a torque in N·m; raises KeyError: no such direction."""
        return self.branches[direction].force_interval(torque, self.certificate)

    def torque(self, force: float, direction: Direction = "up") -> Interval:
        """Return the torque, N·m, of the next tightening for a force in N; raises KeyError: no such direction."""
        return self.branches[direction].torque_interval(force, self.certificate)
