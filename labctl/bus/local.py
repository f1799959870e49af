"""A bus inside one event loop: no broker, no thread, every message delivered in order before `publish` returns."""

import asyncio

from labctl.bus.base import Receive
from labctl.bus.topics import matches


class LocalBus:
    """Implements `labctl.bus.base.Bus` for one process; its one session never ends."""

    def __init__(self) -> None:
        self.session = 1
        self.trouble = ""
        self._subscriptions: list[tuple[str, Receive]] = []
        self._retained: dict[str, bytes] = {}

    async def serve(self) -> None:
        """Wait until cancelled: nothing needs to be kept alive."""
        await asyncio.Event().wait()

    async def connected(self) -> int:
        """Return the one session."""
        return self.session

    async def publish(self, topic: str, payload: bytes) -> None:
        """Deliver a message."""
        for pattern, receive in list(self._subscriptions):
            if matches(pattern, topic):
                receive(topic, payload)

    async def retain(self, topic: str, payload: bytes) -> None:
        """Deliver a message and keep it for who subscribes later."""
        self._retained[topic] = payload
        await self.publish(topic, payload)

    async def subscribe(self, pattern: str, receive: Receive) -> None:
        """Deliver matching messages, the retained ones at once."""
        self._subscriptions.append((pattern, receive))
        for topic, payload in self._retained.items():
            if matches(pattern, topic):
                receive(topic, payload)

    async def unsubscribe(self, pattern: str, receive: Receive) -> None:
        """Deliver no more."""
        self._subscriptions.remove((pattern, receive))
