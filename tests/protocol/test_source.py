"""Where things stand in a TOML file, and that no damaged file gets past the door without a sentence."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import ConfigError, Place, ProtocolError
from labctl.protocol import bind
from labctl.protocol.source import KeyPath, parse

from .files import BARE, HEAD, LIBRARY, STATION, read

FILE = """\
a = 1
b.c = "µ"  # comment
[t."q x".z]
x = { y = 1, z.w = [1, "µµ", { k = 2 }] }
[[step]]
rest = "1 h"
[[step.do]]
v = '''
two lines'''
[[step]]
d = [
  1,  # one
  2,
]
[step.sub]
k = 3
"""


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (("a",), (1, 5, 1), (1, 1, 1)),
        (("b", "c"), (2, 7, 3), (2, 1, 3)),
        (("t", "q x", "z"), (3, 2, 9), (3, 2, 9)),
        (("t", "q x", "z", "x", "y"), (4, 11, 1), (4, 7, 1)),
        (("t", "q x", "z", "x", "z", "w", 1), (4, 24, 4), (4, 24, 4)),
        (("t", "q x", "z", "x", "z", "w", 2, "k"), (4, 36, 1), (4, 32, 1)),
        (("step", 0, "do", 0, "v"), (8, 5, 3), (8, 1, 1)),
        (("step", 1), (10, 3, 4), (10, 3, 4)),
        (("step", 1, "d", 1), (13, 3, 1), (13, 3, 1)),
        (("step", 1, "sub", "k"), (16, 5, 1), (16, 1, 1)),
        (("step", 1, "sub", "none", 3), (15, 2, 8), (15, 2, 8)),
        (("a", 0, "when"), (1, 5, 1), (1, 1, 1)),
        (("none",), (1, 1, 1), (1, 1, 1)),
    ],
)
def test_keys_and_values_have_a_place(path: KeyPath, value: tuple[int, int, int], key: tuple[int, int, int]) -> None:
    def of(place: Place) -> tuple[int, int, int]:
        return place.line, place.column, place.length

    source = parse("f.toml", FILE, ProtocolError)
    assert of(source.value(path)) == value
    assert of(source.key(path)) == key


def test_a_side_is_found_under_its_other_name() -> None:
    source = parse("f.toml", "[cell]\nanode = { potential = 5 }\n", ProtocolError)
    assert source.value(("cell", "negative", "potential")).column == 23


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\"\\'"), max_size=6)
leaves = st.integers(0, 99) | words
trees = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))


def written(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{k}" = {written(v)}' for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


@given(st.dictionaries(words, trees, max_size=4))
def test_what_stands_at_a_place_is_the_value(tree: dict[str, object]) -> None:
    text = "".join(f'"{key}" = {written(value)}\n' for key, value in tree.items())
    source = parse("f.toml", text, ProtocolError)

    def check(value: object, path: KeyPath) -> None:
        place = source.value(path)
        line = text.split("\n")[place.line - 1]
        assert tomllib.loads("x = " + line[place.column - 1 : place.column - 1 + place.length])["x"] == value
        children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, child in children:
            check(child, (*path, key))

    for key, value in tree.items():
        check(value, (key,))


def test_the_caller_says_which_error_a_file_raises() -> None:
    with pytest.raises(ConfigError):
        parse("config.toml", "a =", ConfigError)


def test_what_cannot_be_shown_is_not_shown() -> None:
    with pytest.raises(ProtocolError) as caught:
        parse("f.toml", "a = \x1b[31m", ProtocolError)
    assert "\x1b" not in str(caught.value)


SEEDS = [file.read_text(encoding="utf-8") for file in sorted(LIBRARY.glob("*/*.toml"))] + [
    HEAD + "\n".join(line for line in block.splitlines() if not line.startswith("=> "))
    for block in Path(__file__).with_name("refused.txt").read_text(encoding="utf-8").split("\n\n")
]
TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_]+|\d+|\s+|.')
WORDS = sorted({token for seed in SEEDS for token in TOKEN.findall(seed) if not token.isspace()})
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(["put", "insert", "delete"]),
        st.sampled_from([*WORDS, "nan", "-inf", "1e400", "{}", "[[step]]", '"{cycles}"', "2026-01-01"]),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300)
@given(st.sampled_from(SEEDS), EDITS)
def test_a_damaged_file_gives_a_plan_or_located_sentences(seed: str, edits: list[tuple[float, str, str]]) -> None:
    tokens = TOKEN.findall(seed)
    for where, what, word in edits:
        index = int(where * len(tokens))
        tokens[index : index + (what != "insert")] = [] if what == "delete" else [word]
    for station in (STATION, BARE):
        told = []
        try:
            bind(read("".join(tokens)), station)
        except ProtocolError as error:
            told = [(finding.reason, finding.place.line >= 1) for finding in error.findings] or [("", False)]
        assert all(reason and located for reason, located in told)
