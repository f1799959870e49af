"""What every cycler must do that measures impedance: the cell's own, in order, at its bias, within its limits."""

import math
from dataclasses import replace
from typing import Literal

import pytest

from labctl.errors import InstrumentError, RefusedForSafety
from labctl.impedance import ImpedancePoint, Potentiostat
from labctl.instrument import Role
from labctl.plan import Bound, Impedance
from labctl.sim.faults import silence
from labctl.sim.source import Open
from tests.contract.operations import (
    CURRENT,
    HIGH,
    HOUR,
    LOW,
    MOST,
    SPECTRUM,
    WINDOW,
    armed,
    biased,
    bounded_nowhere,
    half_a_spectrum,
    is_safe,
    opened,
    points_read,
    rested,
    start_spectrum,
)
from tests.contract.stand import Stand

ROLE = Role.CYCLER
NEEDS = "start_spectrum"
"""Only drivers that measure impedance."""
DECADES = tuple(10.0 ** (5.0 - k / 10.0) for k in range(71))
"""Of no short decimal: 100 kHz to 10 mHz."""


async def followed(stand: Stand, every: float = 10.0) -> list[ImpedancePoint]:
    """Ask until it is over; nobody asks for more than an hour of lab time."""
    got: list[ImpedancePoint] = []
    for _ in range(int(HOUR / every)):
        status = await stand.potentiostat.spectrum(len(got))
        got += status.points
        if not status.running and not status.points:
            return got
        await stand.clock.sleep(every)
    raise AssertionError("it never ends")


def galvanostatic(bias: float, amplitude: float = 2e-5, *frequencies: float) -> Impedance:
    return Impedance(frequencies or (1e3, 1.0, 0.1), "current", amplitude, bias, MOST, Bound(LOW, HIGH))


def test_it_is_what_the_engine_looks_for(stand: Stand) -> None:
    assert isinstance(stand.instrument, Potentiostat)
    low, high = stand.potentiostat.frequency_range.low, stand.potentiostat.frequency_range.high
    assert 0.0 < low < high < math.inf


async def test_a_spectrum_is_the_cells_own(stand: Stand) -> None:
    await rested(stand)
    bias = (await stand.cycler.read()).voltage
    assert bias is not None
    await stand.potentiostat.start_spectrum(replace(SPECTRUM, frequencies=DECADES), bias)
    points = await followed(stand)
    assert tuple(point.frequency for point in points) == DECADES, "unaltered, in order, once"
    times = [point.time for point in points]
    assert times == sorted(set(times))
    for point in points:
        true = stand.bench.cell.impedance(point.frequency)
        assert abs(complex(point.real, point.imaginary) - true) <= 0.01 * abs(true)
    assert is_safe(stand), "it ends by itself"


async def test_a_spectrum_that_nobody_follows_waits_to_be_read(stand: Stand) -> None:
    await rested(stand)
    await start_spectrum(stand)
    await stand.unpolled(HOUR)
    assert is_safe(stand)
    points = await followed(stand)
    assert len(points) == len(SPECTRUM.frequencies)


async def test_voltage_and_current_are_read_meanwhile(stand: Stand) -> None:
    await half_a_spectrum(stand)
    reading = await stand.cycler.read()
    assert reading.output
    assert reading.voltage == pytest.approx(stand.look().cell.voltage, abs=1e-3)
    assert reading.current == pytest.approx(stand.bench.cell.current, abs=1e-7)


@pytest.mark.parametrize("sign", [1, -1, 0])
async def test_a_bias_current_flows_for_real(stand: Stand, sign: Literal[1, -1, 0]) -> None:
    await rested(stand)
    before = stand.look().cell.charge
    await stand.potentiostat.start_spectrum(galvanostatic(sign * CURRENT), sign * CURRENT)
    began = stand.clock.now()
    for _ in range(3):
        assert stand.look().cell.current == pytest.approx(sign * CURRENT, rel=1e-3, abs=1e-8)
        reading = await stand.cycler.read()
        assert reading.output
        assert reading.current == pytest.approx(sign * CURRENT, rel=1e-3, abs=1e-7)
        await stand.clock.sleep(1.0)
    passed = stand.look().cell.charge - before
    assert passed == pytest.approx(sign * CURRENT * (stand.clock.now() - began), rel=1e-3, abs=1e-9)
    assert len(await followed(stand)) == 3
    assert is_safe(stand)


async def test_a_current_that_the_spectrum_does_not_allow_ends_it(stand: Stand) -> None:
    """A bias far from the voltage at rest charges the cell with more than allowed."""
    await rested(stand)
    bias = (await stand.cycler.read()).voltage
    assert bias is not None
    most = CURRENT / 2.0
    await stand.potentiostat.start_spectrum(replace(SPECTRUM, max_current=most), bias + 0.3)
    for _ in range(5):
        assert abs(stand.look().cell.current) <= most * 1.001
        await stand.clock.sleep(0.3)
    assert await followed(stand) == []
    assert is_safe(stand)


async def test_a_voltage_at_the_window_ends_it(stand: Stand) -> None:
    await rested(stand)
    cell = stand.look().cell
    high = cell.voltage + CURRENT * abs(cell.impedance(1.0)) + 0.03
    window = Bound(LOW, high)
    spectrum = replace(galvanostatic(CURRENT, 2e-5, *[1.0] * 1000), window=window)
    await stand.potentiostat.start_spectrum(spectrum, CURRENT)
    highest = 0.0
    for _ in range(1000):
        await stand.clock.sleep(5.0)
        highest = max(highest, stand.look().cell.voltage)
        if isinstance(stand.bench.cell.source, Open):
            break
    assert highest < high
    assert 0 < len(await followed(stand)) < 1000
    assert is_safe(stand)


@pytest.mark.parametrize("end", ["off", "safe_state", "rest", "connect"])
async def test_every_other_command_ends_it(stand: Stand, end: str) -> None:
    await half_a_spectrum(stand)
    biased(stand, None)
    await getattr(stand.cycler, end)()
    opened(stand, None)
    await stand.unpolled(HOUR)
    opened(stand, None)


async def test_a_drive_ends_it_and_drives(stand: Stand) -> None:
    await half_a_spectrum(stand)
    await stand.cycler.drive(CURRENT, HIGH)
    await stand.unpolled(60.0)
    assert stand.bench.cell.current == pytest.approx(CURRENT, rel=1e-3)
    assert len(await followed(stand)) < len(SPECTRUM.frequencies)


async def test_a_second_spectrum_is_not_taken_for_the_first(stand: Stand) -> None:
    await half_a_spectrum(stand)
    first = await stand.potentiostat.spectrum(0)
    assert first.points
    await stand.potentiostat.start_spectrum(replace(SPECTRUM, frequencies=(500.0, 50.0)), stand.look().cell.voltage)
    assert await stand.potentiostat.spectrum(0) != first
    assert [point.frequency for point in await followed(stand)] == [500.0, 50.0]


async def test_it_does_not_survive_a_broken_wire(stand: Stand) -> None:
    await half_a_spectrum(stand)
    stand.break_replies(silence, (1,))
    with pytest.raises(InstrumentError):
        await stand.cycler.read()
    await stand.cycler.read()
    opened(stand, None)
    points_read(stand, await stand.potentiostat.spectrum(0))
    assert len(await followed(stand)) < len(SPECTRUM.frequencies)


async def test_a_power_cut_ends_it(stand: Stand) -> None:
    await half_a_spectrum(stand)
    stand.simulator.restart()
    opened(stand, None)
    await stand.unpolled(HOUR)
    opened(stand, None)
    assert await followed(stand) == []


async def test_another_process_opens_the_circuit_and_knows_no_spectrum(stand: Stand) -> None:
    await half_a_spectrum(stand)
    _, stand.instrument = stand.open()
    await stand.cycler.connect()
    opened(stand, None)
    with pytest.raises((InstrumentError, RefusedForSafety)):
        await stand.potentiostat.spectrum(0)


REFUSED: dict[str, tuple[Impedance, float]] = {
    "beyond the current armed": (replace(SPECTRUM, max_current=2.0 * MOST), 3.5),
    "beyond the window armed": (replace(SPECTRUM, window=Bound(WINDOW.low - 0.1, HIGH)), 3.5),
    "no window of its own and a bias beyond": (replace(SPECTRUM, window=Bound()), WINDOW.high),
    "a peak beyond its window": (SPECTRUM, HIGH - 0.01),
    "a bias below its window": (SPECTRUM, LOW - 0.1),
    "a bias that is no number": (SPECTRUM, math.nan),
    "an infinite bias": (galvanostatic(math.inf), math.inf),
    "a peak of current beyond": (galvanostatic(0.0, MOST), 0.0),
    "a bias current beyond": (galvanostatic(1.1 * MOST), 1.1 * MOST),
    "an amplitude that is none": (replace(SPECTRUM, amplitude=0.0), 3.5),
    "an amplitude that is no number": (replace(SPECTRUM, amplitude=math.nan), 3.5),
    "a huge amplitude": (replace(SPECTRUM, amplitude=100.0), 3.5),
    "a negative amplitude": (replace(SPECTRUM, amplitude=-0.01), 3.5),
    "no frequency": (replace(SPECTRUM, frequencies=()), 3.5),
    "a frequency of zero": (replace(SPECTRUM, frequencies=(1e3, 0.0)), 3.5),
    "a frequency beyond": (replace(SPECTRUM, frequencies=(1e12,)), 3.5),
    "a frequency that is no number": (replace(SPECTRUM, frequencies=(math.nan,)), 3.5),
}


@pytest.mark.parametrize(("spectrum", "bias"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_refused_before_anything_flows(stand: Stand, spectrum: Impedance, bias: float) -> None:
    await armed(stand)
    with pytest.raises(RefusedForSafety):
        await stand.potentiostat.start_spectrum(spectrum, bias)
    bounded_nowhere(stand)


async def test_nothing_is_begun_before_limits_are_armed(stand: Stand) -> None:
    await stand.cycler.connect()
    with pytest.raises(RefusedForSafety):
        await stand.potentiostat.start_spectrum(SPECTRUM, 3.5)
    bounded_nowhere(stand)


async def test_a_dead_short_is_no_spectrum_of_the_cell(stand: Stand) -> None:
    """What a short takes counts: more than allowed ends it."""
    await half_a_spectrum(stand)
    stand.look().cell.short(100.0)
    await stand.unpolled(5.0)
    assert is_safe(stand)
