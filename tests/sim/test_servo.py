"""A simulated motor on a screw: it arrives exactly, stalls where its torque ends, and keeps its place in a restart."""

import math

import pytest

from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.rig import Rig
from labctl.sim.servo import HostWatchdog, Servo

COUNTS = 65536


@pytest.fixture
def rig() -> Rig:
    return Bench.of(BenchParameters(), seed=1).rig


@pytest.mark.parametrize("reduction", [1.0, 5.0, -5.0])
def test_a_fine_encoder_arrives_at_its_goal_to_the_count(rig: Rig, reduction: float) -> None:
    servo = Servo(rig, COUNTS, reduction, play=0.0, first=77)
    goal = 77 + round(0.5 * servo.counts_per_radian)
    servo.drive(0.0, goal, speed=1e5, torque=10.0)
    assert servo.direction == math.copysign(1, reduction)
    servo.advance_to(servo.next_event())
    assert servo.position == goal
    assert servo.velocity == 0.0
    assert rig.angle == pytest.approx(0.5, abs=math.tau / COUNTS)


def test_torque_counts_at_the_screw_by_the_reduction(rig: Rig) -> None:
    servo = Servo(rig, COUNTS, 5.0, play=0.0)
    servo.drive(0.0, 10**7, speed=1e6, torque=0.05)
    servo.advance_to(100.0)
    assert servo.stalled
    assert rig.torque(+1) == pytest.approx(5 * 0.05, rel=0.02)


def test_play_is_turned_through_first(rig: Rig) -> None:
    servo = Servo(rig, COUNTS, 1.0, play=100.0)
    servo.drive(0.0, 1050, speed=1e6, torque=10.0)
    servo.advance_to(1.0)
    assert rig.angle == pytest.approx(1000 * math.tau / COUNTS)
    servo.drive(1.0, 950, speed=1e6, torque=10.0)
    servo.advance_to(2.0)
    assert rig.angle == pytest.approx(1000 * math.tau / COUNTS), "within the play"


def rough(**parameters: float | str) -> Rig:
    return Bench.of(BenchParameters.model_validate({"rig": {"train_stiffness": "1e7 N/m", **parameters}}), seed=1).rig


@pytest.mark.parametrize(("reduction", "slip"), [(1.0, 0.025), (5.0, 0.001)])
def test_a_standing_screw_winds_the_shaft_up_and_jumps_when_it_breaks_loose(reduction: float, slip: float) -> None:
    """2 to 3.5 % of 2.5 MPa in a frame of 1e7 N/m by direct drive; torque and turn both fall with the reduction."""
    rig = rough(static_friction=1.4)
    servo = Servo(rig, COUNTS, reduction, play=0.0)
    now = 0.0
    while rig.indicated("negative") < 196.0:
        servo.drive(now, servo.position + round(0.01 * servo.counts_per_radian), speed=1e6, torque=10.0)
        now += 1.0
        servo.advance_to(now)
    jumps = []
    for _ in range(round(0.02 * servo.counts_per_radian)):
        before = rig.indicated("negative")
        servo.drive(now, servo.position + 1, speed=1e6, torque=10.0)
        now += 1.0
        servo.advance_to(now)
        jumps.append(rig.indicated("negative") - before)
    assert min(jumps) == 0.0
    assert 0.6 * slip < max(jumps) / 196.0 < 1.6 * slip


def test_a_turning_screw_does_not_stick() -> None:
    rig, smooth = rough(static_friction=1.4), rough()
    for each in (rig, smooth):
        servo = Servo(each, COUNTS, 1.0, play=0.0)
        servo.drive(0.0, 1000, speed=1e5, torque=10.0)
        servo.advance_to(1.0)
    assert rig.angle == smooth.angle


def test_a_rig_s_backlash_adds_to_the_play_and_either_screw_may_be_turned() -> None:
    rig = rough(backlash="0.1 rad")
    servo = Servo(rig, COUNTS, 1.0, play=0.0, side="positive")
    servo.drive(0.0, round(0.3 * COUNTS / math.tau), speed=1e6, torque=10.0)
    servo.advance_to(1.0)
    assert rig.angle == 0.0
    assert rig.angle_of("positive") == pytest.approx(0.25, abs=1e-3)


def test_a_restart_changes_the_count_and_nothing_else(rig: Rig) -> None:
    servo = Servo(rig, COUNTS, 1.0, play=100.0)
    servo.drive(0.0, 30_000, speed=1e6, torque=10.0)
    servo.advance_to(1.0)
    angle = rig.angle
    servo.restart(0)
    assert (servo.position, rig.angle) == (0, angle)
    servo.drive(1.0, 1000, speed=1e6, torque=10.0)
    servo.advance_to(2.0)
    assert rig.angle == pytest.approx(angle + 1000 * math.tau / COUNTS)


def test_a_watchdog_bites_once_and_only_while_it_watches() -> None:
    bites: list[float] = []
    watchdog = HostWatchdog(lambda: bites.append(1.0))
    watchdog.feed(1.0)
    watchdog.advance_to(100.0)
    watchdog.watch(2.0)
    assert watchdog.next_event() == 3.0
    watchdog.feed(2.0)
    watchdog.advance_to(3.9)
    assert not bites
    watchdog.advance_to(4.0)
    watchdog.advance_to(9.0)
    assert len(bites) == 1
