"""The charter: what a run was begun with, beside its journal, so that a new process can bind the same plan again.

It is written before anything moves and goes with the journal. A run whose plan is revised has its charter saved anew.
"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError

from labctl.errors import StorageError
from labctl.reading import RunHeader

_NAME = "charter.json"


@dataclass(frozen=True, slots=True)
class Charter:
    """What a run was begun with; the texts are those that its plan was bound from.

    Attributes:
        header: also says station, protocol and inputs.
        protocol_file: what sentences call the protocol.
        cell_file: likewise, and `cell_text` what stood in it; None where the protocol's own cell was meant.
    """

    header: RunHeader
    protocol_file: str
    cell_file: str | None = None
    cell_text: str | None = None


_CHARTER = TypeAdapter(Charter)


def save(folder: Path, charter: Charter) -> None:
    """Put a charter into the folder of a journal; it is there whole, or not at all.

    Raises:
        StorageError: the disk does not take it.
    """
    draft = folder / f"{_NAME}.draft"
    try:
        with draft.open("wb") as file:
            file.write(orjson.dumps(asdict(charter)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / _NAME)
    except OSError as error:
        raise StorageError(
            f"The charter of run {charter.header.run} cannot be kept in {folder}: {error.strerror or error}.",
            "Check that the disk has room and may be written.",
        ) from error


def load(folder: Path) -> Charter | None:
    """Return the charter of a journal; None where there is none, or another version of labctl wrote it."""
    try:
        return _CHARTER.validate_json((folder / _NAME).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
