"""Steps as they follow each other."""

import pytest

from .files import CELL, CYCLE, LIMITS, protocol, told

HOLD = '[[step]]\ncv = "%s"\nmax_current = "1 mA"\nuntil = ["C/50", "5 h"]\n'
CHARGE = '[[step]]\ncharge = "C/10"\nuntil = "3.7 V"\n'


def test_a_constant_voltage_elsewhere_than_the_charge_before_it_is_told() -> None:
    assert told(protocol(CHARGE + HOLD % "3.7 V")) == []
    assert told(protocol(CHARGE + HOLD % "3.74 V")) == []
    assert told(protocol(CHARGE + HOLD % "3.8 V")) == [
        'cv-jump: "3.8 V": this holds 3.8 V, but the charge before it stops at 3.7 V'
    ]
    assert told(protocol(CHARGE + '[[step]]\nrest = "1 h"\n' + HOLD % "3.8 V")) == []
    inside = CHARGE.replace("[[step]]\n", "{ ").replace("\nuntil", ", until").rstrip() + " }, "
    loop = f'[[step]]\nrepeat = 2\ndo = [ {inside}{{ cv = "3.5 V", max_current = "1 mA", until = "1 h" }} ]\n'
    assert [said.split(":")[0] for said in told(protocol(loop))] == ["cv-jump"]


def test_a_cut_off_at_the_edge_of_its_limit_is_told() -> None:
    tight = LIMITS.replace("4.4 V", "3.705 V")
    assert told(protocol(limits=tight)) == [
        'limit-close: "3.7 V": 3.7 V is 5 mV from the limit of voltage, where noise trips'
    ]
    assert told(protocol(HOLD % "3.7 V", limits=tight)) == [
        'limit-close: "3.7 V": 3.7 V is 5 mV from the limit of voltage, where noise trips'
    ]
    assert told(protocol(limits=LIMITS.replace("4.4 V", "3.71 V"))) == []
    own = CHARGE + 'limits.voltage = ["2.0 V", "3.702 V"]\n'
    assert [said.split(":")[0] for said in told(protocol(own))] == ["limit-close"]


def test_an_end_behind_its_limit_is_told() -> None:
    steps = CHARGE.replace('"3.7 V"', '["3.7 V", "temperature >= 60 degC", "10 mAh", "temperature <= 20 degC"]')
    assert told(protocol(steps)) == [
        (
            'end-behind-limit: "temperature >= 60 degC": "temperature >= 60 degC" is never met:'
            " the limit of temperature trips before it"
        ),
        'end-behind-limit: "10 mAh": "10 mAh" is never met: the limit of capacity trips before it',
    ]
    rest = '[[step]]\nrest = "1 h"\nuntil = ["pressure.negative <= -1 MPa"]\n'
    assert [said.split(":")[1] for said in told(protocol(rest))] == [' "pressure.negative <= -1 MPa"']


def test_a_capacity_limit_below_one_pass_is_told_once() -> None:
    tight = LIMITS.replace("300 mAh/g", "150 mAh/g")
    assert told(protocol(limits=tight)) == [
        (
            'capacity-limit: "150 mAh/g": the limit of capacity, 1.649 mAh, is less than an hour at 1C (2.199 mAh):'
            " a full pass trips"
        )
    ]
    pulses = CYCLE.replace('"3.7 V"', '["3.7 V", "10 min"]').replace('"2.2 V"', '["2.2 V", "0.1 mAh"]')
    assert told(protocol(pulses, limits=tight)) == []


def test_a_time_out_before_the_end_of_a_pass_is_told() -> None:
    assert told(protocol(CYCLE.replace('"15 h"', '"9 h"', 1))) == [
        'timeout-short: "9 h": a full pass at 219.9 µA takes 10 h, but the time-out comes after 9 h and is a fault'
    ]
    assert told(protocol(CYCLE.replace('"15 h"', '{ when = "9 h", then = "next" }', 1))) == []
    charge = '{ charge = "{rate}", until = "3.7 V", timeout = "12 h" }'
    rates = f'[[step]]\nfor = {{ rate = ["C/2", "C/20", "C/50"] }}\ndo = [ {charge} ]\n'
    assert [said.split(" takes ")[1][:4] for said in told(protocol(rates))] == ["20 h"]


FORMED = '[[step]]\nformation = { current = "C/10", window = ["2.2 V", "3.7 V"] }\n'


@pytest.mark.parametrize(("cycle", "told_of"), [(3, 0), (4, 1)])
def test_a_rate_by_a_cycle_that_comes_later_is_told(cycle: int, told_of: int) -> None:
    rate = f"C(measured, cycle = {cycle})/2"
    discharge = f'[[step]]\ndischarge = "{rate}"\nuntil = "2.2 V"\ntimeout = "15 h"\n'
    reason = f'"{rate}" is told by cycle 4, and at most 3 are complete when this step first begins'
    assert told(protocol(FORMED + discharge)) == [f'cycle-later: "{rate}": {reason}'] * told_of
    hold = f'[[step]]\ncv = "3 V"\nmax_current = "1 mA"\nuntil = ["{rate}", "1 h"]\n'
    assert [said.split(":")[0] for said in told(protocol(FORMED + hold))] == ["cycle-later"] * told_of


def test_steps_without_rows_are_noted_once() -> None:
    (said,) = told(protocol(record=""))
    assert said.startswith("no-rows: [[step]]"[:-10])
    assert told(protocol(CYCLE.replace('timeout = "15 h"', 'record.interval = "10 s"'), record="")) == []


def test_a_protocol_that_is_right_is_told_nothing() -> None:
    assert told(protocol()) == []
    assert told(protocol(CYCLE, CELL, LIMITS)) == []
