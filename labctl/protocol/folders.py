"""Protocols by name: the folders, or git checkouts, that a laboratory looks for them in."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Finding, Place, ProtocolError
from labctl.protocol.source import read
from labctl.quantity import shown
from labctl.textfile import Unreadable, is_inside, read_text

SUFFIX = ".toml"
MOST_FILES = 5000
"""In one folder: whoever names more has named the wrong one."""
Folders = Callable[[], tuple[Path, ...]]
"""Says where protocols have names, when somebody asks; `tuple` knows of no folder."""
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a folder; its name is its way from there without the suffix: "ma-2024/lto-0.2C"."""

    name: str
    path: Path
    folder: Path

    def title(self) -> str | None:
        """Return what the file calls itself; None where it is no protocol, or cannot be read."""
        try:
            data = read(self.path, ProtocolError).data
        except ProtocolError:
            return None
        head = data.get("protocol")
        if not isinstance(head, dict) or "step" not in data:
            return None
        return str(head.get("title") or head.get("name") or "")


def entries(folders: tuple[Path, ...]) -> tuple[Entry, ...]:
    """Return every TOML file below these folders once, in the order of the folders and then of their names.

    Raises:
        ProtocolError: a folder is none, or holds far too much.
    """
    found: dict[Path, Entry] = {}
    for folder in folders:
        if not folder.is_dir():
            raise _refused(folder, "there is no such folder of protocols", "Mend [protocols] folders in config.toml.")
        for path in sorted(_files(folder)):
            name = path.relative_to(folder).with_suffix("").as_posix()
            found.setdefault(path.resolve(), Entry(name, path, folder))
    return tuple(found.values())


def find(name: str, folders: tuple[Path, ...]) -> Path:
    """Return the file of the protocol with this name, or with a name that ends in it after a slash.

    Raises:
        ProtocolError: there is none, or more than one; says which.
    """
    found = called(name, folders)
    if len(found) == 1:
        return found[0].path
    if found:
        raise _refused(Path(name), several(name, found), "Give the path of the one that is meant.")
    where = ", ".join(map(str, folders)) or "no folder"
    reason = f"there is no file {shown(name)}, and no protocol of that name in {where}"
    raise _refused(Path(name), reason, "`labctl protocols` lists those that there are.")


def called(name: str, folders: tuple[Path, ...]) -> list[Entry]:
    """Return the protocols that a name may mean: those that have it, or else those whose name ends in it."""
    every = entries(folders)
    found = [entry for entry in every if entry.name == name] or [e for e in every if e.name.endswith(f"/{name}")]
    return found if len(found) < 2 else [entry for entry in found if entry.title() is not None]


def several(name: str, found: list[Entry]) -> str:
    """Say that a name means more than one protocol."""
    return f"several protocols are called {shown(name)}: {', '.join(str(entry.path) for entry in found)}"


def commit_of(folder: Path) -> str | None:
    """Return the commit of the git checkout that a folder is, or lies directly in; None where it is none.

    Its files are read and git is not asked: a checkout from elsewhere may tell git to run programs.
    """
    top = next((each for each in (folder.resolve(), folder.resolve().parent) if (each / ".git").is_dir()), None)
    if top is None:
        return None
    git = top / ".git"
    head = _text(git / "HEAD")
    if not head.startswith("ref: "):
        return _commit(head)
    ref = head.removeprefix("ref: ")
    if not is_inside(git / ref, git):
        return None
    packed = (line.partition(" ") for line in _text(git / "packed-refs").splitlines())
    return _commit(_text(git / ref)) or next((_commit(commit) for commit, _, name in packed if name == ref), None)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the TOML files below a folder, but none that a link leads out of it."""
    count = 0
    for here, inside, files in os.walk(folder):
        inside[:] = [name for name in inside if not name.startswith(".")]
        count += len(files)
        if count > MOST_FILES:
            raise _refused(folder, f"this folder holds more than {MOST_FILES} files", "Name the one with protocols.")
        for name in files:
            path = Path(here) / name
            if path.suffix == SUFFIX and is_inside(path, folder):
                yield path


def _text(path: Path) -> str:
    try:
        return read_text(path).strip()
    except Unreadable:
        return ""


def _commit(text: str) -> str | None:
    return text if _HASH.fullmatch(text) else None


def _refused(path: Path, reason: str, remedy: str) -> ProtocolError:
    return ProtocolError((Finding("file", Place(str(path), 1, 1), reason, remedy),))
