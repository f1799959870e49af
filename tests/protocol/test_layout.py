"""Laying a file out anew: comments stay, meaning stays, and a second time changes nothing."""

import json
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import ProtocolError
from labctl.protocol.hash import protocol_hash
from labctl.protocol.layout import tidy

from .files import HEAD, LIBRARY, read

FILES = sorted(LIBRARY.glob("*/*.toml"))

UNTIDY = """\
# first line
schema="1"   # one
[[step]]  # the only one
until = [ "4.3 V","30 h" ]
timeout="40 h"
charge="C/10"

[limits]
capacity   = "300 mAh/g" # ours
voltage=["2.0 V","4.4 V"]
# about the current
current = "5 mA"
[protocol]
title = "T"
name = 'small'


[[step]]
repeat = 2
do = [
{discharge="C/5",until="2.5 V"},#down
# a comment between

   { until = "10 min" , charge = "C/5" },   # up
  ]
counts = "cycle"
# at the end
"""
TIDY = """\
# first line
schema = "1"                              # one

[protocol]
name  = 'small'
title = "T"

[limits]
voltage  = ["2.0 V", "4.4 V"]
# about the current
current  = "5 mA"
capacity = "300 mAh/g"                    # ours

[[step]]                                  # the only one
charge  = "C/10"
until   = ["4.3 V", "30 h"]
timeout = "40 h"

[[step]]
repeat = 2
counts = "cycle"
do = [
  { discharge = "C/5", until = "2.5 V" },   #down
  # a comment between

  { charge = "C/5", until = "10 min" },   # up
]
# at the end
"""


def test_an_untidy_file() -> None:
    assert tidy("p.toml", UNTIDY) == TIDY
    assert tidy("p.toml", TIDY) == TIDY


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_library_keeps_its_meaning(path: object) -> None:
    text = path.read_text("utf-8")  # type: ignore[attr-defined]
    tidied = tidy(str(path), text)
    assert tidy(str(path), tidied) == tidied
    assert tomllib.loads(tidied) == tomllib.loads(text)


def test_hash_and_line_ends() -> None:
    text = HEAD + 'until = "4.3 V"\ncharge = "C/10"\n'
    tidied = tidy("p.toml", text.replace("\n", "\r\n"))
    assert "\r" not in tidied
    assert protocol_hash(read(tidied).file) == protocol_hash(read(text).file)


VALUES = st.recursive(
    st.integers(-5, 5) | st.booleans() | st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc-", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
COMMENTS = st.lists(st.text("# xyzµ", max_size=5), min_size=8, max_size=8)
GAPS = st.lists(st.sampled_from(["", " ", "\n", "\n\n\n", "  \n"]), min_size=8, max_size=8)


def written(value: object, comments: list[str], gaps: list[str]) -> str:
    """A value in TOML, with comments and blank lines wherever an array allows them."""
    if isinstance(value, list):
        rows = "".join(f"{gaps[0]}{written(item, comments, gaps)}, # {comments[1]}\n" for item in value)
        return (
            f"[ # {comments[0]}\n{rows}{gaps[1]}]"
            if value and len(comments[0]) > 2
            else (f"[{', '.join(written(item, comments, gaps) for item in value)}]")
        )
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(k)} = {written(v, comments, gaps)}' for k, v in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(["schema", "step", "protocol", "a", "b-c"]), VALUES, max_size=5), COMMENTS, GAPS)
def test_any_file_keeps_its_data_and_its_comments(
    data: dict[str, object], comments: list[str], gaps: list[str]
) -> None:
    lines = [
        f"{gap}{key} = {written(value, comments, gaps)} # {text}"
        for (key, value), gap, text in zip(data.items(), gaps, comments, strict=False)
    ]
    text = "\n".join(["# top", *lines, "[ t . 'u' ]", "x . y = 1", "# end", ""])
    tidied = tidy("p.toml", text)
    assert tidy("p.toml", tidied) == tidied
    assert tomllib.loads(tidied) == tomllib.loads(text)
    assert all(line == line.rstrip() for line in tidied.splitlines())


def test_what_is_no_toml_is_refused() -> None:
    with pytest.raises(ProtocolError, match="this is not TOML"):
        tidy("p.toml", "schema = \n")
