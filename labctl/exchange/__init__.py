"""Protocols of other worlds: to and from aurora-unicycler and PyBaMM, and from MACCOR.

Every world meets labctl on the common ground of `procedure`; what one side says and the other cannot is a finding with
its place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Finding, Place, ProtocolError
from labctl.exchange import from_maccor, from_pybamm, from_unicycler, to_pybamm, to_unicycler
from labctl.exchange.compose import GIVABLE, compose
from labctl.exchange.dismantle import dismantle
from labctl.exchange.gaps import ambiguous_cycles, refused
from labctl.exchange.procedure import Procedure
from labctl.exchange.remarks import Remarks
from labctl.protocol import LoadedCell
from labctl.protocol.attached import read_protocol
from labctl.protocol.folders import Folders
from labctl.protocol.layout import tidy
from labctl.textfile import Unreadable, read_text

NAMES = {"unicycler": "aurora-unicycler", "pybamm": "PyBaMM", "maccor": "MACCOR"}
"""World -> what it is called in sentences."""

READERS: dict[str, Callable[[str, str, Remarks], Procedure]] = {
    "unicycler": from_unicycler.read,
    "pybamm": from_pybamm.read,
    "maccor": from_maccor.read,
}
"""World -> what reads its text."""

WRITERS: dict[str, Callable[[Procedure, Remarks], str]] = {
    "unicycler": to_unicycler.write,
    "pybamm": to_pybamm.write,
}
"""World -> what writes a procedure for it."""


@dataclass(frozen=True, slots=True)
class Converted:
    """The text that a conversion wrote, and everything that it could not carry over.

    An import with gaps has a text, which `labctl check` refuses until they are filled. There is none of a file that
    cannot be read, and none where an export would leave out something essential.
    """

    text: str | None
    findings: tuple[Finding, ...]


def bring_in(path: Path, world: str | None, given: Mapping[str, str]) -> Converted:
    """Return a file of another world as the text of a labctl protocol.

    Args:
        path: the file; its stem becomes the name of the protocol.
        world: one of READERS; None: what its first character says.
        given: values of GIVABLE for what the file does not say.

    Raises:
        ProtocolError: the file cannot be read.
    """
    text = _read(path)
    world = world or recognised(text)
    remarks = Remarks(str(path), NAMES[world])
    procedure = READERS[world](text, path.stem, remarks)
    if not procedure.steps:
        return Converted(None, remarks.all)
    written = _laid_out(compose(procedure, given, remarks))
    for finding in ambiguous_cycles(procedure, given) if remarks.failed else refused(written):
        remarks.missing(None, f"`labctl check` refuses what was written: {finding.reason}", finding.remedy)
    return Converted(written, remarks.all)


def send_out(
    path: Path, world: str, cell: LoadedCell | None, settings: Mapping[str, str], folders: Folders = tuple
) -> Converted:
    """Return a labctl protocol as the text of another world, one of WRITERS.

    Args:
        folders: in which protocols are looked for that it runs by name.

    Raises:
        ProtocolError: `labctl check` refuses the protocol.
    """
    remarks = Remarks(str(path), NAMES[world])
    procedure = dismantle(read_protocol(path, folders), cell, settings, remarks)
    text = WRITERS[world](procedure, remarks)
    return Converted(None if remarks.failed else text, remarks.all)


def recognised(text: str) -> str:
    """Return the world that a text is of."""
    match text.lstrip()[:1]:
        case "{":
            return "unicycler"
        case "<":
            return "maccor"
    return "pybamm"


def _laid_out(text: str) -> str:
    try:
        return tidy("the protocol", text)
    except ProtocolError:
        return text  # what keeps it from being read, the check says


def _read(path: Path) -> str:
    try:
        return read_text(path).removeprefix("\ufeff")
    except Unreadable as error:
        raise ProtocolError((Finding("file", Place(str(path), error.line, 1), error.reason, error.remedy),)) from None


__all__ = ["GIVABLE", "READERS", "WRITERS", "Converted", "bring_in", "recognised", "send_out"]
