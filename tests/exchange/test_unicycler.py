"""aurora-unicycler's JSON: its own package takes what is written and writes what is read; sentences for the rest."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from labctl.errors import ProtocolError
from labctl.exchange import from_unicycler, send_out, to_unicycler
from labctl.exchange.dismantle import dismantle
from labctl.exchange.procedure import Current, Hole, Loop, Procedure, Rest, Spectrum, Voltage
from labctl.exchange.remarks import Remarks
from labctl.lint import check
from labctl.plan import Quantity as Measured
from labctl.protocol.source import parse
from labctl.protocol.verbs import EisStep
from tests.protocol.files import LIBRARY

from .procedures import LIMITS, PROCEDURES, UNICYCLER, loaded

aurora = pytest.importorskip("aurora_unicycler", reason="aurora-unicycler is of the extra `conformance`")


def read(text: str) -> tuple[Procedure, Remarks]:
    remarks = Remarks("f.json", "aurora-unicycler")
    return from_unicycler.read(text, "f", remarks), remarks


def sentences(text: str) -> list[str]:
    return [f"{f.place.line}:{f.place.column}: {f.severity}: {f.reason}" for f in read(text)[1].all]


def with_method(*steps: object) -> str:
    return json.dumps({"record": {"time_s": 1}, "method": steps})


# -- its own package ---------------------------------------------------------------------------------------------------


@given(PROCEDURES)
@settings(max_examples=50)
def test_its_own_model_takes_every_procedure_and_its_own_writer_is_read(procedure: Procedure) -> None:
    text = to_unicycler.write(procedure, Remarks("some.json", "aurora-unicycler"))
    model = aurora.CyclingProtocol.from_dict(json.loads(text))
    again, remarks = read(model.to_json())
    assert (replace(again, name=procedure.name), remarks.all) == (procedure, ())


def test_neware_biologic_and_battinfo_come_out_of_it() -> None:
    procedure, remarks = read(UNICYCLER)
    model = aurora.CyclingProtocol.from_dict(json.loads(to_unicycler.write(procedure, remarks)))
    xml = model.to_neware_xml(sample_name="cell", capacity_mAh=2.0)
    assert 'Stop_Volt Value="42000' in xml
    assert 'Cycle_Count Value="3"' in xml
    assert "Modulo Bat" in model.to_biologic_mps(sample_name="cell", capacity_mAh=2.0)
    assert "@context" in model.to_battinfo_jsonld()
    assert model.to_pybamm_experiment()[1:3] == [
        "Charge at 0.3333333333333333C until 4.2 V",
        "Hold at 4.2 V until 0.05C",
    ]


@pytest.mark.parametrize("file", sorted(LIBRARY.glob("*/*.toml")), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_its_own_model_takes_the_library(file: Path) -> None:
    if any(finding.severity == "error" for finding in check(file)):
        with pytest.raises(ProtocolError):
            send_out(file, "unicycler", None, {})
        return
    converted = send_out(file, "unicycler", None, {})
    if " at = [" in file.read_text("utf-8").replace("\n", " "):
        assert "no steps for certain cycles alone" in " ".join(finding.reason for finding in converted.findings)
        return
    assert converted.text is not None
    model = aurora.CyclingProtocol.from_dict(json.loads(converted.text))
    write = model.to_biologic_mps if "impedance_spectroscopy" in converted.text else model.to_neware_xml
    assert write(sample_name=file.stem, capacity_mAh=1.0)


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_real_file_means_what_it_says() -> None:
    procedure, remarks = read(UNICYCLER)
    rest, loop = procedure.steps
    assert isinstance(rest, Rest)
    assert rest.time.text == "10 min"
    assert isinstance(loop, Loop)
    assert (loop.name, loop.passes) == ("longterm", 3)
    charge, discharge = loop.body
    assert isinstance(charge, Current)
    assert isinstance(discharge, Current)
    assert (charge.current.text, charge.cv and charge.cv.text, charge.ends[0].value.text) == ("C/3", "4.2 V", "C/20")
    assert (discharge.current.text, [end.value.text for end in discharge.ends]) == ("-C/2", ["3 V", "10 h"])
    assert procedure.sample == ""
    assert procedure.limits.current is not None
    assert procedure.limits.current.text == "5 mA"
    assert [finding.reason for finding in remarks.all] == [
        "the current of both directions is limited to 5 mA, the narrower of the two",
        "how long a limit may be exceeded is not a matter of the protocol: `delay_s` is left out",
    ]
    assert loaded(replace(procedure, limits=replace(procedure.limits, capacity=procedure.capacity)))


def test_a_time_that_cuts_a_charge_short_keeps_the_hold_a_step_of_its_own() -> None:
    charge = {"step": "constant_current", "current_mA": 1, "until_voltage_V": 4.2, "until_time_s": 60}
    hold = {"step": "constant_voltage", "voltage_V": 4.2, "until_current_mA": -0.1}
    procedure, remarks = read(with_method(charge, hold))
    first, second = procedure.steps
    assert isinstance(first, Current)
    assert isinstance(second, Voltage)
    assert remarks.all == ()


def test_the_sign_of_a_hold_says_which_way_its_current_flows() -> None:
    discharge = {"step": "constant_current", "current_mA": -1, "until_voltage_V": 3}
    hold = {"step": "constant_voltage", "voltage_V": 3, "until_current_mA": -0.1}
    procedure, remarks = read(with_method(discharge, hold))
    (step,) = procedure.steps
    assert isinstance(step, Current)
    assert [(end.measured, end.value.text) for end in step.ends] == [(Measured.CURRENT, "0.1 mA")]
    assert json.loads(to_unicycler.write(procedure, remarks))["method"][1]["until_current_mA"] == -0.1


@pytest.mark.parametrize("goal", [1, "1"])
def test_a_loop_may_name_a_number_from_one(goal: object) -> None:
    rest = {"step": "open_circuit_voltage", "until_time_s": 1}
    procedure, _ = read(with_method(rest, rest, {"step": "loop", "loop_to": goal, "cycle_count": 2}, rest))
    loop, after = procedure.steps
    assert isinstance(loop, Loop)
    assert len(loop.body) == 2
    assert isinstance(after, Rest)


def test_what_has_no_counterpart_leaves_a_hole_that_a_check_refuses() -> None:
    procedure, remarks = read(with_method({"step": "waveform", "file": "x.txt"}))
    assert procedure.steps == (Hole(name="unicycler step waveform"),)
    assert remarks.failed


SMALL = """\
schema = "1"
[protocol]
name = "small"
[cell]
kind = "full"
[limits]
voltage = ["2.5 V", "4.4 V"]
current = "5 mA"
capacity = "5 mAh"
[record]
interval = "10 s"
"""
SPECTRUM = {"step": "impedance_spectroscopy", "start_frequency_Hz": 1e6, "end_frequency_Hz": 0.1}


def test_an_amplitude_is_a_peak() -> None:
    procedure, remarks = read(with_method(SPECTRUM | {"amplitude_V": 0.01, "drift_correction": False}))
    (step,) = procedure.steps
    assert isinstance(step, Spectrum)
    assert (step.start.text, step.stop.text, step.peak.text, step.per_decade) == ("1 MHz", "0.1 Hz", "10 mV", 10)
    assert remarks.all == ()
    (written,) = loaded(replace(procedure, limits=LIMITS, capacity=None)).file.step
    assert isinstance(written, EisStep)
    assert str(written.eis.amplitude) == "10 mV peak"


def test_how_often_a_frequency_is_measured_is_left_out_and_said() -> None:
    more = {"amplitude_mA": 0.5, "measures_per_point": 3, "drift_correction": True, "points_per_decade": 6}
    procedure, remarks = read(with_method(SPECTRUM | more))
    assert [finding.reason.split(" is ")[0] for finding in remarks.all] == [
        "`measures_per_point` = 3",
        "`drift_correction` = True",
    ]
    (step,) = procedure.steps
    assert isinstance(step, Spectrum)
    assert (step.peak.text, step.per_decade) == ("0.5 mA", 6)


def test_a_root_mean_square_goes_out_as_its_peak() -> None:
    text = SMALL + '[[step]]\neis = { from = "1 kHz", to = "1 Hz", amplitude = "10 mV rms" }\n'
    remarks = Remarks("some.toml", "aurora-unicycler")
    procedure = dismantle(parse("some.toml", text, ProtocolError), None, {}, remarks)
    (step,) = json.loads(to_unicycler.write(procedure, remarks))["method"]
    assert step == {
        "step": "impedance_spectroscopy",
        "amplitude_V": 0.0141421356237,
        "start_frequency_Hz": 1000,
        "end_frequency_Hz": 1,
        "points_per_decade": 10,
    }
    assert '"10 mV rms" is written as its peak, 14.1421356237 mV' in [finding.reason for finding in remarks.all]
    model = aurora.CyclingProtocol.from_dict(json.loads(to_unicycler.write(procedure, remarks)))
    assert "PEIS" in model.to_biologic_mps(sample_name="cell", capacity_mAh=1.0)


def test_a_spectrum_around_another_voltage_cannot_be_said() -> None:
    sine = 'from = "1 kHz", to = "1 Hz", amplitude = "5 mV peak", bias = "3.8 V", max_current = "1 mA"'
    text = f"{SMALL}[[step]]\neis = {{ {sine} }}\n"
    remarks = Remarks("some.toml", "aurora-unicycler")
    to_unicycler.write(dismantle(parse("some.toml", text, ProtocolError), None, {}, remarks), remarks)
    assert remarks.failed


REST = {"step": "open_circuit_voltage", "until_time_s": 1}
WRONG = {
    "": "1:1: error: this is not JSON: Expecting value",
    "[1]": "1:1: error: this is no JSON object",
    "[" * 5000: "1:1: error: this file is nested too deeply",
    '{"record": {"time_s": NaN}}': "1:1: error: NaN is no number",
    '{\n"method": [}': "2:12: error: this is not JSON: Expecting value",
    '{"method": 3}': "1:1: error: there is no `method` in it, or no step in that",
    '{"method": [7]}': "1:13: error: this is no JSON object",
    '{"methods": []}': '1:1: error: "methods" is not known here',
    with_method({"step": "constant_current", "rate_C": "C/0", "until_time_s": 1}): '`rate_C`: "C/0" divides by zero',
    with_method({"step": "constant_current", "rate_C": 1e999, "until_time_s": 1}): "Infinity is no number",
    with_method(
        {"step": "constant_current", "rate_C": "1e99", "until_time_s": 1}
    ): '"1e99" is beyond anything measured',
    with_method({"step": "constant_current", "until_time_s": 1}): "this constant_current lacks what it needs",
    with_method({"step": "open_circuit_voltage"}): "this open_circuit_voltage lacks what it needs",
    with_method(REST | {"temperature_C": 30}): '"temperature_C" is not known here',
    with_method(REST | {"until_time_s": [1]}): "`until_time_s` is neither a number nor a text",
    with_method(REST, {"step": "loop", "loop_to": "x", "cycle_count": 3}): 'goes 3 times back to "x", which cannot be',
    with_method(REST, {"step": "loop", "loop_to": 1, "cycle_count": 0}): "an unknown number of times back",
    with_method(REST, {"step": "loop", "loop_to": 9, "cycle_count": 2}): 'back to "9", which cannot be',
}


@pytest.mark.parametrize(("text", "sentence"), list(WRONG.items()), ids=list(WRONG.values()))
def test_what_is_wrong_has_its_sentence_and_its_place(text: str, sentence: str) -> None:
    assert any(sentence in told for told in sentences(text))
    assert read(text)[1].failed


def test_loops_that_cross_are_refused() -> None:
    tags = [{"step": "tag", "tag": name} for name in "ab"]
    loops = [{"step": "loop", "loop_to": name, "cycle_count": 2} for name in "ab"]
    told = sentences(with_method(tags[0], REST, tags[1], REST, loops[0], REST, loops[1]))
    assert any('back to "b", which cannot be' in sentence for sentence in told)
