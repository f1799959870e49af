"""A station's faults by script: in memory and on real wires, at the same lab times, at the instruments they name."""

import pytest

from labctl.clock import VirtualClock
from labctl.errors import InstrumentError, OverRange
from labctl.lab.assemble import Assembly, assemble, memory_links, wired_links
from labctl.lab.simulators import controlling, serving
from labctl.sim.schedule import Kind, Scheduled
from labctl.sim.trouble import UnfitScript
from tests.stations import repository_config

FAULTS = (
    Scheduled("load_cell.negative", Kind.OUT_OF_RANGE, 60.0, 120.0),
    Scheduled("thermostat", Kind.SILENCE, 60.0, 120.0),
    Scheduled("cycler", Kind.DISCONNECT, 60.0, 120.0),
)


async def follows_the_script(assembly: Assembly, clock: VirtualClock) -> None:
    parts = assembly.station.instruments
    assert parts.thermostat is not None
    for instant, broken in ((0.0, False), (60.0, True), (125.0, False)):
        await clock.sleep_until(instant)
        if broken:
            with pytest.raises(OverRange):
                await parts.load_cells["negative"].read()
            with pytest.raises(InstrumentError):
                await parts.thermostat.read()
            with pytest.raises(InstrumentError):
                await parts.cycler.read()
        else:
            await assembly.station.connect()
            assert abs(await parts.load_cells["negative"].read()) < 5.0
            assert 20.0 < (await parts.thermostat.read()).bath < 26.0
            assert not (await parts.cycler.read()).output
        assert abs(await parts.load_cells["positive"].read()) < 50.0


async def test_in_memory() -> None:
    clock = VirtualClock(0.0)
    make, _ = memory_links(repository_config(), "A1", clock, 1, FAULTS)
    assembly = assemble(repository_config(), "A1", clock, make)
    await follows_the_script(assembly, clock)
    await assembly.close()


async def test_on_real_wires() -> None:
    clock = VirtualClock(0.0)
    async with (
        serving(repository_config(), ["A1"], 1, FAULTS) as served,
        controlling(served["A1"]) as controller,
    ):
        clock.followers.append(controller.follow)
        assembly = assemble(repository_config(), "A1", clock, wired_links("A1", clock, served["A1"].instruments))
        try:
            await follows_the_script(assembly, clock)
        finally:
            await assembly.close()


def test_what_the_station_has_not_is_refused() -> None:
    faults = (Scheduled("load_cell", Kind.SILENCE, 0.0),)
    with pytest.raises(
        UnfitScript, match=r'no instrument "load_cell" at station A1\.\n  There are: .*load_cell\.negative'
    ):
        memory_links(repository_config(), "A1", VirtualClock(0.0), 1, faults)
