"""A link whose library blocks: one worker thread per link, and an exchange that is always finished."""

import asyncio
import contextlib
import threading
from abc import abstractmethod
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from labctl.clock import LabClock
from labctl.errors import Unreachable
from labctl.link.base import BaseLink

R = TypeVar("R")

DRAIN_LIMIT = 4
"""Time-outs of a wire after which it will not fall silent any more."""

_Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class _Worker:
    """A thread that does one job after the other.

    An executor would do as well and take half as long again for each exchange: two more locks and a second future.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, call: Callable[[], R]) -> "asyncio.Future[R]":
        """Queue a call; its future is done when the call has ended."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._jobs.put((call, loop, future))
        return future

    async def end(self) -> None:
        """End the thread, once its queue is done; submitting begins a new one."""
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, loop, future = job
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to whoever asked
                loop.call_soon_threadsafe(_fail, future, error)
            else:
                loop.call_soon_threadsafe(_succeed, future, result)


def _nothing() -> None:
    """Do nothing, when everything before it is done."""


def _succeed(future: "asyncio.Future[R]", result: R) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


class BlockingLink(BaseLink):
    """Runs the blocking calls of a wire library on its own thread, in order."""

    def __init__(self, name: str, clock: LabClock, *, simulated: bool) -> None:
        super().__init__(name, clock, simulated=simulated)
        self._worker = _Worker(name)

    async def close(self) -> None:
        """Close the wire and end the thread; the next exchange would open both again."""
        await super().close()
        await self._worker.end()

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
        return await self._in_worker(lambda: self.transfer_blocking(message, reply))

    async def _in_worker(self, call: Callable[[], R]) -> R:
        """Run a blocking call to its end, also when this task is cancelled: its thread cannot be taken back."""
        try:
            return await self._worker.submit(call)
        except asyncio.CancelledError:
            behind_it = self._worker.submit(_nothing)
            while not behind_it.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([behind_it])
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
