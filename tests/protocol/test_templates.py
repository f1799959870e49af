"""The tests by name: which plain steps they are, with which defaults, and what is refused of their keys."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import ProtocolError
from labctl.plan import Bound, ConstantCurrent, Loop, Plan, Step, Then
from labctl.protocol import bind
from labctl.protocol.hash import protocol_hash
from labctl.protocol.load import fill
from labctl.protocol.pulses import Hppc, Pitt
from labctl.protocol.source import parse
from labctl.protocol.templates import TESTS
from tests.protocol.plain import plain

from .files import HEAD, STATION, of_step, read

ONE_C = 0.0021991148575128553


def unfolded(step: str) -> list[object]:
    """The plain steps of a test."""
    tree = plain(parse("p.toml", HEAD + step, ProtocolError), {})["step"]
    assert isinstance(tree, list)
    (group,) = tree
    assert (group["name"], group["repeat"], group["counts"]) == (step.partition(" ")[0], 1, "none")
    return list(group["do"])


def bound(step: str) -> Plan:
    return bind(fill(parse("p.toml", HEAD + step, ProtocolError), {}), STATION)


DENSE = {"interval": "1 s", "voltage": "1 mV"}
SPARSE = {"interval": "60 s", "voltage": "1 mV"}
REST = {"rest": "1 h", "record": SPARSE}


def test_a_pulse_is_a_current_and_a_rest() -> None:
    assert unfolded('pulse = { current = "-1C" }') == [
        {"discharge": "1C", "until": ["10 s"], "record": DENSE},
        {"rest": "10 min", "record": SPARSE},
    ]


def test_gitt_rests_pulses_and_rests_after_the_last_pulse() -> None:
    assert unfolded('gitt = { current = "C/10", until = "4.2 V" }') == [
        {
            "repeat": 200,
            "counts": "none",
            "do": [
                REST,
                {"charge": "C/10", "until": ["10 min", {"when": "4.2 V", "then": "break"}], "record": DENSE},
            ],
        },
        REST,
    ]


@pytest.mark.parametrize(
    ("reached", "pulse"),
    [
        ("skip", {"charge": "0.1 mA", "until": ["5 min", "4.2 V vs Li"]}),
        ("clamp", {"charge": "0.1 mA", "until": ["5 min"], "cv": "4.2 V vs Li"}),
    ],
)
def test_a_voltage_that_is_reached_cuts_the_pulse_short_or_is_held(reached: str, pulse: dict[str, object]) -> None:
    keys = f'current = "+0.1 mA", until = "4.2 V vs Li", pulse = "5 min", pulses = 3, reached = "{reached}"'
    loop = unfolded(
        f'gitt = {{ {keys}, relaxed = "stable within 1 mV for 10 min" }}\nrecord = {{ voltage = "5 mV" }}\n'
    )[0]
    assert isinstance(loop, dict)
    rest, drive = loop["do"]
    assert rest == {**REST, "until": "stable within 1 mV for 10 min", "record": {**SPARSE, "voltage": "5 mV"}}
    assert drive == {**pulse, "record": {**DENSE, "voltage": "5 mV"}}


def test_ici_interrupts_a_current() -> None:
    assert unfolded('ici = { current = "-C/10", until = "2.5 V" }') == [
        {
            "repeat": 2000,
            "counts": "none",
            "do": [
                {"discharge": "C/10", "until": ["5 min", {"when": "2.5 V", "then": "break"}], "record": DENSE},
                {"rest": "10 s", "record": DENSE},
            ],
        }
    ]


def test_pitt_goes_from_voltage_to_voltage() -> None:
    keys = 'from = "3.6 V vs Li", to = "3.575 V vs Li", max_current = "1 mA", cut_off = "C/100"'
    assert unfolded(f"pitt = {{ {keys} }}") == [
        {"cv": f"{volts} V vs Li", "max_current": "1 mA", "until": ["C/100", "1 h"], "record": DENSE}
        for volts in ("3.6", "3.59", "3.58", "3.575")
    ]


def test_hppc_is_pairs_of_pulses_a_tenth_of_the_capacity_apart() -> None:
    plan = bound('hppc = { current = "1C", window = ["2.5 V", "4.2 V"] }')
    (group,) = plan.body
    assert isinstance(group, Loop)
    (loop,) = group.body
    assert isinstance(loop, Loop)
    assert (loop.passes, loop.counts) == (10, False)
    down, pause, up, between, rest = loop.body
    currents = []
    for step in (down, up, between):
        assert isinstance(step, Step)
        assert isinstance(step.action, ConstantCurrent)
        currents.append((step.action.current, step.action.voltage, step.action.cv))
    assert [current / ONE_C for current, _, _ in currents] == pytest.approx([-1.0, 0.75, -1.0 / 3.0])
    assert [bounds for _, *bounds in currents] == [[2.5, True], [4.2, True], [2.5, False]]
    moved = 10.0 - 0.75 * 10.0 + 1072.5 / 3
    assert moved == 360.0
    assert isinstance(pause, Step)
    assert isinstance(rest, Step)
    assert isinstance(between, Step)
    assert [pause.name, rest.name, between.ends[0].text] == ["rest 40 s", "rest 1 h", "1072.5 s"]
    assert between.ends[1].then is Then.BREAK


@given(
    current=st.fractions("1/10", 3, max_denominator=20),
    base=st.fractions("1/20", 1, max_denominator=20),
    each=st.integers(5, 50),
)
@settings(max_examples=50)
def test_pulses_and_what_lies_between_move_the_share_that_was_asked(
    current: Fraction, base: Fraction, each: int
) -> None:
    keys = {
        "current": f"{current.numerator}C/{current.denominator}",
        "base": f"{base.numerator}C/{base.denominator}",
        "each": f"{each} %",
        "window": ["2.5 V", "4.2 V"],
    }
    hppc = Hppc.model_validate(keys)
    moved = (current - hppc.back) * 10 + hppc.between * base
    assert moved == Fraction(each, 100) * 3600


@given(st.integers(-500, 500), st.integers(1, 100))
@settings(max_examples=100)
def test_a_stair_ends_where_it_is_to_and_no_step_is_larger(millivolts: int, step: int) -> None:
    if millivolts == 0:
        return
    last = Fraction(3) + Fraction(millivolts, 1000)
    keys = {"from": "3 V", "to": f"{float(last)} V", "max_current": "1 mA", "cut_off": "C/50", "step": f"{step} mV"}
    voltages = [Fraction(str(each["cv"]).split()[0]) for each in TESTS["pitt"].model_validate({"pitt": keys}).steps()]
    assert [voltages[0], voltages[-1]] == [Fraction(3), last]
    sizes = [abs(after - before) for before, after in pairwise(voltages)]
    assert 0 < max(sizes) <= Fraction(step, 1000)
    assert len(sizes) == Pitt.model_validate(keys).stairs


def test_limits_of_a_test_hold_for_its_steps_and_a_name_is_shown() -> None:
    plan = bound('name = "kick"\npulse = { current = "1C" }\nlimits = { voltage = ["2.2 V", "4.3 V"] }\n')
    assert [step.limits.voltage if step.limits else None for step in plan.steps()] == 2 * [Bound(2.2, 4.3)]
    (group,) = plan.body
    assert isinstance(group, Loop)
    assert group.name == "kick"


def test_a_default_written_out_is_the_same_protocol() -> None:
    short = HEAD + 'gitt = { current = "C/10", until = "4.2 V" }\n'
    keys = 'until = "4.2 V", pulse = "600 s", rest = "60 min", reached = "end", pulses = 200'
    long = HEAD + f'gitt = {{ current = "0.1C", {keys} }}\n'
    assert protocol_hash(read(short).file) == protocol_hash(read(long).file)
    assert protocol_hash(read(short).file) != protocol_hash(read(short.replace("C/10", "C/11")).file)


GITT = 'gitt = { current = "C/9", until = "4.2 V"'
PITT = 'pitt = { max_current = "1 mA", cut_off = "C/50", from = "3 V"'
HPPC = 'hppc = { window = ["2.5 V", "4.2 V"]'


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("gitt = 5", ["1:8: gitt is no table"]),
        ('gitt = { until = "4.2 V" }', ['1:1: [gitt] lacks "current"']),
        ('gitt = { current = "0 mA", until = "4.2 V" }', ["1:20: a current of zero is no current"]),
        (GITT + ', reastart = "1 s" }', ['1:44: "reastart" is unknown here (did you mean "rest"?)']),
        (GITT + ' }\nuntil = "1 h"', ['2:1: "until" is unknown here']),
        (GITT + ' }\nrest = "1 h"', ['2:1: "rest" is unknown here']),
        (GITT.replace("C/9", "9C") + " }", ['1:20: "9C" is 19.79 mA on this cell, beyond the limit of 5 mA']),
        (
            GITT.replace("4.2", "4.5") + " }",
            ["1:35: the cut-off of 4.5 V is not inside the limits of voltage, 2 V to 4.4 V"],
        ),
        (GITT + ', reached = "skp" }', ['1:54: "skp" is not possible for reached']),
        (GITT + ', relaxed = "4 mV" }', ['1:54: it is unclear what "4 mV" is compared with in this step']),
        (PITT + ', to = "3.1 V vs Li" }', ['1:8: "3 V" to "3.1 V vs Li" is no way']),
        (PITT + ', to = "4 V", step = "1 mV" }', ["1:8: this makes 1000 steps"]),
        (HPPC + ', current = "1 mA" }', ['1:49: "1 mA" is a current, not a C-rate']),
        (HPPC + ', current = "3C" }', ['1:49: "3C" is 6.597 mA on this cell, beyond the limit of 5 mA']),
        (HPPC + ', current = "3C", pulse = "30 min" }', ['1:8: the pulses alone move more than "10 %"']),
    ],
)
def test_wrong_keys_are_told_with_their_place(step: str, expected: list[str]) -> None:
    assert of_step(step) == expected


CYCLE = [
    {"charge": "C/20", "until": "4.2 V"},
    {"rest": "10 min"},
    {"discharge": "C/20", "until": "2.5 V"},
    {"rest": "10 min"},
]


def test_formation_is_slow_cycles() -> None:
    assert unfolded('formation = { current = "C/20", window = ["2.5 V", "4.2 V"] }') == [{"repeat": 3, "do": CYCLE}]
    plan = bound('formation = { current = "C/20", window = ["2.5 V", "4.2 V"] }')
    (group,) = plan.body
    assert isinstance(group, Loop)
    (loop,) = group.body
    assert isinstance(loop, Loop)
    assert (group.counts, loop.counts) == (False, True)


def test_rate_capability_is_cycles_at_each_rate() -> None:
    keys = 'rates = ["C/10", "1C"], charge = "C/20", cut_off = "C/50", window = ["2.5 V", "4.2 V"], cycles = 2'
    charge = {"charge": "C/20", "cv": "4.2 V", "until": "C/50"}
    assert unfolded(f"rate_capability = {{ {keys} }}") == [
        {"repeat": 2, "do": [charge, CYCLE[1], {"discharge": rate, "until": "2.5 V"}, CYCLE[3]]}
        for rate in ("C/10", "1C")
    ]
    assert of_step(f"rate_capability = {{ {keys} }}") == []


def test_a_capacity_check_is_one_charge_and_discharge_and_no_cycle() -> None:
    step = 'capacity_check = { current = "C/20", window = ["2.5 V", "4.2 V"] }\nrecord.interval = "5 s"\n'
    assert unfolded(step) == [{**each, "record": {"interval": "5 s"}} for each in CYCLE]
    assert [step.record.interval for step in bound(step).steps()] == 4 * [5.0]
