"""What every process needs of config.toml before its stations: [lab], [bus], [storage] …, read in a moment."""

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from labctl.errors import ConfigError, Finding, Place
from labctl.loopback import is_loopback
from labctl.quantity import WordingError
from labctl.reading import Severity
from labctl.roles import Role
from labctl.secret import SecretName
from labctl.table import Model
from labctl.textfile import read_text

if TYPE_CHECKING:
    from labctl.protocol.source import Source

FILE_NAME = "config.toml"

M = TypeVar("M", bound=Model)


class LabConfig(Model):
    """[lab]: names in every topic."""

    site: str = Field("lab", pattern=r"^[A-Za-z0-9_-]+$")


class BusConfig(Model):
    """[bus]: the embedded broker, or any MQTT 3.1.1 broker."""

    broker: str = "embedded"
    """"embedded", "mqtt://[user@]127.0.0.1:port", "mqtts://user@host:port", or a file with address and password."""
    password: SecretName | None = None
    """Of the user in the address."""
    ca: str = ""
    """PEM file of the authority that vouches for the broker; empty: those of this machine."""
    role: Role = "viewer"
    """What the broker at a mqtts:// address lets the user be; a file says it itself."""

    @property
    def place(self) -> str:
        """The broker; LABCTL_BUS overrides it: several people, each with credentials, share a configuration."""
        return os.environ.get("LABCTL_BUS") or self.broker

    @property
    def embedded(self) -> bool:
        """Whether the daemon keeps a broker itself."""
        return self.place == "embedded"

    def credentials(self, folder: Path) -> Path | None:
        """Return the file with address and password; None where the broker is an address.

        Args:
            folder: of config.toml, which its own relative paths begin at; that of LABCTL_BUS begins where one stands.
        """
        if "://" in self.place:
            return None
        return (Path() if os.environ.get("LABCTL_BUS") else folder) / Path(self.place).expanduser()

    def secret_files(self, folder: Path) -> tuple[Path, ...]:
        """Return the files with a password that are named here; `folder` is that of config.toml."""
        named: tuple[Path | None, ...] = () if self.embedded else (self.credentials(folder),)
        if self.password is not None and self.password.startswith("file:"):
            named += (folder / Path(self.password.removeprefix("file:")).expanduser(),)
        return tuple(path for path in named if path is not None)

    @field_validator("broker")
    @classmethod
    def _is_one_without_a_password(cls, written: str) -> str:
        if re.match(r"[a-z]+://[^/@]*:\S*@", written):
            raise WordingError(
                "this holds a password, and whoever sees the file can read it",
                'write password = "file:PATH" or "env:NAME" beside it, or name the file that the broker left',
            )
        if not re.fullmatch(r"embedded|mqtts?://\S+|.+\.json", written):
            raise WordingError(
                "this is no broker",
                'write "embedded", "mqtts://user@host:8883", "mqtt://127.0.0.1:1883" or a .json file',
            )
        return written


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


class ProtocolsConfig(Model):
    """[protocols]: where commands look for a protocol that is given by name."""

    folders: tuple[str, ...] = ()
    """Folders or git checkouts, as seen from this file; then comes protocols beside it, or the shipped one."""

    def search_path(self, home: Path) -> tuple[Path, ...]:
        """Return the folders that are searched; `home` is that of config.toml."""
        usual = (home / "protocols", shipped("protocols"))
        named = [home / Path(folder).expanduser() for folder in self.folders]
        return (*named, *[folder for folder in usual if folder is not None and folder.is_dir()][:1])


class TuiConfig(Model):
    """[tui]: the dashboard."""

    keys: dict[str, str] = Field({})
    """Keys by the id of what they do; the dashboard refuses ids and keys that there are not."""


Mailbox = Annotated[str, Field(pattern=r"^[!-~]+@[!-~]+$", max_length=254)]


class MailConfig(Model):
    """[alerts.mail]: the server that takes alerts as mail."""

    host: str = Field(min_length=1)
    port: int | None = Field(None, ge=1, le=65535)
    """None: 587 for STARTTLS, 465 for TLS, 25 for neither."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: SecretName | None = None
    sender: Mailbox
    to: tuple[Mailbox, ...] = Field(min_length=1)
    ca: str = ""
    """PEM file of the authority that vouches for the server; empty: those of this machine."""

    @model_validator(mode="after")
    def _is_not_overheard(self) -> Self:
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError('mail without TLS goes to this machine only; write security = "starttls" or "tls"')
        return self


class WebhookConfig(Model):
    """[alerts.webhook]: the server that takes alerts as JSON."""

    url: str = Field(pattern=r"^(https?://.+|file:.+|env:[A-Za-z_][A-Za-z0-9_]*)$")
    """Itself, or, where it is a secret, the place where it stands."""
    token: SecretName | None = None
    ca: str = ""


class AlertsConfig(Model):
    """[alerts]: what is told beyond the bus."""

    severity: Severity = Severity.WARNING
    """The least that is told."""
    stations: tuple[str, ...] = ()
    """None named: all."""
    resolved: bool = True
    """Whether it is told, too, that an alarm is over or was acknowledged."""
    hourly: int = Field(20, ge=1, le=1000)
    mail: MailConfig | None = None
    webhook: WebhookConfig | None = None


class LabSettings(Model):
    """The file as a client sees it: whatever its stations are, and whether their drivers are installed here or not."""

    schema_: Literal["1"] = Field(alias="schema")
    lab: LabConfig = LabConfig()
    bus: BusConfig = BusConfig()
    storage: StorageConfig = StorageConfig()
    protocols: ProtocolsConfig = ProtocolsConfig()
    tui: TuiConfig = TuiConfig()
    alerts: AlertsConfig = AlertsConfig()
    station: dict[str, Any]


def shipped(name: str) -> Path | None:
    """Return what labctl ships under this name, in its clone or with its installation; None: it is not installed."""
    clone, installed = Path(__file__).parents[1], Path(sys.prefix) / "share" / "labctl"
    places = (clone, installed) if (clone / "pyproject.toml").is_file() else (installed,)
    return next((place / name for place in places if (place / name).exists()), None)


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
        return LabSettings.model_validate(tomllib.loads(read_text(path)))
    except (ValueError, RecursionError):
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
    example = shipped(FILE_NAME)
    copy = "Write one" if example is None else f"Copy the simulated laboratory {example} here"
    remedy = f"{copy}, or name a file with --config."
    return Finding("file", Place(str(path), 1, 1), "there is no such configuration", remedy)
