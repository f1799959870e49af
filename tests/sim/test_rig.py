"""The rig: asymmetry by wall friction, breathing, creep, the screw's torque, and what can go wrong with it."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.sim.rig import Press, PressParameters, RigParameters, ScrewRig

AREA = math.pi * 5e-3**2
FREE = RigParameters(wall_friction=0.0, spring_stiffness=1e12, spring_preload=0.0, creep=())
STICKY = RigParameters(creep=())


class Stack:
    """A cell that grows as it is told."""

    def __init__(self) -> None:
        self.grown = (0.0, 0.0)

    def __call__(self) -> tuple[float, float]:
        return self.grown


def tightened(parameters: RigParameters, pressure: float, seed: int = 1) -> tuple[ScrewRig, Stack]:
    """Return a rig with a pressure (Pa) on its negative side, found as a person would."""
    stack = Stack()
    rig = ScrewRig(parameters, seed, stack)
    step = 1e-3
    while rig.force("negative") < pressure * AREA:
        rig.turn_to(rig.angle + step)
    return rig, stack


def pressures(rig: ScrewRig) -> tuple[float, float]:
    return rig.force("negative") / rig.area, rig.force("positive") / rig.area


def test_wall_friction_holds_2_5_against_0_2_mpa() -> None:
    rig, _ = tightened(STICKY, 2.5e6)
    assert pressures(rig) == pytest.approx((2.5e6, 0.2e6), rel=2e-3)
    assert rig.force("negative") - rig.force("positive") < STICKY.wall_friction_force
    assert pytest.approx(283.0, abs=1.0) == STICKY.wall_friction_force


def test_beyond_the_wall_friction_the_stack_slips_and_the_rest_passes_through() -> None:
    parameters = RigParameters(creep=(), residual_stress=5e6)
    rig, _ = tightened(parameters, 2.5e6)
    assert rig.force("positive") == pytest.approx(rig.force("negative") - parameters.wall_friction_force, rel=1e-9)


def test_a_stack_that_slipped_sticks_on_the_way_back() -> None:
    parameters = RigParameters(creep=(), residual_stress=5e6)
    rig, _ = tightened(parameters, 2.5e6)
    pushed = rig.force("positive")
    rig.turn_to(rig.angle - 0.2)
    assert rig.force("negative") < 2.5e6 * AREA - 20.0
    assert rig.force("positive") == pytest.approx(pushed, rel=1e-12)


def test_without_friction_both_sides_carry_the_same() -> None:
    rig, _ = tightened(FREE, 10e6)
    assert rig.force("positive") == pytest.approx(rig.force("negative"), rel=1e-9)


@pytest.mark.parametrize(("stiffness", "expected"), [(5e4, 0.008e6), (1e6, 0.16e6), (1e7, 1.56e6)])
def test_breathing_of_a_lithium_cell_is_pressure(stiffness: float, expected: float) -> None:
    """Net +12.3 µm of 14 mg/cm² against lithium on 10 mm (battery reference 2.4)."""
    rig, stack = tightened(FREE.model_copy(update={"train_stiffness": stiffness}), 2.5e6)
    before = pressures(rig)[0]
    stack.grown = (13.9e-6, -1.6e-6)
    assert pressures(rig)[0] - before == pytest.approx(expected, rel=0.03)


def test_against_lto_breathing_has_the_other_sign() -> None:
    rig, stack = tightened(FREE, 2.5e6)
    before = pressures(rig)[0]
    stack.grown = (0.0, -1.6e-6)
    assert pressures(rig)[0] - before == pytest.approx(-0.02e6, rel=0.03)


def test_the_spring_keeps_its_side_while_the_other_breathes() -> None:
    rig, stack = tightened(STICKY, 2.5e6)
    stack.grown = (13.9e-6, -1.6e-6)
    assert pressures(rig)[0] == pytest.approx(2.5e6 + 0.177e6, rel=0.01)
    assert pressures(rig)[1] == pytest.approx(0.2e6, abs=0.002e6)


def test_creep_relaxes_a_held_screw() -> None:
    rig, _ = tightened(RigParameters(), 2.5e6)
    rig.settle()
    forces = []
    for minute in range(1, 24 * 60):
        rig.advance_to(60.0 * minute)
        rig.settle()
        forces.append(rig.force("negative"))
    assert forces == sorted(forces, reverse=True)
    assert 0.05 < 1.0 - forces[-1] / (2.5e6 * AREA) < 0.20


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=5), st.integers(1, 20))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_turn_may_be_taken_in_any_pieces(angles: list[float], pieces: int) -> None:
    parameters = RigParameters(creep=(), residual_stress=5e6, spring_travel=2e-5)
    whole, stepped = ScrewRig(parameters, 1, Stack()), ScrewRig(parameters, 1, Stack())
    for angle in angles:
        start = whole.angle
        whole.turn_to(angle)
        for k in range(1, pieces + 1):
            stepped.turn_to(start + (angle - start) * k / pieces)
        for side in ("negative", "positive"):
            assert stepped.force(side) == pytest.approx(whole.force(side), abs=1e-8)


@given(st.lists(st.floats(-1.0, 3.0), min_size=1, max_size=8), st.floats(0.0, 30e6), st.floats(1e-6, 1e-3))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_forces_never_pull_and_never_differ_by_more_than_the_wall_holds(
    angles: list[float], stress: float, travel: float
) -> None:
    parameters = RigParameters(residual_stress=stress, spring_travel=travel, creep=())
    rig = ScrewRig(parameters, 1, Stack())
    for angle in angles:
        rig.turn_to(angle)
        negative, positive = rig.force("negative"), rig.force("positive")
        assert negative >= 0.0
        assert positive >= 0.0
        assert abs(negative - positive) <= parameters.wall_friction_force + 1e-6


def test_torque_follows_force_and_the_screw_locks_itself() -> None:
    parameters = RigParameters(creep=(), torque_scatter=0.0)
    rig, _ = tightened(parameters, 2.5e6)
    assert rig.torque(+1) == pytest.approx(0.314, rel=0.1)
    assert 0.0 < rig.torque(-1) < rig.torque(+1)


def test_every_tightening_has_its_own_coefficient_and_a_seed_repeats_it() -> None:
    rig, _ = tightened(STICKY, 2.5e6)
    first, angle = rig.torque(+1), rig.angle
    rig.turn_to(angle - 0.1)
    rig.turn_to(angle)
    assert rig.torque(+1) == first, "a correction under load is no new tightening"
    rig.turn_to(-0.1)
    rig.turn_to(angle)
    assert rig.tightenings == 2
    assert rig.torque(+1) != first
    assert tightened(STICKY, 2.5e6)[0].torque(+1) == first
    assert tightened(STICKY, 2.5e6, seed=2)[0].torque(+1) != first


def test_torque_scatters_by_an_eighth() -> None:
    torques = [tightened(STICKY.model_copy(update={"train_stiffness": 1e5}), 0.02e6, seed)[0] for seed in range(400)]
    coefficients = [(rig.torque(+1) - 0.01) / rig.force("negative") for rig in torques]
    mean = sum(coefficients) / len(coefficients)
    spread = math.sqrt(sum((c - mean) ** 2 for c in coefficients) / len(coefficients))
    assert spread / mean == pytest.approx(0.125, rel=0.15)


def test_a_slip_lowers_the_force_at_once() -> None:
    rig, _ = tightened(STICKY, 2.5e6)
    before = rig.force("negative")
    rig.slip(20e-6)
    assert before - rig.force("negative") == pytest.approx(20.0, rel=1e-9)


def test_released_friction_passes_the_force_to_the_other_side() -> None:
    rig, _ = tightened(STICKY, 2.5e6)
    rig.release_friction()
    assert rig.force("positive") == pytest.approx(rig.force("negative"), rel=1e-9)
    assert rig.force("positive") > 0.2e6 * AREA


def test_a_bottomed_spring_is_as_stiff_as_the_train() -> None:
    rig, _ = tightened(RigParameters(creep=(), wall_friction=0.0), 1e6)
    rig.bottom_spring()
    before = rig.force("positive")
    rig.turn_to(rig.angle + 0.05)
    advance = 0.05 * 1.25e-3 / math.tau
    assert rig.force("positive") - before == pytest.approx(0.5e6 * advance, rel=1e-6)


RUBBING = FREE.model_copy(update={"piston_friction": 10.0})


def test_a_piston_keeps_from_the_cell_what_the_screw_adds_and_from_the_load_cell_what_the_cell_adds() -> None:
    rig, stack = tightened(RUBBING, 2.5e6)
    assert rig.indicated("negative") - rig.force("negative") == pytest.approx(10.0)
    turned, felt = rig.indicated("negative"), rig.force("negative")
    rig.turn_to(rig.angle - 0.05)
    assert turned - rig.indicated("negative") == pytest.approx(0.05 * 1.25e-3 / math.tau * 1e6, rel=1e-6)
    assert rig.force("negative") == pytest.approx(felt), "loosened by 9.9 N, within what friction holds either way"
    stack.grown = (5e-6, 0.0)
    assert rig.force("negative") - rig.indicated("negative") == pytest.approx(10.0), "the cell pushes it back"


@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(-5e-6, 15e-6)), min_size=1, max_size=8), st.floats(0.0, 20.0))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_what_is_indicated_is_within_the_friction_of_what_is_true(
    path: list[tuple[float, float]], friction: float
) -> None:
    stack = Stack()
    rig = ScrewRig(RigParameters(creep=(), piston_friction=friction), 1, stack)
    for time, (angle, grown) in enumerate(path):
        stack.grown = (grown, -0.1 * grown)
        rig.advance_to(float(time))
        rig.settle()
        rig.turn_to(angle)
        for side in ("negative", "positive"):
            assert abs(rig.indicated(side) - rig.force(side)) <= friction + 1e-9
            assert rig.force(side) >= 0.0


def test_disc_springs_make_a_stiff_frame_soft() -> None:
    parameters = FREE.model_copy(update={"train_stiffness": 1e7, "disc_springs": 5e5})
    assert parameters.stiffness == pytest.approx(1.0 / (1e-7 + 2e-6))
    rig, stack = tightened(parameters, 2.5e6)
    before = pressures(rig)[0]
    stack.grown = (13.9e-6, -1.6e-6)
    assert pressures(rig)[0] - before == pytest.approx(0.075e6, rel=0.03)


def test_two_screws_press_from_both_sides_and_the_wall_holds_their_difference() -> None:
    rig = ScrewRig(RigParameters(creep=(), spring_stiffness=1e6, spring_preload=0.0), 1, Stack())
    advance = 100.0 / 1e6 * math.tau / 1.25e-3
    rig.turn_to(advance)
    rig.turn_to(1.5 * advance, "positive")
    assert (rig.force("negative"), rig.force("positive")) == pytest.approx((100.0, 150.0))
    assert (rig.angle, rig.angle_of("positive")) == (advance, 1.5 * advance)
    assert rig.torque(+1, "positive") > rig.torque(+1)
    rig.turn_to(6.0 * advance, "positive")
    assert rig.force("positive") - rig.force("negative") == pytest.approx(STICKY.wall_friction_force)


def test_a_press_is_a_force_and_has_no_screw() -> None:
    press = Press(PressParameters(kind="press", force=59.7e3))
    assert press.force("negative") / press.area == pytest.approx(760e6, rel=1e-3)
    assert press.torque(+1) == 0.0
    with pytest.raises(ValueError, match="press without a screw"):
        press.turn_to(1.0)
