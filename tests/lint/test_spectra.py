"""Impedance: spectra that take too long, swing too far, or begin on a cell that is not at rest."""

import pytest

from .files import CELL, LIMITS, protocol, told

REST = '[[step]]\nrest = "1 h"\n'
CHARGE = '[[step]]\ncharge = "C/10"\nuntil = "3.7 V"\n'
EIS = '[[step]]\neis = { from = "1 MHz", to = "0.1 Hz", amplitude = "10 mV rms" }\n'
BLOCKING = 'kind = "blocking"\nbore = "10 mm"\n'


def test_a_spectrum_at_rest_is_told_nothing_of() -> None:
    assert told(protocol(CHARGE + REST + EIS)) == []
    assert told(protocol(EIS + CHARGE)) == []


@pytest.mark.parametrize(
    ("sine", "timeout", "said"),
    [
        ('to = "10 mHz"', "", []),
        ('to = "1 mHz"', "", ['spectrum-slow: "1 mHz": this spectrum takes 4.1 h, down to 1 mHz']),
        ('to = "1 mHz", per_decade = 1', "", []),
        (
            'to = "0.1 Hz"',
            'timeout = "2 min"\n',
            [
                (
                    'spectrum-slow: "0.1 Hz": this spectrum takes 3.3 min, down to 100 mHz, but its time-out comes'
                    " after 2 min and is a fault"
                )
            ],
        ),
        ('to = "0.1 Hz"', 'timeout = "4 min"\n', []),
        ('to = "0.1 Hz"', 'timeout = { when = "2 min", then = "next" }\n', []),
    ],
)
def test_a_spectrum_that_takes_too_long_is_told(sine: str, timeout: str, said: list[str]) -> None:
    assert told(protocol(EIS.replace('to = "0.1 Hz"', sine) + timeout)) == said


def test_an_upward_spectrum_is_pointed_at_where_it_is_slow() -> None:
    upward = EIS.replace("1 MHz", "1 mHz").replace("0.1 Hz", "1 kHz")
    assert [one.split(": ")[:2] for one in told(protocol(upward))] == [["spectrum-slow", '"1 mHz"']]


@pytest.mark.parametrize(
    ("amplitude", "count"), [("20 mV rms", 0), ("28 mV peak", 0), ("29 mV peak", 1), ("50 mV rms", 1)]
)
def test_a_sine_of_voltage_beyond_the_linear_range_is_told(amplitude: str, count: int) -> None:
    found = told(protocol(EIS.replace("10 mV rms", amplitude)))
    assert [one.split(":")[0] for one in found] == ["spectrum-amplitude"] * count


UNREST = "spectrum-unrested: {}: this spectrum at open circuit follows the {} of line {} without a rest"
SINE = EIS.removeprefix("[[step]]\neis = ").rstrip()
LINE = protocol("").count("\n") + 1


def test_a_spectrum_right_behind_a_current_is_told() -> None:
    assert told(protocol(CHARGE + EIS)) == [UNREST.format(SINE, "charge", LINE)]
    assert told(protocol(CHARGE + EIS + EIS)) == [UNREST.format(SINE, "charge", LINE)]
    elsewhere = EIS.replace("rms", 'rms", bias = "3.7 V", max_current = "1 mA')
    assert told(protocol(CHARGE + elsewhere)) == []
    assert told(protocol(CHARGE + EIS.replace("eis", "geis").replace("mV", "uA"))) == []


def test_a_bias_is_looked_at_as_any_voltage_that_the_cell_is_driven_to() -> None:
    near = EIS.replace("rms", 'rms", bias = "4.38 V", max_current = "1 mA').replace("10 mV", "1 mV")
    assert [one.split(":")[0] for one in told(protocol(near))] == ["window"]
    tight = LIMITS.replace("4.4 V", "4.385 V")
    assert [one.split(":")[0] for one in told(protocol(near, limits=tight))] == ["limit-close", "window"]


IN_A_LOOP = """\
[[step]]
repeat = 3
do = [
  { charge = "C/10", until = "3.7 V" },
  { rest = "1 h" },
  { discharge = "C/10", until = "2.2 V" },
]
at = [ { cycles = [1], after = "%s", do = [ %s ] } ]
"""
INNER = f"{{ eis = {SINE} }}"


@pytest.mark.parametrize(("after", "count"), [("rest", 0), ("charge", 1), ("discharge", 1)])
def test_a_hook_follows_the_step_that_it_is_behind(after: str, count: int) -> None:
    assert len(told(protocol(IN_A_LOOP % (after, INNER)))) == count
    assert told(protocol(IN_A_LOOP % (after, f'{{ rest = "1 h" }}, {INNER}'))) == []


def test_a_loop_comes_round_and_a_branch_may_be_taken() -> None:
    loop = f'[[step]]\nrepeat = 2\ndo = [ {INNER}, {{ charge = "C/10", until = "3.7 V" }}, {{ rest = "1 h" }} ]\n'
    assert told(protocol(loop)) == []
    assert len(told(protocol(loop.replace(', { rest = "1 h" }', "")))) == 1
    branch = '[[step]]\nif = "cycle >= 3"\ndo = [ { charge = "C/10", until = "3.7 V" } ]\nelse = [ { rest = "1 h" } ]\n'
    assert len(told(protocol(branch + EIS))) == 1
    each = (
        f'[[step]]\nfor = {{ rate = ["C/10", "C/5"] }}\ndo = [ {{ charge = "{{rate}}", until = "3.7 V" }}, {INNER} ]\n'
    )
    assert len(told(protocol(each))) == 1


def test_a_pellet_between_blocking_electrodes_is_linear() -> None:
    text = EIS.replace("10 mV", "100 mV")
    assert len(told(protocol(text, cell=CELL))) == 1
    assert (
        told(protocol(text, cell=BLOCKING, limits='voltage = ["-1 V", "1 V"]\ncurrent = "5 mA"\ncapacity = "1 mAh"\n'))
        == []
    )
