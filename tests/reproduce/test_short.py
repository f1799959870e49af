"""Doerrer's cell at 50 MPa: it shorts in its first charge, and that ends it, under a press and under a servo."""

from pathlib import Path

import pytest

from labctl.config import Config, load
from labctl.lab.abilities import abilities
from labctl.plan import Plan
from labctl.protocol import bind, load_cell
from labctl.protocol import load as load_protocol
from labctl.reading import RunState
from labctl.rehearse import Rehearsal, rehearse
from labctl.reproduce import acceptance, prepare
from labctl.sim.bench import BenchParameters
from tests.stations import ROOT

SERVO = """
schema = "1"
[lab]
site = "demo"
[station.S.cycler]
driver = "keithley-2450"
address = "sim://"
[station.S.load_cell.negative]
driver = "mark10"
address = "sim://"
capacity = "5 kN"
[station.S.load_cell.positive]
driver = "mark10"
address = "sim://"
capacity = "5 kN"
[station.S.pressure_rig.negative]
driver = "dynamixel-x"
address = "sim://"
direction = "clockwise"
reduction = 5.0
torque_limit = "10 N m"
travel = "60 rad"
[station.S.thermostat]
driver = "julabo"
address = "sim://"
minimum = "5 degC"
maximum = "80 degC"
external_probe = true
[station.S.limits]
voltage = ["0 V", "6 V"]
current = "20 mA"
temperature = ["5 degC", "80 degC"]
pressure.negative = ["0 MPa", "60 MPa"]
pressure.positive = ["0 MPa", "60 MPa"]
"""


def _in_its_first_charge(run: Rehearsal) -> bool:
    charges = [step for step in run.steps if step.verb == "charge"]
    return len(charges) == 1 and not any(cycle.complete for cycle in run.cycles)


async def test_under_a_press_it_is_stopped_as_a_short() -> None:
    (each,) = [each for each in acceptance() if each.id == "doe-sym-50"]
    prepared = prepare(each)
    run = await rehearse(prepared.plan, prepared.config, prepared.station)
    assert run.outcome.state is RunState.TRIPPED
    assert run.outcome.reason.startswith("A short: ")
    assert _in_its_first_charge(run)


@pytest.fixture
def servo(tmp_path: Path) -> tuple[Config, Plan]:
    """A servo through a gear of 5:1, which has the 6.3 N·m, on a stack that its die does not hold."""
    (tmp_path / "config.toml").write_text(SERVO)
    rig = {"spring_stiffness": "1e9 N/m", "spring_preload": "0 N", "wall_friction": 0.0, "static_friction": 1.4}
    simulation = BenchParameters.model_validate({"cell": {"preset": "nmc83-li"}, "rig": rig})
    config = load(tmp_path / "config.toml").simulating("S", simulation)
    cell = load_cell(ROOT / "cells" / "doerrer-2021-symmetric-50.toml")
    protocol = load_protocol(ROOT / "protocols" / "doerrer-2021" / "symmetric-50.toml")
    return config, bind(protocol, abilities(config, "S"), cell, {})


@pytest.mark.slow
async def test_a_servo_with_a_gear_presses_it_and_it_shorts_there(servo: tuple[Config, Plan]) -> None:
    config, plan = servo
    run = await rehearse(plan, config, "S")
    assert run.outcome.reason.startswith("A short: ")
    assert _in_its_first_charge(run)
    (charge,) = [step for step in run.kept if step.verb == "charge"]
    low, high = charge.extremes("negative_pressure_pa") or (0.0, 0.0)
    assert 47.5e6 < low < high < 52.5e6
