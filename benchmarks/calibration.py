"""How often the stated 95 % interval of a torque calibration holds the true force of the next tightening.

Each rig is drawn at random around what is known of such screws, calibrated as a laboratory would, knowing readings
alone, and tightened once more. An oracle that knows the rig, but not the next draw of its coefficient, is the measure
of how narrow an interval can be.

    python benchmarks/calibration.py [RIGS]
"""

import itertools
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from statistics import median
from typing import Literal

from labctl.calibration.certificate import Certificate
from labctl.calibration.chance import NORMAL
from labctl.calibration.fitting import fit_torque
from labctl.calibration.torque import DIRECTIONS, Direction, Interval, Point, TorqueFit
from labctl.sim.rig import RigParameters, ScrewRig

TIGHTENINGS = 8
POINTS = 30
"""Of a tightening in one direction."""
Share = Literal["whole range", "lowest tenth"]
WAYS: tuple[tuple[Direction, int], ...] = (("up", 1), ("down", -1))
SHARES: dict[Share, tuple[float, float]] = {"whole range": (0.1, 1.0), "lowest tenth": (0.025, 0.1)}


@dataclass(frozen=True)
class Truth:
    """A rig and its instruments; none of it is told to the fit but the certificate."""

    parameters: RigParameters
    most: float
    """N to which it is calibrated."""
    certificate: Certificate
    offset: float
    gain: float
    noise: float
    count: float
    """N·m of the smallest difference of torque that the drive tells."""

    def reading(self, force: float, random: Random) -> float:
        """Return what the load cell reads."""
        return force * (1.0 + self.gain) + self.offset + random.gauss(0.0, self.noise)


def drawn(random: Random) -> Truth:
    """Draw a rig: M6 to M12, dry to oiled, 2.5 to 50 MPa on 10 mm, stiff to soft."""
    diameter = random.choice((6e-3, 8e-3, 10e-3, 12e-3))
    lead = {6e-3: 1.0e-3, 8e-3: 1.25e-3, 10e-3: 1.5e-3, 12e-3: 1.75e-3}[diameter]
    most = math.exp(random.uniform(math.log(196.0), math.log(3927.0)))
    coefficient = random.uniform(0.14, 0.25)
    top = coefficient * diameter * most
    capacity = most * random.uniform(1.25, 4.0)
    accuracy = random.uniform(0.0005, 0.003)
    bounds = Certificate(accuracy * capacity, random.uniform(0.001, 0.01))
    parameters = RigParameters.model_validate(
        {
            "lead": f"{lead} m",
            "diameter": f"{diameter} m",
            "torque_coefficient": coefficient,
            "torque_scatter": random.uniform(0.03, 0.15),
            "torque_exponent": random.uniform(-0.1, 0.0),
            "free_torque": f"{top * random.uniform(0.0, 0.04)} N m",
            "train_stiffness": f"{10 ** random.uniform(5.5, 7.0)} N/m",
            "spring_stiffness": f"{10 ** random.uniform(4.7, 9.0)} N/m",
            "wall_friction": random.uniform(0.0, 0.4),
            "piston_friction": f"{random.uniform(0.0, 20.0)} N",
        }
    )
    return Truth(
        parameters,
        most,
        bounds,
        random.uniform(-1.0, 1.0) * bounds.offset,
        random.uniform(-1.0, 1.0) * bounds.gain,
        2e-4 * capacity,
        top * random.uniform(0.003, 0.02),
    )


def tightened(rig: ScrewRig, truth: Truth, most: float, step: float) -> Iterator[tuple[Direction, float, float]]:
    """Tighten an unloaded screw to a force and loosen it again; yield direction, true torque and true force.

    The force is that in the line of the load cell, where the screw feels it, too.

    Args:
        step: N, about which the force changes from one to the next.
    """
    train = truth.parameters.train_stiffness * truth.parameters.lead / math.tau
    for direction, sign in WAYS:
        stiffness = train
        while (rig.indicated("negative") < most) if sign > 0 else (rig.indicated("negative") > 0.0):
            before, turn = rig.indicated("negative"), sign * step / stiffness
            yield direction, rig.torque(sign), before
            rig.turn_to(rig.angle + turn)
            secant = (rig.indicated("negative") - before) / turn
            if before > 0.0 and secant > 0.0:  # where the stack slips, a spring is all that resists
                stiffness = min(max(secant, stiffness / 2.0), train)


def calibrated(truth: Truth, rig: ScrewRig, random: Random) -> TorqueFit:
    """Calibrate a rig from what its instruments tell."""
    points = [
        Point(number, direction, round(torque / truth.count) * truth.count, truth.reading(force, random))
        for number in range(TIGHTENINGS)
        for direction, torque, force in tightened(rig, truth, truth.most, truth.most / POINTS)
    ]
    return fit_torque(points, truth.certificate)


def at(path: list[tuple[Direction, float, float]], direction: Direction, torque: float) -> float:
    """Return the true force at which a tightening needed a torque, between two steps of its path."""
    mine = [(t, f) for d, t, f in path if d == direction]
    if direction == "down":
        mine.reverse()
    loaded = [(0.0, 0.0), *mine]
    for (t0, f0), (t1, f1) in itertools.pairwise(loaded):
        if t0 <= torque <= t1 and t1 > t0:
            return f0 + (f1 - f0) * (torque - t0) / (t1 - t0)
    raise ValueError(f"{torque} N·m is beyond this tightening")


def oracle(truth: Truth, torque: float, direction: Direction) -> Interval:
    """Return the interval of one who knows the rig and not its next coefficient."""
    p = truth.parameters

    def force(share: float) -> float:
        low, high = 0.0, 100.0 * truth.most
        for _ in range(60):
            middle = (low + high) / 2.0
            lever = share * p.torque_coefficient * (1.0 + middle / 100.0) ** p.torque_exponent * p.diameter
            lever -= p.lead / math.pi if direction == "down" else 0.0
            low, high = (middle, high) if p.free_torque + max(lever, 0.0) * middle < torque else (low, middle)
        return high

    scatter = NORMAL * p.torque_scatter
    return Interval(force(1.0), force(1.0 + scatter), force(max(1.0 - scatter, 0.5)))


def judged(rigs: int, seed: int = 1) -> dict[tuple[Direction, Share], tuple[float, float]]:
    """Return coverage and median width over that of the oracle, by direction and share of the range."""
    random = Random(seed)
    hits: dict[tuple[Direction, Share], list[bool]] = {(d, s): [] for d in DIRECTIONS for s in SHARES}
    ratios: dict[tuple[Direction, Share], list[float]] = {key: [] for key in hits}
    for number in range(rigs):
        truth = drawn(random)
        rig = ScrewRig(truth.parameters, number, lambda: (0.0, 0.0))
        fit = calibrated(truth, rig, random)
        path = list(tightened(rig, truth, 2.5 * truth.most, truth.most / 100.0))
        for direction in DIRECTIONS:
            for share, (low, high) in SHARES.items():
                torque = fit.branches[direction].torque(truth.most * random.uniform(low, high))
                true, told = at(path, direction, torque), fit.force(torque, direction)
                best = oracle(truth, torque, direction)
                hits[direction, share].append(told.low <= true <= told.high)
                ratios[direction, share].append((told.high - told.low) / (best.high - best.low))
    return {key: (sum(hits[key]) / rigs, median(ratios[key])) for key in hits}


def main() -> None:
    """Print the table."""
    rigs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"{rigs} rigs, {TIGHTENINGS} tightenings each")
    print("direction  range         coverage  width / oracle's")
    for (direction, share), (coverage, ratio) in judged(rigs).items():
        print(f"{direction:9}  {share:12}  {100.0 * coverage:6.1f} %  {ratio:6.2f}")


if __name__ == "__main__":
    main()
