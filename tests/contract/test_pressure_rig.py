"""What every pressure rig must do: turn between engage and freeze only, stall at its torque, and keep the force."""

import pytest

from labctl.errors import LabctlError, RefusedForSafety
from labctl.instrument import Role
from tests.contract.operations import (
    SPEED,
    TURN,
    bounded_nowhere,
    engaged,
    half_torque,
    located,
    on_its_way,
    play,
    rig_read,
    turn,
    turning,
)
from tests.contract.stand import Stand

ROLE = Role.PRESSURE_RIG


async def until_it_stands(stand: Stand) -> None:
    for _ in range(200):
        await stand.clock.sleep(stand.rig.poll_period)
        reading = await stand.rig.read()
        rig_read(stand, reading)
        if not reading.moving:
            return
    raise AssertionError("it never stood still")


async def test_it_turns_to_an_angle_and_says_where_it_is(stand: Stand) -> None:
    await engaged(stand)
    for angle in (0.4, 0.1):
        await stand.rig.turn_to(stand.zero + angle)
        assert (await stand.rig.read()).moving
        await until_it_stands(stand)
        assert stand.bench.rig.angle == pytest.approx(angle, abs=play(stand))
    assert stand.bench.rig.force("negative") > 0.0, "positive tightens"


async def test_torque_stalls_it_and_freeze_keeps_the_force(stand: Stand) -> None:
    await engaged(stand)
    await turn(stand)
    await until_it_stands(stand)
    rig = stand.bench.rig
    assert rig.angle < TURN, "this stack is too stiff for that torque"
    assert rig.torque(+1) == pytest.approx(half_torque(stand), rel=0.1)
    await stand.rig.freeze()
    angle, force = rig.angle, rig.force("negative")
    await stand.unpolled(1.0)
    assert rig.angle == angle
    assert rig.force("negative") == pytest.approx(force, rel=1e-3)


async def test_engage_moves_nothing(stand: Stand) -> None:
    await engaged(stand)
    for _ in range(20):
        await stand.clock.sleep(stand.rig.poll_period)
        rig_read(stand, await stand.rig.read())
    bounded_nowhere(stand)


async def test_it_turns_between_engage_and_freeze_only(stand: Stand) -> None:
    await located(stand)
    with pytest.raises(RefusedForSafety):
        await turn(stand)
    await stand.rig.engage(half_torque(stand), SPEED)
    await stand.rig.freeze()
    with pytest.raises(RefusedForSafety):
        await turn(stand)
    await stand.unpolled(60.0)
    bounded_nowhere(stand)


async def test_a_silent_host_stops_it_where_a_watchdog_is_declared(stand: Stand) -> None:
    await turning(stand)
    await stand.unpolled(60.0)
    angle = stand.bench.rig.angle
    await stand.unpolled(60.0)
    on_its_way(stand)  # without a watchdog it follows a stack that creeps, never beyond its goal and torque
    if stand.driver.features.watchdog:
        assert stand.bench.rig.angle == angle
        silence = 4 * stand.rig.poll_period
        assert 0.0 < angle <= SPEED * (stand.rig.poll_period + silence)
        with pytest.raises(LabctlError):
            await stand.rig.read()
    await stand.rig.safe_state()
    angle = stand.bench.rig.angle
    await stand.unpolled(60.0)
    assert stand.bench.rig.angle == angle


@pytest.mark.parametrize("factor", [1.01, 0.0, -1.0, float("nan"), float("inf")])
async def test_a_torque_beyond_the_range_is_refused(stand: Stand, factor: float) -> None:
    await located(stand)
    with pytest.raises(RefusedForSafety):
        await stand.rig.engage(factor * stand.rig.torque_range.high, SPEED)
    bounded_nowhere(stand)


@pytest.mark.parametrize("speed", [0.0, -1.0, 1e6, float("nan")])
async def test_a_speed_that_is_none_is_refused(stand: Stand, speed: float) -> None:
    await located(stand)
    with pytest.raises(RefusedForSafety):
        await stand.rig.engage(half_torque(stand), speed)
    bounded_nowhere(stand)


@pytest.mark.parametrize("angle", [1e6, -1e6, float("nan"), float("inf")])
async def test_an_angle_beyond_its_travel_is_refused(stand: Stand, angle: float) -> None:
    await engaged(stand)
    with pytest.raises(RefusedForSafety):
        await stand.rig.turn_to(angle)
    await stand.unpolled(1.0)
    bounded_nowhere(stand)
