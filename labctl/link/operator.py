"""A person at the other end: a request is asked as a question, and what is typed is the reply."""

from collections.abc import Awaitable, Callable

from labctl.clock import LabClock
from labctl.errors import Unreachable
from labctl.link.base import BaseLink

OPERATOR = "operator://"
"""Address of a person; a simulated one is at "sim://"."""

Ask = Callable[[str], Awaitable[str]]
"""Puts a question to a person, and returns what is typed, however long that takes."""


class OperatorLink(BaseLink):
    """Asks whoever is seated here, which is the operator of the run that is under way; it remembers nothing."""

    def __init__(self, name: str, clock: LabClock) -> None:
        super().__init__(name, clock, simulated=False)
        self._ask: Ask | None = None

    def seat(self, ask: Ask | None) -> None:
        """Ask this person from now on; None: nobody is there."""
        self._ask = ask

    async def _open(self) -> None:
        """Nothing is opened."""

    async def _close(self) -> None:
        """Nothing is closed."""

    async def _drain(self) -> None:
        """A person whose question was withdrawn types nothing."""

    async def _transfer(self, message: bytes, *, reply: bool) -> bytes:
        if self._ask is None:
            raise Unreachable(self.name, "nobody is asked outside a run", "Start a run whose operator can answer.")
        answer = await self._ask(message.decode().strip())
        return answer.encode() if reply else b""
