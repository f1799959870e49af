"""What a bus is, whoever carries the messages."""

from collections.abc import Callable
from typing import Protocol

from labctl.errors import StorageError

Receive = Callable[[str, bytes], None]
"""Takes topic and payload of a message; it must not wait and must not raise."""


class BusDown(StorageError):
    """There is no connection to the broker now; what was to be said must be said again."""


class Bus(Protocol):
    """Carries messages at least once while a session lasts; nothing is promised across sessions.

    Attributes:
        session: counts connections from 1, 0 before the first one. When it changes, messages may have been lost.
        trouble: why there is no connection, as a sentence; empty while there is one.
    """

    session: int
    trouble: str

    async def serve(self) -> None:
        """Keep the bus alive until cancelled."""

    async def connected(self) -> int:
        """Wait until there is a connection and return its session."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Hand a message to the broker and return when it has it; raises BusDown."""

    async def retain(self, topic: str, payload: bytes) -> None:
        """Set the lasting message of a topic, now and after every reconnection, until it is set again."""

    async def subscribe(self, pattern: str, receive: Receive) -> None:
        """Call `receive` for every message of matching topics, now and after every reconnection."""

    async def unsubscribe(self, pattern: str, receive: Receive) -> None:
        """End a subscription."""
