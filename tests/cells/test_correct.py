"""A mass entered late: however a file is written, the value is set, all else stays, and the file says who did it."""

import tomllib
from pathlib import Path

import pytest

from labctl.cells.correct import correct
from labctl.errors import ProtocolError
from labctl.protocol import load_cell

NOON = 1_795_262_400.0
NOTE = '\n[[history]]\ndate = 2026-11-21T12:00:00Z\nwho = "anna"\nkey = "active_mass"\n'

WAYS = {
    "table": '[cell]\nname = "a"   # the first\n\n[cell.positive]      # NMC\nactive_mass = "10.8 mg"   # balance B\n',
    "inline": '[cell]\npositive = { active_mass = "10.8 mg", diameter = "10 mm" } # µ and ° before\n',
    "dotted": '[cell]\npositive.active_mass = "10.8 mg"\npositive.diameter = "10 mm"\n',
    "alias": '[cell.cathode]\nactive_mass = "10.8 mg"\n',
    "no mass, table": '[cell]\nname = "a"\n[cell.positive]\ndiameter = "10 mm"\n[limits]\ncurrent = "1 mA"\n',
    "no mass, inline": '[cell]\npositive = { diameter = "10 mm" }\n',
    "empty inline": "[cell]\npositive = {}\n",
    "no mass, dotted": '[cell]\npositive.diameter = "10 mm"\n[limits]\ncurrent = "1 mA"\n',
    "no electrode": '[cell]\nname = "a"\n\n[limits]\ncurrent = "1 mA"\n',
    "all dotted": 'cell.name = "a"\nlimits.current = "1 mA"\n',
    "all inline": 'cell = { name = "a", positive = { diameter = "10 mm" } }\n',
    "no last newline": '[cell]\nname = "a"',
    "in quotes": '["cell"."positive"]\n"active_mass" = \'10.8 mg\'\n',
    "micro": '[cell]\nmaterial_note = "µ"\n'.replace("material_note", "name")
    + 'positive = { material = "µÅ°", active_mass = "10 mg" }\n',
}


def write(folder: Path, text: str) -> Path:
    path = folder / "cell.toml"
    path.write_bytes(('schema = "1"  # version\n' + text).encode())
    return path


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_the_value_is_set_and_nothing_else(tmp_path: Path, way: str, newline: str) -> None:
    path = write(tmp_path, WAYS[way].replace("\n", newline))
    before = path.read_bytes().decode()
    corrected = correct(load_cell(path), "active_mass", "14.2 mg", who="anna", unix=NOON)
    after = path.read_bytes().decode()
    data, was = tomllib.loads(after), tomllib.loads(before)
    history = data.pop("history")
    side = "cathode" if way == "alias" else "positive"
    old = was["cell"].setdefault(side, {}).pop("active_mass", None)
    assert data["cell"][side].pop("active_mass") == "14.2 mg"
    assert data == was
    assert [(entry["who"], entry["key"], entry.get("was"), entry["value"]) for entry in history] == [
        ("anna", "active_mass", old, "14.2 mg")
    ]
    assert corrected.file == load_cell(path).file
    for comment in ("# version", "# the first", "# NMC", "# balance B", "# µ and ° before"):
        assert (comment in after) == (comment in before)
    assert after.count("\n") - before.count("\n") <= 9


def test_the_bytes_of_a_correction(tmp_path: Path) -> None:
    path = write(tmp_path, WAYS["table"])
    correct(load_cell(path), "active_mass", "14.2 mg", who="anna", unix=NOON)
    assert path.read_text() == (
        'schema = "1"  # version\n'
        + WAYS["table"].replace('"10.8 mg"', '"14.2 mg"')
        + NOTE
        + 'was = "10.8 mg"\nvalue = "14.2 mg"\n'
    )


def test_corrections_add_up(tmp_path: Path) -> None:
    path = write(tmp_path, "[cell]\n")
    for mass in ("11 mg", "12 mg", "13 mg"):
        correct(load_cell(path), "active_mass", mass, who="joe", unix=NOON)
    assert [(entry.was, entry.value) for entry in load_cell(path).file.history] == [
        (None, "11 mg"),
        ("11 mg", "12 mg"),
        ("12 mg", "13 mg"),
    ]


@pytest.mark.parametrize(
    ("text", "key", "value", "sentence"),
    [
        ("[cell]\n", "active_mass", "14.2 mm", r'"14.2 mm" is a length, not a mass'),
        ("[cell]\n", "active_mass", '14 mg"\nx = 1', "unknown unit"),
        ('[cell.positive]\nactive_mass = "14 mg"\n', "active_mass", "14 mg", "active_mass is 14 mg already"),
        ('[cell.positive]\nactive_mass = "14 mg"\n', "active_loading", "14 mg/cm2", "which a loading does not change"),
        ('[cell]\nkind = "blocking"\n', "active_mass", "14 mg", "active_mass says nothing of a blocking cell"),
        ("history = []\n[cell]\n", "active_mass", "14 mg", "this is not TOML"),
    ],
)
def test_what_cannot_be_set_leaves_the_file_alone(
    tmp_path: Path, text: str, key: str, value: str, sentence: str
) -> None:
    path = write(tmp_path, text)
    before = path.read_bytes()
    with pytest.raises(ProtocolError, match=sentence):
        correct(load_cell(path), key, value, who="anna", unix=NOON)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["cell.toml"]


def test_a_link_stays_a_link_and_keeps_its_mode(tmp_path: Path) -> None:
    target = write(tmp_path, "[cell]\n")
    target.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(target)
    correct(load_cell(link), "active_mass", "14.2 mg", who="anna", unix=NOON)
    assert link.is_symlink()
    assert "14.2 mg" in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o640
