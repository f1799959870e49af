"""`labctl protocols`: the protocols that can be named, and where they lie."""

from typing import TYPE_CHECKING, Any

import typer

from labctl.cli.context import console, print_json
from labctl.cli.remote import Json

if TYPE_CHECKING:
    from labctl.protocol.folders import Entry


def protocols(context: typer.Context, json: Json = False) -> None:
    """List the protocols of all folders of the search path, which commands take by name.

    Example: labctl protocols
    """
    from labctl.cli.named import search_path
    from labctl.protocol.folders import entries

    titled = [(entry, entry.title()) for entry in entries(search_path(context))]
    found = [(entry, title) for entry, title in titled if title is not None]
    if json:
        print_json({"protocols": [_as_json(entry, title) for entry, title in found]})
    else:
        _print(found)


def _as_json(entry: "Entry", title: str) -> dict[str, Any]:
    from labctl.protocol.folders import commit_of

    return {
        "name": entry.name,
        "title": title,
        "file": str(entry.path),
        "folder": str(entry.folder),
        "commit": commit_of(entry.folder),
    }


def _print(found: "list[tuple[Entry, str]]") -> None:
    from rich.text import Text

    from labctl.cli.tables import make_table
    from labctl.protocol.folders import commit_of

    out = console()
    table = make_table("Name", "Title", left=2)
    for entry, title in found:
        table.add_row(Text(entry.name), Text(title))
    out.print(table)
    for folder in dict.fromkeys(entry.folder for entry, _ in found):
        commit = commit_of(folder)
        out.print(f"{folder}{f', at git commit {commit}' if commit else ''}", soft_wrap=True)
