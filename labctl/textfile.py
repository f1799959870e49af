"""Reads and rewrites files that somebody names: ordinary ones, of bounded size, in UTF-8; else says why not.

What a path leads to is not trusted: a pipe would block for ever, a device may act on being opened, and a large file
fills the memory before anybody has looked at it.
"""

import os
import stat
import tempfile
from pathlib import Path

MAX_BYTES = 500_000
"""Of a file that people write."""


class Unreadable(ValueError):
    """What a path leads to is no text that is taken; says why, what to do, and in which line, counted from 1."""

    def __init__(self, reason: str, remedy: str, line: int = 1) -> None:
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason
        self.remedy = remedy
        self.line = line


def read_text(path: Path, most: int = MAX_BYTES) -> str:
    """Return the text of an ordinary file of at most `most` bytes, its line ends as they are; raises Unreadable."""
    raw = read_bytes(path, most)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        reason = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        raise Unreadable(reason, "Save the file as UTF-8.", line) from None


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """Return what an ordinary file of at most `most` bytes holds; raises Unreadable."""
    try:
        _require_ordinary(path.stat())  # before it is opened: that alone moves the lines of a serial port
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            _require_ordinary(os.fstat(file.fileno()))
            raw = file.read(most + 1)
    except Unreadable:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise Unreadable(f"this file cannot be read: {why}", "Check the path and its permissions.") from None
    if len(raw) > most:
        raise Unreadable(f"this file is larger than {most // 1000} kB", "It is text; keep data in other files.")
    return raw


def replace_text(path: Path, text: str) -> None:
    """Rewrite a file so that a reader finds the old text or the new one, never a part; raises OSError."""
    _write(path, text, path.stat().st_mode & 0o777)


def write_text(path: Path, text: str) -> None:
    """Write a file, new or not, so that a reader finds all of it or what was there before; raises OSError."""
    _write(path, text, 0o644)


def _write(path: Path, text: str, mode: int) -> None:
    target = path.resolve()
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=target.parent, prefix=".", suffix=".part", delete=False
    ) as part:
        part.write(text)
        part.flush()
        os.fsync(part.fileno())
    Path(part.name).chmod(mode)
    Path(part.name).replace(target)


def is_inside(path: Path, *folders: Path) -> bool:
    """Whether a path leads into one of these folders, wherever its symbolic links go; where nothing is, too."""
    try:
        target = path.resolve()
    except (OSError, RuntimeError, ValueError):  # RuntimeError: links in a circle
        return False
    return any(target.is_relative_to(folder.resolve()) for folder in folders)


def _require_ordinary(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
        raise Unreadable(f"this is {what}, not a file", "Give the path of an ordinary file.")
