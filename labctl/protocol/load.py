"""Reads protocol and cell files: TOML, inputs filled in, form checked; every error of a file at once, located."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path, PurePath

from pydantic import ValidationError

from labctl.errors import MOST_FINDINGS, Finding, ProtocolError
from labctl.protocol.attached import read_protocol
from labctl.protocol.explain import explain, step_of
from labctl.protocol.folders import Folders
from labctl.protocol.inputs import choose
from labctl.protocol.model import CellFile
from labctl.protocol.part import disagreements
from labctl.protocol.source import KeyPath, Source, read
from labctl.protocol.unfold import Unfolding, unfold
from labctl.protocol.verbs import ProtocolFile


@dataclass(frozen=True)
class Protocol:
    """A protocol file whose form is right, with the inputs it was read with."""

    source: Source
    file: ProtocolFile
    inputs: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...] = ()
    """What its source does not give, that of the files that it runs included."""


@dataclass(frozen=True)
class LoadedCell:
    """A cell file whose form is right."""

    source: Source
    file: CellFile

    @property
    def name(self) -> str:
        """What the cell is called: what its file says, else the name of its file."""
        return self.file.cell.name or Path(self.source.name).stem


def load(path: Path, folders: Folders = tuple) -> Protocol:
    """Read a protocol file with the defaults of its inputs; raises ProtocolError with every finding.

    Args:
        folders: in which protocols are looked for that it runs by name.
    """
    return fill(read_protocol(path, folders), {})


def fill(source: Source, settings: Mapping[str, str]) -> Protocol:
    """Check the form of a protocol whose inputs are set so; raises ProtocolError with every finding."""
    protocol, findings = draft(source, settings)
    if protocol is None or findings:
        raise ProtocolError(in_order(findings))
    return protocol


def draft(source: Source, settings: Mapping[str, str]) -> tuple[Protocol | None, list[Finding]]:
    """Return what can be bound of a protocol, with everything wrong with its form.

    A step whose form is wrong is replaced by a rest, so that the others can still be bound and judged; None where
    something wrong concerns all steps.
    """
    values, findings = choose(source, settings)
    unfolding = unfold(source, values)
    findings += unfolding.findings
    if unfolding.data is None:
        return None, findings
    file = None
    try:
        file = ProtocolFile.model_validate(unfolding.data)
    except ValidationError as error:
        findings += explain(error, ProtocolFile, unfolding.source)
        with suppress(ValidationError):
            file = ProtocolFile.model_validate(_without_wrong_steps(unfolding.data, error))
    if file is None:
        return None, findings
    for part, place in unfolding.parts:
        findings += disagreements(part, place, file)
    given = tuple((name, str(value)) for name, value in values.items())
    return Protocol(unfolding.source, file, given, _unknown(file, unfolding)), findings


def _unknown(file: ProtocolFile, unfolding: Unfolding) -> tuple[str, ...]:
    """Return what the source does not give, and what the sources of the files that it runs do not."""
    of_parts = (
        f"{PurePath(source.name).name}: {key}"
        for part, source in unfolding.parts
        if part.protocol is not None
        for key in part.protocol.unknown
    )
    return tuple(dict.fromkeys((*file.protocol.unknown, *of_parts)))


def _without_wrong_steps(data: dict[str, object], error: ValidationError) -> dict[str, object]:
    """Put a rest in the place of every step that an error lies in, and a name in that of a wrong head."""
    data = deepcopy(data)
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        if detail["loc"][:1] == ("protocol",):
            data["protocol"] = {"name": "unnamed"}
        path = step_of(detail)
        steps = _follow(data, path[:-1])
        if path and isinstance(steps, list):
            steps[int(path[-1])] = {"rest": "1 s"}
    return data


def _follow(data: object, path: KeyPath) -> object:
    for part in path:
        match data:
            case list() if isinstance(part, int) and part < len(data):
                data = data[part]
            case dict() if part in data:
                data = data[part]
            case _:
                return None
    return data


def load_cell(path: Path) -> LoadedCell:
    """Read a cell file; raises ProtocolError with every finding."""
    return cell_of(read(path, ProtocolError))


def cell_of(source: Source) -> LoadedCell:
    """Check the form of a cell file; raises ProtocolError with every finding."""
    try:
        return LoadedCell(source, CellFile.model_validate(source.data))
    except ValidationError as error:
        raise ProtocolError(in_order(explain(error, CellFile, source))) from None


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings by their place; of several at one place only the first is told, for it explains the rest."""
    first: dict[tuple[str, int, int], Finding] = {}
    for finding in findings:
        place = finding.place
        first.setdefault((place.file, place.line, place.column), finding)
    return tuple(first[key] for key in sorted(first)[:MOST_FINDINGS])
