"""What commands share: the configuration that applies, and how results are printed."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from labctl.config import Config
    from labctl.settings import LabSettings

SCHEMA = 1
WIDE = 200
"""Columns where nobody looks at a terminal: a pipe gets whole lines."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What was said before the command's name."""

    config_option: Path | None

    @property
    def config_path(self) -> Path:
        """The configuration file that applies."""
        from labctl.settings import find

        return self.config_option or find()

    def load_config(self) -> "Config":
        """Read it, with all stations and their drivers."""
        from labctl.config import load

        return load(self.config_path)

    def lab_settings(self) -> "LabSettings":
        """Read what is not of a station: it takes a moment, and needs no driver."""
        from labctl.settings import load_settings

        return load_settings(self.config_path)

    def data_folder(self) -> Path:
        """The data folder, also where there is no configuration at all."""
        from labctl.settings import StorageConfig

        return self.lab_settings().storage.folder if self.config_path.exists() else StorageConfig().folder

    @property
    def cells_folder(self) -> Path:
        """The folder of cell files, beside the configuration."""
        from labctl.cells.shelf import FOLDER

        return self.config_path.parent / FOLDER

    def database(self, option: Path | None) -> Path:
        """The database that was named, or that of the configuration."""
        return option or self.lab_settings().storage.database


def settings(context: typer.Context) -> Settings:
    """Return what was said before the command's name."""
    return cast("Settings", context.obj)


def print_json(data: dict[str, Any]) -> None:
    """Print one object with its schema version."""
    typer.echo(as_line(data))


def as_line(data: dict[str, Any]) -> str:
    """Return one object with its schema version as a line of JSON."""
    return json.dumps({"schema": SCHEMA, **data}, ensure_ascii=False)


def console(*, to_stderr: bool = False) -> "Console":
    """Return a console that prints text literally; plain where it is no terminal or NO_COLOR is set."""
    from rich.console import Console

    terminal = (sys.stderr if to_stderr else sys.stdout).isatty()
    return Console(
        stderr=to_stderr,
        markup=False,
        highlight=False,
        emoji=False,
        no_color="NO_COLOR" in os.environ or None,
        width=None if terminal else WIDE,
    )
