"""Fits tightenings: free torque and exponent of the screw, a coefficient for each, by least squares of the torque."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from labctl.calibration.certificate import Certificate
from labctl.calibration.torque import Branch, Direction, Point, TorqueFit
from labctl.errors import CalibrationFailed

Array = NDArray[np.float64]

LEAST_TIGHTENINGS = 3
"""With two, the interval at 95 % spans more than twelve standard deviations and tells nothing."""
LEAST_POINTS = 3
"""Of a tightening in one direction."""
UNLOADED = 0.02
"""Of the largest force: below this a point is not used, for the sensor's zero is a large part of it."""
EXPONENTS = (0.7, 1.2)
"""Between which the exponent is sought; K falls as torque rises, so that it is a little below 1."""


def fit_torque(points: Sequence[Point], certificate: Certificate) -> TorqueFit:
    """Fit tightenings, and the ways back where there are any.

    Raises:
        CalibrationFailed: there are too few, or torque does not rise with force.
    """
    back = any(point.direction == "down" for point in points)
    return TorqueFit(_fit(points, "up"), _fit(points, "down") if back else None, certificate)


def _fit(points: Sequence[Point], direction: Direction) -> Branch:
    mine = [point for point in points if point.direction == direction]
    most = max((point.force for point in mine), default=0.0)
    kept = [point for point in mine if point.force > UNLOADED * most]
    counts = {number: sum(point.tightening == number for point in kept) for number in {p.tightening for p in kept}}
    whole = sorted(number for number, count in counts.items() if count >= LEAST_POINTS)
    if len(whole) < LEAST_TIGHTENINGS:
        raise CalibrationFailed(
            f"{len(whole)} tightenings have {LEAST_POINTS} points or more on the way {direction}; a prediction needs "
            f"{LEAST_TIGHTENINGS} at least, because the coefficient of the screw is drawn anew at each.",
            "Ask for more with --tightenings (8 is usual); poll rig and load cell faster, or turn slower.",
        )
    kept = [point for point in kept if point.tightening in whole]
    force, torque = np.array([point.force for point in kept]), np.array([point.torque for point in kept])
    member = np.array([[point.tightening == number for number in whole] for point in kept], dtype=np.float64)
    return _solve(force, torque, member, whole, direction)


def _solve(force: Array, torque: Array, member: Array, numbers: list[int], direction: Direction) -> Branch:
    """Fit one direction by least squares of the torque: linear but for the exponent, which is sought."""
    reference = float(force.max())
    scaled = force / reference

    def linear(exponent: float) -> tuple[float, Array, Array]:
        design = np.column_stack([np.ones_like(scaled), member * scaled[:, None] ** exponent])
        found = np.asarray(np.linalg.solve(design.T @ design, design.T @ torque), dtype=np.float64)
        left = torque - design @ found
        return float(left @ left), found, left

    try:
        exponent = _least_of(lambda value: linear(value)[0], *EXPONENTS)
        squares, found, left = linear(exponent)
    except np.linalg.LinAlgError:
        raise CalibrationFailed(
            f"On the way {direction} all forces are the same: nothing can be told of how torque rises with them.",
            "Calibrate through a range, from the unloaded screw up.",
        ) from None
    coefficients = found[1:]
    if (coefficients <= 0.0).any():
        raise CalibrationFailed(
            f"On the way {direction} torque does not rise with force.",
            "Check that the load cell is that of the side whose screw turns, and that it is in the line of force.",
        )
    loaded = member @ coefficients * scaled**exponent
    jacobian = np.column_stack([np.ones_like(scaled), loaded * np.log(scaled), member * loaded[:, None]])
    variance = squares / max(len(torque) - jacobian.shape[1], 1)
    covariance = variance * np.linalg.inv(jacobian.T @ jacobian)
    mean = np.zeros((3, jacobian.shape[1]))
    mean[0, 0] = mean[1, 1] = 1.0
    mean[2, 2:] = 1.0 / len(coefficients)
    reduced = mean @ covariance @ mean.T
    return Branch(
        float(found[0]),
        exponent,
        tuple(map(float, coefficients)),
        tuple(numbers),
        reference,
        tuple((float(row[0]), float(row[1]), float(row[2])) for row in reduced),
        (float(torque.min()), float(torque.max())),
        (float(force.min()), reference),
        math.sqrt(squares / len(torque)),
        float(np.abs(left).max()),
    )


def _least_of(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function of one minimum has it, by golden section."""
    ratio = (math.sqrt(5.0) - 1.0) / 2.0
    inner = [high - ratio * (high - low), low + ratio * (high - low)]
    values = [function(inner[0]), function(inner[1])]
    while high - low > 1e-6:
        if values[0] < values[1]:
            high, inner[1], values[1] = inner[1], inner[0], values[0]
            inner[0] = high - ratio * (high - low)
            values[0] = function(inner[0])
        else:
            low, inner[0], values[0] = inner[0], inner[1], values[1]
            inner[1] = low + ratio * (high - low)
            values[1] = function(inner[1])
    return (low + high) / 2.0
