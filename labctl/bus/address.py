"""Where the broker is and who may use it: a URL, or the runtime file that an embedded broker leaves for its users."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from pydantic import TypeAdapter, ValidationError

from labctl.errors import StorageError


@dataclass(frozen=True, slots=True)
class Address:
    """A broker that speaks MQTT 3.1.1 over TCP."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `mqtt://[user:password@]host[:port]` or the path of a runtime file.

        A password on a command line can be seen by everybody on the machine: the runtime file is the better way.
        """
        if "://" not in text:
            return cls.read(Path(text))
        try:
            url = urlsplit(text)
            port = url.port or 1883
        except ValueError as error:
            raise StorageError(f"The address of a broker is wrong: {error}.", _REMEDY) from None
        if url.scheme != "mqtt" or not url.hostname or url.path.strip("/") or url.query:
            raise StorageError(f"{url.scheme}://{url.hostname or ''} is not the address of a broker.", _REMEDY)
        username = None if url.username is None else unquote(url.username)
        password = None if url.password is None else unquote(url.password)
        return cls(url.hostname, port, username, password)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a runtime file."""
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except OSError as error:
            raise StorageError(f"The broker's runtime file {path} cannot be read: {error.strerror}.", _REMEDY) from None
        except ValidationError:
            raise StorageError(f"{path} is not the runtime file of a broker.", _REMEDY) from None

    def to_json(self) -> dict[str, object]:
        """Return what a runtime file says."""
        return asdict(self)


_REMEDY = "Give mqtt://user:password@host:port, or the runtime file broker.json of the embedded broker."
