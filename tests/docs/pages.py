"""Reads a documentation page: its headings, links, tables and fenced blocks.

Blocks that say what they are for are executed:

- ```` ```toml NAME ````, ```` ```python NAME ````, ```` ```text NAME ````: written to the file NAME.
- ```` ```console ````: lines that begin with `$ ` are run; what follows is what they print.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
DOORS = [ROOT / "README.md", *sorted(ROOT.glob("drivers/*/manual.md"))]
"""Pages outside docs/ that readers come from or go to."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, the file that it stands for (or ""), and its text."""

    language: str
    file: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table, and the heading that it stands under."""

    heading: str
    columns: list[str]
    rows: list[list[str]]


def name_of(path: Path) -> str:
    """Return a page's path for the id of a test."""
    return str(path.relative_to(ROOT))


def blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    found, language, file, opened, lines = [], "", "", 0, list[str]()
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("```"):
            if opened:
                found.append(Block(language, file, "\n".join(lines) + "\n", opened))
                opened = 0
            else:
                language, _, file = line.removeprefix("```").strip().partition(" ")
                opened, lines = number, []
        elif opened:
            lines.append(line)
    assert not opened, f"{path}: the block of line {opened} is not closed"
    return found


def prose(path: Path) -> list[str]:
    """Return the lines of a page that are in no fenced block."""
    inside, lines = False, []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            lines.append(line)
    return lines


def headings(path: Path) -> list[str]:
    """Return the headings of a page, as written."""
    return [line.lstrip("#").strip() for line in prose(path) if line.startswith("#")]


def anchors(path: Path) -> set[str]:
    """Return the fragments by which headings are reached: lower case, no punctuation, spaces as hyphens."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(path)}


def links(path: Path) -> Iterator[str]:
    """Yield the targets of a page's links."""
    yield from re.findall(r"(?<!!)\[(?:[^\[\]]|\\.)+\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", "\n".join(prose(path))))


def tables(path: Path) -> list[Table]:
    """Return the tables of a page."""
    found: list[Table] = []
    heading, last = "", ""
    for line in prose(path):
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
        if line.startswith("|"):
            cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not last.startswith("|"):
                found.append(Table(heading, cells, []))
            elif not set("".join(cells)) <= set("-: "):
                found[-1].rows.append(cells)
        last = line
    return found


def quoted(cell: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)
