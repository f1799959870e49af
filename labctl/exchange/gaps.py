"""What `labctl check` will refuse of a protocol that was written from a file of another world, told at once."""

from collections.abc import Mapping
from dataclasses import replace

from labctl.errors import Finding, ProtocolError
from labctl.exchange.compose import GIVABLE, compose
from labctl.exchange.procedure import Hole, Loop, Procedure, Rest, Step
from labctl.exchange.remarks import Remarks
from labctl.protocol import check_source
from labctl.protocol.source import parse
from labctl.quantity import Dimension
from labctl.quantity import parse as quantity


def refused(text: str) -> tuple[Finding, ...]:
    """Return the errors of the text of a protocol."""
    try:
        found = check_source(parse("the protocol", text, ProtocolError))
    except ProtocolError as error:
        found = error.findings
    return tuple(finding for finding in found if finding.severity == "error")


def ambiguous_cycles(procedure: Procedure, given: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return where a procedure with gaps does not say what a cycle is, which a check tells when all else is right."""
    whole = replace(procedure, steps=_filled(procedure.steps))
    text = compose(whole, GIVABLE | dict(given), Remarks(procedure.name, ""))
    return tuple(finding for finding in refused(text) if finding.code == "cycles")


def _filled(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Put a rest where there is a hole."""
    second = quantity("1 s", Dimension.TIME)
    return tuple(
        Rest(time=second, name=step.name)
        if isinstance(step, Hole)
        else replace(step, body=_filled(step.body))
        if isinstance(step, Loop)
        else step
        for step in steps
    )
