"""Protocols as they are named to a command: by path, or by name in the folders of the search path."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import settings

if TYPE_CHECKING:
    from labctl.protocol.folders import Folders

Named = Annotated[Path, typer.Argument(help="Protocol file, or the name of one in the folders.", show_default=False)]
Cell = Annotated[Path | None, typer.Option(help="Cell file that fills or overrides the protocol's [cell].")]


def protocol_file(context: typer.Context, file: Path) -> Path:
    """Return the path of a protocol that was named; raises ProtocolError where a name is unknown or ambiguous."""
    from labctl.protocol.folders import SUFFIX, find

    if file.suffix == SUFFIX or file.is_file() or file.is_absolute():
        return file
    return find(file.as_posix(), search_path(context))


def search_path(context: typer.Context) -> tuple[Path, ...]:
    """Return the folders in which protocols have names, also where there is no configuration."""
    from labctl.settings import ProtocolsConfig

    said = settings(context)
    asked = said.lab_settings().protocols if said.config_path.exists() else ProtocolsConfig()
    return asked.search_path(said.config_path.parent)


def folders(context: typer.Context) -> "Folders":
    """Return what says where the protocols lie that a protocol runs by name, when one does."""
    return partial(search_path, context)
