"""What every gas regulator must do: press with its gas on the piston, and hold it behind closed valves."""

import pytest

from labctl.errors import RefusedForSafety
from labctl.instrument import Role
from tests.contract.operations import GAS, bounded_nowhere, closed, connect, gas_read, pressed, presses, pressing
from tests.contract.stand import Stand

ROLE = Role.GAS_REGULATOR


async def test_it_regulates_up_and_down_and_says_where_it_is(stand: Stand) -> None:
    await pressed(stand)
    presses(stand, None)
    gas_read(stand, await stand.gas.read())
    await stand.gas.set_pressure(0.0)
    await stand.unpolled(30.0)
    assert stand.bench.rig.force("negative") <= 0.01 * GAS * stand.gas.piston_area
    reading = await stand.gas.read()
    assert reading.setpoint == 0.0
    assert not reading.closed


async def test_hold_keeps_the_gas_and_the_next_set_point_lets_go(stand: Stand) -> None:
    await pressing(stand)
    await stand.gas.hold()
    closed(stand, None)
    assert (await stand.gas.read()).closed
    await stand.gas.set_pressure(GAS)
    presses(stand, None)
    assert not (await stand.gas.read()).closed


@pytest.mark.parametrize("factor", [1.01, -0.01, float("nan"), float("inf")])
async def test_a_pressure_beyond_the_range_is_refused(stand: Stand, factor: float) -> None:
    await connect(stand)
    with pytest.raises(RefusedForSafety):
        await stand.gas.set_pressure(factor * stand.gas.pressure_range.high)
    await stand.unpolled(10.0)
    bounded_nowhere(stand)
