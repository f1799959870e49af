"""A campaign file, unfolded to its trials: which protocol with which inputs on which cell, everything checked first."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, StrictInt, ValidationError

from labctl.cells.shelf import Shelf
from labctl.errors import Finding, ProtocolError
from labctl.protocol import check_source
from labctl.protocol.attached import read_protocol
from labctl.protocol.explain import explain
from labctl.protocol.folders import SUFFIX, Folders, called, several
from labctl.protocol.load import LoadedCell, in_order
from labctl.protocol.model import Name
from labctl.protocol.schema import schema_of
from labctl.protocol.source import KeyPath, Source, read
from labctl.quantity import shown
from labctl.table import Model
from labctl.textfile import is_inside

MOST_TRIALS = 1000

Values = tuple[tuple[str, str], ...]
"""What is varied, by the names of the protocol's inputs, with the value of one trial."""


class Head(Model):
    """[campaign]: one trial for each combination of what is varied and each replicate, a cell for each trial."""

    name: Name | None = None
    """Under which its runs are recorded; else the name of the file."""
    protocol: str = Field(min_length=1, examples=['"../protocols/doerrer-2021/asymmetric.toml"'])
    """The name of a protocol, or the path of its file as seen from this one."""
    cells: tuple[str, ...] = Field(min_length=1, examples=['["CD-031", "CD-032"]'])
    """One for each trial: in the order of the values, the replicates of each together."""
    vary: dict[str, tuple[str | StrictInt, ...]] = Field(default={})
    """Inputs of the protocol with their values; several make a matrix."""
    inputs: dict[str, str | StrictInt] = Field(default={})
    """Inputs that are the same in all trials."""
    replicates: StrictInt = Field(1, ge=1, le=MOST_TRIALS)
    """Trials with the same values."""
    stations: tuple[str, ...] = ()
    """Stations that take the trials in turn; none: any that is free."""


class _File(Model):
    """A campaign file: which protocol is done to which cells, and what is varied."""

    campaign: Head


@dataclass(frozen=True, slots=True)
class Trial:
    """One run that the campaign asks for.

    Attributes:
        values: what distinguishes it; `inputs` are all that are set, these included.
        replicate: from 1, among the trials with the same values.
        station: None: any that is free.
    """

    values: Values
    replicate: int
    cell: LoadedCell
    inputs: dict[str, str]
    station: str | None


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign whose every trial can be bound; `protocol_name` is what its runs are recorded under."""

    name: str
    protocol: Path
    protocol_name: str
    trials: tuple[Trial, ...]

    @property
    def varied(self) -> tuple[str, ...]:
        """Names of the inputs that are varied."""
        return tuple(name for name, _ in self.trials[0].values)


def load_campaign(path: Path, shelf: Shelf, folders: Folders = tuple) -> Campaign:
    """Read a campaign file and unfold it; raises ProtocolError with every finding.

    Args:
        folders: in which protocols have names.
    """
    source = read(path, ProtocolError)
    try:
        head = _File.model_validate(source.data).campaign
    except ValidationError as error:
        raise ProtocolError(in_order(explain(error, _File, source))) from None
    by_name = _is_name(head.protocol)
    protocol_path = _named(head, source, folders) if by_name else _protocol_path(head, path, shelf, source)
    protocol = read_protocol(protocol_path, folders)
    findings = [*_inputs(head, source, protocol), *_cells(head, source, shelf)]
    if findings:
        raise ProtocolError(in_order(findings))
    trials = tuple(_trials(head, shelf))
    findings = [finding for trial in trials for finding in _unfit(trial, head, source, protocol)]
    if findings:
        raise ProtocolError(in_order(findings))
    return Campaign(head.name or path.stem, protocol_path, _name_of(protocol), trials)


def campaign_schema() -> dict[str, Any]:
    """Return the JSON Schema of a campaign file, for editors."""
    return schema_of(_File)


def _is_name(protocol: str) -> bool:
    """Whether a protocol is named, and not given by its path: as to a command, a name has no suffix."""
    return Path(protocol).suffix != SUFFIX and not {"", ".", ".."} & set(protocol.split("/"))


def _named(head: Head, source: Source, folders: Folders) -> Path:
    """Return the file of a protocol that is named."""
    found = called(head.protocol, folders())
    if len(found) == 1:
        return found[0].path
    if found:
        reason, remedy = several(head.protocol, found), "Name the one that is meant by its way from its folder."
    else:
        where = ", ".join(map(str, folders())) or "no folder"
        reason = f"no protocol is called {shown(head.protocol)} in {where}"
        remedy = "`labctl protocols` lists those that there are; a path ends in .toml."
    raise ProtocolError((Finding("file", source.value(("campaign", "protocol")), reason, remedy),))


def _protocol_path(head: Head, path: Path, shelf: Shelf, source: Source) -> Path:
    """Return the path of the protocol; a campaign that came by mail must not make labctl read just anything aloud."""
    place = source.value(("campaign", "protocol"))
    protocol = path.parent / head.protocol
    around = (path.absolute().parent.parent, shelf.folder.absolute().parent)
    if Path(head.protocol).is_absolute() or protocol.suffix != SUFFIX or not is_inside(protocol, *around):
        reason = f"{shown(head.protocol)} is no protocol of this laboratory"
        remedy = f"Give the path of a .toml file, as seen from this file, that lies in {' or '.join(map(str, around))}."
        raise ProtocolError((Finding("file", place, reason, remedy),))
    if not protocol.is_file():
        reason = f"there is no protocol {shown(head.protocol)}"
        raise ProtocolError((Finding("file", place, reason, "Give its path, as seen from this file."),))
    return protocol


def _combinations(head: Head) -> Iterator[Values]:
    for values in itertools.product(*head.vary.values()):
        yield tuple((name, str(value)) for name, value in zip(head.vary, values, strict=True))


def _trials(head: Head, shelf: Shelf) -> Iterator[Trial]:
    cells, stations = iter(head.cells), itertools.cycle(head.stations or (None,))
    fixed = {name: str(value) for name, value in head.inputs.items()}
    for values in _combinations(head):
        for replicate in range(1, head.replicates + 1):
            yield Trial(values, replicate, shelf.cells[next(cells)], fixed | dict(values), next(stations))


def _inputs(head: Head, source: Source, protocol: Source) -> Iterator[Finding]:
    """Yield what is set or varied and is no input of the protocol, and what is both."""
    declared = protocol.data.get("inputs")
    known = list(declared) if isinstance(declared, dict) else []
    for table in ("inputs", "vary"):
        for name in getattr(head, table):
            place = source.key(("campaign", table, name))
            if name not in known:
                remedy = f"Its inputs are {', '.join(known)}." if known else "It has no [inputs]."
                yield Finding("input", place, f"{protocol.name} has no input {shown(name)}", remedy)
            elif table == "vary" and name in head.inputs:
                yield Finding("input", place, f"{shown(name)} is varied and set as well", "Delete one of them.")
    for name, values in head.vary.items():
        if not values or len({str(value) for value in values}) < len(values):
            reason = f"{shown(name)} has {'no values' if not values else 'a value twice'}"
            place = source.value(("campaign", "vary", name))
            yield Finding("input", place, reason, "List every value once; replicates are said by `replicates`.")


def _cells(head: Head, source: Source, shelf: Shelf) -> Iterator[Finding]:
    """Yield what keeps each trial from having a cell of its own."""
    for index, name in enumerate(head.cells):
        place = source.value(("campaign", "cells", index))
        if name in head.cells[:index]:
            yield Finding("cell", place, f"{shown(name)} stands here twice", "Every trial needs a cell of its own.")
        elif name not in shelf.cells:
            trouble = shelf.troubles.get(name)
            why = "" if trouble is None else f" that can be read ({trouble.place.file}: {trouble.reason})"
            yield Finding("cell", place, f"there is no cell {shown(name)}{why}", "`labctl cells` lists them.")
    combinations = 1
    for values in head.vary.values():
        combinations *= len(values)
    trials = combinations * head.replicates
    place = source.value(("campaign", "cells"))
    if trials > MOST_TRIALS:
        yield Finding("cell", place, f"this unfolds to {trials} trials", f"The most is {MOST_TRIALS}.")
    elif trials != len(head.cells):
        reason = (
            f"{combinations} combination(s) x {head.replicates} replicate(s) need {trials} cells, not {len(head.cells)}"
        )
        yield Finding("cell", place, reason, "List them in the order of the values, the replicates of each together.")


def _unfit(trial: Trial, head: Head, source: Source, protocol: Source) -> Iterator[Finding]:
    """Yield why a trial cannot be bound; what its values have done is told where they stand."""
    for finding in check_source(protocol, None, trial.cell, trial.inputs):
        if finding.code != "input" or "--set " not in finding.reason:
            yield finding
            continue
        name = finding.reason.partition("--set ")[2].partition("=")[0]
        path: KeyPath = ("campaign", "inputs", name)
        if name in head.vary:
            value = dict(trial.values)[name]
            path = ("campaign", "vary", name, [str(each) for each in head.vary[name]].index(value))
        reason = finding.reason.partition(": ")[2]
        yield Finding("input", source.value(path), f"{name}: {reason}", finding.remedy)


def _name_of(protocol: Source) -> str:
    """Return the name of a protocol that has been checked."""
    head = protocol.data["protocol"]
    assert isinstance(head, dict)
    return str(head["name"])
