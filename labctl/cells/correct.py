"""Sets a value of a cell file after the fact: comments and layout stay, and the file says who changed what and when."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from labctl.errors import Finding, Place, ProtocolError
from labctl.protocol.load import LoadedCell, cell_of
from labctl.protocol.source import ALIASES, KeyPath, Source, parse
from labctl.textfile import replace_text

Tree = dict[str, object]

POSITIVE = ("cell", "positive")


def correct(cell: LoadedCell, key: str, value: str, *, who: str, unix: float) -> LoadedCell:
    """Set a key of [cell.positive] in a cell's file, and note it under [[history]].

    Args:
        key: "active_mass" or another key whose value is a quantity.
        value: as it is written, with its unit.
        unix: when, in seconds since 1970.

    Raises:
        ProtocolError: the value is not possible, would change nothing, or the file is written in a way that cannot be
            edited without a person.
    """
    source = cell.source
    path = _as_written(source, (*POSITIVE, key))
    was = _get(source.data, path)
    if cell.file.cell.kind == "blocking":
        reason = f"{key} says nothing of a blocking cell: neither of its electrodes takes lithium up"
        raise _refused(source.value(("cell", "kind")), reason, "Its mass stands in [cell.stack], and steers nothing.")
    if was == value:
        raise _refused(source.value(path), f"{key} is {value} already", "Nothing was changed.")
    if key == "active_loading" and cell.file.cell.positive.active_mass is not None:
        place = source.value(_as_written(source, (*POSITIVE, "active_mass")))
        raise _refused(
            place, "the cell has an active mass, which a loading does not change", "Set --mass, or delete it."
        )
    noted = _set(source, path, value).rstrip("\r\n") + _note(key, was, value, who, unix)
    corrected = cell_of(parse(source.name, noted, ProtocolError))
    _replace(Path(source.name), noted)
    return corrected


def _as_written(source: Source, path: KeyPath) -> tuple[str, ...]:
    """Return the path with the names that the file uses, such as cathode for positive."""
    written: tuple[str, ...] = ()
    table: object = source.data
    for part in path:
        name = str(part)
        if isinstance(table, dict) and name not in table and ALIASES.get(part) in table:
            name = ALIASES[part]
        written += (name,)
        table = table.get(name) if isinstance(table, dict) else None
    return written


def _get(data: object, path: KeyPath) -> object:
    for part in path:
        data = data.get(str(part)) if isinstance(data, dict) else None
    return data


def _set(source: Source, path: tuple[str, ...], value: str) -> str:
    """Return the text of a file with a value set: the first way of writing it that says this and nothing else."""
    wanted = _with(source.data, path, value)
    for text in _ways(source, path, json.dumps(value, ensure_ascii=False)):
        try:
            if parse(source.name, text, ProtocolError).data == wanted:
                return text
        except ProtocolError:
            continue
    reason = f"{'.'.join(path)} cannot be set here without disturbing what is written"
    raise _refused(source.value(path), reason, f"Write {path[-1]} = {json.dumps(value, ensure_ascii=False)} by hand.")


def _with(data: Tree, path: tuple[str, ...], value: str) -> Tree:
    if len(path) == 1:
        return {**data, path[0]: value}
    inner = data.get(path[0], {})
    return {**data, path[0]: _with(inner, path[1:], value)} if isinstance(inner, dict) else data


def _ways(source: Source, path: tuple[str, ...], value: str) -> Iterator[str]:
    """Yield edits of a file that may set a value, the least disturbing first; which is right, parsing tells."""
    lines = source.text.split("\n")
    if _get(source.data, path) is not None:
        yield _spliced(lines, source.value(path), value)
        return
    for length in range(len(path) - 1, 0, -1):
        at = path[:length]
        if _get(source.data, at) is None:
            continue
        table = source.value(at)
        written = lines[table.line - 1][table.column - 1 : table.column - 1 + table.length]
        if written.endswith("}"):
            head = written[:-1].rstrip()
            name = ".".join(path[length:])
            yield _spliced(lines, table, f"{head}{'' if head == '{' else ','} {name} = {value} }}")
        line = max(table.line, source.key(at).line)
        end = "\r" if lines[line - 1].endswith("\r") else ""
        for first in range(length, -1, -1):
            yield "\n".join([*lines[:line], f"{'.'.join(path[first:])} = {value}{end}", *lines[line:]])


def _spliced(lines: list[str], place: Place, new: str) -> str:
    line = lines[place.line - 1]
    start = place.column - 1
    edited = line[:start] + new + line[start + place.length :]
    return "\n".join([*lines[: place.line - 1], edited, *lines[place.line :]])


def _note(key: str, was: object, value: str, who: str, unix: float) -> str:
    date = datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    facts = {"who": who, "key": key, **({} if was is None else {"was": str(was)}), "value": value}
    lines = [f"{name} = {json.dumps(fact, ensure_ascii=False)}" for name, fact in facts.items()]
    return "\n".join(["", "", "[[history]]", f"date = {date}", *lines, ""])


def _replace(path: Path, text: str) -> None:
    try:
        replace_text(path, text)
    except OSError as error:
        raise _refused(
            Place(str(path), 1, 1), f"it cannot be written: {error.strerror or error}", "Check it."
        ) from None


def _refused(place: Place, reason: str, remedy: str) -> ProtocolError:
    return ProtocolError((Finding("cell", place, reason, remedy),))
