"""A link whose library blocks: one worker thread per link, and an exchange that is always finished."""

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from labctl.clock import LabClock
from labctl.errors import Unreachable
from labctl.link.base import BaseLink

P = ParamSpec("P")
R = TypeVar("R")

DRAIN_LIMIT = 4
"""Time-outs of a wire after which it will not fall silent any more."""


class BlockingLink(BaseLink):
    """Runs the blocking calls of a wire library on its own thread, in order."""

    def __init__(self, name: str, clock: LabClock, *, simulated: bool) -> None:
        super().__init__(name, clock, simulated=simulated)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def close(self) -> None:
        """Close the wire and end the thread; a link is closed once."""
        await super().close()
        self._worker.shutdown(wait=True)

    def never_silent(self) -> Unreachable:
        """Return the error for an instrument that talks on while it is drained."""
        return Unreachable(
            self.name,
            "does not fall silent: it sends without being asked",
            "Switch off its automatic output, and check that nothing else uses the line.",
        )

    async def _open(self) -> None:
        await self._in_worker(self.open_blocking)

    async def _close(self) -> None:
        with contextlib.suppress(Exception):  # a wire that is already dead closes as well as it can
            await self._in_worker(self.close_blocking)

    async def _drain(self) -> None:
        await self._in_worker(self.drain_blocking)

    async def _transfer(self, message: bytes, *, reply: bool) -> bytes:
        return await self._in_worker(self.transfer_blocking, message, reply)

    async def _in_worker(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a blocking call to its end, also when this task is cancelled: its thread cannot be taken back."""
        running = asyncio.wrap_future(self._worker.submit(call, *args, **kwargs))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            while not running.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([running])
            if not running.cancelled():
                running.exception()  # retrieved: the cancellation is what the caller gets to know
            raise

    @abstractmethod
    def open_blocking(self) -> None:
        """Open the wire, on the worker's thread; raises Unreachable."""

    @abstractmethod
    def close_blocking(self) -> None:
        """Close the wire, on the worker's thread."""

    @abstractmethod
    def drain_blocking(self) -> None:
        """Drop what still comes, on the worker's thread."""

    @abstractmethod
    def transfer_blocking(self, message: bytes, reply: bool) -> bytes:
        """Exchange, on the worker's thread, bounded by the wire's time-out."""
