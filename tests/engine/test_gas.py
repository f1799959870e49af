"""A side that a gas presses: its set point ramps, the regulator holds, and a pause closes its valves."""

import pytest

from labctl.config import Config, load
from labctl.engine.run import Run
from labctl.guard.safe import _in_order
from labctl.reading import RunState
from labctl.sim.faults import silence
from tests.stations import Breakage, Lab, laboratory

BENCH = """
schema = "1"
[station.G1.cycler]
driver = "keithley-2450"
address = "sim://"
[station.G1.load_cell.negative]
driver = "mark10"
address = "sim://"
capacity = "500 N"
[station.G1.gas_regulator.negative]
driver = "alicat-pc"
address = "sim://"
unit = "psi"
piston = "40 mm"
maximum = "3 bar"
[station.G1.limits]
voltage = ["0 V", "5 V"]
current = "100 mA"
pressure.negative = ["0 MPa", "4 MPa"]
[station.G1.simulation.rig]
kind = "press"
force = "0 N"
"""
PRESS = """
[[step]]
pressure = { negative = "2.5 MPa", ramp = "20 kPa/s" }
until = "stable within 2 % for 60 s"
timeout = "1 h"
[[step]]
rest = "30 min"
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    path = tmp_path_factory.mktemp("gas") / "config.toml"
    path.write_text(BENCH)
    return load(path)


def pressures(lab: Lab) -> list[tuple[float, float]]:
    return [
        (time, pascal)
        for row in lab.rows
        if (time := row["test_time_second"]) is not None and (pascal := row["negative_pressure_pa"]) is not None
    ]


async def test_a_gas_reaches_the_pressure_along_its_ramp_and_keeps_it(config: Config) -> None:
    async with laboratory("G1", config=config) as lab:
        outcome = await lab.run(PRESS)
        assert outcome.state is RunState.COMPLETED, outcome
        points = pressures(lab)
        reached = next(time for time, pascal in points if pascal >= 0.97 * 2.5e6)
        assert 120.0 <= reached <= 240.0, "2.5 MPa at 20 kPa/s take 125 s, and rows come each minute"
        assert all(abs(pascal - 2.5e6) <= 0.02 * 2.5e6 for time, pascal in points if 300.0 < time < 1900.0)
        assert max(pascal for _, pascal in points) <= 1.02 * 2.5e6
        assert lab.rows[-1]["negative_gas_pressure_pa"] == pytest.approx(2.5e6 / 16.0, rel=0.02), "40 mm on 10 mm"
        assert lab.rows[-1]["positive_gas_pressure_pa"] is None


async def test_after_the_run_the_valves_are_closed(config: Config) -> None:
    async with laboratory("G1", config=config) as lab:
        await lab.run(PRESS)
        reading = await lab.assembly.station.instruments.gases["negative"].read()
        assert reading.closed


async def test_a_pause_holds_the_gas_and_the_ramp_goes_on_from_there(config: Config) -> None:
    seen: list[float] = []

    async def pause(lab: Lab, run: Run) -> None:
        gas = lab.assembly.station.instruments.gases["negative"]
        await lab.clock.sleep(60.0)
        run.pause("ana")
        await lab.clock.sleep(10.0)
        assert (await gas.read()).closed
        seen.append(lab.bench.rig.force("negative"))
        await lab.clock.sleep(600.0)
        seen.append(lab.bench.rig.force("negative"))
        run.resume("ana")
        await lab.clock.sleep(5.0)
        seen.append(lab.bench.rig.force("negative"))

    async with laboratory("G1", config=config) as lab:
        outcome = await lab.run(PRESS, meanwhile=pause)
        assert outcome.state is RunState.COMPLETED
        before, after, soon = seen
        assert after == pytest.approx(before, rel=3e-3), "but for the leak"
        assert soon - after <= 5.0 * 20e3 * 7.9e-5 * 1.5, "no jump to where the ramp would be"


async def test_a_regulator_that_falls_silent_ends_the_run_and_is_held_as_soon_as_it_answers(config: Config) -> None:
    breakage = Breakage("gas_regulator.negative", silence)

    async def breaks(lab: Lab, _run: Run) -> None:
        await lab.clock.sleep(200.0)
        breakage.active = True
        await lab.clock.sleep(4.0)
        breakage.active = False

    async with laboratory("G1", config=config, breakages=(breakage,)) as lab:
        outcome = await lab.run(PRESS, meanwhile=breaks)
        assert outcome.state is RunState.TRIPPED
        assert "negative_gas_pressure_pa" in outcome.reason
        assert (await lab.assembly.station.instruments.gases["negative"].read()).closed
        assert "instrument.unsafe" not in lab.kinds()


async def test_a_moment_of_silence_closes_the_valves_and_the_gas_comes_back(config: Config) -> None:
    breakage = Breakage("gas_regulator.negative", silence)

    async def breaks(lab: Lab, _run: Run) -> None:
        gas = lab.assembly.station.instruments.gases["negative"]
        await lab.clock.sleep(400.0)
        breakage.active = True
        await lab.clock.sleep(0.6)
        breakage.active = False
        await lab.clock.sleep(60.0)
        assert not (await gas.read()).closed

    async with laboratory("G1", config=config, breakages=(breakage,)) as lab:
        outcome = await lab.run(PRESS, meanwhile=breaks)
        assert outcome.state is RunState.COMPLETED, outcome
        assert "instrument.recovered" in lab.kinds()


async def test_a_leak_shows_at_the_load_cell(config: Config) -> None:
    """Behind closed valves nothing makes up for it: a gas does not lock itself."""
    async with laboratory("G1", config=config) as lab:
        await lab.run(PRESS)
        force = lab.bench.rig.force("negative")
        lab.bench.advance_to(lab.bench.time + 6 * 3600.0)
        assert lab.bench.rig.force("negative") < 0.97 * force


async def test_the_guard_process_closes_its_valves_after_the_circuit(config: Config) -> None:
    async with laboratory("G1", config=config) as lab:
        assert [name for name, _ in _in_order(lab.assembly.station)] == ["cycler", "gas_regulator.negative"]
