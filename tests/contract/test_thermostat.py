"""What every thermostat must do: reach its set point, stop when told, and measure truly."""

import pytest

from labctl.errors import RefusedForSafety
from labctl.instrument import Role
from tests.contract.operations import HOUR, WARM, bounded_nowhere, is_safe, temperatures_read
from tests.contract.stand import Stand

ROLE = Role.THERMOSTAT


@pytest.mark.parametrize("celsius", [WARM, 15.0])
async def test_it_reaches_its_set_point(stand: Stand, celsius: float) -> None:
    await stand.thermostat.connect()
    await stand.thermostat.set_temperature(celsius)
    await stand.unpolled(3 * HOUR)
    reading = await stand.thermostat.read()
    temperatures_read(stand, reading)
    assert reading.running
    assert reading.setpoint == celsius
    assert reading.bath == pytest.approx(celsius, abs=0.3)
    assert stand.bench.room.cell == pytest.approx(celsius, abs=0.3)


async def test_stop_stops(stand: Stand) -> None:
    await stand.thermostat.connect()
    await stand.thermostat.set_temperature(WARM)
    await stand.unpolled(HOUR)
    await stand.thermostat.stop()
    assert is_safe(stand)
    await stand.unpolled(24 * HOUR)
    reading = await stand.thermostat.read()
    temperatures_read(stand, reading)
    assert not reading.running
    assert reading.bath < WARM - 5.0


async def test_a_temperature_outside_its_range_is_refused(stand: Stand) -> None:
    await stand.thermostat.connect()
    allowed = stand.thermostat.temperature_range
    for celsius in (allowed.high + 0.1, allowed.low - 0.1, float("nan"), float("inf")):
        with pytest.raises(RefusedForSafety):
            await stand.thermostat.set_temperature(celsius)
        bounded_nowhere(stand)
