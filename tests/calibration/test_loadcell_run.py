"""The run of a load cell's calibration: known forces pressed and typed, found again in the database as its errors."""

from pathlib import Path

import pytest

from drivers.mark10.sim import GAIN_ERROR, OFFSET
from labctl.calibration.evaluate import calibration_of
from labctl.calibration.loads import LoadProcedure
from labctl.calibration.model import LoadCellCalibration
from labctl.calibration.store import Calibrations
from labctl.clock import LabClock
from labctl.config import load
from labctl.errors import ProtocolError
from labctl.lab.abilities import abilities
from labctl.lab.experiment import Experiment, Running, conduct
from labctl.lab.laboratory import Pace
from labctl.plan import Prompt
from labctl.protocol import bind
from labctl.protocol.load import fill
from labctl.protocol.source import parse
from labctl.reading import RunState
from labctl.record.queries import Queries

FORCES = (50.0, 100.0, 200.0)
STAND = 60.0
"""Seconds of lab time at each force."""
ORDER = [force for _ in range(2) for way in (FORCES, FORCES[::-1]) for force in way]
CONFIG = """
schema = "1"
[lab]
site = "demo"
[storage]
data = "{data}"
[station.P1.cycler]
driver = "keithley-2450"
address = "sim://"
four_wire = true
[station.P1.load_cell.negative]
driver = "mark10"
address = "sim://"
capacity = "500 N"
poll = "1 s"
[station.P1.limits]
voltage = ["0 V", "5 V"]
current = "10 mA"
[station.P1.simulation.rig]
kind = "press"
force = "50 N"
then = [{then}]
"""


class Hand:
    """Somebody who waits until the press stands, then types its force."""

    clock: LabClock

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, prompt: Prompt, output_state: str) -> str:
        """Answer when the present force has stood for most of its time."""
        begin = self.asked * STAND
        self.asked += 1
        await self.clock.sleep_until(begin + 0.8 * STAND)
        return f"{ORDER[self.asked - 1]:g} N"


async def calibrated(tmp_path: Path, name: str) -> LoadCellCalibration:
    """Run a calibration and return what comes of it; what was stored before stands for the run."""
    then = ", ".join(f'["{n * STAND:g} s", "{force:g} N"]' for n, force in enumerate(ORDER) if n)
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(data=tmp_path, then=then))
    config, hand = load(path), Hand()
    able = abilities(config, "P1")
    text = LoadProcedure("P1", "negative", FORCES, 2, 0.001, able.poll_period).text()
    plan, database = bind(fill(parse("p.toml", text, ProtocolError), {}), able), tmp_path / f"{name}.db"
    experiment = Experiment(config, path, "P1", plan, Pace(in_memory=True), database, hand)

    def started(running: Running) -> None:
        hand.clock = running.clock

    assert (await conduct(experiment, started)).state is RunState.COMPLETED
    with Queries(database) as queries:
        made = calibration_of(queries, queries.run("1"), "", 86400.0)
    assert isinstance(made, LoadCellCalibration)
    return made


async def test_the_errors_of_the_gauge_are_found_also_when_they_are_corrected_already(tmp_path: Path) -> None:
    first = await calibrated(tmp_path, "first")
    assert len(first.points) == 12
    assert first.fit.gain == pytest.approx(1.0 + GAIN_ERROR, abs=3e-4)  # it reads in steps of 0.1 N
    assert first.fit.offset == pytest.approx(OFFSET * 500.0, abs=0.05)
    assert first.fit.reference == 0.001
    assert (first.station, first.side) == ("P1", "negative")
    Calibrations(tmp_path).add(first)
    again = await calibrated(tmp_path, "again")
    assert again.instruments == first.instruments
    assert again.fit.gain == pytest.approx(first.fit.gain, abs=1e-4)
    assert again.fit.offset == pytest.approx(first.fit.offset, abs=0.05)
