"""Findings as they are told: at the terminal, as JSON, as exit status, and one code explained."""

import difflib
from typing import TYPE_CHECKING, Any

import typer

from labctl.cli.context import print_json

if TYPE_CHECKING:
    from pathlib import Path

    from labctl.errors import Finding
    from labctl.rehearse.estimate import Estimate

STATUS = {"error": 3, "warning": 7}
"""Exit status by the worst severity; 0 for notes."""
MEGA = 1e6


def tell(file: "Path", findings: "tuple[Finding, ...]", estimate: "Estimate | None") -> None:
    """Print findings on standard error and, where none is an error, what there is besides on standard output."""
    for finding in findings:
        typer.echo(str(finding), err=True)
    if status(findings) == STATUS["error"]:
        return
    counts = [sum(finding.severity == each for finding in findings) for each in ("warning", "note")]
    said = [f"{n} {word}{'s' if n > 1 else ''}" for n, word in zip(counts, ("warning", "note"), strict=True) if n]
    typer.echo(f"{file}: {', '.join(['no errors', *said])}{'' if estimate is None else _took(estimate)}")


def status(findings: "tuple[Finding, ...]") -> int:
    """Return what a command leaves with that has found this."""
    from labctl.lint import worst

    return STATUS.get(worst(findings) or "", 0)


def as_json(file: "Path", findings: "tuple[Finding, ...]", estimate: "Estimate | None") -> dict[str, Any]:
    """Return it as plain JSON; SI."""
    told: dict[str, Any] = {
        "file": str(file),
        "findings": [
            {
                "code": finding.code,
                "severity": finding.severity,
                "file": finding.place.file,
                "line": finding.place.line,
                "column": finding.place.column,
                "reason": finding.reason,
                "remedy": finding.remedy,
            }
            for finding in findings
        ],
    }
    if estimate is not None:
        size = {"readings": estimate.readings, "bytes": estimate.size}
        told["estimate"] = {"duration": estimate.seconds, **size}
    return told


def explain(name: str, *, json: bool) -> None:
    """Print what a code means, why it matters and what to do; raises BadParameter for one that is none."""
    from labctl.lint.catalogue import CODES

    code = CODES.get(name)
    if code is None:
        near = difflib.get_close_matches(name, CODES, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise typer.BadParameter(f"no finding has the code {name!r}{hint}; the codes are {', '.join(CODES)}")
    if json:
        print_json(
            {
                "code": name,
                "severity": code.severity,
                "means": code.means,
                "why": code.why,
                "remedy": code.remedy,
                "of_station": code.of_station,
            }
        )
        return
    where = " Found only where a station is named." if code.of_station else ""
    typer.echo(f"{code.severity}[{name}]: {code.means}.{where}\n  why: {code.why}\n  what to do: {code.remedy}")
    if code.severity != "error":
        typer.echo(f'  to let it stand, in the protocol: [check] allow = {{ "{name}" = "why" }}')


def _took(estimate: "Estimate") -> str:
    from labctl.cli.tables import duration

    return f"; at most about {duration(estimate.seconds)}, {estimate.readings} readings, {estimate.size / MEGA:.2f} MB"
