"""A load cell against known forces: its offset and gain, and what remains uncertain when both are corrected."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression

from labctl.calibration.certificate import Certificate
from labctl.calibration.chance import RECTANGULAR, t_factor
from labctl.calibration.torque import DIRECTIONS, Direction
from labctl.errors import CalibrationFailed

LEAST_LEVELS = 3


@dataclass(frozen=True, slots=True)
class Load:
    """A known force and what the load cell read, both in N.

    Attributes:
        series: of loads, up and down, that is repeated.
        level: of the series, from 1: about the same force each time, known anew each time.
    """

    series: int
    level: int
    direction: Direction
    reference: float
    reading: float


@dataclass(frozen=True, slots=True)
class LoadCellFit:
    """reading = offset + gain · force; what it errs beyond that, in N.

    Attributes:
        non_linearity: largest distance of a level's mean reading from the line.
        hysteresis: largest difference between up and down at one level.
        repeatability: standard deviation of readings at one level and direction, of `freedom` degrees of freedom; 0
            where no series was repeated.
        reference: relative half-width of the 95 % interval of the known forces themselves.
        forces: lowest and highest that were applied.
    """

    offset: float
    gain: float
    non_linearity: float
    hysteresis: float
    repeatability: float
    freedom: int
    reference: float
    forces: tuple[float, float]

    def force(self, reading: float) -> float:
        """Return the force, N, of a reading."""
        return (reading - self.offset) / self.gain

    @property
    def certificate(self) -> Certificate:
        """What a corrected reading may still be wrong; the uncertainty of the reference is the same at all of them."""
        scatter = t_factor(self.freedom) * self.repeatability if self.freedom else 0.0
        alone = math.hypot(self.non_linearity, self.hysteresis / 2.0, scatter / RECTANGULAR) / self.gain
        return Certificate(alone, self.reference / RECTANGULAR, "calibration of the load cell")


def fit_load_cell(loads: Sequence[Load], reference: float) -> LoadCellFit:
    """Fit a line through all loads.

    Args:
        reference: relative uncertainty of the known forces, at 95 %.

    Raises:
        CalibrationFailed: fewer than three different loads, or readings that do not rise with them.
    """
    levels = sorted({load.level for load in loads})
    if len(levels) < LEAST_LEVELS:
        raise CalibrationFailed(
            f"{len(levels)} different forces were applied; a line and what it leaves need {LEAST_LEVELS} at least.",
            "Apply more forces, from nothing to near the capacity.",
        )
    forces = [load.reference for load in loads]
    gain, offset = linear_regression(forces, [load.reading for load in loads])
    if gain <= 0.0:
        raise CalibrationFailed(
            "The readings do not rise with the forces that were applied.",
            "Check that the load cell is that of the side that was loaded, and the sign of its readings.",
        )
    groups: dict[tuple[int, Direction], list[float]] = {}
    for load in loads:
        left = load.reading - offset - gain * load.reference
        groups.setdefault((load.level, load.direction), []).append(left)
    means = {key: fmean(left) for key, left in groups.items()}
    both = [level for level in levels if all((level, way) in means for way in DIRECTIONS)]
    scatter = [each - means[key] for key, left in groups.items() for each in left]
    freedom = len(loads) - len(groups)
    return LoadCellFit(
        offset,
        gain,
        max(abs(fmean([mean for (at, _), mean in means.items() if at == level])) for level in levels),
        max((abs(means[level, "up"] - means[level, "down"]) for level in both), default=0.0),
        math.sqrt(sum(each * each for each in scatter) / freedom) if freedom else 0.0,
        freedom,
        reference,
        (min(forces), max(forces)),
    )
