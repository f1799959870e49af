"""The fit of torque and force: what it recovers, how wide it tells, how often it is right, and what it refuses."""

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.calibration import judged
from labctl.calibration.certificate import Certificate
from labctl.calibration.chance import t_factor
from labctl.calibration.fitting import fit_torque
from labctl.calibration.textbook import Textbook
from labctl.calibration.torque import DIRECTIONS, Branch, Point, TorqueFit
from labctl.errors import CalibrationFailed

FREE, EXPONENT, MOST = 0.01, 0.97, 200.0
LEVER = {"up": 0.32, "down": 0.22}
EXACT = Certificate(0.0)


def points(factors: list[float], count: int = 20, noise: float = 0.0) -> list[Point]:
    """Tightenings whose coefficients have these factors."""
    random = Random(1)
    return [
        Point(number, way, torque + random.gauss(0.0, noise), force)
        for number, factor in enumerate(factors, 1)
        for way in DIRECTIONS
        for force in (MOST * k / count for k in range(1, count + 1))
        for torque in (FREE + factor * LEVER[way] * (force / MOST) ** EXPONENT,)
    ]


def test_students_t_is_that_of_the_tables() -> None:
    table = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 7: 2.365, 8: 2.306, 30: 2.042, 120: 1.980}
    assert {freedom: round(t_factor(freedom), 3) for freedom in table} == table


def test_what_made_the_points_is_found() -> None:
    fit = fit_torque(points([0.9, 1.0, 1.1]), EXACT)
    for way in DIRECTIONS:
        branch = fit.branches[way]
        assert branch.free_torque == pytest.approx(FREE, abs=1e-6)
        assert branch.exponent == pytest.approx(EXPONENT, abs=1e-4)
        assert branch.coefficients == pytest.approx([LEVER[way] * f for f in (0.9, 1.0, 1.1)], rel=1e-4)
        assert branch.residual < 1e-6
        assert branch.force(branch.torque(150.0)) == pytest.approx(150.0)
    assert fit.up.repeatability == pytest.approx(0.1005, rel=1e-2)
    up = FREE + 0.9967 * LEVER["up"]
    assert fit.hysteresis == pytest.approx(0.9967 * (LEVER["up"] - LEVER["down"]) / up, rel=1e-3)


def test_the_interval_is_that_of_the_next_tightening_by_hand() -> None:
    fit = fit_torque(points([0.9, 1.0, 1.1]), EXACT)
    logs = [math.log(f) for f in (0.9, 1.0, 1.1)]
    mean = sum(logs) / 3
    deviation = math.sqrt(sum((each - mean) ** 2 for each in logs) / 2)
    spread = t_factor(2) * deviation * math.sqrt(1 + 1 / 3) / EXPONENT
    told = fit.force(0.2)
    assert told.value == pytest.approx(MOST * ((0.2 - FREE) / LEVER["up"] / math.exp(mean)) ** (1 / EXPONENT), rel=1e-4)
    assert told.low == pytest.approx(told.value * math.exp(-spread), rel=1e-3)
    assert told.high == pytest.approx(told.value * math.exp(spread), rel=1e-3)


def test_what_the_load_cell_may_be_wrong_does_not_average_down() -> None:
    few, many = ([0.9, 1.0, 1.1] * count for count in (1, 5))
    for factors in (few, many):
        alone = fit_torque(points(factors), EXACT).force(0.2)
        wrong = fit_torque(points(factors), Certificate(20.0, 0.1)).force(0.2)
        system = 0.95 * math.hypot(20.0, 0.1 * alone.value)
        assert wrong.high - wrong.value == pytest.approx(math.hypot(alone.high - alone.value, system), rel=1e-9)
        assert wrong.value - wrong.low == pytest.approx(math.hypot(alone.value - alone.low, system), rel=1e-9)


@given(st.floats(0.015, 0.33), st.sampled_from(DIRECTIONS))
def test_force_and_torque_are_inverse_and_inside_their_intervals(torque: float, way: str) -> None:
    fit = FITTED
    force = fit.force(torque, way)  # type: ignore[arg-type]
    back = fit.torque(force.value, way)  # type: ignore[arg-type]
    assert back.value == pytest.approx(torque, rel=1e-9)
    assert 0.0 <= force.low < force.value < force.high
    assert 0.0 <= back.low < back.value < back.high


FITTED: TorqueFit = fit_torque(points([0.85, 0.95, 1.0, 1.1, 1.2], noise=0.002), Certificate(0.5))


def test_the_interval_rises_with_torque_and_knows_nothing_below_the_free_torque() -> None:
    told = [FITTED.force(torque) for torque in (0.005, 0.02, 0.05, 0.1, 0.2, 0.3)]
    assert (told[0].value, told[0].low) == (0.0, 0.0)
    assert told[0].high > FITTED.up.forces[0]
    assert all(lower.value < upper.value and lower.high < upper.high for lower, upper in pairwise(told[1:]))


def test_it_is_reproduced_from_what_is_stored() -> None:
    stored = FITTED.up
    again = Branch(**{name: getattr(stored, name) for name in Branch.__dataclass_fields__})
    assert again.force_interval(0.2, Certificate(0.5)) == FITTED.force(0.2)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (points([1.0, 1.1]), "2 tightenings have 3 points or more on the way up"),
        (points([1.0, 1.1, 0.9], count=2), "0 tightenings have 3 points or more on the way up"),
        ([], "0 tightenings"),
        (
            [Point(n, way, 0.1, 50.0) for n in (1, 2, 3) for way in DIRECTIONS] * 3,
            "On the way up all forces are the same",
        ),
        (
            [Point(p.tightening, p.direction, 0.4 - p.torque, p.force) for p in points([1.0, 1.1, 0.9])],
            "On the way up torque does not rise with force.",
        ),
    ],
)
def test_what_makes_no_calibration_is_refused(made: list[Point], sentence: str) -> None:
    with pytest.raises(CalibrationFailed) as refused:
        fit_torque(made, EXACT)
    assert refused.value.sentence.startswith(sentence)
    assert refused.value.remedy


def test_the_stated_interval_holds_the_next_tightening_of_random_rigs() -> None:
    """Few rigs here; the thousand of `benchmarks/calibration.py` stand in docs/explanation/calibration.md."""
    for (way, share), (coverage, ratio) in judged(60).items():
        assert coverage >= 51 / 60, (way, share)  # binomial(60, 0.95): less in one of 500
        assert ratio <= 1.5, (way, share)


def test_a_textbook_brackets_its_coefficient() -> None:
    told = Textbook(8e-3).force(0.314)
    assert told.value == pytest.approx(196.0, rel=0.01)
    assert (told.low, told.high) == pytest.approx((0.314 / 2.08e-3, 0.314 / 1.12e-3))
