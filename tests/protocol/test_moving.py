"""What power, resistance, sweeps, profiles and voltages above that at rest become, and which of them are refused."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import ProtocolError
from labctl.plan import (
    Action,
    Bound,
    Compare,
    ConstantPower,
    ConstantResistance,
    ConstantVoltage,
    Operator,
    Profile,
    Quantity,
    Step,
    Sweep,
    Then,
    Torque,
)
from labctl.protocol.attached import read_protocol
from labctl.protocol.hash import protocol_hash
from labctl.protocol.load import fill
from labctl.protocol.profile import MAX_ROWS, read_profile
from labctl.quantity import WordingError

from .files import BARE, FIRST, HEAD, STATION, of_step, plan, read

WINDOW = Bound(2.0, 4.4)
SWEEP = 'sweep = ["ocv", "4.3 V", "2.5 V"]\nrate = "0.1 mV/s"\nmax_current = "1 mA"\n'


def attached(rows: str, of: str = "Current / A") -> str:
    return f"[attached]\n\"x.csv\" = '''\nTest Time / s,{of}\n{rows}'''\n"


def only(text: str) -> Step:
    (step,) = plan(text).body
    assert isinstance(step, Step)
    return step


BOUND: dict[str, tuple[str, Action]] = {
    "a power that discharges": ('power = "-5 mW"\nuntil = "2.5 V"', ConstantPower(-5e-3, 2.5, 5e-3)),
    "a power that charges": (
        'power = "5 mW"\nuntil = "voltage >= 4.2 V vs Li"\nmax_current = "2 mA"',
        ConstantPower(5e-3, 3.58, 2e-3),
    ),
    "a power that stops at the limit": ('power = "-5 mW"\nuntil = "1 h"', ConstantPower(-5e-3, 2.0, 5e-3)),
    "a resistor": ('resistance = "1 kOhm"\nuntil = "2.5 V"', ConstantResistance(1000.0, 2.5, 5e-3)),
    "a resistor that takes less at first": (
        'resistance = "100 Ω"\nuntil = "2.5 V"\nmax_current = "2 mA"',
        ConstantResistance(100.0, 2.5, 2e-3),
    ),
    "a sweep": (SWEEP, Sweep((None, 4.3, 2.5), 1e-4, 1e-3, WINDOW)),
    "a sweep with cycles": (SWEEP + "cycles = 2", Sweep((None, 4.3, 2.5, 4.3, 2.5), 1e-4, 1e-3, WINDOW)),
    "a sweep that ends at rest": (
        'sweep = ["3 V", "ocv"]\nrate = "6 mV/min"\nmax_current = "1 mA"',
        Sweep((3.0, None), 1e-4, 1e-3, WINDOW),
    ),
    "a voltage above that at rest": (
        'cv = "-20 mV"\nvs = "ocv"\nmax_current = "1 mA"\nuntil = "10 min"',
        ConstantVoltage(-0.02, 1e-3, WINDOW),
    ),
    "a torque at a speed": (
        'torque = { anode = "0.4 N m", speed = "50 mrad/s" }\ntimeout = "5 min"',
        Torque("negative", 0.4, 0.05),
    ),
    "a screw that is loosened": (
        'torque = { negative = "-0.4 N m" }\nuntil = "force <= 10 N"\ntimeout = "5 min"',
        Torque("negative", -0.4),
    ),
    "a torque": ('torque = { anode = "0.4 N m" }\ntimeout = "5 min"', Torque("negative", 0.4)),
    "a profile": (
        'profile = "x.csv"\n' + attached("0,1e-3\n10,-0.002\n20.5,0\n"),
        Profile((0.0, 10.0, 20.5), (1e-3, -2e-3, 0.0), "current", False, 2.0, 4.4, 5e-3),
    ),
    "a profile of power with cut-offs": (
        'profile = "x.csv"\ninterpolation = "linear"\nuntil = ["voltage <= 2.5 V", "voltage >= 4.2 V"]\n'
        + attached("0,-0.005\n10,0\n", "Power / W"),
        Profile((0.0, 10.0), (-5e-3, 0.0), "power", True, 2.5, 4.2, 5e-3),
    ),
}


@pytest.mark.parametrize(("text", "action"), list(BOUND.values()), ids=list(BOUND))
def test_a_step_is_this_action(text: str, action: Action) -> None:
    assert only(text).action == action


def test_cut_offs_follow_the_sign_of_a_power_and_every_step_is_bounded() -> None:
    step = only('power = "-5 mW"\nuntil = "2.5 V"')
    cut_off, bound = step.ends
    assert cut_off.condition == Compare(Quantity.VOLTAGE, Operator.LE, 2.5)
    assert (bound.text, bound.then) == ("limits.capacity", Then.FAULT)
    assert only(SWEEP).ends == ()
    signed = only('power = "-5 mW"\nuntil = ["2.5 V", "current <= -2 mA", "|current| >= 2 mA"]')
    assert [end.condition.magnitude for end in signed.ends[1:3] if isinstance(end.condition, Compare)] == [False, True]


def test_steps_are_named_after_what_they_do() -> None:
    assert only(SWEEP).name == "sweep ocv to 4.3 V to 2.5 V"
    assert only('profile = "x.csv"\n' + attached("0,0.001\n10,0\n")).name == "profile x.csv"


def test_a_power_and_a_resistor_make_a_cycle() -> None:
    text = 'repeat = 3\ndo = [ { power = "4 mW", until = "4.2 V" }, { resistance = "2 kOhm", until = "2.5 V" } ]'
    (loop,) = plan(text).body
    assert getattr(loop, "counts", False)


TWO = "0,0.001\n10,0\n"
REFUSED = {
    'torque = { negative = "0.4 N m" }': "0:3: nothing bounds this torque in time",
    'torque = { negative = "-2 N m" }\nuntil = "30 s"': '1:23: "-2 N m" is not below the limit of torque, 2 N m',
    'torque = { negative = "0 N m" }\ntimeout = "5 min"': "1:23: a torque of nothing turns no screw",
    'torque = { negative = "-0.4 N m" }\ntimeout = "5 min"': "0:3: nothing but a fault ends this torque",
    'torque = { negative = "0.4 N m", speed = "1 rad/s" }\ntimeout = "5 min"': (
        '1:42: "1 rad/s" is faster than 0.5 rad/s: a hand has to be withdrawn'
    ),
    'torque = { negative = "2 N m" }\ntimeout = "5 min"': '1:23: "2 N m" is not below the limit of torque, 2 N m',
    'torque = { positive = "0.4 N m" }\ntimeout = "5 min"': "1:23: station A1 does not drive the positive side",
    'torque = { positive = "0.4 N m", negative = "0.4 N m" }\ntimeout = "5 min"': "1:10: a torque is that of one side",
    'power = "0 W"\nuntil = "1 h"': "1:9: a power of zero is no power",
    'power = "5 mA"\nuntil = "1 h"': '1:9: "5 mA" is a current, not a power',
    'power = "-5 mW"\nuntil = "voltage >= 2.5 V"': (
        '2:9: "voltage >= 2.5 V" points the wrong way: on a discharge the voltage falls'
    ),
    'power = "-20 mW"\nuntil = "2.5 V"': '1:9: "-20 mW" is 8 mA at 2.5 V, beyond the limit of 5 mA',
    'power = "-5 mW"\nuntil = "1.5 V"': "2:9: the cut-off of 1.5 V is not inside the limits of voltage, 2 V to 4.4 V",
    'power = "-5 mW"\nuntil = "2.5 V"\nmax_current = "6 mA"': (
        '3:15: "6 mA" is 6 mA on this cell, beyond the limit of 5 mA'
    ),
    'power = "-5 mW"\nuntil = "cv_time >= 1 h"': "2:9: this step has no constant-voltage part",
    'resistance = "0 Ohm"\nuntil = "2.5 V"': '1:14: "0 Ohm" must be above zero',
    'resistance = "500 Ohm"\nuntil = "2.5 V"': '1:14: "500 Ohm" is 8.8 mA at 4.4 V, beyond the limit of 5 mA',
    'cv = "50 mV"\nvs = "ref"\nmax_current = "1 mA"\nuntil = "1 h"': '2:6: "ref" is not possible for vs',
    'cv = "50 mV vs Li"\nvs = "ocv"\nmax_current = "1 mA"\nuntil = "1 h"': (
        '1:6: "50 mV vs Li" is said to be against two things'
    ),
    'sweep = ["ocv"]\nrate = "1 mV/s"\nmax_current = "1 mA"': "1:9: a sweep has 2 to 20 voltages, not 1",
    'sweep = ["ocv", "4.3 V"]\nmax_current = "1 mA"': '0:3: this step lacks "rate"',
    'sweep = ["ocv", "4.3 V"]\nrate = "1 mV/s"': '0:3: this step lacks "max_current"',
    'sweep = ["ocv", "4.3 V"]\nrate = "-1 mV/s"\nmax_current = "1 mA"': '2:8: "-1 mV/s" must be above zero',
    'sweep = ["ocv", "4.5 V"]\nrate = "1 mV/s"\nmax_current = "1 mA"': (
        '1:17: "4.5 V" is not inside the limits of voltage, 2 V to 4.4 V'
    ),
    'sweep = ["ocv", "0 V"]\nrate = "1 mV/s"\nmax_current = "1 mA"': '1:17: "0 V" is a short for a full cell',
    'sweep = ["3 V", "3 V"]\nrate = "1 mV/s"\nmax_current = "1 mA"': "1:17: the sweep turns where it already is",
    'sweep = ["ocv", "4.3 V"]\nrate = "1 mV/s"\nmax_current = "1 mA"\ncycles = 2': (
        "4:10: each cycle would begin where it ends"
    ),
    'sweep = ["ocv", "4.3 V"]\nrate = "10 mV/s"\nmax_current = "1 mA"': (
        '2:8: at "10 mV/s" the voltage moves by 10 mV between two polls of this station (1 s), coarser than 5 mV'
    ),
    'sweep = ["ocv", "4.3 V"]\nrate = "10 mV/s"\nmax_current = "1 mA"\nresolution = "2 mV"': (
        '2:8: at "10 mV/s" the voltage moves by 10 mV between two polls of this station (1 s), coarser than 2 mV'
    ),
    'profile = "x.csv"': '1:11: "x.csv" is not beside this file, and is not attached to it',
    'profile = "x.csv"\n' + attached("0,0.001\n0.5,0\n"): (
        "1:11: line 3 comes 500 ms after the one before, faster than the polls"
    ),
    'profile = "x.csv"\n' + attached("0,0.001\n10,-0.006\n"): "1:11: line 3 is 6 mA, beyond the limit of 5 mA",
    'profile = "x.csv"\n' + attached("0,0.011\n10,0\n", "Power / W"): (
        "1:11: line 2 is 5.5 mA at 2 V, beyond the limit of 5 mA"
    ),
    'profile = "x.csv"\n' + attached("0,0.004\n36000,0\n"): ("1:11: it moves 40 mAh, more than the limit of 3.299 mAh"),
    'profile = "x.csv"\nuntil = "voltage >= 4.5 V"\n' + attached(TWO): (
        "2:9: the cut-off of 4.5 V is not inside the limits of voltage, 2 V to 4.4 V"
    ),
    'profile = "x.csv"\n' + attached("0,0.001\n10,x\n"): '3:11: line 3: "x" is no finite decimal number',
}


@pytest.mark.parametrize(("text", "told"), list(REFUSED.items()), ids=range(len(REFUSED)))
def test_a_step_is_refused_in_a_sentence(text: str, told: str) -> None:
    assert of_step(text) == [told]


def test_a_coarser_sweep_is_taken_where_its_author_says_so_or_the_station_is_polled_faster() -> None:
    fast = 'sweep = ["ocv", "4.3 V"]\nrate = "10 mV/s"\nmax_current = "1 mA"\n'
    assert of_step(fast + 'resolution = "10 mV"') == []
    assert of_step(fast, replace(STATION, poll_period=0.5)) == []
    assert of_step('power = "1 mW"\nuntil = "4 V"', BARE) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: these are not the two columns"),
        ("Test Time / s\n0\n1\n", "line 1: these are not the two columns"),
        ("Test Time / s,Voltage / V\n0,1\n1,1\n", "line 1: these are not the two columns"),
        ("Test Time / s,Current / A,Power / W\n0,1,1\n", "line 1: these are not the two columns"),
        ("Test Time / s,Current / A\n0,1\n", "1 rows are no profile"),
        ("Test Time / s,Current / A\n1,1\n2,1\n", "line 2: a profile begins at the time 0"),
        ("Test Time / s,Current / A\n0,1\n0,1\n", "line 3: this time does not come after"),
        ("Test Time / s,Current / A\n0,1\n1,nan\n", 'line 3: "nan" is no finite decimal number'),
        ("Test Time / s,Current / A\n0,1\n1,1e999\n", 'line 3: "1e999" is no finite decimal number'),
        ("Test Time / s,Current / A\n0,1\n1\n", "line 3: here are not two values"),
        ("Test Time / s,Current / A\n" + "0,0\n" * (MAX_ROWS + 1), f"{MAX_ROWS + 1} rows are no profile"),
    ],
)
def test_a_csv_is_refused_with_its_line(text: str, told: str) -> None:
    with pytest.raises(WordingError, match=told.replace("(", r"\(")):
        read_profile(text)


@given(st.text(max_size=200))
def test_any_text_is_a_profile_or_a_sentence(text: str) -> None:
    for written in (text, "Test Time / s,Current / A\n" + text):
        with suppress(WordingError):
            read_profile(written)


def test_columns_in_any_order_quoted_and_with_windows_line_ends() -> None:
    table = read_profile('\ufeff"Power / W", "Test Time / s"\r\n0.5, 0\r\n-.25, 1e1\r\n\r\n')
    assert (table.of, [float(t) for t in table.times], [float(v) for v in table.values]) == (
        "power",
        [0.0, 10.0],
        [0.5, -0.25],
    )


def test_a_profile_beside_its_file_is_part_of_the_text_and_of_the_hash(tmp_path: Path) -> None:
    file, data = tmp_path / "p.toml", tmp_path / "drive.csv"
    file.write_text(HEAD + 'profile = "drive.csv"\n', encoding="utf-8")

    def hashed(rows: str) -> str:
        data.write_text("Test Time / s,Current / A\r\n" + rows, encoding="utf-8", newline="")
        return protocol_hash(fill(read_protocol(file), {}).file)

    first = hashed("0,0.001\r\n10,0\r\n")
    assert hashed("0.0,1e-3\n10,0") == first, "another spelling"
    assert hashed("0,0.002\n10,0\n") != first
    whole = read_protocol(file)
    data.unlink()
    assert fill(read(whole.text).source, {}).file.attached["drive.csv"].of == "current"
    assert whole.value(("step", 0, "profile")).line == FIRST


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../other.csv", "other.csv"),
        ("/etc/hosts.csv", "hosts.csv"),
        ("drive.txt", "drive.txt"),
        ("none.csv", "none.csv"),
        ("bad.csv", "line 1: these are not the two columns"),
    ],
)
def test_a_profile_elsewhere_or_of_another_kind_is_refused_at_its_place(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "other.csv").write_text("Test Time / s,Current / A\n0,0\n1,0\n")
    (tmp_path / "in" / "bad.csv").write_text("hello\n")
    (tmp_path / "in" / "drive.txt").write_text("Test Time / s,Current / A\n0,0\n1,0\n")
    file = tmp_path / "in" / "p.toml"
    file.write_text(HEAD + f'profile = "{name}"\n', encoding="utf-8")
    with pytest.raises(ProtocolError) as refused:
        read_protocol(file)
    (finding,) = refused.value.findings
    assert (finding.place.line, finding.place.column) == (FIRST, 11)
    assert reason in finding.reason
