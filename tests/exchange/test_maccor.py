"""MACCOR procedures: a small one of our own row by row, and a real one where it is at hand."""

from pathlib import Path

import pytest

from labctl.exchange import from_maccor
from labctl.exchange.compose import compose
from labctl.exchange.gaps import refused
from labctl.exchange.procedure import Current, Hole, Loop, Procedure, Rest, Step, Voltage, each
from labctl.exchange.remarks import Remarks
from labctl.plan import Quantity as Measured
from labctl.plan import Then

GIVEN = {
    "cell.kind": "full",
    "cell.capacity": "3 Ah",
    "limits.voltage": "2 V, 4.4 V",
    "limits.current": "9 A",
    "limits.capacity": "4 Ah",
    "max_current": "6 A",
}


def end(kind: str, operator: str, step: int, value: str) -> str:
    return (
        f"<EndEntry><EndType>{kind} </EndType><SpecialType> </SpecialType><Oper>{operator} </Oper>"
        f"<Step>{step:03}</Step><Value>{value}</Value></EndEntry>\n"
    )


def row(
    kind: str, mode: str = "", value: str = "", *ends: str, limits: str = "", reports: str = "", more: str = ""
) -> str:
    return (
        f"<TestStep><StepType> {kind} </StepType><StepMode>{mode} </StepMode><StepValue>{value}</StepValue>\n"
        f"<Limits>{limits}</Limits><Ends>{''.join(ends)}</Ends><Reports>{reports}</Reports>{more}</TestStep>\n"
    )


def report(kind: str, value: str) -> str:
    return f"<ReportEntry><ReportType>{kind} </ReportType><Value>{value}</Value></ReportEntry>"


def procedure(*rows: str) -> str:
    return f"<MaccorTestProcedure><header/><ProcSteps>\n{''.join(rows)}</ProcSteps></MaccorTestProcedure>\n"


def read(text: str) -> tuple[Procedure, Remarks]:
    remarks = Remarks("f.000", "MACCOR")
    return from_maccor.read(text, "f", remarks), remarks


def one(*rows: str) -> tuple[Step, Remarks]:
    found, remarks = read(procedure(*rows, row("End")))
    return found.steps[0], remarks


def told(text: str) -> list[str]:
    return [finding.reason for finding in read(text)[1].all]


REST = row("Rest", "", "", end("StepTime", "=", 2, "00:10:00"))
CYCLE = procedure(
    row("Do 1"),
    row("AdvCycle"),
    row(
        "Charge",
        "Current",
        "1.0C",
        end("Current", "&lt;=", 4, "0.05C"),
        end("Voltage", "&gt;=", 6, "4.25"),
        limits="<Voltage>4.2</Voltage>",
        reports=report("StepTime", "00:00:30") + report("Voltage", "0.005"),
    ),
    row(
        "Dischrge",
        "Current",
        "0.5",
        end("Voltage", "&lt;=", 5, "3.0"),
        end("StepTime", "=", 6, "10:00:00"),
        reports=report("StepTime", "00:00:30") + report("Voltage", "0.005"),
    ),
    row("Loop 1", "", "", end("Loop Cnt", "=", 6, "30")),
    row("End"),
)


def test_a_loop_of_a_charge_and_a_discharge() -> None:
    found, remarks = read(CYCLE)
    (loop,) = found.steps
    assert isinstance(loop, Loop)
    assert (loop.passes, loop.counts) == (30, True)
    charge, discharge = loop.body
    assert isinstance(charge, Current)
    assert (charge.current.text, charge.cv and charge.cv.text) == ("1C", "4.2 V")
    assert [(e.measured, e.upward, e.value.text, e.then) for e in charge.ends] == [
        (Measured.CURRENT, False, "C/20", Then.NEXT),
        (Measured.VOLTAGE, True, "4.25 V", Then.FAULT),
    ]
    assert isinstance(discharge, Current)
    assert discharge.current.text == "-0.5 A"
    assert [(e.value.text, e.then) for e in discharge.ends] == [("3 V", Then.NEXT), ("10 h", Then.END)]
    assert (found.record.interval and found.record.interval.text, found.record.voltage) == (
        "30 s",
        found.record.voltage,
    )
    assert remarks.all == ()


def test_what_was_given_makes_it_a_protocol() -> None:
    found, remarks = read(CYCLE)
    text = compose(found, GIVEN, remarks)
    assert refused(text) == ()
    assert '{ charge = "1C", cv = "4.2 V", until = ["C/20", { when = "4.25 V", then = "fault" }] }' in text


def test_an_end_may_lead_further_than_to_the_next_step() -> None:
    found, _ = read(
        procedure(
            row("Charge", "Current", "1", end("Voltage", "&gt;=", 2, "4.0"), end("StepTime", "=", 3, "01:00:00")),
            row("Rest", "", "", end("StepTime", "=", 3, "00:10:00")),
            row("Dischrge", "Current", "1", end("Voltage", "&lt;=", 4, "3.0")),
            row("End"),
        )
    )
    charge, _, discharge = found.steps
    assert isinstance(charge, Current)
    assert (charge.ends[1].then, charge.ends[1].label, discharge.name) == (
        Then.GOTO,
        "MACCOR step 3",
        "MACCOR step 3",
    )
    assert refused(compose(found, GIVEN, Remarks("f", ""))) == ()


def test_a_description_and_a_note_are_names_or_told() -> None:
    text = procedure(REST.replace("</TestStep>", "<StepNote>soak</StepNote></TestStep>"), row("End"))
    text = text.replace("<header/>", "<header><ProcDesc><desc>formation</desc></ProcDesc></header>")
    found, remarks = read(text)
    assert found.steps[0].name == "soak"
    assert [finding.reason for finding in remarks.all] == ['the description "formation" is left out']


def test_a_voltage_says_its_current_or_leaves_a_gap() -> None:
    found, remarks = one(
        row("Charge", "Voltage", "4.1", end("Current", "&lt;=", 2, "0.1"), limits="<Current>2</Current>"),
    )
    assert isinstance(found, Voltage)
    assert (found.voltage.text, found.most and found.most.text) == ("4.1 V", "2 A")
    assert not remarks.failed
    bare, _ = one(row("Charge", "Voltage", "4.1", end("Current", "&lt;=", 2, "0.1")))
    assert isinstance(bare, Voltage)
    assert bare.most is None


@pytest.mark.parametrize(
    ("written", "means"), [("00:00:05", "5 s"), ("::.5", "0.5 s"), ("01:30:00", "90 min"), ("2d 00:00:00", "48 h")]
)
def test_times(written: str, means: str) -> None:
    rest, _ = one(row("Rest", "", "", end("StepTime", "=", 2, written)))
    assert isinstance(rest, Rest)
    assert rest.time.text == means


@pytest.mark.parametrize(
    "strange", [row("Chg Func", "Current", "0|4*CRATE"), row("FastWave", "", "LA4"), row("Charge", "Resistance", "3")]
)
def test_what_has_no_counterpart_leaves_a_hole_that_a_check_refuses(strange: str) -> None:
    found, remarks = read(procedure(REST, strange, row("End")))
    assert isinstance(found.steps[1], Hole)
    assert [finding.code for finding in remarks.all] == ["missing"]
    assert [finding.code for finding in refused(compose(found, GIVEN, remarks))] == ["verb"]


def test_what_is_of_the_instrument_is_told_once() -> None:
    range_4 = "<Range>4</Range><Option1>N</Option1>"
    text = procedure(REST.replace("</TestStep>", f"{range_4}</TestStep>"), row("AdvCycle"), row("End"))
    assert told(text) == [
        "`Range` is a matter of the instrument and is left out",
        "an AdvCycle that does not stand alone in a loop is left out: one pass of a loop is one cycle",
    ]


WRONG = {
    "": "this is not XML: no element found",
    "<a>": "this is not XML: no element found",
    "<a></b>": "this is not XML: mismatched tag",
    "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>": "it has a document type, which no procedure needs",
    "<a>" * 100 + "</a>" * 100: "this file is nested more than 50 deep",
    "<a/>": "this is no procedure of MACCOR, or it has no step",
    procedure(): "this is no procedure of MACCOR, or it has no step",
    procedure(row("Do 1"), REST): "`Do 1` has no Loop",
    procedure(row("Loop 1")): "this loop does not go a number of times over the steps since its Do and then on",
    procedure(row("Do 1"), row("Loop 1", "", "", end("Loop Cnt", "=", 3, "2"))): "this loop does not go a number of",
    procedure(row("End"), REST): "steps after an End are reached by jumps alone",
    procedure(row("Rest")): "step 1: this rest has no time after which the next step comes",
    procedure(row("Rest", "", "", end("StepTime", "=", 2, "1 h"))): 'step 1: "1 h" is no time',
    procedure(row("Rest", "", "", end("Voltage", "&gt;=", 2, "nan"))): 'step 1: "nan" is no number',
    procedure(row("Rest", "", "", end("Aux T", "&gt;=", 2, "60"))): 'step 1: an end by "Aux T" is not known here',
    procedure(
        row("Charge", "Current", "1e999", end("Voltage", "&gt;=", 2, "4"))
    ): '"1e999" is beyond anything measured',
}


@pytest.mark.parametrize(("text", "sentence"), list(WRONG.items()), ids=list(WRONG.values()))
def test_what_is_wrong_has_its_sentence(text: str, sentence: str) -> None:
    assert any(reason.startswith(sentence) or sentence in reason for reason in told(text))
    assert read(text)[1].failed


REAL = Path(__file__).parents[3] / "shared" / "data" / "beep" / "EXP.000"


@pytest.mark.skipif(not REAL.is_file(), reason="the real procedure is not part of the project")
def test_a_real_procedure() -> None:
    found, remarks = read(REAL.read_text("utf-8"))
    *first, outer = found.steps
    assert [type(step).__name__ for step in first] == ["Rest", "Current", "Rest"]
    assert isinstance(outer, Loop)
    assert outer.passes == 20
    inner = outer.body[0]
    assert isinstance(inner, Loop)
    assert (inner.passes, len(inner.body), len(list(each(found.steps)))) == (30, 3, 20)
    compose(found, GIVEN, remarks)
    missing = [(finding.place.line, finding.reason) for finding in remarks.all if finding.severity == "error"]
    assert [line for line, _ in missing] == [396, 480, 564, 648]
    assert all("Chg Func" in reason for _, reason in missing)
