"""Memory: a simulated instrument in this process, without threads; its deadlines are lab time.

What stands for a serial line brings a late reply after any reopening, as a serial line does; what stands for a
connection loses it when it is closed. A connection tells that nothing is at its other end, a serial line is silent.
"""

import math
from collections.abc import Callable

from labctl.clock import LabClock
from labctl.errors import GarbledReply, NoReply, Unreachable
from labctl.instrument import SerialWire, Wire
from labctl.link.base import BaseLink

QUIET_INTERVAL = 0.05


class Late(bytes):
    """A reply that takes its time: `delay` in seconds."""

    delay: float

    def __new__(cls, reply: bytes, delay: float) -> "Late":
        """Make a late reply."""
        late = super().__new__(cls, reply)
        late.delay = delay
        return late


class Disconnected(Exception):
    """Raised by a simulated instrument that is not at the other end of the wire, or not since it was opened."""


class MemoryLink(BaseLink):
    """Hands bytes to a simulated instrument and collects what comes back.

    Args:
        receive: takes what is sent at the present lab time and returns what the instrument answers (maybe nothing).
        reset: tells the instrument that the line was opened anew.
    """

    def __init__(
        self, receive: Callable[[bytes], bytes], reset: Callable[[], None], wire: Wire, name: str, clock: LabClock
    ) -> None:
        super().__init__(f"{name} at sim://", clock, simulated=True)
        self._receive = receive
        self._reset = reset
        self._framing = wire.framing
        self._timeout = wire.timeout
        self._is_line = isinstance(wire, SerialWire)
        self._quiet_interval = wire.quiet_interval if isinstance(wire, SerialWire) else QUIET_INTERVAL
        self._buffer = bytearray()
        self._on_the_way: list[tuple[float, bytes]] = []

    async def _open(self) -> None:
        try:
            self._reset()
        except Disconnected:
            if not self._is_line:
                raise Unreachable(self.name, "cannot be opened: connection refused", "Check that it is on.") from None

    async def _close(self) -> None:
        self._buffer.clear()
        if not self._is_line:
            self._on_the_way.clear()

    async def _drain(self) -> None:
        silent_until = self._clock.now() + self._quiet_interval
        while (due := self._next_arrival()) <= silent_until:
            await self._clock.sleep_until(due)
            self._arrive()
            silent_until = self._clock.now() + self._quiet_interval
        await self._clock.sleep_until(silent_until)
        self._buffer.clear()

    async def _transfer(self, message: bytes, *, reply: bool) -> bytes:
        self._arrive()
        if self._framing.unsolicited(self._buffer):
            raise GarbledReply(self.name, message, bytes(self._buffer), "a quiet line before the question")
        self._buffer.clear()
        try:
            answer = self._receive(message)
        except Disconnected:
            if not self._is_line:
                raise Unreachable(self.name, "closed the connection", "Check that it is on, and its cable.") from None
            answer = b""
        if isinstance(answer, Late):
            self._on_the_way.append((self._clock.now() + answer.delay, bytes(answer)))
        else:
            self._buffer += answer
        if not reply:
            return b""
        whole = self._framing.take(self._buffer)
        return await self._wait(message) if whole is None else whole

    async def _wait(self, message: bytes) -> bytes:
        """Let lab time pass until a reply is whole or the time-out is over."""
        deadline = self._clock.now() + self._timeout
        while True:
            due = self._next_arrival()
            await self._clock.sleep_until(min(due, deadline))
            if due > deadline:
                raise NoReply(self.name, message, self._timeout, bytes(self._buffer))
            self._arrive()
            whole = self._framing.take(self._buffer)
            if whole is not None:
                return whole

    def _next_arrival(self) -> float:
        return min((due for due, _ in self._on_the_way), default=math.inf)

    def _arrive(self) -> None:
        """Move what has come by now into the buffer."""
        now = self._clock.now()
        for arrival in sorted(a for a in self._on_the_way if a[0] <= now):
            self._on_the_way.remove(arrival)
            self._buffer += arrival[1]
