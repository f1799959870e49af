"""Files at their extremes: huge, deep, and limits that contradict what is asked; each has its sentence, soon."""

import tracemalloc
from pathlib import Path

import pytest

from labctl.errors import ProtocolError
from labctl.lint import check

from .files import HEAD, read, sentences

STEPS_ALONE = HEAD.removesuffix("[[step]]\n")


def test_a_hundred_megabytes_are_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "huge.toml"
    with file.open("wb") as hollow:
        hollow.truncate(100_000_000)
    tracemalloc.start()
    try:
        (finding,) = check(file)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert (finding.code, finding.reason) == ("file", "this file is larger than 500 kB")


@pytest.mark.parametrize(
    "deep",
    [
        "[" + ".".join("a" * 40) + "]\n",
        ".".join("a" * 40) + " = 1\n",
        "x = " + "{ a = " * 40 + "1" + " }" * 40 + "\n",
        '[[step]]\nif = "cycle >= 1"\ndo = ' + '[{ if = "cycle >= 1", do = ' * 15 + "[]" + " }]" * 15 + "\n",
    ],
    ids=["header", "dotted key", "inline tables", "steps"],
)
def test_depth_is_refused_however_it_is_written(deep: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(STEPS_ALONE + deep)
    assert [finding.reason for finding in caught.value.findings] == ["this file is nested more than 24 deep"]


def test_a_charge_to_4_2_volts_under_a_limit_of_1_5_is_told_where_both_stand() -> None:
    text = HEAD.replace('["2.0 V", "4.4 V"]', '["1.0 V", "1.5 V"]')
    told = "the cut-off of 4.2 V is not inside the limits of voltage, 1 V to 1.5 V"
    assert sentences(text + 'charge = "1C"\nuntil = "4.2 V"\n') == [f"17:9: {told}"]
    terminal = '"4.2 V vs Li" (3.58 V at the terminals) is not inside the limits of voltage, 1 V to 1.5 V'
    assert sentences(text + 'charge = "1C"\ncv = "4.2 V vs Li"\nuntil = "C/20"\n') == [f"17:6: {terminal}"]


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "+nan", "NaN", "1e999"])
@pytest.mark.parametrize("key", ["repeat", "rest", "charge"])
def test_no_number_that_is_none_gets_through(number: str, key: str) -> None:
    """As TOML writes it, and as a text with a unit."""
    tail = '\ndo = [{ rest = "1 h" }]\n' if key == "repeat" else '\nuntil = "1 h"\n'
    for written in (number, f'"{number}"', f'"{number} mA"', f'"{number} h"'):
        assert sentences(HEAD + f"{key} = {written}{tail}")


def test_a_hundred_findings_are_told_and_no_more(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(STEPS_ALONE + '[[step]]\nrst = "1 h"\n' * 300, encoding="utf-8")
    assert len(check(file)) == 100
