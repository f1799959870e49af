"""What every cycler must do: bound both directions in its hardware, rest, open the circuit, and measure truly."""

import pytest

from labctl.errors import RefusedForSafety
from labctl.instrument import Limiting, Range, Role
from labctl.sim.source import Open
from tests.contract.operations import (
    CURRENT,
    HIGH,
    HOUR,
    LOW,
    MOST,
    WINDOW,
    armed,
    bounded_nowhere,
    cell_read,
    charged,
    charging,
    is_safe,
)
from tests.contract.stand import Stand

ROLE = Role.CYCLER


async def unpolled_voltages(stand: Stand, hours: int) -> list[float]:
    voltages = []
    for _ in range(hours):
        await stand.unpolled(HOUR)
        voltages.append(stand.bench.cell.voltage)
    return voltages


async def test_a_stalled_host_overcharges_nothing(stand: Stand) -> None:
    await armed(stand)
    await stand.cycler.drive(CURRENT, HIGH)
    voltages = await unpolled_voltages(stand, 30)
    assert max(voltages) <= HIGH + 1e-3
    assert voltages[-1] == pytest.approx(HIGH, abs=1e-3), "it was reached and is held"
    reading = await stand.cycler.read()
    cell_read(stand, reading)
    assert reading.limiting in (Limiting.VOLTAGE, None)


async def test_a_stalled_host_overdischarges_nothing(stand: Stand) -> None:
    await armed(stand)
    await stand.cycler.drive(CURRENT, HIGH)
    await stand.unpolled(10 * HOUR)
    await stand.cycler.drive(-CURRENT, LOW)
    voltages = await unpolled_voltages(stand, 30)
    assert voltages[0] < voltages[-1] + 2.0
    assert min(voltages) >= LOW - 1e-3
    assert voltages[-1] == pytest.approx(LOW, abs=1e-3)
    cell_read(stand, await stand.cycler.read())


@pytest.mark.parametrize("sign", [1, -1])
async def test_values_are_those_of_the_cell_with_its_signs(stand: Stand, sign: int) -> None:
    await charged(stand)
    await stand.cycler.drive(sign * CURRENT, HIGH if sign > 0 else LOW)
    for _ in range(10):
        await stand.clock.sleep(stand.cycler.poll_period)
        reading = await stand.cycler.read()
        cell_read(stand, reading)
        assert reading.current * sign > 0
        assert reading.limiting in (Limiting.CURRENT, None)
        assert reading.power is not None
        assert reading.power * sign > 0


async def test_rest_is_no_current_with_the_voltage_measured(stand: Stand) -> None:
    await charging(stand)
    await stand.cycler.rest()
    await stand.unpolled(HOUR)
    reading = await stand.cycler.read()
    assert abs(stand.bench.cell.current) <= 1e-8
    assert abs(reading.current) <= 1e-7
    assert reading.voltage == pytest.approx(stand.bench.cell.voltage, abs=1e-3)


async def test_off_opens_the_circuit(stand: Stand) -> None:
    await charging(stand)
    assert not isinstance(stand.bench.cell.source, Open)
    await stand.cycler.off()
    assert is_safe(stand)
    cell_read(stand, await stand.cycler.read())


async def test_nothing_flows_before_limits_are_armed(stand: Stand) -> None:
    await stand.cycler.connect()
    for call in (stand.cycler.drive(CURRENT, HIGH), stand.cycler.rest()):
        with pytest.raises(RefusedForSafety):
            await call
        bounded_nowhere(stand)


@pytest.mark.parametrize(
    ("current", "voltage"),
    [
        (2 * MOST, HIGH),
        (-2 * MOST, LOW),
        (CURRENT, WINDOW.high + 0.1),
        (-CURRENT, WINDOW.low - 0.1),
        (CURRENT, float("nan")),
        (float("nan"), HIGH),
        (float("inf"), HIGH),
    ],
)
async def test_nothing_flows_beyond_what_was_armed(stand: Stand, current: float, voltage: float) -> None:
    await armed(stand)
    with pytest.raises(RefusedForSafety):
        await stand.cycler.drive(current, voltage)
    bounded_nowhere(stand)


async def test_limits_beyond_the_instrument_are_refused(stand: Stand) -> None:
    await stand.cycler.connect()
    volts, amperes = stand.cycler.voltage_range, stand.cycler.current_range
    for window, current in (
        (Range(WINDOW.low, volts.high + 1.0), MOST),
        (Range(volts.low - 1.0, WINDOW.high), MOST),
        (WINDOW, 1.1 * amperes.high),
        (WINDOW, float("nan")),
        (Range(float("nan"), WINDOW.high), MOST),
    ):
        with pytest.raises(RefusedForSafety):
            await stand.cycler.arm(window, current)
        with pytest.raises(RefusedForSafety):
            await stand.cycler.drive(CURRENT, HIGH)
    bounded_nowhere(stand)
