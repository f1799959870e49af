"""The check of a careful colleague: what is wrong with a protocol, and what makes one ask although it would run.

Rules look at the bound plan and at the cell, in SI, and are asked only where the file has no errors.
"""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from labctl.errors import MOST_FINDINGS, Finding, Place, ProtocolError
from labctl.lint import cycler, electrodes, figures, hands, rig, sequence, spectra
from labctl.lint.allow import allowed
from labctl.lint.subject import Subject
from labctl.plan import StationAbilities
from labctl.protocol import LoadedCell, bind_source
from labctl.protocol.attached import read_protocol
from labctl.protocol.folders import Folders
from labctl.protocol.source import Source

_RULES = (*figures.RULES, *electrodes.RULES, *sequence.RULES, *rig.RULES, *hands.RULES, *cycler.RULES, *spectra.RULES)
_SEVERITIES = ("error", "warning", "note")


def check(
    path: Path,
    station: StationAbilities | None = None,
    cell: LoadedCell | None = None,
    settings: Mapping[str, str] | None = None,
    folders: Folders = tuple,
) -> tuple[Finding, ...]:
    """Return all findings of a protocol file, on a station where one is given.

    Args:
        folders: in which protocols are looked for that it runs by name.
    """
    try:
        return check_source(read_protocol(path, folders), station, cell, settings)
    except ProtocolError as error:
        return error.findings


def check_source(
    source: Source,
    station: StationAbilities | None = None,
    cell: LoadedCell | None = None,
    settings: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    """Return all findings of the text of a protocol; warnings and notes only where there is no error."""
    found, protocol, plan = bind_source(source, station, cell, settings)
    if protocol is None or plan is None:
        return found
    subject = Subject(protocol, plan, station, cell)
    every = [*found, *(finding for rule in _RULES for finding in islice(rule(subject), MOST_FINDINGS))]
    return _in_order(allowed(subject, every))


def worst(findings: tuple[Finding, ...]) -> str | None:
    """Return the worst severity among findings; None where there are none."""
    return min((finding.severity for finding in findings), key=_SEVERITIES.index, default=None)


def _in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Sort by place; the same code is told once at a place, where a `for` would say it for every value."""
    first: dict[tuple[Place, str], Finding] = {}
    for finding in findings:
        first.setdefault((finding.place, finding.code), finding)
    place = sorted(first.values(), key=lambda each: (each.place.file, each.place.line, each.place.column, each.code))
    return tuple(place[:MOST_FINDINGS])


__all__ = ["check", "check_source", "worst"]
