"""Files that hold a secret: nobody but their owner can read them, not even while they are being written."""

import os
import stat
from pathlib import Path

from labctl.errors import StorageError


def write_private(path: Path, content: bytes) -> None:
    """Write a file whole, so that a reader finds the old or the new one. Raises OSError."""
    draft = path.with_suffix(path.suffix + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_private(path: Path, what: str) -> bytes:
    """Return what a file holds.

    Args:
        what: the file is, for the sentence: "The broker's runtime file".

    Raises:
        StorageError: it cannot be read, or others than its owner can.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read()
    except OSError as error:
        raise StorageError(
            f"{what} {path} cannot be read: {error.strerror}.", "Check its name, and that it belongs to this user."
        ) from None
    if mode & 0o077 and os.name == "posix":
        raise StorageError(
            f"{what} {path} holds a password and can be read by others than its owner (mode {mode:04o}).",
            f"chmod 600 {path}; if others were on this machine meanwhile, take another password.",
        )
    return content
