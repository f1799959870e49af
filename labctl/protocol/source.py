"""A TOML file that knows where each of its keys and values stands, so that an error can point at it."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

from labctl.errors import Finding, InvalidInput, Place
from labctl.logs import without_secrets
from labctl.textfile import MAX_BYTES, Unreadable, read_text

MAX_DEPTH = 24
MAX_LINE = 5000
"""Characters; the time that a dotted key takes grows with the square of its length."""
MAX_SHOWN = 300

KeyPath = tuple[str | int, ...]
"""The way to a value from the top of a file: ("step", 2, "do", 0, "until")."""

ALIASES: dict[str | int, str] = {"negative": "anode", "positive": "cathode"}

_PARSER = Parser(Language(tree_sitter_toml.language()))
_AT_LINE = re.compile(r" \(at line (\d+), column (\d+)\)$")
_AT_END = re.compile(r" \(at end of document\)$")


@dataclass(frozen=True)
class Source:
    """The text of a TOML file, its data, and the place of everything in it."""

    name: str
    text: str
    data: dict[str, object] = field(repr=False)

    def value(self, path: KeyPath) -> Place:
        """Return where the value at `path` stands, or the nearest table around it that exists."""
        return self._places.values.get(self._nearest(path), self.start())

    def key(self, path: KeyPath) -> Place:
        """Return where the key that leads to `path` stands; of an element of a list, where the element stands."""
        near = self._nearest(path)
        return self._places.keys.get(near) or self._places.values.get(near, self.start())

    def says(self, path: KeyPath) -> bool:
        """Whether the file has a value at `path`, by either name of a key."""
        return len(self._nearest(path)) == len(path)

    def line(self, path: KeyPath) -> int:
        """Return the line on which the value at `path` stands."""
        return self.value(path).line

    def start(self) -> Place:
        """Return the first character of the file, for what is missing altogether."""
        return _place(self.name, [self.text.partition("\n")[0]], 0, 0, 1)

    def _nearest(self, path: KeyPath) -> KeyPath:
        """Follow `path` as far as the file goes: a single value may stand for a list, and some keys have two names."""
        near: KeyPath = ()
        for part in path:
            for name in (part, ALIASES.get(part, part)):
                if (*near, name) in self._places.values:
                    near = (*near, name)
                    break
            else:
                if not isinstance(part, int):
                    break
        return near

    @cached_property
    def _places(self) -> "_Locator":
        return _Locator(self.name, self.text)


def read(path: Path, refuse: type[InvalidInput]) -> Source:
    """Read and parse a TOML file; raises `refuse` with the place of what is no TOML."""
    name = str(path)
    try:
        text = read_text(path)
    except Unreadable as error:
        raise refuse((Finding("file", Place(name, error.line, 1), error.reason, error.remedy),)) from None
    return parse(name, text, refuse)


def parse(name: str, text: str, refuse: type[InvalidInput]) -> Source:
    """Parse the text of a TOML file called `name`; raises `refuse` with the place of what is no TOML."""
    if len(text) > MAX_BYTES:
        raise refuse((_whole(name, f"this file is larger than {MAX_BYTES // 1000} kB"),))
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE:
            reason = f"this line has more than {MAX_LINE} characters"
            raise refuse((Finding("toml", Place(name, number, 1), reason, "Write it on several lines."),))
    try:
        data: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise refuse((_syntax(name, text, str(error)),)) from None
    except RecursionError:
        raise refuse((_whole(name, "this file is nested too deeply"),)) from None
    except ValueError:
        # the one other thing that tomllib lets through: Python converts no integer of thousands of digits
        raise refuse((_whole(name, "a number in this file has thousands of digits"),)) from None
    source = Source(name, text, data)
    if _depth(data) > MAX_DEPTH:
        raise refuse((_whole(name, f"this file is nested more than {MAX_DEPTH} deep"),))
    return source


def _whole(name: str, reason: str) -> Finding:
    return Finding("toml", Place(name, 1, 1), reason, "No protocol needs that.")


def _syntax(name: str, text: str, message: str) -> Finding:
    """Turn the parser's message, which ends with its place, into a located finding."""
    lines = text.split("\n")
    match = _AT_LINE.search(message)
    if match:
        line, column = int(match[1]), int(match[2])
    else:
        line, column = len(lines), len(lines[-1]) + 1
    reason = _AT_END.sub("", _AT_LINE.sub("", message))
    place = _place(name, lines, line - 1, column - 1, 1)
    return Finding(
        "toml", place, f"this is not TOML: {reason[:1].lower()}{reason[1:]}", "See https://toml.io/en/v1.0.0"
    )


def _depth(data: object) -> int:
    """Measure nesting without recursion, for a hostile file must not exhaust the stack."""
    deepest, pending = 0, [(data, 1)]
    while pending:
        value, depth = pending.pop()
        deepest = max(deepest, depth)
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        pending.extend((child, depth + 1) for child in children)
    return deepest


class _Locator:
    """Walks the syntax tree once and notes the place of every key and value."""

    def __init__(self, name: str, text: str) -> None:
        self.keys: dict[KeyPath, Place] = {}
        self.values: dict[KeyPath, Place] = {}
        self._name = name
        self._lines = text.split("\n")
        self._bytes = [line.encode() for line in self._lines]
        self._latest: dict[KeyPath, int] = {}
        root = _PARSER.parse(text.encode()).root_node
        self._pairs(root, ())
        for node in root.named_children:
            if node.type in {"table", "table_array_element"}:
                self._table(node)

    def _table(self, node: Node) -> None:
        header = node.named_children[0]
        place = self._place(header)
        written = tuple(_parts(header))
        path: KeyPath = ()
        for part in written[:-1]:
            path += (part,)
            if path in self._latest:  # a header that passes through an array of tables means its latest element
                path += (self._latest[path],)
        path += (written[-1],)
        if node.type == "table_array_element":
            self._latest[path] = self._latest.get(path, -1) + 1
            path += (self._latest[path],)
        for length in range(1, len(path) + 1):
            self.keys.setdefault(path[:length], place)
            self.values.setdefault(path[:length], place)
        self._pairs(node, path)

    def _pairs(self, node: Node, path: KeyPath) -> None:
        for pair in node.named_children:
            if pair.type != "pair":
                continue
            key, content = pair.named_children[:2]
            here = path
            for part in _parts(key):
                here += (part,)
                self.keys.setdefault(here, self._place(key))
                self.values.setdefault(here, self._place(content))
            self._value(content, here)

    def _value(self, node: Node, path: KeyPath) -> None:
        self.values[path] = self._place(node)
        if node.type == "inline_table":
            self._pairs(node, path)
        elif node.type == "array":
            for index, item in enumerate(child for child in node.named_children if child.type != "comment"):
                self._value(item, (*path, index))

    def _place(self, node: Node) -> Place:
        (row, start), (end_row, end) = node.start_point, node.end_point
        # tree-sitter counts bytes, people count characters: µ, ° and Å take two bytes
        first = len(self._bytes[row][:start].decode(errors="ignore"))
        covered = self._bytes[row][:end] if end_row == row else self._bytes[row]
        last = len(covered.decode(errors="ignore").rstrip())
        return _place(self._name, self._lines, row, first, last - first)


def _parts(key: Node) -> Iterator[str]:
    """Split a bare, quoted or dotted key into its parts."""
    if key.type == "dotted_key":
        for child in key.named_children:
            yield from _parts(child)
        return
    written = (key.text or b"").decode()
    yield written if key.type == "bare_key" else next(iter(tomllib.loads(f"{written} = 0")))


def _place(name: str, lines: list[str], row: int, column: int, length: int) -> Place:
    line = lines[row].rstrip("\r") if row < len(lines) else ""
    return Place(name, row + 1, column + 1, max(1, length), _shown(line))


@lru_cache(maxsize=1000)
def _shown(line: str) -> str:
    """Return a line as it may be printed; kept, for many places stand on one line."""
    return without_secrets("".join(c if c.isprintable() else " " for c in line)) if len(line) <= MAX_SHOWN else ""
