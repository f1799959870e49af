"""Who may speak to what: locks in a data folder that keep two processes from one station, or one laboratory."""

from pathlib import Path

from labctl.filelock import FileLock, make_folder

GUARDING = "guard"
"""What the daemon's lock says while a guard holds it."""


def daemon_lock(folder: Path) -> Path:
    """Return the lock that a living daemon holds, and a guard in its place; it says a daemon's process id."""
    return folder / "run" / "daemon.lock"


def station_lock(folder: Path, station: str) -> Path:
    """Return the lock of whoever speaks to a station's instruments."""
    return folder / "run" / f"station-{station}.lock"


def guard_lock(folder: Path) -> Path:
    """Return the lock of the guard that watches over the daemon of a data folder."""
    return folder / "run" / "guard.lock"


def hold(path: Path, what: str) -> FileLock:
    """Take a lock; raises RefusedForSafety where another process has it."""
    make_folder(path.parent)
    return FileLock(path, what)
