"""[check] allow: findings that the author knows of are not told; what it allows in vain is a finding itself."""

import difflib
from collections.abc import Iterator, Sequence
from itertools import islice

from labctl.errors import MOST_FINDINGS, Finding
from labctl.lint.catalogue import CODES
from labctl.lint.subject import Subject
from labctl.quantity import shown


def allowed(subject: Subject, found: Sequence[Finding]) -> list[Finding]:
    """Leave out what the file allows, and add what it allows in vain."""
    codes = subject.protocol.file.check.allow
    told = [finding for finding in found if finding.severity == "error" or finding.code not in codes]
    in_vain = _in_vain(subject, {finding.code for finding in found})
    return [*told, *islice(in_vain, MOST_FINDINGS)]


def _in_vain(subject: Subject, found: set[str]) -> Iterator[Finding]:
    for name in subject.protocol.file.check.allow:
        code = CODES.get(name)
        if code is None:
            near = difflib.get_close_matches(name, CODES, n=1)
            hint = f' (did you mean "{near[0]}"?)' if near else ""
            reason, remedy = (
                f"no finding has the code {shown(name)}{hint}",
                "It stands in brackets behind the severity.",
            )
        elif code.severity == "error":
            reason, remedy = f'"{name}" is an error, and no error can be allowed', "Mend its cause."
        elif name in found or code.of_station:
            continue  # what one station lacks another one has: a file is written for any
        else:
            reason, remedy = f'there is no "{name}" here to allow', "Remove it: it would hide the next one."
        place = subject.protocol.source.key(("check", "allow", name))
        yield subject.finding("unused-allow", place, reason, remedy)
