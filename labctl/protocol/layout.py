"""The layout of a protocol file: keys in their order, aligned signs and comments. Changes nothing of what it says."""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

from labctl.errors import Finding, Place, ProtocolError
from labctl.protocol.order import WHOLE, Kind, inside, rank
from labctl.protocol.source import parse
from labctl.protocol.spacing import Row, is_block, is_list_of_tables, key_of, text_of, value, with_remark

COMMENTS = 42
"""Column of the comments behind short lines of a table."""

_PARSER = Parser(Language(tree_sitter_toml.language()))


def tidy(name: str, text: str) -> str:
    """Return the text of a protocol file in the usual layout, with all its comments.

    Raises:
        ProtocolError: it is no TOML, or cannot be laid out without changing what it says.
    """
    text = text.replace("\r\n", "\n")
    parse(name, text, ProtocolError)
    root = _PARSER.parse(text.encode()).root_node
    tidied = "\n".join(_page(_sections(root))) + "\n"
    if root.has_error or _data(text) != _data(tidied) or _remarks(text) != _remarks(tidied):
        reason = "this file cannot be laid out anew without changing what it says"
        raise ProtocolError((Finding("layout", Place(name, 1, 1), reason, "Leave its layout as it is."),))
    return tidied


@dataclass
class _Section:
    """A table and its header, which the first has not; `below` are comments that stand away from what follows."""

    kind: Kind
    header: str = ""
    name: str = ""
    above: list[str] = field(default_factory=list)
    remark: str = ""
    entries: list[Row] = field(default_factory=list)
    below: list[str] = field(default_factory=list)


def _sections(root: Node) -> list[_Section]:
    """Cut a file into its tables, in the order of the language; those of one name stay in theirs."""
    sections, above, row = [_Section(WHOLE)], list[str](), -1
    for node in _flat(root):
        if row >= 0 and node.start_point.row > row + 1:
            above.append("")
        if node.type == "comment" and node.start_point.row == row:
            sections[-1].remark = text_of(node)  # beside a header: a pair holds its own
        elif node.type == "comment":
            above.append(text_of(node))
        elif node.type == "pair":
            sections[-1].entries.append(Row([node], above))
            above = []
        else:
            near = len(above) - above[::-1].index("") if "" in above else 0
            sections[-1].below = above[:near]
            sections.append(_header(node, above[near:]))
            above = []
        row = node.named_children[0].end_point.row if node.type.startswith("table") else node.end_point.row
    sections[-1].below += above
    places = rank(WHOLE, [section.name for section in sections])
    return sorted(sections, key=lambda section: places[section.name] if section.header else -1)


def _flat(root: Node) -> Iterator[Node]:
    """Yield keys, headers and comments in the order of the file."""
    for node in root.named_children:
        yield node
        if node.type.startswith("table"):
            yield from node.named_children[1:]


def _header(node: Node, above: list[str]) -> _Section:
    key = key_of(node.named_children[0])
    header = f"[[{key}]]" if node.type == "table_array_element" else f"[{key}]"
    return _Section(inside(WHOLE, key), header, key.partition(".")[0], above)


def _page(sections: list[_Section]) -> Iterator[str]:
    begun = False
    for section in sections:
        header = [with_remark(section.header, section.remark, COMMENTS)] if section.header else []
        written = [*section.above, *header, *_keys(section), *section.below]
        while written and not written[-1]:
            written.pop()
        if begun and written:
            yield ""
        yield from written
        begun = begun or bool(written)


def _keys(section: _Section) -> Iterator[str]:
    """Write the keys of a table: stretches between blank lines, each in its order and with aligned signs."""
    for stretch in _stretches(section.entries):
        above = stretch[0].above
        near = len(above) - above[::-1].index("") if "" in above else 0
        stretch[0].above = above[near:]  # what stands further away is of the stretch, whichever key comes first in it
        yield from above[1 if stretch[0] is section.entries[0] and not above[0] else 0 : near] if near else ()
        keys = {id(row): key_of(row.nodes[0].named_children[0]) for row in stretch}
        places = rank(section.kind, list(keys.values()))
        width = max((len(keys[id(row)]) for row in stretch if not _opens(row.nodes[0])), default=0)
        for row in sorted(stretch, key=lambda row: places[keys[id(row)]]):
            yield from row.above
            yield from _pair(row.nodes[0], section.kind, width)


def _stretches(entries: list[Row]) -> Iterator[list[Row]]:
    stretch: list[Row] = []
    for row in entries:
        if stretch and "" in row.above:
            yield stretch
            stretch = []
        stretch.append(row)
    if stretch:
        yield stretch


def _opens(pair: Node) -> bool:
    """Whether a key opens rows of its own, and so is not aligned with those above it."""
    content = pair.named_children[1]
    return is_block(content) or (is_list_of_tables(content) and content.start_point.row < content.end_point.row)


def _pair(node: Node, kind: Kind, width: int) -> list[str]:
    key_node, content, *remarks = node.named_children
    key = key_of(key_node) if _opens(node) else key_of(key_node).ljust(width)
    first, *more = value(content, inside(kind, key.rstrip()), 0, len(key) + 3)
    lines = [f"{key} = {first}", *more]
    lines[-1] = with_remark(lines[-1], text_of(remarks[0]) if remarks else "", COMMENTS)
    return lines


def _data(text: str) -> str:
    """Return what a file says, whatever the order of its keys."""
    return json.dumps(tomllib.loads(text), sort_keys=True, default=str)


def _remarks(text: str) -> list[str]:
    found, pending = list[str](), [_PARSER.parse(text.encode()).root_node]
    while pending:
        node = pending.pop()
        found += [text_of(node)] if node.type == "comment" else []
        pending += node.named_children
    return sorted(found)
