"""The run of a torque calibration on the simulated rig: how it is bounded, and that it finds what the rig hides."""

import math
from dataclasses import replace

import pytest

from benchmarks.pressure import Case, configuration
from labctl.calibration.certificate import Certificate
from labctl.calibration.fitting import fit_torque
from labctl.calibration.points import columns_of, rows_of, torque_points
from labctl.calibration.procedure import Procedure, highest_level, pace_of
from labctl.errors import ProtocolError, RefusedForSafety
from labctl.plan import Bound, Frame, StationAbilities
from labctl.protocol import bind
from labctl.protocol.load import fill
from labctl.protocol.source import parse
from labctl.reading import RunState
from labctl.sim.rig import RigParameters, ScrewRig
from tests.stations import laboratory

AREA = math.pi * 10e-3**2 / 4
ABLE = StationAbilities(
    "A1",
    torque=1.0,
    actuated=("negative",),
    measured=(("negative", 500.0),),
    pressure_negative_limit=Bound(0.0, 5e6),
    frame=Frame(1e6, 1.25e-3, 8e-3),
)


async def test_a_calibration_run_finds_the_screw() -> None:
    async with laboratory() as lab:
        text = Procedure("A1", "negative", 10e-3, 2e6, 3, 3, 0.8, 0.05, 1.0).text()
        outcome = await lab.run(bind(fill(parse("c.toml", text, ProtocolError), {}), lab.assembly.abilities))
        rig = lab.bench.rig
        assert isinstance(rig, ScrewRig)
        assert rig.tightenings == 3
        assert rig.force("negative") == 0.0
    assert outcome.state is RunState.COMPLETED
    assert max(row["negative_pressure_pa"] or 0.0 for row in lab.rows) < 1.2 * 2e6
    names = {event.data["step_count"]: event.data["name"] for event in lab.events if event.kind == "step.started"}
    rows = rows_of([[row[name] for name in columns_of("negative")] for row in lab.rows])
    fit = fit_torque(torque_points(rows, names), Certificate(0.5))
    hidden = RigParameters()
    assert fit.up.free_torque == pytest.approx(hidden.free_torque, abs=0.004)
    lever = fit.up.coefficient / fit.up.reference / hidden.diameter
    assert lever == pytest.approx(hidden.torque_coefficient * (1 + 157 / 100) ** -0.05, rel=0.3)
    less = (fit.up.torque(100.0) - fit.down.torque(100.0)) / 100.0
    assert less == pytest.approx(hidden.lead / math.pi, rel=0.1)


def test_the_highest_level_leaves_room_for_a_late_poll() -> None:
    assert highest_level(ABLE, "negative", AREA, None) == pytest.approx(5e6 / 1.2)
    small = replace(ABLE, measured=(("negative", 200.0),))
    assert highest_level(small, "negative", AREA, None) == pytest.approx(200.0 / AREA / 1.2)
    assert highest_level(ABLE, "negative", AREA, 2.5e6) == 2.5e6
    with pytest.raises(RefusedForSafety, match=r"4\.5 MPa is too high"):
        highest_level(ABLE, "negative", AREA, 4.5e6)
    with pytest.raises(RefusedForSafety, match="Nothing bounds"):
        highest_level(replace(ABLE, pressure_negative_limit=Bound()), "negative", AREA, None)


def test_the_screw_turns_slowly_enough_for_forty_points_and_not_slower_than_a_servo_can() -> None:
    newton_per_radian = 1e6 * 1.25e-3 / math.tau
    assert pace_of(ABLE, 785.0) == pytest.approx(785.0 / 40 / newton_per_radian)
    assert pace_of(replace(ABLE, frame=Frame(1e7, 1.25e-3, 8e-3)), 100.0) == 0.025
    assert pace_of(replace(ABLE, frame=Frame(1e5, 1.25e-3, 8e-3)), 785.0) == 0.2
    assert pace_of(replace(ABLE, frame=Frame()), 785.0) == 0.05


async def test_the_screw_of_the_positive_side_is_found_by_its_own_gauges() -> None:
    async with laboratory("S", config=configuration(Case("two screws", 1e6, both=True, rough=False), 1)) as lab:
        text = Procedure("S", "positive", 10e-3, 1.5e6, 3, 3, 0.8, 0.05, 1.0).text()
        outcome = await lab.run(bind(fill(parse("c.toml", text, ProtocolError), {}), lab.assembly.abilities))
    assert outcome.state is RunState.COMPLETED, outcome.reason
    assert max(row["positive_pressure_pa"] or 0.0 for row in lab.rows) < 1.2 * 1.5e6
    names = {event.data["step_count"]: event.data["name"] for event in lab.events if event.kind == "step.started"}
    rows = rows_of([[row[name] for name in columns_of("positive")] for row in lab.rows])
    fit = fit_torque(torque_points(rows, names), Certificate(0.5))
    lever = fit.up.coefficient / fit.up.reference / RigParameters().diameter
    assert 0.1 < lever < 0.3
    assert fit.up.residual < 0.01 * fit.up.torque(fit.up.reference)
