"""Where the broker is and who may use it: a URL, or the file that a broker leaves for each of its users.

Without TLS a broker is on this machine only: whoever listens on a network could read every password and every command.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from pydantic import TypeAdapter, ValidationError

from labctl.errors import StorageError
from labctl.loopback import is_loopback
from labctl.private import read_private
from labctl.roles import Role
from labctl.secret import reveal
from labctl.settings import BusConfig


@dataclass(frozen=True, slots=True)
class Address:
    """A broker that speaks MQTT 3.1.1 over TCP, and what one user needs for it.

    Attributes:
        tls: whether the connection is encrypted and the broker shows a certificate for `host`.
        ca: certificates, as PEM, of who may vouch for the broker; None takes those that this machine trusts.
        role: what the broker lets this user be; None where it does not tell users apart.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca: str | None = field(default=None, repr=False)
    role: Role | None = None

    def __post_init__(self) -> None:
        if self.tls and not (self.username and self.password):
            raise StorageError(f"{self} is used without a user and a password.", _REMEDY_BEYOND)
        if not self.tls and not is_loopback(self.host):
            raise StorageError(
                f"{self} is a broker without TLS on another machine: everybody on the way could read and command.",
                _REMEDY_BEYOND,
            )

    def __str__(self) -> str:
        return f"mqtt{'s' if self.tls else ''}://{self.host}:{self.port}"

    @classmethod
    def of(cls, bus: BusConfig, folder: Path) -> Self:
        """Return what [bus] says of a broker that is not embedded.

        Args:
            folder: of config.toml, which relative paths of `ca` and `password` begin at.

        Raises:
            LabctlError: it cannot be understood, or a file that it names cannot be read.
        """
        file = bus.credentials(folder)
        if file is not None:
            return cls.read(file)
        password = None if bus.password is None else reveal(bus.password, folder)
        return cls.parse(bus.place, password, _certificates(folder, bus.ca), bus.role)

    @classmethod
    def parse(cls, text: str, password: str | None = None, ca: str | None = None, role: Role = "viewer") -> Self:
        """Read `mqtt://[user@]host[:port]`, `mqtts://user@host[:port]` or the path of a runtime file."""
        if "://" not in text:
            return cls.read(Path(text))
        try:
            url = urlsplit(text)
            port = url.port
        except ValueError:
            raise StorageError("The address of a broker is wrong.", _REMEDY) from None
        if url.scheme not in _PORTS or not url.hostname or url.path.strip("/") or url.query or url.fragment:
            raise StorageError(f"{url.scheme}://{url.hostname or ''} is not the address of a broker.", _REMEDY)
        if url.password is not None:
            raise StorageError(
                f"The address of the broker at {url.hostname} holds a password: others can read it there.", _REMEDY
            )
        username, tls = None if url.username is None else unquote(url.username), url.scheme == "mqtts"
        return cls(
            url.hostname,
            _PORTS[url.scheme] if port is None else port,
            username,
            password,
            tls,
            ca,
            role if tls else None,
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a runtime file, or the credentials that `labctl site` has written for a user."""
        try:
            return TypeAdapter(cls).validate_json(read_private(path, "The broker's runtime file"))
        except ValidationError:
            raise StorageError(f"{path} is not the runtime file of a broker.", _REMEDY) from None

    def to_json(self) -> dict[str, object]:
        """Return what a runtime file says."""
        return asdict(self)


def _certificates(folder: Path, name: str) -> str | None:
    if not name:
        return None
    path = folder / Path(name).expanduser()
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        raise StorageError(
            f"The certificate {path} of the broker's authority cannot be read.", 'Correct [bus] ca, a file in "PEM".'
        ) from None


_PORTS = {"mqtt": 1883, "mqtts": 8883}
_REMEDY = (
    "Give mqtt://127.0.0.1:port, mqtts://user@host:port, or the file with address and password that the broker left: "
    "broker.json, or what `labctl site init` wrote for you."
)
_REMEDY_BEYOND = "Use mqtts:// with a user: `labctl site init` writes all that a broker and its users need."
