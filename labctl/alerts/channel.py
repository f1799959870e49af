"""What a way out is: something that delivers a message or says why it could not."""

import ssl
from pathlib import Path
from typing import Protocol

from labctl.alerts.digest import Message
from labctl.alerts.words import Sender
from labctl.errors import LabctlError
from labctl.literal import literal

LONGEST_REASON = 200


class Undelivered(LabctlError):
    """An alert could not be delivered over a way that the configuration names; it is tried again."""


class Channel(Protocol):
    """A way out.

    Attributes:
        name: "mail" or "webhook".
    """

    name: str

    async def send(self, sender: Sender, message: Message) -> None:
        """Deliver a message; raises LabctlError. May be cancelled at any moment."""


def trust(ca: str, folder: Path) -> ssl.SSLContext:
    """Return what decides whether a server is who it says: this machine's authorities, or those of a file.

    Raises:
        Undelivered: the file cannot be used.
    """
    if not ca:
        return ssl.create_default_context()
    file = folder / Path(ca).expanduser()
    try:
        return ssl.create_default_context(cafile=str(file))
    except (OSError, ValueError) as error:
        raise Undelivered(f"The certificates in {file} cannot be used: {reason(error)}.", "Give a PEM file.") from None


def reason(error: BaseException, *secrets: str) -> str:
    """Return what an error says, as one short line without secrets; servers put what they like into it."""
    said = str(error) or type(error).__name__
    for secret in filter(None, secrets):
        said = said.replace(secret, "***")
    return literal(" ".join(said.split()))[:LONGEST_REASON].rstrip(".")
