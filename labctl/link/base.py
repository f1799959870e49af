"""What every link has in common: one exchange at a time, and no trust in a line after a time-out.

A line whose reply did not come is *dirty*: the late reply would be taken for the answer to the next question. Before
the next exchange it is reopened, drained until quiet, and its driver identifies the instrument again.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from labctl.clock import LabClock, Lock


class BaseLink(ABC):
    """A link in its house: lock, quiet time, dirt and recovery; subclasses move the bytes."""

    def __init__(self, name: str, clock: LabClock, *, simulated: bool) -> None:
        self.name = name
        self.simulated = simulated
        self.verify: Callable[[], Awaitable[Any]] | None = None
        self.exchanges = 0
        self._clock = clock
        self._lock = Lock(clock)
        self._is_open = False
        self._dirty = False
        self._quiet_until = 0.0
        self._recovering: asyncio.Task[Any] | None = None

    async def write(self, message: bytes) -> None:
        """Send bytes to which the instrument does not answer."""
        await self._one_at_a_time(message, reply=False)

    async def query(self, message: bytes) -> bytes:
        """Send bytes and return one reply as the wire frames it.

        Raises:
            NoReply: nothing complete came in time; the link is dirty.
            Unreachable: the address could not be opened.
        """
        return await self._one_at_a_time(message, reply=True)

    async def pause(self, seconds: float) -> None:
        """Keep the wire quiet for a span of lab time before the next exchange, whoever asks for it."""
        self._quiet_until = self._clock.now() + seconds

    async def close(self) -> None:
        """Close the wire; the next exchange would open it again."""
        async with self._lock:
            self._is_open = False
            await self._close()

    async def _one_at_a_time(self, message: bytes, *, reply: bool) -> bytes:
        if self._recovering is not None and self._recovering is asyncio.current_task():
            return await self._exchange(message, reply=reply)
        async with self._lock:
            if self._dirty:
                await self._recover()
            return await self._exchange(message, reply=reply)

    async def _exchange(self, message: bytes, *, reply: bool) -> bytes:
        if self._quiet_until > self._clock.now():
            await self._clock.sleep_until(self._quiet_until)
        if not self._is_open:
            await self._reopen()
        self.exchanges += 1
        complete = False
        try:
            answer = await self._transfer(message, reply=reply)
            complete = True
        finally:
            # Whatever interrupted the exchange, its reply may still be on the way.
            self._dirty = self._dirty or not complete
        return answer

    async def _reopen(self) -> None:
        """Close first, always: an opening that was cancelled may have gone through all the same."""
        self._is_open = False
        await self._close()
        await self._open()
        self._is_open = True

    async def _recover(self) -> None:
        await self._reopen()
        await self._drain()
        self._recovering = asyncio.current_task()
        self._dirty = False
        try:
            if self.verify is not None:
                await self.verify()
        except BaseException:  # whatever it was, nobody knows what is at the other end
            self._dirty = True
            raise
        finally:
            self._recovering = None

    @abstractmethod
    async def _open(self) -> None:
        """Open the wire; raises Unreachable."""

    @abstractmethod
    async def _close(self) -> None:
        """Close the wire, also where it is closed already; never raises."""

    @abstractmethod
    async def _drain(self) -> None:
        """Read and drop what still comes, until the line is quiet."""

    @abstractmethod
    async def _transfer(self, message: bytes, *, reply: bool) -> bytes:
        """Send, and receive one reply where one is due; raises NoReply."""
