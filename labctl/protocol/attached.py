"""The files that a protocol names: read where they lie, and kept in its own text, which then says all that is done.

What is sent to a daemon, stored with a run and bound again after an outage is that text; nobody has to find another
file. The files stand in a table `[attached]` behind the last line, so that every place in the protocol stays; where
those lay that were found by name stands in `[attached_from]`, for people.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from labctl.errors import MOST_FINDINGS, Finding, ProtocolError
from labctl.protocol.folders import Folders, called, several
from labctl.protocol.profile import read_profile
from labctl.protocol.source import KeyPath, Source, parse, read
from labctl.quantity import WordingError, shown
from labctl.textfile import Unreadable, is_inside, read_text

MAX_BYTES = 400_000
"""Of one attached file."""
MOST_FILES = 50
_NAMING = {"profile": ".csv", "run": ".toml"}
"""Keys whose text names a file, and how its name ends; `run` also names definitions, and protocols of the folders."""
_FOUND = "@"
"""With which the name of an attached file begins that was found by name."""


def read_protocol(path: Path, folders: Folders = tuple) -> Source:
    """Read a protocol with the files that it names; raises ProtocolError with the place of what cannot be read."""
    return attach(read(path, ProtocolError), path.parent, folders)


def attach(source: Source, folder: Path, folders: Folders = tuple) -> Source:
    """Return the protocol with the files that it names, which lie in its folder or below, and those that these name.

    One that has `[attached]` already is returned as it is, and so is a name that an input gives: binding refuses it.

    Args:
        folders: in which protocols are looked for that `run` names and that do not lie there.
    """
    if "attached" in source.data:
        return source
    gathering = _Gathering(folders)
    gathering.gather(source, PurePosixPath(), folder)
    if gathering.findings:
        raise ProtocolError(tuple(gathering.findings[:MOST_FINDINGS]))
    if not gathering.texts:
        return source
    entries = [f"{json.dumps(name)} = {_written(text)}\n" for name, text in gathering.texts.items()]
    if gathering.origins:
        said = [f"{json.dumps(name)} = {json.dumps(str(path))}\n" for name, path in gathering.origins.items()]
        entries += ["\n[attached_from]\n", *said]
    return parse(source.name, "".join([source.text, "\n\n[attached]\n", *entries]), ProtocolError)


def name_of_found(name: str) -> str:
    """Return under which name a protocol is attached that was found by this one: where no file beside it can lie."""
    plain = name.removesuffix(".toml")
    return f"{_FOUND}{plain}/{PurePosixPath(plain).name}.toml"


class _Gathering:
    """Reads files, each once.

    Attributes:
        texts: by the path as seen from the folder of the protocol.
        origins: where those lay that were found by name.
    """

    def __init__(self, folders: Folders) -> None:
        self.texts: dict[str, str] = {}
        self.origins: dict[str, Path] = {}
        self.findings: list[Finding] = []
        self._folders = folders

    def gather(self, source: Source, within: PurePosixPath, folder: Path) -> None:
        """Read what a file names that lies in `folder`: `within`, as seen from the protocol."""
        defined = source.data.get("define")
        for path, name, suffix in _named(source.data, ()):
            if suffix == ".toml" and isinstance(defined, dict) and name in defined:
                continue
            try:
                found = self._by_name(name) if suffix == ".toml" and not _lies_in(folder, name, suffix) else None
                if found is not None:
                    inside, lies, file = name_of_found(name), found.parent, found.name
                elif name.endswith(suffix) or suffix == ".csv":
                    inside, lies, file = str(within / name), folder, name
                else:
                    continue  # neither defined nor found: unfolding says so
                if inside in self.texts:
                    continue
                if len(self.texts) >= MOST_FILES:
                    raise Unreadable(f"this is one file more than {MOST_FILES}", "Join some of them.")
                self.texts[inside] = _text(lies, file, suffix)
                if found is not None:
                    self.origins[inside] = found
                if suffix == ".toml":
                    part = parse(str(lies / file), self.texts[inside], ProtocolError)
                    self.gather(part, PurePosixPath(inside).parent, (lies / file).parent)
            except (Unreadable, WordingError) as error:
                said = error.reason if isinstance(error, Unreadable) else error.sentence
                remedy = f"{error.remedy[:1].upper()}{error.remedy[1:].removesuffix('.')}."
                self.findings.append(Finding("file", source.value(path), f"{shown(name)}: {said}", remedy))
            except ProtocolError as error:
                self.findings += error.findings

    def _by_name(self, name: str) -> Path | None:
        """Return the protocol of the folders with this name; None where there is none."""
        plain = name.removesuffix(".toml")
        if {"", ".", ".."} & set(plain.split("/")):
            return None
        found = called(plain, self._folders())
        if len(found) > 1:
            raise Unreadable(several(plain, found), "Name the one that is meant by its way from its folder.")
        return found[0].path if found else None


def _lies_in(folder: Path, name: str, suffix: str) -> bool:
    """Whether a name means what lies in the folder of the file that names it; a link that leads nowhere lies there."""
    return name.endswith(suffix) and name.isprintable() and os.path.lexists(folder / name)


def _named(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield every place that names a file, with the name and how it has to end."""
    if isinstance(value, dict):
        for key, item in value.items():
            suffix = _NAMING.get(key, "")
            if suffix and path and isinstance(item, str) and not {"{", "}"} & set(item):
                yield (*path, key), item, suffix
            elif path or key not in ("protocol", "inputs"):
                yield from _named(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _named(item, (*path, index))


def _text(folder: Path, name: str, suffix: str) -> str:
    """Return the text of a file, that of a profile with its line ends normalised; raises Unreadable or WordingError."""
    path = folder / name
    inside = name.isprintable() and not Path(name).is_absolute() and ".." not in PurePosixPath(name).parts
    inside = inside and not (name.startswith(_FOUND) and "/" in name)
    if not inside or path.suffix != suffix or not is_inside(path, folder):
        what = "CSV" if suffix == ".csv" else "file"
        raise Unreadable(
            f"this is no {what} of this protocol", f"Name a {suffix} file in the folder of the protocol or below."
        )
    text = read_text(path, MAX_BYTES)
    if suffix == ".csv":
        text = "\n".join(text.removeprefix("\ufeff").rstrip().splitlines()) + "\n"
        read_profile(text)
    return text


def _written(text: str) -> str:
    """Write a text as a string of TOML: as it is where TOML allows that, else with escapes."""
    if "'''" not in text and not text.endswith("'") and all(_is_plain(character) for character in text):
        return f"'''\n{text}'''"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"""\n' + "".join(c if _is_plain(c) else f"\\U{ord(c):08x}" for c in escaped) + '"""'


def _is_plain(character: str) -> bool:
    return character.isprintable() or character in "\n\t"
