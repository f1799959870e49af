"""PyBaMM's strings: its own package takes every one that is written; sentences for what is not read."""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from labctl.exchange import from_pybamm, to_pybamm
from labctl.exchange.plain import plainly
from labctl.exchange.procedure import Current, Hole, Load, Loop, Procedure, Rest, Spectrum, Step, Voltage
from labctl.exchange.remarks import Remarks
from labctl.plan import Quantity as Measured
from labctl.quantity import Dimension, parse

from .procedures import LOADS, PROCEDURES

PUBLISHED = """\
pybamm.Experiment(
    [
        (
            "Discharge at C/10 for 10 hours or until 3.3 V",
            "Rest for 1 hour",
            "Charge at 1 A until 4.1 V",
            "Hold at 4.1 V until 50 mA (10 second period)",
            "Rest for 1 hour",
        ),
    ]
    * 3
    + ["Discharge at 0.5C until 2.5V"],
    period="1 minute",
)
"""


def read(text: str) -> tuple[Procedure, Remarks]:
    remarks = Remarks("f.py", "PyBaMM")
    return from_pybamm.read(text, "f", remarks), remarks


def test_an_experiment_as_it_stands_in_a_script() -> None:
    procedure, remarks = read(PUBLISHED)
    loop, last = procedure.steps
    assert isinstance(loop, Loop)
    assert loop.passes == 3
    discharge, rest, charge, hold, _ = loop.body
    assert isinstance(discharge, Current)
    assert [(end.measured, end.value.text) for end in discharge.ends] == [
        (Measured.VOLTAGE, "3.3 V"),
        (Measured.TIME, "10 h"),
    ]
    assert isinstance(rest, Rest)
    assert isinstance(charge, Current)
    assert charge.cv is None, "the hold asks for points of its own: it stays a step"
    assert isinstance(hold, Voltage)
    assert hold.record.interval is not None
    assert hold.record.interval.text == "10 s"
    assert isinstance(last, Current)
    (finding,) = remarks.all
    assert (finding.place.line, finding.reason) == (13, "`period` of the whole experiment is left out")


def test_a_string_a_line() -> None:
    procedure, remarks = read(
        "\n# formation\nCharge at C/20 until 4.2 V\nHold at 4.2 V until C/50\n\nRest for 2 hours\n"
    )
    charge, rest = procedure.steps
    assert isinstance(charge, Current)
    assert charge.cv is not None
    assert isinstance(rest, Rest)
    assert remarks.all == ()


@pytest.mark.parametrize("text", ["Charge at 4 Ohm for 1 hour", "Hold at 3 A for 1 hour"])
def test_what_has_no_counterpart_leaves_a_hole(text: str) -> None:
    procedure, remarks = read(text)
    assert procedure.steps == (Hole(name=text),)
    assert "has no counterpart" in remarks.all[0].reason
    assert remarks.failed


WRONG = {
    "[": "this is no Python expression",
    "": "there is no step in it",
    "[]": "there is no step in it",
    "\0": "this is no Python expression",
    "(" * 10_000: "this is no Python expression",
    '["Rest for 1 hour"] * 0': "is no string, list, tuple, sum or multiple",
    '["Rest for 1 hour"] * n': "is no string, list, tuple, sum or multiple",
    '__import__("os").system("true")': "is no string, list, tuple, sum or multiple",
    '[s for s in "abc"]': "is no string, list, tuple, sum or multiple",
    '["Relax for 1 hour"]': '"Relax for 1 hour" is no string of PyBaMM',
    "Rest until 4 V": "does not say how long",
    "Charge at C/2": "lacks at what, or until when",
    "Charge at C/0 until 4 V": '"C/0" divides by zero',
    "Charge at 1e99 A until 4 V": "is beyond anything measured",
    "Charge at 1 kA until 4 V": "is neither A, V, W, Ohm nor C",
    "Charge at 1 A until C/20": "ends is not clear",
    "Rest for 1 day": "is no time in seconds, minutes or hours",
    "Rest for 0 hours": "is no time",
    "Charge at 0 A for 1 hour": "says no current",
    "Charge at 4 V for 1 hour": "says no current",
}


@pytest.mark.parametrize(("text", "sentence"), list(WRONG.items()), ids=list(WRONG.values()))
def test_what_is_wrong_has_its_sentence(text: str, sentence: str) -> None:
    remarks = read(text)[1]
    assert any(sentence in finding.reason for finding in remarks.all)
    assert remarks.failed


def test_each_place_is_the_one_of_the_string() -> None:
    (finding,) = read('[\n    "Rest for 1 hour",\n    "Relax",\n]')[1].all
    assert (finding.place.line, finding.place.column, finding.place.text) == (3, 5, '    "Relax",')


# -- its own package ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def experiment() -> Iterator[Any]:
    """PyBaMM's own class; it is no dependency, not even of the tests: it brings twenty packages."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("PYBAMM_DISABLE_TELEMETRY", "true")
        warnings.simplefilter("ignore")
        pybamm = pytest.importorskip("pybamm", reason="to prove its strings: pip install pybamm")
        yield pybamm.Experiment


def flat(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield from (step.body if isinstance(step, Loop) else [step])


def test_a_spectrum_is_left_behind_by_name_and_so_is_a_loop_of_nothing_else() -> None:
    spectrum = Spectrum(
        start=parse("1 MHz"), stop=parse("0.1 Hz"), peak=parse("10 mV"), per_decade=10, most=parse("1 mA")
    )
    rest = Rest(time=parse("1 h"))
    remarks = Remarks("f.toml", "PyBaMM")
    steps = (rest, spectrum, Loop(passes=2, body=(rest, spectrum)), Loop(passes=3, body=(spectrum,)))
    written = to_pybamm.write(Procedure(name="p", steps=steps), remarks)
    assert ast.literal_eval(written.partition(" + ")[0]) == ["Rest for 1 hour"]
    assert written.count("Rest for 1 hour") == 2
    assert "* 3" not in written
    told = [finding.reason for finding in remarks.all]
    assert 'PyBaMM does not keep the current of this spectrum within "1 mA"' in told
    assert "PyBaMM has no impedance in its strings: this spectrum is left behind" in told


@given(PROCEDURES, LOADS)
@settings(max_examples=10)
def test_its_own_class_understands_every_string(experiment: Any, procedure: Procedure, load: Load) -> None:
    procedure = replace(procedure, steps=(*procedure.steps, load))
    remarks = Remarks("some.py", "PyBaMM")
    once = tuple(replace(step, passes=1) if isinstance(step, Loop) else step for step in procedure.steps)
    steps = tuple(step for step in plainly(once, procedure.capacity, remarks))
    innermost = tuple(step for step in flat(steps) if not isinstance(step, Loop))
    text = to_pybamm.write(replace(procedure, steps=innermost), remarks)
    taken = experiment(ast.literal_eval(text)).steps
    for step, theirs in zip(innermost, taken, strict=True):
        assert theirs.period == pytest.approx(float(procedure.record.interval or 0))
        terminations = [termination.value for termination in theirs.termination]
        match step:
            case Rest():
                assert (theirs.value, theirs.duration) == (0, pytest.approx(float(step.time)))
            case Current():
                assert theirs.value == pytest.approx(-float(step.current)), "discharge is positive there"
                assert terminations == [float(end.value) for end in step.ends if end.measured is Measured.VOLTAGE]
            case Load():
                sign = -1 if step.load.dimension is Dimension.POWER else 1
                assert theirs.value == pytest.approx(sign * float(step.load))
            case Voltage():
                assert theirs.value == float(step.voltage)
                assert terminations == pytest.approx(
                    [float(end.value) for end in step.ends if end.measured is Measured.CURRENT]
                )
        for end in getattr(step, "ends", ()):
            if end.measured is Measured.TIME:
                assert theirs.duration == pytest.approx(float(end.value))


def test_its_own_class_takes_loops_as_they_are_written(experiment: Any) -> None:
    procedure, remarks = read('(["Rest for 1 hour"] * 2 + ["Charge at C/3 until 4.2 V"] * 3) * 2')
    expression = compile(to_pybamm.write(procedure, remarks), "f", "eval")
    names = [step.description for step in experiment(eval(expression, {"__builtins__": {}})).steps]
    assert names == (["Rest for 1 hour"] * 2 + ["Charge at C/3 until 4.2 V"] * 3) * 2
