"""What readings of one load cell show: noise, jumps, a stuck sensor, a spring that bottoms out, drift."""

import math
from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.engine.bottoming import Bottoming
from labctl.engine.drift import Drift
from labctl.engine.sensing import Jump, Reading, Scatter, Stuck
from labctl.engine.turning import Turning

STEP = 0.1


def learnt(noise: float, seed: int = 1, step: float = STEP, force: float = 196.03) -> Scatter:
    """Return what 600 readings of a sensor with so much noise teach."""
    random, scatter = Random(seed), Scatter()
    for number in range(601):
        scatter.see(Reading(number, round(random.gauss(force, noise) / step) * step, still=True))
    return scatter


# -- how a sensor scatters -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.05, 0.1, 0.4])
def test_the_noise_that_is_learnt_is_that_of_the_sensor(noise: float) -> None:
    found = learnt(noise).noise
    assert found is not None
    assert found == pytest.approx(math.hypot(noise, STEP / math.sqrt(12.0)), rel=0.15)


def test_nothing_is_known_from_few_readings_nor_from_those_of_a_screw_that_turns() -> None:
    scatter = Scatter()
    for number in range(90):
        scatter.see(Reading(number, 196.0 + 0.1 * (number % 2), still=True))
    for number in range(900):
        scatter.see(Reading(number, 196.0 + number, still=False))
    assert scatter.noise is None
    assert scatter.most_repeats is None


def test_a_force_that_moves_on_is_no_noise() -> None:
    scatter = Scatter()
    for number in range(601):
        scatter.see(Reading(number, round((15.0 + 0.017 * number) / 0.02) * 0.02, still=True))
    assert scatter.noise is not None
    assert scatter.noise < 0.02
    assert scatter.most_repeats is None


@given(st.integers(1, 10_000), st.floats(0.4, 3.0), st.floats(-0.5, 0.5))
def test_no_healthy_sensor_repeats_itself_as_often_as_is_impossible(seed: int, noise: float, within: float) -> None:
    """Learnt where the force happens to be within a step, judged in the middle of one: the worst case."""
    most = learnt(noise * STEP, seed, force=196.0 + within * STEP).most_repeats
    if most is not None:
        stays = math.erf(0.5 / (math.sqrt(2.0) * noise))
        assert stays**most < 1e-9


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2])
def test_noise_within_a_step_tells_nothing_of_a_stuck_sensor(noise: float) -> None:
    for within in (0.0, 0.25, 0.5):
        assert learnt(noise * STEP, force=196.0 + within * STEP).most_repeats is None


def test_noise_over_two_steps_tells_a_stuck_sensor_within_two_hundred_polls() -> None:
    most = learnt(0.5 * STEP).most_repeats
    assert most is not None
    assert most < 200


# -- jumps ---------------------------------------------------------------------------------------------------------


def jumped(forces: list[float], least: float = 1.0, rise: float = 0.0, period: float = 0.1) -> int | None:
    """Return the number of the reading at which a jump is seen."""
    jump = Jump()
    for number, force in enumerate(forces):
        jump.see(Reading(number * period, force, still=True))
        if jump.judge(least, rise, 0.0) is not None:
            return number
    return None


@pytest.mark.parametrize("to", [150.0, 198.5])
def test_a_jump_is_seen_at_the_second_reading(to: float) -> None:
    assert jumped([196.0] * 30 + [to] * 5) == 31


@pytest.mark.parametrize("rate", [0.5, 2.0, 20.0])
def test_a_stack_that_begins_to_slide_is_no_jump(rate: float) -> None:
    assert jumped([196.0] * 20 + [196.0 - rate * number for number in range(1, 9)]) is None


def test_one_wrong_reading_is_no_jump() -> None:
    assert jumped(([196.0] * 12 + [20.0]) * 5) is None


def test_a_rise_that_a_turn_explains_is_none_and_a_fall_is_one_all_the_same() -> None:
    assert jumped([196.0] * 20 + [204.0] * 5, rise=8.0) is None
    assert jumped([196.0] * 20 + [188.0] * 5, rise=8.0) == 21


@given(st.floats(0.02, 0.3), st.floats(0.3, 100.0), st.sampled_from([0.1, 0.5, 1.0]))
def test_no_relaxation_is_a_jump(share: float, time: float, period: float) -> None:
    """From any instant after a move on, in any of the shapes that creep has."""
    exponential = [196.0 * (1.0 - share * (1.0 - math.exp(-number * period / time))) for number in range(60)]
    logarithm = [196.0 * (1.0 - 0.2 * share * math.log1p(number * period / time)) for number in range(60)]
    assert jumped(exponential, period=period) is None
    assert jumped(logarithm, period=period) is None


def test_readings_that_are_far_apart_are_not_compared() -> None:
    assert jumped([196.0] * 20 + [100.0] * 20, period=2.0) is None


# -- turns ---------------------------------------------------------------------------------------------------------


def test_the_largest_turns_up_and_down_are_those_between_any_two_angles() -> None:
    turning, clock = Turning(1e-3), count()
    for angle in (0.0, 0.5, 0.2, 0.9, 0.4):
        turning.see(angle, float(next(clock)), moving=True)
    assert turning.turned(0.0) == pytest.approx((0.9, 0.5))
    assert turning.turned(3.0) == pytest.approx((0.0, 0.5))
    assert turning.turned(4.5) == (0.0, 0.0)
    assert (turning.way, turning.run) == (-1, pytest.approx(0.5))
    turning.see(0.4, 5.0, moving=False)
    assert turning.run == 0.0


def test_an_encoder_between_two_counts_does_not_turn_the_screw() -> None:
    turning = Turning(1e-3)
    for number in range(100):
        turning.see(1e-3 * (number % 2), float(number), moving=False)
    assert turning.stirred == -math.inf
    assert turning.turned(0.0) == pytest.approx((1e-3, 1e-3))


# -- a stuck sensor, a spring, a temperature -----------------------------------------------------------------------


def test_how_often_a_reading_repeats_itself_is_counted_from_its_first_one() -> None:
    stuck = Stuck()
    assert [stuck.see(force, float(n)) for n, force in enumerate((196.0, 196.0, 196.0, 196.1))] == [
        True,
        False,
        False,
        True,
    ]
    assert [stuck.see(196.1, float(n)) for n in range(4, 30)] == [False] * 26
    assert (stuck.repeats, stuck.since) == (26, 3.0)
    assert stuck.repeats_too_often(25.0)
    assert not stuck.repeats_too_often(None)


@pytest.mark.parametrize(("stiffness", "bottomed"), [(10.0, False), (14.0, False), (200.0, True)])
def test_a_spring_that_is_stiffer_than_it_says_has_bottomed_out(stiffness: float, *, bottomed: bool) -> None:
    """Its screw is turned by 20 mrad in 2 s; it says 10 N/rad."""
    bottoming = Bottoming()
    seen = [bottoming.see(0.1 * n, 15.7 + stiffness * 1e-3 * n, 1e-2 * n, 0.0, 0.0, 0.2) is not None for n in range(20)]
    assert any(seen) == bottomed


def test_a_stack_that_slips_under_a_compressed_train_bottoms_no_spring() -> None:
    """The other side loses 100 N, of which the spring makes 0.1 N each."""
    bottoming = Bottoming()
    assert bottoming.see(0.0, 15.7, 0.1, 300.0, 0.1, 0.2) is None
    assert [bottoming.see(n, 25.7, 0.1, 200.0, 0.1, 0.2) for n in (0.1, 0.2)] == [None, None]
    assert [bottoming.see(n, 35.7, 0.1, 200.0, 0.1, 0.2) is None for n in (0.3, 0.4)] == [True, False]


def test_a_force_that_rises_by_itself_bottoms_no_spring() -> None:
    bottoming = Bottoming()
    assert not any(bottoming.see(0.1 * n, 15.7 + 1.0 * n, 0.0, 0.0, 0.0, 0.2) for n in range(20))


def drifted(per_kelvin: float, creep: float = 0.0, hours: float = 3.0) -> tuple[float, float, float] | None:
    """Let the temperature rise by 20 K after half an hour; 0.1 N/K are allowed."""
    drift = Drift()
    for number in range(int(hours * 360.0)):
        now = 10.0 * number
        kelvin = 20.0 * (1.0 - math.exp(-max(now - 1800.0, 0.0) / 600.0))
        force = 196.0 + per_kelvin * kelvin - creep * (1.0 - math.exp(-now / 3600.0))
        found = drift.see(now, force, 25.0 + kelvin, 0.1, 0.5)
        if found is not None:
            return found
    return None


@pytest.mark.parametrize(
    ("per_kelvin", "creep", "drifts"), [(0.09, 0.0, False), (-0.05, 10.0, False), (0.5, 0.0, True)]
)
def test_a_force_that_follows_the_temperature_drifts_and_one_that_creeps_does_not(
    per_kelvin: float, creep: float, *, drifts: bool
) -> None:
    assert (drifted(per_kelvin, creep) is not None) == drifts
