"""The spacing of one value of a TOML file: arrays in rows, inline tables with their keys in order."""

from dataclasses import dataclass

from tree_sitter import Node

from labctl.protocol.order import Kind, inside, rank

INDENT = 2
GAP = 3
"""Spaces before a comment behind a long line."""
FAR = 100
"""Column beyond which comments are not aligned."""


@dataclass
class Row:
    """What stands on one line: a key of a table, or elements of an array; `above` are comments, "" a blank line."""

    nodes: list[Node]
    above: list[str]
    remark: str = ""


def text_of(node: Node) -> str:
    """Return what is written."""
    return (node.text or b"").decode().rstrip()


def key_of(node: Node) -> str:
    """Return a key as it is written, its parts joined by points."""
    if node.type == "dotted_key":
        return ".".join(key_of(child) for child in node.named_children)
    return text_of(node)


def with_remark(line: str, remark: str, column: int) -> str:
    """Put a comment behind a line, at this column where there is room."""
    return f"{line.ljust(column if len(line) + 2 <= column else len(line) + GAP)}{remark}" if remark else line


def is_block(node: Node) -> bool:
    """Whether a value is an array whose rows stand below its bracket, or which holds comments."""
    if node.type != "array" or node.start_point.row == node.end_point.row or not node.named_children:
        return False
    commented = any(child.type == "comment" for child in node.named_children)
    return commented or node.named_children[0].start_point.row > node.start_point.row


def is_list_of_tables(node: Node) -> bool:
    """Whether a value is an array of nothing but inline tables."""
    items = [child.type for child in node.named_children if child.type != "comment"]
    return node.type == "array" and {*items} == {"inline_table"}


def value(node: Node, kind: Kind, indent: int, column: int, first: int = 0) -> list[str]:
    """Write a value in lines: the first as it goes on at `column`, the others whole.

    Args:
        kind: of the table that it is, or of those that it lists.
        indent: spaces before the line on which it begins.
        first: least width of its first key, where it is an inline table.
    """
    if node.type == "inline_table":
        return _inline_table(node, kind, indent, column, first)
    if is_block(node):
        return _block(node, kind, indent)
    return _array(node, kind, indent, column) if node.type == "array" else text_of(node).split("\n")


def _array(node: Node, kind: Kind, indent: int, column: int) -> list[str]:
    """Write an array that begins beside its bracket; what stood on further lines hangs below its first element."""
    space = " " if is_list_of_tables(node) else ""
    lines, row = [f"[{space}"], node.start_point.row
    for index, item in enumerate(node.named_children):
        if index and item.start_point.row > row:
            lines[-1] += ","
            lines.append(" " * (column + len(space) + 1))
        elif index:
            lines[-1] += ", "
        row = item.end_point.row
        _append(lines, value(item, kind, indent, _width(lines, column)))
    _append(lines, [f"{space}]"])
    return lines


def _inline_table(node: Node, kind: Kind, indent: int, column: int, first: int) -> list[str]:
    pairs = _pairs(node, kind)
    if not pairs:
        return ["{}"]
    lines = ["{ "]
    for index, (key, content) in enumerate(pairs):
        _append(lines, [f"{', ' if index else ''}{key.ljust(0 if index else first)} = "])
        _append(lines, value(content, inside(kind, key), indent, _width(lines, column)))
    _append(lines, [" }"])
    return lines


def _pairs(node: Node, kind: Kind) -> list[tuple[str, Node]]:
    """Return the keys of an inline table with their values, in their order."""
    pairs = [(key_of(pair.named_children[0]), pair.named_children[1]) for pair in node.named_children]
    places = rank(kind, [key for key, _ in pairs])
    return sorted(pairs, key=lambda pair: places[pair[0]])


def _block(node: Node, kind: Kind, indent: int) -> list[str]:
    rows, beside, below = _rows(node)
    lines, margin = [with_remark("[", beside, 0)], " " * (indent + INDENT)
    while rows:
        count = next((index for index, row in enumerate(rows) if index and row.above), len(rows))
        stretch, rows = rows[:count], rows[count:]
        written = _stretch(stretch, kind, indent + INDENT)
        ends = [len(each[-1]) + GAP for row, each in zip(stretch, written, strict=True) if row.remark]
        column = max((end for end in ends if end <= FAR), default=0)
        lines += [margin + remark if remark else "" for remark in stretch[0].above]
        for row, each in zip(stretch, written, strict=True):
            lines += [*each[:-1], with_remark(each[-1], row.remark, column)]
    return [*lines, *(margin + remark for remark in below if remark), " " * indent + "]"]


def _stretch(rows: list[Row], kind: Kind, indent: int) -> list[list[str]]:
    """Write rows without anything between them, the first keys of their tables equally wide."""
    tables = [row.nodes[0] for row in rows if _is_line(row)]
    width = max((len(_pairs(table, kind)[0][0]) for table in tables), default=0)
    return [_row(row, kind, indent, width if _is_line(row) else 0) for row in rows]


def _is_line(row: Row) -> bool:
    """Whether a row is one inline table on one line, with something in it."""
    node = row.nodes[0]
    single = len(row.nodes) == 1 and node.start_point.row == node.end_point.row
    return single and node.type == "inline_table" and bool(node.named_children)


def _row(row: Row, kind: Kind, indent: int, first: int) -> list[str]:
    lines = [" " * indent]
    for index, node in enumerate(row.nodes):
        _append(lines, [", "] if index else [""])
        _append(lines, value(node, kind, indent, _width(lines, 0), first))
    _append(lines, [","])
    return lines


def _rows(node: Node) -> tuple[list[Row], str, list[str]]:
    """Return the rows of an array, the comment beside its bracket, and those below its last row."""
    rows, above, beside, line = list[Row](), list[str](), "", node.start_point.row
    for child in node.named_children:
        here = child.start_point.row
        if here > line + 1 and (rows or above):
            above.append("")
        if child.type == "comment" and here > line:
            above.append(text_of(child))
        elif child.type == "comment" and rows:
            rows[-1].remark = text_of(child)
        elif child.type == "comment":
            beside = text_of(child)
        elif rows and here == line:
            rows[-1].nodes.append(child)
        else:
            rows.append(Row([child], above))
            above = []
        line = child.end_point.row
    return rows, beside, above


def _append(lines: list[str], more: list[str]) -> None:
    """Go on with the last line."""
    lines[-1] += more[0]
    lines += more[1:]


def _width(lines: list[str], column: int) -> int:
    """Return the column that the last line has reached; the first began at `column`."""
    return len(lines[-1]) + (column if len(lines) == 1 else 0)
