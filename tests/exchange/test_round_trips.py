"""What two worlds both say comes back as it went out, equal in meaning to the last digit."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from labctl.exchange import from_pybamm, from_unicycler, to_pybamm, to_unicycler
from labctl.exchange.compose import compose
from labctl.exchange.dismantle import dismantle
from labctl.exchange.gaps import refused
from labctl.exchange.procedure import Limits, Load, Loop, Procedure, Record, Spectrum, Step, Sweep, each
from labctl.exchange.remarks import Remarks
from labctl.protocol.hash import protocol_hash

from .procedures import LOADS, NESTED, PROCEDURES, SINGLE, SPECTRA, SWEEPS, VOLTAGES, bodies, loaded, source


def counted(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Let the outer loops count, so that it is clear what a cycle is."""
    return tuple(replace(step, counts=True) if isinstance(step, Loop) else step for step in steps)


@settings(max_examples=30)
@given(PROCEDURES, bodies(SINGLE | NESTED | VOLTAGES | LOADS | SWEEPS | SPECTRA))
def test_to_labctl_and_back(procedure: Procedure, steps: tuple[Step, ...]) -> None:
    procedure = replace(procedure, steps=counted(steps))
    protocol = source(procedure)
    assume(not refused(protocol.text))
    remarks = Remarks("some.toml", "labctl")
    assert dismantle(protocol, None, {}, remarks) == procedure
    assert {finding.reason for finding in remarks.all} <= {
        "of [cell] the name and the current of 1C alone are carried over, the rest as amperes and volts"
    }


@settings(max_examples=30)
@given(PROCEDURES)
def test_nearly_every_procedure_is_a_protocol_that_passes_a_check(procedure: Procedure) -> None:
    procedure = replace(procedure, steps=counted(procedure.steps))
    codes = {finding.code for finding in refused(source(procedure).text)}
    assert codes <= {"current", "wrong-way"}, "rates beyond the limit of current; a charge and a discharge swapped"


@settings(max_examples=30)
@given(PROCEDURES)
def test_a_check_refuses_a_text_with_gaps_for_these_alone(procedure: Procedure) -> None:
    remarks = Remarks("some", "a world that says little")
    text = compose(replace(procedure, limits=Limits(), capacity=None), {}, remarks)
    assert {finding.code for finding in remarks.all} == {finding.code for finding in refused(text)} == {"missing"}


@settings(max_examples=30)
@given(PROCEDURES, SWEEPS, SPECTRA)
def test_to_unicycler_and_back(procedure: Procedure, sweep: Sweep, spectrum: Spectrum) -> None:
    procedure = replace(procedure, steps=(*procedure.steps, replace(sweep, most=None), spectrum))
    remarks = Remarks("some.json", "aurora-unicycler")
    again = from_unicycler.read(to_unicycler.write(procedure, remarks), "some", remarks)
    assert again == procedure
    assert remarks.all == ()


def without_names(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    return tuple(
        replace(step, name="", body=without_names(step.body)) if isinstance(step, Loop) else replace(step, name="")
        for step in steps
    )


@settings(max_examples=30)
@given(PROCEDURES, LOADS)
def test_to_pybamm_and_back(procedure: Procedure, load: Load) -> None:
    procedure = replace(procedure, steps=(*procedure.steps, load))
    remarks = Remarks("some.py", "PyBaMM")
    again = from_pybamm.read(to_pybamm.write(procedure, remarks), "some", remarks)
    common = Record(interval=procedure.record.interval)
    said = replace(procedure, steps=without_names(procedure.steps), capacity=None, limits=Limits(), record=common)
    assert again == said
    lost = " ".join(finding.reason for finding in remarks.all)
    assert "no limits" in lost
    assert ("no names" in lost) == any(step.name for step in each(procedure.steps))
    assert ("by time alone" in lost) == (procedure.record != common)


Write = Callable[[Procedure, Remarks], str]
Read = Callable[[str, str, Remarks], Procedure]


@pytest.mark.parametrize(
    ("write", "read"), [(to_unicycler.write, from_unicycler.read), (to_pybamm.write, from_pybamm.read)]
)
@settings(max_examples=30)
@given(data=st.data())
def test_the_hash_survives(write: Write, read: Read, data: st.DataObject) -> None:
    procedure = data.draw(PROCEDURES)
    bare = replace(procedure, steps=without_names(procedure.steps), record=Record(interval=procedure.record.interval))
    remarks = Remarks("some", "somewhere")
    again = read(write(bare, remarks), "some", remarks)
    again = replace(again, capacity=bare.capacity, limits=bare.limits)
    assert protocol_hash(loaded(again).file) == protocol_hash(loaded(bare).file)
