"""The rig: torque, resolution, locked gaps."""

import re
from dataclasses import replace

from labctl.plan import Disagreement, Frame
from tests.protocol.files import STATION

from .files import CELL, findings, protocol, told

PRESS = """\
[[step]]
pressure = { negative = "%s", ramp = "0.1 MPa/s", control = "%s" }
until = "stable within 5 %% for 60 s"
timeout = "20 min"
"""
HEAT = '[[step]]\ntemperature = "%s"\nof = "chamber"\nuntil = "stable within 0.5 K for 10 min"\ntimeout = "4 h"\n'
LITHIUM = CELL.replace(
    '{ material = "Li-In", potential = "0.62 V vs Li" }', '{ material = "Li", potential = "0 V vs Li" }'
)
M8 = Frame(stiffness=1e7, lead=1.25e-3, screw=8e-3)
SERVO = replace(
    STATION, actuated=("negative",), torque=2.0, continuous_torque=2.12, angle_resolution=1.534e-3, frame=M8
)


def test_torque_that_the_drive_does_not_have_is_told() -> None:
    """2.5 MPa on 10 mm is 196 N: 0.22 to 0.39 N·m on M8."""
    press = protocol(PRESS % ("2.5 MPa", "force"))
    needs = 'torque: "2.5 MPa": 2.5 MPa takes 0.22 to 0.39 N·m at this screw'
    stiff = replace(SERVO, frame=replace(M8, stiffness=1e6))
    assert told(press, stiff) == []
    assert told(press, replace(stiff, torque=0.2)) == [f"{needs}, and the drive gives 0.2 N·m: it cannot be reached"]
    assert told(press, replace(stiff, torque=0.3)) == [f"{needs}, and the drive gives 0.3 N·m: it may not be reached"]
    weak = replace(stiff, continuous_torque=0.3)
    assert told(press, weak) == [f"{needs}, and the drive gives only 0.3 N·m for ever"]
    assert told(press, replace(weak, frame=Frame())) == []


def test_a_band_that_the_screw_cannot_keep_is_refused_with_the_springs_that_would_do() -> None:
    """One count of the servo is 0.305 µm of lead: 0.039 MPa in a frame of 1e7 N/m, 1.6 % of 2.5 MPa."""
    assert told(protocol(PRESS % ("2.5 MPa", "force")), SERVO) == []
    (said,) = told(protocol(PRESS % ("0.2 MPa", "force")), SERVO)
    assert said.startswith('screw-step: "0.2 MPa": "0.2 MPa" cannot be kept within ±10 kPa: the smallest turn')
    assert "is 38.86 kPa in a frame of 1e+07 N/m" in said
    assert told(protocol(PRESS % ("0.2 MPa", "force")), replace(SERVO, frame=replace(M8, stiffness=1e6))) == []
    narrow = PRESS.replace("5 %%", "2 %%") % ("2.5 MPa", "force")
    (found,) = findings(protocol(narrow), SERVO)
    assert (found.code, found.severity) == ("screw-step", "error")
    springs = re.search(r"disc springs of ([0-9.e+]+) N/m or less in series", found.remedy)
    assert springs is not None
    soft = 1.0 / (1.0 / 1e7 + 1.0 / float(springs[1]))
    assert told(protocol(narrow), replace(SERVO, frame=replace(M8, stiffness=0.99 * soft))) == []
    assert told(protocol(narrow), replace(SERVO, angle_resolution=1.534e-3 / 5.0)) == [], "a gear of 5:1"


def test_two_driven_sides_that_the_wall_cannot_hold_apart_are_refused() -> None:
    both = PRESS.replace('negative = "%s"', 'negative = "%s", positive = "0.5 MPa"') % ("2.5 MPa", "force")
    driven = replace(
        SERVO,
        actuated=("negative", "positive"),
        frame=replace(M8, stiffness=1e5),
        disagreement=Disagreement(wall=200.0),
    )
    assert told(protocol(both), driven) == []
    (found,) = findings(protocol(both), replace(driven, disagreement=Disagreement(wall=150.0)))
    assert (found.code, found.severity) == ("pressure", "error")
    assert found.reason == "both sides are driven, 157.1 N apart, and the wall holds 150 N"
    assert told(protocol(both), replace(SERVO, frame=driven.frame, disagreement=Disagreement(wall=150.0))) == []


def test_heat_under_a_locked_gap_is_told_and_before_it_is_not() -> None:
    lock, heat = PRESS % ("2.5 MPa", "gap"), HEAT % "40 degC"
    grow = "100 mm of steel become 18 µm longer"
    assert told(protocol(lock + heat)) == [
        f'locked-gap: "40 degC": 15 K under a gap that is locked on the negative side: {grow}'
    ]
    assert told(protocol(lock + heat, LITHIUM)) == [
        f'locked-gap: "40 degC": 15 K under a gap that is locked on the negative side: {grow}, and a charge moves 14 µm'
    ]
    assert told(protocol(lock + heat), replace(SERVO, frame=replace(M8, stiffness=1e6))) == [
        f'locked-gap: "40 degC": 15 K under a gap that is locked on the negative side: {grow}: 229.2 kPa on 2.5 MPa'
    ]
    assert told(protocol(heat + lock)) == []
    assert told(protocol(heat + lock + HEAT % "41 degC")) == []
    assert told(protocol(lock.replace('"gap"', '"force"') + heat)) == []


def test_a_loop_that_heats_behind_its_lock_is_followed_round() -> None:
    lock = '{ pressure = { negative = "2 MPa", ramp = "0.1 MPa/s", control = "gap" }, until = "5 min" }'
    loop = f'[[step]]\nrepeat = 3\ndo = [ {{ temperature = "40 degC", of = "chamber", until = "1 h" }}, {lock} ]\n'
    assert told(protocol(loop)) == []
    back = loop.replace(f", {lock}", f', {lock}, {{ temperature = "30 degC", of = "chamber", until = "1 h" }}')
    assert [said.split(":")[:2] for said in told(protocol(back))] == [
        ["locked-gap", ' "40 degC"'],
        ["locked-gap", ' "30 degC"'],
    ]


def test_a_gap_that_a_torque_locks_is_a_locked_gap() -> None:
    lock = '[[step]]\ntorque = { negative = "0.3 N m" }\ntimeout = "5 min"\n'
    rest, heat = '[[step]]\nrest = "1 h"\n', HEAT % "40 degC"
    assert told(protocol(lock + rest), SERVO) == []
    assert [said.split(":")[0] for said in told(protocol(lock + heat), SERVO)] == ["locked-gap"]


def test_a_relative_pressure_is_followed() -> None:
    press, more = PRESS % ("2.5 MPa", "force"), PRESS % ("2.5 MPa", "gap")
    more = more.replace('"2.5 MPa"', '{ by = "1.5 MPa", max = "4.5 MPa" }')
    (said,) = told(protocol(press + more, LITHIUM), SERVO)
    assert "up to 1.729 MPa more than 4 MPa" in said


def test_a_locked_gap_that_breathes_beyond_its_limit_is_told() -> None:
    """14 mg/cm2 at 200 mAh/g plate 13.6 µm: 1.7 MPa in a frame of 1e7 N/m."""
    assert told(protocol(PRESS % ("4 MPa", "gap"), LITHIUM), SERVO) == [
        (
            'breathing: "4 MPa": a full charge plates 14 µm of lithium: with this gap locked that is up to 1.729 MPa'
            " more than 4 MPa, beyond the limit of 5 MPa"
        )
    ]
    assert told(protocol(PRESS % ("2.5 MPa", "gap"), LITHIUM), SERVO) == []
    assert told(protocol(PRESS % ("4 MPa", "force"), LITHIUM), SERVO) == []
    assert told(protocol(PRESS % ("4 MPa", "gap")), SERVO) == []
