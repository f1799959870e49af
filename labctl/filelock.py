"""Folders that must be there, and locks that the operating system lets go when their owner dies, however it dies."""

import fcntl
from pathlib import Path

from labctl.errors import RefusedForSafety, StorageError


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; raises StorageError with the folder's name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"The folder {folder} cannot be made: {error.strerror or error}.",
            "Choose another one: [storage] data in config.toml, LABCTL_DATA, or --db.",
        ) from error


class FileLock:
    """Hold an exclusive lock until `release`; raises RefusedForSafety while another process (or object) holds it.

    Args:
        path: the lock file; it is made where it is absent and stays where it is.
        what: what is locked, for the sentence: "The database lab.db".
    """

    def __init__(self, path: Path, what: str) -> None:
        self._file = path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise RefusedForSafety(
                f"{what} is in use by another process, which holds {path}.",
                "Two owners would hurt each other. Stop the other process, or wait until it has ended.",
            ) from None

    def say(self, text: str) -> None:
        """Write into the lock file, for whoever wants to know who holds it."""
        self._file.truncate(0)
        self._file.write(text.encode())
        self._file.flush()

    def release(self) -> None:
        """Let go; once more changes nothing."""
        self._file.close()


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock; an absent file is not locked."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
