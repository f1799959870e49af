"""The folder of cell files beside config.toml: every cell by its name, and everything wrong with the files."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Finding, Place, ProtocolError
from labctl.filelock import make_folder
from labctl.protocol.load import LoadedCell, cell_of, in_order, load_cell
from labctl.protocol.source import parse, read
from labctl.quantity import shown
from labctl.textfile import is_inside

FOLDER = "cells"
"""Beside config.toml."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """All cell files of a laboratory.

    Attributes:
        cells: by name; a name that two files give is not among them.
        findings: what is wrong with the files that are not in `cells`.
        troubles: why a cell is not in `cells`, by its name as far as that can be known, and by that of its file.
    """

    folder: Path
    cells: Mapping[str, LoadedCell]
    findings: tuple[Finding, ...]
    troubles: Mapping[str, Finding]

    @classmethod
    def read(cls, folder: Path) -> "Shelf":
        """Read every `*.toml` of a folder; one that is not there holds nothing."""
        named: dict[str, list[LoadedCell]] = {}
        findings: list[Finding] = []
        troubles: dict[str, Finding] = {}
        for path in sorted(folder.glob("*.toml")):
            try:
                if not is_inside(path, folder):
                    raise _refused(path, "this leads out of the folder of the cells", "Put the file itself here.")
                cell = load_cell(path)
            except ProtocolError as error:
                findings.extend(error.findings)
                troubles |= dict.fromkeys((path.stem, _name_in(path)), error.findings[0])
            else:
                named.setdefault(cell.name, []).append(cell)
        for name, several in named.items():
            if len(several) > 1:
                findings.extend(_same_name(name, cell, several) for cell in several)
                troubles[name] = findings[-1]
        cells = {name: same[0] for name, same in named.items() if name not in troubles}
        return cls(folder, cells, in_order(findings), troubles)

    def cell(self, name: str) -> LoadedCell:
        """Return the cell of that name; raises ProtocolError where there is none, or more than one."""
        if name in self.cells:
            return self.cells[name]
        if name in self.troubles:
            file = self.troubles[name].place.file
            raise ProtocolError(tuple(finding for finding in self.findings if finding.place.file == file))
        known = ", ".join(sorted(self.cells)) or "none"
        remedy = f"Cells here: {known}. `labctl cells new` writes the file of a new one."
        raise ProtocolError(
            (Finding("cell", Place(str(self.folder), 1, 1), f"no cell is called {shown(name)}", remedy),)
        )

    def add(
        self, name: str, cell: Mapping[str, str], positive: Mapping[str, str], stack: Mapping[str, str] | None = None
    ) -> LoadedCell:
        """Write the file of a new cell and return it.

        Args:
            cell: keys of [cell] with their values as written; `positive` those of [cell.positive], `stack` those of
                [cell.stack].

        Raises:
            ProtocolError: a value is not possible, the name is taken, or cannot be that of a file.
        """
        path = self.folder / f"{name}.toml"
        if not name or name.startswith(".") or not all(c.isalnum() or c in "._-" for c in name) or len(name) > 100:
            raise _refused(path, f"{shown(name)} cannot be the name of a file", "Use letters, digits, ., _ and -.")
        if name in self.cells or path.exists():
            raise _refused(
                path, f"there is a cell {shown(name)} already", "Choose another name: it is the cell's for good."
            )
        text = _text({"name": name, **cell}, positive=positive, stack=stack or {})
        made = cell_of(parse(str(path), text, ProtocolError))
        make_folder(self.folder)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(made.source.text)
        except OSError as error:
            raise _refused(path, f"it cannot be written: {error.strerror or error}", "Check the folder.") from None
        return made


def _name_in(path: Path) -> str:
    """Return what a file that was refused calls its cell, or the file's own name where that cannot be read."""
    if not is_inside(path, path.parent):
        return path.stem
    try:
        cell = read(path, ProtocolError).data.get("cell")
    except ProtocolError:
        return path.stem
    name = cell.get("name") if isinstance(cell, dict) else None
    return name if isinstance(name, str) and name else path.stem


def _text(cell: Mapping[str, str], **parts: Mapping[str, str]) -> str:
    """Write a cell file; a TOML text is quoted as in JSON."""
    lines = ['schema = "1"', "", "[cell]"]
    lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in cell.items()]
    for name, part in parts.items():
        if part:
            lines += ["", f"[cell.{name}]"]
            lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in part.items()]
    return "\n".join(lines) + "\n"


def _same_name(name: str, cell: LoadedCell, several: list[LoadedCell]) -> Finding:
    others = ", ".join(each.source.name for each in several if each is not cell)
    reason = f"{shown(name)} is also the name of the cell in {others}"
    remedy = "A cell has one file: its history is found by its name. Rename one of them."
    return Finding("cell-name", cell.source.value(("cell", "name")), reason, remedy)


def _refused(path: Path, reason: str, remedy: str) -> ProtocolError:
    return ProtocolError((Finding("cell", Place(str(path), 1, 1), reason, remedy),))
