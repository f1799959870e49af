"""Reads protocol and cell files: TOML, inputs filled in, form checked; every error of a file at once, located."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from labctl.errors import MOST_FINDINGS, Finding, ProtocolError
from labctl.protocol import inputs
from labctl.protocol.explain import explain, step_of
from labctl.protocol.model import CellFile
from labctl.protocol.source import KeyPath, Source, read
from labctl.protocol.verbs import ProtocolFile


@dataclass(frozen=True)
class Protocol:
    """A protocol file whose form is right, with the inputs it was read with."""

    source: Source
    file: ProtocolFile
    inputs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class LoadedCell:
    """A cell file whose form is right."""

    source: Source
    file: CellFile

    @property
    def name(self) -> str:
        """What the cell is called: what its file says, else the name of its file."""
        return self.file.cell.name or Path(self.source.name).stem


def load(path: Path) -> Protocol:
    """Read a protocol file with the defaults of its inputs; raises ProtocolError with every finding."""
    return fill(read(path, ProtocolError), {})


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
    values, findings = inputs.choose(source, settings)
    data, more = inputs.fill(source, values)
    findings += more
    if data is None:
        return None, findings
    file = None
    try:
        file = ProtocolFile.model_validate(data)
    except ValidationError as error:
        findings += explain(error, ProtocolFile, source)
        with suppress(ValidationError):
            file = ProtocolFile.model_validate(_without_wrong_steps(data, error))
    given = tuple((name, str(value)) for name, value in values.items())
    return (None if file is None else Protocol(source, file, given)), findings


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
