"""Who may speak to what: locks in a data folder that keep two processes from one station, or one laboratory."""

from pathlib import Path

from labctl.filelock import FileLock, make_folder


def daemon_lock(folder: Path) -> Path:
    """Return the lock that a living daemon holds; it says its process id."""
    return folder / "run" / "daemon.lock"


def station_lock(folder: Path, station: str) -> Path:
    """Return the lock of whoever speaks to a station's instruments."""
    return folder / "run" / f"station-{station}.lock"


def hold(path: Path, what: str) -> FileLock:
    """Take a lock; raises RefusedForSafety where another process has it."""
    make_folder(path.parent)
    return FileLock(path, what)
