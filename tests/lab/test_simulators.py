"""Simulators of several stations in one process: shared instruments at one address, each station in its own time."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from labctl.clock import VirtualClock
from labctl.config import Config, load
from labctl.lab.assemble import assemble, wired_links
from labctl.lab.simulators import Served, controlling, serving, simulators
from tests.stations import CONFIG, EPOCH

CHANNELS = """
[station.{name}.cycler]
driver  = "simulated-cycler"
address = "sim://cycler-1"
channel = {channel}
[station.{name}.limits]
voltage = ["0 V", "5 V"]
current = "20 mA"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    stations = (CHANNELS.format(name=f"C0{channel}", channel=channel) for channel in (2, 3))
    path.write_text(CONFIG.read_text() + "".join(stations))
    return path


async def test_stations_share_one_address_and_nothing_else(path: Path) -> None:
    async with serving(load(path), ["A3", "A4", "C02", "C03"], seed=1) as served:
        assert [one.station for one in served.values()] == ["A3", "A4", "C02", "C03"]
        cyclers = [one.instruments["cycler"] for one in served.values()]
        assert cyclers[1] == cyclers[2] == cyclers[3] != cyclers[0]
        assert len({one.control for one in served.values()}) == 4
        await drives_its_own_cell(load(path), served, "C02", 5e-4)
        await drives_its_own_cell(load(path), served, "A4", 1e-3)


async def drives_its_own_cell(config: Config, served: dict[str, Served], station: str, current: float) -> None:
    """Charge a station's cell for ten minutes of its own time; another controller has not moved it."""
    async with AsyncExitStack() as stack:
        controller = await stack.enter_async_context(controlling(served[station]))
        clock = VirtualClock(EPOCH)
        clock.followers.append(controller.follow)
        assembly = assemble(config, station, clock, wired_links(station, clock, served[station].instruments))
        stack.push_async_callback(assembly.close)
        cycler = assembly.station.instruments.cycler
        await cycler.connect()
        assert (await cycler.read()).current == 0.0
        await cycler.arm(cycler.voltage_range, 0.01)
        before = (await cycler.read()).voltage
        await cycler.drive(current, 4.0)
        await clock.sleep(600.0)
        reading = await cycler.read()
        assert reading.current == pytest.approx(current)
        assert before is not None
        assert reading.voltage is not None
        assert reading.voltage > before


async def test_one_process_serves_all_that_do_not_run_yet(path: Path, tmp_path: Path) -> None:
    async with simulators(path, ["C02"], 1, tmp_path) as first:
        runtime = tmp_path / "run" / "sim-C02.json"
        runtime.parent.mkdir()
        runtime.write_text(first["C02"].model_dump_json())
        async with simulators(path, ["C02", "C03", "A4"], 1, tmp_path) as served:
            assert served["C02"] == first["C02"], "it was running"
            assert served["C03"].instruments == served["A4"].instruments, "one instrument of one process"
            assert served["C03"].control != served["A4"].control
            async with controlling(served["C03"]) as controller:
                await controller.follow(1000.0)
        async with controlling(first["C02"]) as controller:
            await controller.follow(10.0)
