"""Damaged and hostile files of other worlds: sentences, never a traceback, and a text that can be written."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.exchange import READERS, bring_in
from labctl.exchange.gaps import refused

from .procedures import UNICYCLER
from .test_maccor import CYCLE
from .test_pybamm import PUBLISHED

SOUND = {"unicycler": UNICYCLER, "pybamm": PUBLISHED, "maccor": CYCLE}
BITS = [
    "",
    "0",
    "-1",
    "1e300",
    "NaN",
    "null",
    "[]",
    "{}",
    "<a/>",
    '"',
    "'",
    ",",
    "\n",
    "µ",
    "\x00",
    "{x}",
    "until",
    "* 2",
]


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(BITS)) + text[at + draw(st.integers(0, 12)) :]
    return text


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exchange") / "file"


@pytest.mark.parametrize("world", READERS)
@given(data=st.data())
@settings(max_examples=60)
def test_a_damaged_file_is_told_about(file: Path, world: str, data: st.DataObject) -> None:
    file.write_text(data.draw(damaged(SOUND[world])), "utf-8")
    converted = bring_in(file, data.draw(st.sampled_from([world, None])), {})
    assert any(finding.code in {"missing", "inexpressible"} for finding in converted.findings)


def nested_tags(depth: int) -> str:
    tags = "".join(f'{{"step": "tag", "tag": "{n}"}},' for n in range(depth))
    loops = "".join(f',{{"step": "loop", "loop_to": "{n}", "cycle_count": 2}}' for n in reversed(range(depth)))
    return f'{{"method": [{tags}{{"step": "open_circuit_voltage", "until_time_s": 1}}{loops}]}}'


HOSTILE: dict[str, Callable[[], str]] = {
    "deep JSON": lambda: "{" + '"a":[' * 90_000,
    "deep loops": lambda: nested_tags(2000),
    "a key twice": lambda: '{"method": [], "method": [{"step": "tag", "tag": "a"}]}',
    "a number of thousands of digits": lambda: f'{{"sample": {{"capacity_mAh": {"9" * 5000}}}, "method": [1]}}',
    "half a character": lambda: '{"sample": {"name": "\\ud800{x}"}, "method": [{"step": "\\ud800", "id": "\\u0007"}]}',
    "a long sum": lambda: "+".join(['["Rest for 1 hour"]'] * 20_000),
    "many multiples": lambda: '["Rest for 1 hour"]' + " * 2" * 500,
    "an expression that would run": lambda: "__import__('os').abort()",
    "entities": lambda: (
        '<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><MaccorTestProcedure>&c;</MaccorTestProcedure>'
    ),
    "deep XML": lambda: "<a>" * 60_000,
}


@pytest.mark.parametrize("text", list(HOSTILE.values()), ids=list(HOSTILE))
def test_a_hostile_file_is_refused_in_a_sentence(file: Path, text: Callable[[], str]) -> None:
    file.write_text(text(), "utf-8")
    converted = bring_in(file, None, {})
    told = [finding.reason for finding in converted.findings if not finding.reason.startswith("the file does not")]
    assert told, "more than what every file lacks"
    assert converted.text is None or refused(converted.text)
