"""A torque wrench: what its calibration asks of a person, which points come of it, and who is told its torques then."""

import json
import math
import re
from itertools import pairwise
from pathlib import Path

import pytest

from labctl.calibration.torque import Point
from labctl.calibration.wrench import ROUGHEST, SMOOTHEST, Shown, WrenchProcedure, wrench_points
from labctl.errors import RefusedForSafety
from labctl.plan import ByHand
from tests.cli.test_calibrate import Labctl, labctl
from tests.engine.test_hands import BENCH

__all__ = ["labctl"]
WRENCH = ByHand("negative", "torque", 0.05, 1.0, 8e-3, True)
FORCE = 2.5e6 * math.pi * 0.005**2


def procedure(tool: ByHand = WRENCH, levels: int = 6) -> WrenchProcedure:
    return WrenchProcedure("W1", tool, 0.01, 2.5e6, 3, levels, 1.0)


def test_the_torques_reach_the_level_on_any_screw_and_none_passes_it() -> None:
    torques = procedure().torques
    assert all(WRENCH.lowest <= torque <= WRENCH.highest for torque in torques)
    assert torques[-1] >= ROUGHEST * 8e-3 * FORCE
    steps = {round(after - before, 9) for before, after in pairwise(torques)}
    (step,) = steps
    most = (1.0 - 1.0 / 6.0) * FORCE + step / (SMOOTHEST * 8e-3)
    assert most <= FORCE * (1.0 + 1e-6), "on the smoothest screw, from just below where a way up ends"


@pytest.mark.parametrize(
    ("lowest", "highest", "levels", "sentence"),
    [(0.05, 1.0, 3, "without three points"), (0.3, 0.35, 6, r"Between 0\.3 and 0\.35 N·m")],
)
def test_a_wrench_that_leaves_too_few_points_is_refused(
    lowest: float, highest: float, levels: int, sentence: str
) -> None:
    with pytest.raises(RefusedForSafety, match=sentence) as refused:
        procedure(ByHand("negative", "torque", lowest, highest, 8e-3, True), levels)
    assert "--levels" in refused.value.remedy


def test_a_point_is_what_was_typed_and_the_mean_force_since() -> None:
    names = {1: "loosen", 2: "unloaded", 3: "up to 0.1 N m", 4: "up to 0.2 N m", 5: "tight", 6: "unloaded"}
    names |= {7: "up to 0.1 N m"}
    shown = {1: Shown(5.0, 0.0), 3: Shown(20.0, 0.11), 4: Shown(30.0, 0.19), 7: Shown(60.0, 0.1)}
    rows: list[tuple[int, float, float | None]] = [
        (1, 6.0, 0.4), (2, 10.0, 0.4), (2, 11.0, 0.6),
        (3, 12.0, 0.5), (3, 20.0, 40.5), (3, 21.0, 62.5), (3, 22.0, 60.5), (3, 23.0, None),
        (4, 29.0, 60.5), (4, 31.0, 120.5), (5, 32.0, 120.0), (6, 50.0, 1.0), (7, 61.0, 51.0),
    ]  # fmt: skip
    assert wrench_points(rows, names, shown) == [
        Point(1, "up", 0.11, 61.0),
        Point(1, "up", 0.19, 120.0),
        Point(2, "up", 0.1, 50.0),
    ]


def test_a_person_is_asked_calibrated_and_told_the_torques_of_that_screw(labctl: Labctl, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(BENCH)
    status, out, err = labctl("calibrate", "torque", "W1", "--simulate", "--tightenings", "4", "--json")
    assert status == 0, err
    made = json.loads(out)["calibration"]
    assert set(made["instruments"]) == {"load_cell.negative", "hand_tool.negative"}
    assert made["fit"]["down"] is None
    assert len(made["fit"]["up"]["coefficients"]) == 4
    shown = labctl("calibrations", "--plot", made["run"][:6])[1]
    assert "up: F/N" in shown
    assert "down" not in shown
    assert labctl("calibrate", "fit", "1", "--picture", str(tmp_path / "wrench.svg"))[0] == 0

    head = '[protocol]\nname = "press"\n[cell]\nkind = "blocking"\nbore = "10 mm"\n[limits]\nvoltage = ["0 V", "5 V"]\n'
    head += (
        'current = "1 mA"\ncapacity = "1 mAh"\npressure.negative = ["0 MPa", "3 MPa"]\n[record]\ninterval = "10 s"\n'
    )
    step = '[[step]]\npressure = { negative = "2 MPa" }\nuntil = "stable within 5 % for 60 s"\ntimeout = "1 h"\n'
    (tmp_path / "press.toml").write_text(f'schema = "1"\n{head}{step}')
    assert labctl("run", "press.toml", "--station", "W1", "--simulate")[0] == 0
    events = json.loads(labctl("show", "2", "--json")[1])["events"]
    (used,) = [event["message"] for event in events if event["kind"] == "calibration.used"]
    assert "hand_tool.negative, torque" in used
    asked = next(event for event in events if event["kind"] == "hand.applied")
    assert "by the calibration of this screw" in asked["message"]
    branch = made["fit"]["up"]
    mean = math.exp(sum(map(math.log, branch["coefficients"])) / 4)
    force = 2e6 * math.pi * 0.005**2
    expected = branch["free_torque"] + mean * (force / branch["reference"]) ** branch["exponent"]
    assert asked["data"]["asked"] == pytest.approx(expected)
    assert not re.search("textbook", " ".join(event["message"] for event in events))
