"""What a user is told of a file that is wrong: exact place and sentence of everything in it, in one go."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.errors import ProtocolError
from labctl.lint import check
from labctl.plan import Bound, StationAbilities
from labctl.protocol import load, load_cell

from .files import BARE, HEAD, STATION, of_step, read, sentences

ON_A_BARE_STATION = "## on a station with nothing but a cycler"


def _refused_steps() -> Iterator[tuple[str, list[str], StationAbilities]]:
    """Read refused.txt: blocks of a step and, behind "=>", the sentences told of it."""
    station = STATION
    for block in Path(__file__).with_name("refused.txt").read_text(encoding="utf-8").split("\n\n"):
        lines = block.strip().splitlines()
        if lines[0].startswith("#"):
            station = BARE if lines[0] == ON_A_BARE_STATION else STATION
            continue
        step = [line for line in lines if not line.startswith("=> ")]
        yield "\n".join(step), [line[3:] for line in lines if line.startswith("=> ")], station


@pytest.mark.parametrize(("step", "told", "station"), list(_refused_steps()))
def test_a_wrong_step_is_told_with_its_place(step: str, told: list[str], station: StationAbilities) -> None:
    assert of_step(step, station) == told


REST = 'rest = "1 h"\n'
CHARGE = 'charge = "1C"\nuntil = "4.3 V"\n'
BY_POTENTIAL = 'charge = "1 mA"\nuntil = "4.3 V vs Li"\n'

WHOLE_FILES = {
    "old schema": (HEAD.replace('"1"', '"2"', 1) + REST, ['1:10: "2" is not possible for schema']),
    "no head": (HEAD.replace('[protocol]\nname = "small"\n', "") + REST, ['1:1: this file lacks "protocol"']),
    "no name": (HEAD.replace('name = "small"', 'title = "x"') + REST, ['2:2: [protocol] lacks "name"']),
    "no limits": (
        HEAD.replace('voltage = ["2.0 V", "4.4 V"]\n', "").replace('capacity = "300 mAh/g"\n', "") + REST,
        ['9:2: [limits] lacks "voltage"'],
    ),
    "no step": ('schema = "1"\n[protocol]\nname = "x"\n', ['1:1: this file lacks "limits"']),
    "unknown table": (
        HEAD.replace("[limits]", "[limit]") + REST,
        ['1:1: this file lacks "limits"', '9:2: "limit" is unknown here (did you mean "limits"?)'],
    ),
    "nobody knows the kind": (
        HEAD.replace('kind = "full"\n', "") + REST,
        ["4:2: nobody says what kind of cell this is"],
    ),
    "unknown kind": (HEAD.replace('"full"', '"fool"') + REST, ['5:8: "fool" is not possible for kind']),
    "two 1C": (
        HEAD.replace('kind = "full"', 'kind = "full"\ncapacity = "2 mAh"') + CHARGE,
        ["4:2: both cell.capacity and cell.positive.one_c say what 1C is"],
    ),
    "a rate without a mass": (
        HEAD.replace(', active_loading = "14 mg/cm2"', "").replace("300 mAh/g", "3 mAh") + CHARGE,
        ['16:10: "1C" needs the current of 1C, which neither protocol nor cell file gives'],
    ),
    "no bore": (
        HEAD.replace('bore = "10 mm"\n', "") + 'pressure = { negative = "2 MPa", ramp = "1 MPa/s" }\nuntil = "1 h"\n',
        ['15:25: "2 MPa" needs the bore to be a force'],
    ),
    "limits upside down": (
        HEAD.replace('["2.0 V", "4.4 V"]', '["4.4 V", "2.0 V"]') + REST,
        ['10:11: "4.4 V" is not below "2.0 V"'],
    ),
    "limits that the station does not have": (
        HEAD.replace('["2.0 V", "4.4 V"]', '["6 V", "7 V"]') + REST,
        ["10:11: 6 V to 7 V has nothing in common with the limits around it, 0 V to 5 V"],
    ),
    "zero volts on a full cell": (
        HEAD.replace('["2.0 V", "4.4 V"]', '["-1 V", "4.4 V"]') + 'discharge = "1C"\nuntil = "0 V"\n',
        ["17:9: the cut-off of 0 V is a short for a full cell"],
    ),
    "an empty file": ("", ['1:1: this file lacks "schema"']),
    "no TOML": (HEAD + "rest = \n", ["16:8: this is not TOML: invalid value"]),
    "a key twice": (HEAD + REST + REST, ["17:13: this is not TOML: cannot overwrite a value"]),
    "an input that nothing uses": (
        HEAD + REST + "[inputs]\ncycles = { default = 5 }\n",
        ['18:10: the input "cycles" changes nothing'],
    ),
    "an input beyond its range": (
        HEAD + 'repeat = "{cycles}"\ndo = [{ rest = "1 h" }]\n[inputs]\ncycles = { default = 5, max = 3 }\n',
        ['19:22: the default of cycles: "5" is above the input\'s max of 3'],
    ),
}


@pytest.mark.parametrize(("text", "told"), list(WHOLE_FILES.values()), ids=list(WHOLE_FILES))
def test_a_wrong_file_is_told_with_its_place(text: str, told: list[str]) -> None:
    assert sentences(text) == told


def test_vs_li_needs_the_potential_of_the_counter_electrode() -> None:
    (told,) = sentences(HEAD.replace('negative = { potential = "0.62 V vs Li" }\n', "") + BY_POTENTIAL)
    reason = '"4.3 V vs Li" needs the potential of the counter electrode, which neither protocol nor cell file gives'
    assert told == f"16:9: {reason}"


def test_zero_volts_are_legal_where_the_kind_allows_it() -> None:
    deep = replace(STATION, voltage_limit=Bound(-5.0, 5.0))
    text = HEAD.replace('["2.0 V", "4.4 V"]', '["-1 V", "4.4 V"]') + 'discharge = "1C"\nuntil = "0 V"\n'
    assert sentences(text, deep) == ["17:9: the cut-off of 0 V is a short for a full cell"]
    assert sentences(text.replace('"full"', '"half"'), deep) == []


def test_the_picture_has_a_caret_under_the_value_also_behind_a_two_byte_letter(tmp_path: Path) -> None:
    file = tmp_path / "µ.toml"
    file.write_text(HEAD + 'name = "at 5 µA"\ncharge = "1C"\nuntil = ["4.3 V", "ÅÅ"]  # °C\n', encoding="utf-8")
    (finding,) = check(file)
    assert str(finding) == (
        f'{file}:18:19: error[value]: "ÅÅ" does not begin with a finite decimal number\n'
        '   18 | until = ["4.3 V", "ÅÅ"]  # °C\n'
        "      |                   ^^^^\n"
        '      = Write a number and its unit, such as "1 V" or "1 min".'
    )


def test_every_error_of_a_file_is_told_in_its_order() -> None:
    text = HEAD.replace('"10 mm", active', '"10 nm", active') + 'charge = "1"\n[[step]]\nrest = 5\n[[step]]\nfoo = 1\n'
    assert [told.split(":")[0] for told in sentences(text)] == ["7", "16", "18", "19"]


def test_a_wrong_form_of_one_step_hides_nothing_that_is_wrong_with_another(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    steps = """\
chrage = "1C"
[[step]]
charge = "1C"
until = "4.5 V"
[[step]]
for = { rate = ["C/5", "9C"] }
do = [ { rest = 5 }, { charge = "{rate}", until = "4 V" } ]
"""
    file.write_text(HEAD.replace('name = "small"', 'nam = "small"') + steps, encoding="utf-8")
    assert [(f.place.line, f.reason) for f in check(file, STATION)] == [
        (2, '[protocol] lacks "name"'),
        (3, '"nam" is unknown here (did you mean "name"?)'),
        (16, '"chrage" is no verb (did you mean "charge"?)'),
        (19, "the cut-off of 4.5 V is not inside the limits of voltage, 2 V to 4.4 V"),
        (22, "5 is a bare number where a time belongs"),
        (22, '"9C" is 19.79 mA on this cell, beyond the limit of 5 mA'),
    ]


def test_a_setting_is_checked_like_the_file() -> None:
    text = HEAD + CHARGE.replace("1C", "{rate}") + '[inputs]\nrate = { default = "C/10", max = "C/5" }\n'
    assert sentences(text) == []
    assert sentences(text, rate="0.2C") == []
    assert sentences(text, rate="1C") == ['19:8: --set rate="1C": "1C" is above the input\'s max of C/5']
    assert sentences(text, rate="1 mA") == ['19:8: --set rate="1 mA": "1 mA" is a current, not a C-rate']
    assert sentences(text, rte="1C") == ['18:2: --set: no input of this file is called "rte" (did you mean "rate"?)']


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    missing, folder, huge, binary = (tmp_path / name for name in ("none.toml", "folder", "huge.toml", "binary.toml"))
    folder.mkdir()
    huge.write_bytes(b"#\n" * 250_001)
    binary.write_bytes(b'schema = "1"\nname = "\xff"\n')
    assert [f"{f.place.line}: {f.reason}" for path in (missing, folder, huge, binary) for f in check(path)] == [
        "1: this file cannot be read: No such file or directory",
        "1: this is a folder, not a file",
        "1: this file is larger than 500 kB",
        "2: byte 0xff is not UTF-8",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = " + "[" * 4900, "this file is nested too deeply"),
        ("a = " + "[" * 50 + "]" * 50, "this file is nested more than 24 deep"),
        ("a = " + "9" * 4900, "a number in this file has thousands of digits"),
        ('a = "x', "this is not TOML: unterminated string"),
    ],
)
def test_hostile_toml_is_refused_by_a_sentence(text: str, reason: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(text)
    assert [finding.reason for finding in caught.value.findings] == [reason]


def test_loops_that_would_fill_the_memory_are_refused() -> None:
    values = ", ".join(f'"{n} min"' for n in range(1, 201))
    text = HEAD + f'for = {{ a = [{values}], b = [{values}] }}\ndo = [ {{ rest = "{{a}}" }}, {{ rest = "{{b}}" }} ]\n'
    assert sentences(text) == ["16:7: the `for` loops of this file unfold to more than 20000 steps"]


def test_an_error_in_a_cell_file_points_into_that_file(tmp_path: Path) -> None:
    file = tmp_path / "cell.toml"
    file.write_text('schema = "1"\n[cell]\nbore = "10"\n[limits]\nvoltage = ["6 V", "7 V"]\n', encoding="utf-8")
    with pytest.raises(ProtocolError) as caught:
        load_cell(file)
    assert [(f.place.file, f.place.line, f.reason) for f in caught.value.findings] == [
        (str(file), 3, '"10" has no unit')
    ]
    file.write_text('schema = "1"\n[cell]\n[limits]\nvoltage = ["6 V", "7 V"]\n', encoding="utf-8")
    protocol = tmp_path / "p.toml"
    protocol.write_text(HEAD + REST, encoding="utf-8")
    load(protocol)
    (finding,) = [f for f in check(protocol, STATION, load_cell(file)) if f.place.file == str(file)]
    assert (finding.place.line, finding.reason[:32]) == (4, "6 V to 7 V has nothing in common")
