"""A lock on a file that the operating system lets go when its owner dies, however it dies."""

import fcntl
from pathlib import Path

from labctl.errors import RefusedForSafety


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
