"""A protocol file as part of another: the step that runs it, what is read of it, and where both must agree."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, StrictInt

from labctl.errors import Finding
from labctl.protocol.model import Bounds, Cell, Check, Head, Input, Name, Outage, Record
from labctl.protocol.source import KeyPath, Source
from labctl.protocol.verbs import Named, ProtocolFile
from labctl.table import Model

FILE = ".toml"
"""How the name of a file ends; what ends otherwise is a definition."""

_OF_ITS_OWN = ("name", "material", "stated")
"""Keys of a cell that may differ: they steer nothing."""


class RunStep(Named):
    """The steps of a definition of this file, or of another protocol file with its inputs set."""

    run: Name = Field(examples=['"formation.toml"'])
    inputs: dict[str, str | StrictInt] = Field(default_factory=dict)


class Part(Model):
    """What a file that is run says beside its steps; only `limits` and `record` do something, for its own steps."""

    schema_: Literal["1"] = Field(alias="schema", examples=['"1"'])
    protocol: Head | None = None
    inputs: dict[str, Input] = Field(default_factory=dict)
    cell: Cell = Cell()
    limits: Bounds = Bounds()
    record: Record = Record()
    outage: Outage = Outage()
    check: Check = Check()


def disagreements(part: Part, source: Source, file: ProtocolFile) -> Iterator[Finding]:
    """Yield what a part says of the cell, or of an outage, that the protocol that runs it says otherwise."""
    yield from _other(part.cell, file.cell, source, ("cell",))
    if part.outage.model_fields_set:
        yield from _other(part.outage, file.outage, source, ("outage",))


def _other(part: Model, whole: Model, source: Source, path: KeyPath) -> Iterator[Finding]:
    for key in sorted(part.model_fields_set - {*_OF_ITS_OWN}):
        ours, theirs = getattr(part, key), getattr(whole, key)
        if isinstance(ours, Model):
            yield from _other(ours, theirs, source, (*path, key))
        elif theirs is not None and ours != theirs:
            reason = f'this file says "{ours}" here, and the protocol that runs it "{theirs}"'
            remedy = "Both speak of one cell and one run: make them agree, or leave it out here."
            yield Finding("part", source.value((*path, key)), reason, remedy)
