"""Every code that is told stands in the catalogue, and the page of findings says what the catalogue says."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.lint.catalogue import CODES
from tests.docs.pages import DOCS, blocks, quoted, tables

from .files import CELL, LIMITS, protocol, told

ROOT = Path(__file__).parents[2] / "labctl"
PAGE = DOCS / "reference" / "findings.md"
HEADINGS = {"error": "Errors", "warning": "Warnings", "note": "Notes"}
CODE_STANDS = {"Refused": 0, "Finding": 0, "refuse": 1, "finding": 0, "_refuse": 3}
"""Function that makes a finding -> which of its arguments is the code."""


def codes_told() -> Iterator[tuple[str, str]]:
    """Code and place in the source of everything that can be told of a protocol."""
    for file in [*ROOT.glob("protocol/*.py"), *ROOT.glob("lint/*.py")]:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            method = isinstance(node.func, ast.Attribute)
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = node.args[CODE_STANDS[name] :][:1] if CODE_STANDS.get(name) is not None else []
            if name == "refuse" and not method:
                continue  # a callback that says no code
            for code in [*given, *(keyword.value for keyword in node.keywords if keyword.arg == "code")]:
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    yield code.value, f"{file.name}:{node.lineno}"


def test_what_is_told_is_in_the_catalogue_and_the_catalogue_is_told() -> None:
    told = dict(codes_told())
    assert {code: place for code, place in told.items() if code not in CODES} == {}
    assert set(CODES) - set(told) == set()


def test_the_page_says_what_the_catalogue_says() -> None:
    said = {
        quoted(row[0])[0]: (table.heading, "(station)" in row[0], *row[1:])
        for table in tables(PAGE)
        for row in table.rows
    }
    known = {
        name: (HEADINGS[code.severity], code.of_station, code.means, code.why, code.remedy)
        for name, code in CODES.items()
    }
    assert said == known


@pytest.mark.parametrize("block", [b.text for b in blocks(PAGE) if b.language == "toml"])
def test_an_example_of_the_page_is_a_protocol_that_nothing_is_told_of(block: str) -> None:
    if block.startswith("[check]"):
        late = '[[step]]\ncharge = "C/10"\nuntil = "3.7 V"\ntimeout = "9 h"\n'
        assert told(protocol(late)) != []
        assert told(protocol(late, check=block)) == []
    else:
        limits = re.sub(r"pressure.*\n", "", LIMITS)
        assert told(protocol('[[step]]\nrest = "1 h"\n', block.removeprefix("[cell]\n"), limits)) == []
        assert told(protocol('[[step]]\nrest = "1 h"\n', CELL)) == []
