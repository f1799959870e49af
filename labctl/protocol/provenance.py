"""Where a protocol came from: its name, its folder, and what git knows of its file. It decides nothing."""

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from labctl.literal import literal
from labctl.protocol.folders import commit_of
from labctl.textfile import Unreadable, read_bytes

MOST = 200
"""Characters that are kept of a name and of a folder: their ends."""
PATIENCE = 3.0
"""Host seconds in which git has to answer."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Of one file.

    Attributes:
        name: its way from its folder, without the suffix.
        folder: of the search path, or else the one in which it lies.
        commit: that is checked out there, where the file is part of it; None: git does not know it.
        modified: whether the file is another one in that commit; None: nobody could say.
    """

    name: str
    folder: str
    commit: str | None = None
    modified: bool | None = None

    @property
    def sentence(self) -> str:
        """Say it."""
        said = f'The protocol is "{literal(self.name)}" of {literal(self.folder)}'
        return f"{said}, {self.of_commit}." if self.commit else f"{said}."

    @property
    def of_commit(self) -> str:
        """Say of which commit it is, and whether it is what was committed; empty without a commit."""
        changed = {None: "", True: ", with changes that are not committed", False: ", as committed"}[self.modified]
        return f"git commit {literal(self.commit)}{changed}" if self.commit else ""


def provenance_of(path: Path, folders: tuple[Path, ...] = ()) -> Provenance:
    """Return where a protocol file came from; what cannot be found out stays unknown.

    Args:
        folders: of the search path; the first in which it lies gives it its name.
    """
    try:
        file = path.resolve()
        folder = next((each for each in folders if file.is_relative_to(each.resolve())), file.parent)
        name = file.relative_to(folder.resolve()).with_suffix("").as_posix()
        return Provenance(_text(name)[-MOST:], _text(str(folder.absolute()))[-MOST:], *_in_git(file))
    except (OSError, RuntimeError, ValueError):  # links in a circle, folders that nobody may look into
        return Provenance(_text(path.stem)[-MOST:], _text(str(path.parent))[-MOST:])


def _text(path: str) -> str:
    """Return a path as text that can be written down, whatever bytes it is made of."""
    return os.fsencode(path).decode(errors="replace")


def _in_git(file: Path) -> tuple[str | None, bool | None]:
    """Return the commit that a file is part of, and whether it is another one there."""
    top = next((each for each in file.parents if (each / ".git").is_dir()), None)
    commit = None if top is None else commit_of(top)
    if top is None or commit is None:
        return None, None
    entry = _ask_git(top, commit, file.relative_to(top).as_posix())
    if entry is None:
        return commit, None
    if len(entry.split()) < 3:
        return None, None
    return commit, _differs(file, entry.split()[2])


def _ask_git(top: Path, commit: str, name: str) -> str | None:
    """Return the entry of a file in the tree of a commit, empty where there is none; None: git could not say.

    Only the tree is asked for: that looks at no file of the checkout and runs no program that it names.
    """
    command = ["git", "--no-pager", "-c", "protocol.allow=never", "-C", str(top)]
    quiet = {"GIT_LITERAL_PATHSPECS": "1", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}
    try:
        said = subprocess.run(
            [*command, "ls-tree", "--full-tree", "-z", commit, "--", name],
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            stdin=subprocess.DEVNULL,
            env={key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | quiet,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return None if said.returncode else said.stdout.decode(errors="replace")


def _differs(file: Path, blob: str) -> bool | None:
    """Whether a file is not the one with this name in git, with line ends as git may have them."""
    try:
        content = read_bytes(file)
    except Unreadable:
        return None
    make = hashlib.sha256 if len(blob) == 64 else hashlib.sha1
    texts = (content, content.replace(b"\r\n", b"\n"))
    return blob not in [make(b"blob %d\0" % len(text) + text).hexdigest() for text in texts]
