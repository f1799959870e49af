"""Protocols as they are named to a command: by path, or by name in the folders of the search path."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from labctl.cli.context import Settings, settings

Named = Annotated[Path, typer.Argument(help="Protocol file, or the name of one in the folders.", show_default=False)]
Cell = Annotated[Path | None, typer.Option(help="Cell file that fills or overrides the protocol's [cell].")]


def protocol_file(context: typer.Context, file: Path) -> Path:
    """Return the path of a protocol that was named; raises ProtocolError where a name is unknown or ambiguous."""
    from labctl.protocol.folders import SUFFIX, find

    if file.suffix == SUFFIX or file.is_file() or file.is_absolute():
        return file
    return find(file.as_posix(), search_path(settings(context)))


def search_path(said: Settings) -> tuple[Path, ...]:
    """Return the folders that are searched: those in the configuration, then the one beside it, or else the shipped."""
    home = said.config_path.parent
    asked = said.lab_settings().protocols.folders if said.config_path.exists() else ()
    folders = [home / Path(folder).expanduser() for folder in asked]
    usual = (home, Path(sys.prefix) / "share" / "labctl", Path(__file__).parents[2])
    return (*folders, *[there for place in usual if (there := place / "protocols").is_dir()][:1])
