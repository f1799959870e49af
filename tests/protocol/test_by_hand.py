"""What can be asked of a tool in a hand, of a gas and of a spring: the plan, and every refusal in its sentence."""

from dataclasses import replace

import pytest

from labctl.errors import ProtocolError
from labctl.plan import ByHand, Compare, Plan, Pressure, Quantity, Spring, StationAbilities, Torque, is_by_hand
from labctl.protocol import ANY_STATION, bind
from labctl.protocol.load import fill
from labctl.protocol.source import parse
from tests.lint.files import told
from tests.stations import HEAD

from .files import STATION

WRENCH = replace(
    STATION, actuated=(), torque=None, by_hand=(ByHand("negative", "torque", 0.05, 1.0, 8e-3, self_locking=True),)
)
PRESS = replace(STATION, actuated=(), by_hand=(ByHand("negative", "force", 50.0, 400.0, None, self_locking=False),))
GAS = replace(STATION, actuated=(), gas=(("negative", 300.0),))
SPRUNG = replace(STATION, springs=(Spring("positive", 5e4, 15.7, 1e-3),))
CONFIRMED = 'until = "stable within 5 % for 60 s"\ntimeout = "1 h"\n'
TIGHTEN = 'pressure = { negative = "2.5 MPa", control = "gap" }\n' + CONFIRMED
RAMPED = 'pressure = { negative = "2.5 MPa", ramp = "0.1 MPa/s" }\n' + CONFIRMED
TURN = 'torque = { negative = "0.3 N m" }\ntimeout = "1 h"\n'


def plan_of(step: str, station: StationAbilities) -> Plan:
    return bind(fill(parse("p.toml", f"{HEAD}[[step]]\n{step}", ProtocolError), {}), station)


def refusal(step: str, station: StationAbilities) -> str:
    with pytest.raises(ProtocolError) as caught:
        plan_of(step, station)
    return str(caught.value)


def test_a_pressure_by_hand_needs_no_ramp_and_says_who_makes_it() -> None:
    (step,) = plan_of(TIGHTEN, WRENCH).steps()
    assert isinstance(step.action, Pressure)
    assert step.action.by_hand == ("negative",)
    assert is_by_hand(step)
    (driven,) = plan_of(RAMPED, STATION).steps()
    assert not is_by_hand(driven)


def test_a_torque_is_checked_without_a_station_and_refused_where_no_screw_turns() -> None:
    (step,) = plan_of(TURN, ANY_STATION).steps()
    assert step.action == Torque("negative", 0.3)
    assert "does not drive the negative side" in refusal(TURN, replace(STATION, actuated=(), torque=None))
    assert "does not drive the negative side" in refusal(TURN, replace(STATION, actuated=("positive",)))


def test_a_torque_by_hand_ends_when_it_was_typed_or_as_its_author_says() -> None:
    (step,) = plan_of(TURN, WRENCH).steps()
    assert isinstance(step.action, Torque)
    assert step.action.by_hand
    (end,) = step.ends
    assert end.text == "done by hand"
    assert end.condition == Compare(Quantity.TIME, end.condition.operator, 0.0)  # type: ignore[union-attr]
    (own,) = plan_of(TURN + 'until = "pressure.negative >= 1 MPa"\n', WRENCH).steps()
    assert [end.text for end in own.ends] == ["pressure.negative >= 1 MPa"]


@pytest.mark.parametrize(
    ("step", "station", "reason"),
    [
        (TIGHTEN.replace("timeout", "# "), WRENCH, "nothing says how long to wait for them"),
        (TIGHTEN.replace("until", "# "), WRENCH, "nothing says when the load cell has confirmed it"),
        (TIGHTEN, replace(WRENCH, measured=()), "no load cell on the negative side"),
        (TIGHTEN.replace("2.5 MPa", "0.1 MPa"), WRENCH, "takes 12.57 mN m by the textbook"),
        (TIGHTEN.replace("2.5 MPa", "5.5 MPa"), PRESS, "the tool of the negative side shows 50 N to 400 N"),
        (TURN, PRESS, "a press, which shows no torque"),
        (TURN, replace(WRENCH, measured=()), "nobody sees what a person did there"),
        (TURN.replace("0.3", "1.1"), WRENCH, "beyond the scale of the torque wrench, 50 mN m to 1 N m"),
        (TURN.replace("0.3", "-0.3") + 'until = "5 min"\n', WRENCH, "no wrench shows what it takes to loosen a screw"),
        (TURN.replace("timeout", "# "), WRENCH, "nothing says how long to wait for them"),
        (TIGHTEN, GAS, "it keeps a force, and no gap"),
        (RAMPED.replace("2.5", "3.9"), GAS, "the gas presses with 300 N"),
        (TIGHTEN.replace(', control = "gap"', ""), GAS, "nothing says how fast"),
        ('pressure = { positive = "0.9 MPa" }\nuntil = "stable within 5 % for 60 s"\ntimeout = "1 h"\n', SPRUNG,
         "above the limits of pressure"),
    ],
)  # fmt: skip
def test_what_is_refused(step: str, station: StationAbilities, reason: str) -> None:
    assert reason in refusal(step, station)


def test_letting_go_is_always_possible() -> None:
    loosen = TIGHTEN.replace("2.5 MPa", "0 MPa").replace("stable within 5 % for 60 s", "pressure.negative <= 0.02 MPa")
    for station in (WRENCH, PRESS):
        (step,) = plan_of(loosen, station).steps()
        assert is_by_hand(step)


def test_a_spring_bounds_the_pressure_of_its_side_before_its_coils_touch() -> None:
    limits = plan_of(RAMPED, SPRUNG).limits
    assert limits.pressure_positive.high == pytest.approx((15.7 + 5e4 * 1e-3) / 7.854e-5, rel=1e-3)


def test_a_force_that_nobody_keeps_is_told() -> None:
    text = f"{HEAD}[[step]]\n{TIGHTEN}"
    said = [each for each in told(text, WRENCH) if each.startswith("by-hand")]
    assert said == []
    (kept,) = [each for each in told(text.replace('"gap"', '"force"'), WRENCH) if each.startswith("by-hand")]
    assert "nobody corrects what creep and breathing make of it" in kept
    (leaks,) = [each for each in told(text, PRESS) if each.startswith("by-hand")]
    assert "does not lock itself" in leaks


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ('quantity = "length"\nsimulated = "1.02"', '"1.02" has no unit'),
        ('quantity = "length"\nsimulated = "1.02 kN"', '"1.02 kN" is a force, not a length'),
        ('quantity = "length"\nanswers = ["thick"]', "an answer is one of these words or a length, not both"),
        ('quantity = "voltage vs Li"', "quantity"),
    ],
)
def test_a_quantity_that_no_answer_could_be_is_refused(keys: str, reason: str) -> None:
    assert reason in refusal(f'prompt = "How thick is it?"\n{keys}\n', STATION)
