"""What every process needs of config.toml before its stations: [lab], [bus], [storage] and [tui], read in a moment."""

import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from labctl.errors import ConfigError, Finding, Place
from labctl.table import Model

if TYPE_CHECKING:
    from labctl.protocol.source import Source

FILE_NAME = "config.toml"

M = TypeVar("M", bound=Model)


class LabConfig(Model):
    """[lab]: names in every topic."""

    site: str = Field("lab", pattern=r"^[A-Za-z0-9_-]+$")


class BusConfig(Model):
    """[bus]: the embedded broker, or any MQTT 3.1.1 broker."""

    broker: str = Field("embedded", pattern=r"^(embedded|mqtt://.+|.+\.json)$")
    """"embedded", "mqtt://[user:password@]host:port", or the runtime file of a broker with address and password."""


class StorageConfig(Model):
    """[storage]: where database, journal and runtime files are kept; data empty: $XDG_DATA_HOME/labctl."""

    data: str = ""
    recorder: Literal["inside", "separate"] = "inside"
    """"separate": `python -m labctl.record` runs as a process of its own, on this machine or another."""

    @property
    def folder(self) -> Path:
        """The folder, with ~ and the environment's word for the default; LABCTL_DATA overrides it."""
        asked = os.environ.get("LABCTL_DATA") or self.data
        if asked:
            return Path(asked).expanduser()
        home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return Path(home).expanduser() / "labctl"

    @property
    def database(self) -> Path:
        """The database of runs that name no other."""
        return self.folder / "labctl.db"


class TuiConfig(Model):
    """[tui]: the dashboard."""

    keys: dict[str, str] = Field({})
    """Keys by the id of what they do; the dashboard refuses ids and keys that there are not."""


class LabSettings(Model):
    """The file as a client sees it: whatever its stations are, and whether their drivers are installed here or not."""

    schema_: Literal["1"] = Field(alias="schema")
    lab: LabConfig = LabConfig()
    bus: BusConfig = BusConfig()
    storage: StorageConfig = StorageConfig()
    tui: TuiConfig = TuiConfig()
    station: dict[str, Any]


def find() -> Path:
    """Return the configuration that applies here: LABCTL_CONFIG, then ./config.toml, then the user's, then /etc."""
    asked = os.environ.get("LABCTL_CONFIG")
    if asked:
        return Path(asked)
    home = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    places = [Path(FILE_NAME), home / "labctl" / FILE_NAME, Path("/etc/labctl") / FILE_NAME]
    return next((place for place in places if place.is_file()), places[0])


def load_settings(path: Path) -> LabSettings:
    """Read a configuration without its stations; raises ConfigError as `read_as` does."""
    try:
        return LabSettings.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, ValueError, RecursionError):
        return read_as(LabSettings, path)[1]  # finds the same, and tells where it stands


def read_as(model: type[M], path: Path) -> "tuple[Source, M]":
    """Read a configuration as a model of its tables, with the place of everything in it.

    Raises:
        ConfigError: with every finding of the file.
    """
    from labctl.protocol.explain import explain
    from labctl.protocol.source import read

    if not path.exists():
        raise ConfigError((_absent(path),))
    source = read(path, ConfigError)
    try:
        return source, model.model_validate(source.data)
    except ValidationError as error:
        raise ConfigError(tuple(explain(error, model, source))) from None


def _absent(path: Path) -> Finding:
    """Say where a configuration to begin with is found: in the clone, or with the installed package."""
    shipped = Path(sys.prefix) / "share" / "labctl" / FILE_NAME
    example = shipped if shipped.exists() else Path(__file__).parent.parent / FILE_NAME
    remedy = f"Copy the simulated laboratory {example} here, or name a file with --config."
    return Finding("file", Place(str(path), 1, 1), "there is no such configuration", remedy)
