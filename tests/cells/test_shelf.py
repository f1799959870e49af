"""The folder of cell files: names, new cells, and the place of everything wrong."""

from pathlib import Path

import pytest

from labctl.cells.shelf import Shelf
from labctl.errors import ProtocolError
from labctl.protocol import load_cell
from labctl.protocol.model import CellFile
from tests.docs.pages import DOCS, blocks, quoted, tables

HEAD = 'schema = "1"\n[cell]\n'


def refusal(shelf: Shelf, name: str, **cell: str) -> str:
    with pytest.raises(ProtocolError) as caught:
        shelf.add(name, cell, {})
    return str(caught.value).replace(str(shelf.folder), "cells")


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    shelf = Shelf.read(tmp_path / "cells")
    assert (dict(shelf.cells), shelf.findings) == ({}, ())
    with pytest.raises(ProtocolError, match=r'no cell is called "x"(.|\n)*Cells here: none'):
        shelf.cell("x")


def test_a_new_cell_is_a_file_that_can_be_read(tmp_path: Path) -> None:
    shelf = Shelf.read(tmp_path / "cells")
    made = shelf.add("CD-031", {"kind": "full", "bore": "10 mm"}, {"active_mass": "10.8 mg", "one_c": "200 mA/g"})
    assert (tmp_path / "cells" / "CD-031.toml").read_text() == (
        'schema = "1"\n\n[cell]\nname = "CD-031"\nkind = "full"\nbore = "10 mm"\n'
        '\n[cell.positive]\nactive_mass = "10.8 mg"\none_c = "200 mA/g"\n'
    )
    found = Shelf.read(tmp_path / "cells").cell("CD-031")
    assert found.file == made.file == load_cell(tmp_path / "cells" / "CD-031.toml").file


def test_a_cell_without_a_name_has_that_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "blank.toml").write_text(HEAD)
    assert Shelf.read(tmp_path).cell("blank").name == "blank"


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a b", "x" * 101, "a\n", "a{b}"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    assert "cannot be the name of a file" in refusal(Shelf.read(tmp_path), name)
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_is_not_possible_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    told = refusal(Shelf.read(tmp_path), "a", kind="full", bore="10 mg")
    assert told.startswith('cells/a.toml:6:8: error[value]: "10 mg" is a mass, not a length')
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_given_once(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(HEAD + 'name = "a"\n')
    assert 'there is a cell "a" already' in refusal(Shelf.read(tmp_path), "a")
    assert 'there is a cell "other" already' in refusal(Shelf.read(tmp_path), "other")


def test_two_files_with_one_name_are_both_told_and_neither_is_the_cell(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(HEAD)
    (tmp_path / "b.toml").write_text(HEAD + 'name = "a"\n')
    shelf = Shelf.read(tmp_path)
    assert dict(shelf.cells) == {}
    assert [(Path(f.place.file).name, f.place.line, f.code) for f in shelf.findings] == [
        ("a.toml", 2, "cell-name"),
        ("b.toml", 3, "cell-name"),
    ]
    with pytest.raises(ProtocolError, match="is also the name of the cell in"):
        shelf.cell("a")


def test_a_broken_file_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(HEAD)
    (tmp_path / "bad.toml").write_text(HEAD + 'bore = "wide"\n')
    shelf = Shelf.read(tmp_path)
    assert list(shelf.cells) == ["good"]
    with pytest.raises(ProtocolError, match=r'bad.toml:3:8: error\[value\]: "wide" does not begin with'):
        shelf.cell("bad")


def test_the_example_of_the_page_is_a_cell(tmp_path: Path) -> None:
    examples = [block.text for block in blocks(DOCS / "reference" / "cells.md") if block.language == "toml"]
    for number, example in enumerate(examples):
        (tmp_path / f"{number}.toml").write_text(example)
    shelf = Shelf.read(tmp_path)
    assert shelf.cell("LPSCl-7").file.cell.kind == "blocking"
    cell = shelf.cell("CD-031")
    assert [(each.who, each.was, each.value) for each in cell.file.history] == [("anna", "10.8 mg", "14.2 mg")]
    (keys,) = tables(DOCS / "reference" / "cells.md")
    assert {quoted(row[0])[0] for row in keys.rows} == {f.alias or n for n, f in CellFile.model_fields.items()}


def test_the_file_of_a_blocking_cell_has_a_stack(tmp_path: Path) -> None:
    made = Shelf.read(tmp_path).add("P1", {"kind": "blocking"}, {}, {"thickness": "1.5 mm", "diameter": "10 mm"})
    stack = made.file.cell.stack
    assert stack is not None
    assert (float(stack.thickness or 0), float(stack.diameter or 0), stack.mass) == (1.5e-3, 10e-3, None)
    assert '[cell.stack]\nthickness = "1.5 mm"\n' in made.source.text
    assert "positive" not in made.source.text
