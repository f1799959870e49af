"""Small files that must survive the daemon: written whole, so that a reader finds the old or the new one."""

import os
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from labctl.errors import StorageError
from labctl.filelock import make_folder

T = TypeVar("T")


def save(path: Path, kind: TypeAdapter[T], content: T) -> None:
    """Write a file and have the disk confirm it; raises StorageError."""
    make_folder(path.parent)
    draft = path.with_suffix(".new")
    try:
        with draft.open("wb") as file:
            file.write(kind.dump_json(content, by_alias=True))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}.", "Check that the disk has room and may be written."
        ) from error


def load(path: Path, kind: TypeAdapter[T], empty: T) -> T:
    """Read a file, or return `empty` where there is none.

    Raises:
        StorageError: there is one, and it cannot be understood; it is never passed over in silence.
    """
    try:
        return kind.validate_json(path.read_bytes())
    except FileNotFoundError:
        return empty
    except (OSError, ValidationError) as error:
        raise StorageError(
            f"{path} cannot be read back.", "Look into it; move it away to begin without what it says."
        ) from error
