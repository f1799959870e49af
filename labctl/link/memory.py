"""Memory: a simulated instrument in this process, without threads; its deadlines are lab time."""

from collections.abc import Callable

from labctl.clock import LabClock
from labctl.errors import GarbledReply, NoReply
from labctl.instrument import Wire
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
        self._buffer = bytearray()
        self._on_the_way: list[tuple[float, bytes]] = []

    async def _open(self) -> None:
        self._reset()

    async def _close(self) -> None:
        self._buffer.clear()

    async def _drain(self) -> None:
        await self._clock.sleep(QUIET_INTERVAL)
        self._on_the_way.clear()
        self._buffer.clear()

    async def _transfer(self, message: bytes, *, reply: bool) -> bytes:
        if self._framing.unsolicited(self._buffer):
            raise GarbledReply(self.name, message, bytes(self._buffer), "a quiet line before the question")
        self._buffer.clear()
        answer = self._receive(message)
        if isinstance(answer, Late):
            self._on_the_way.append((self._clock.now() + answer.delay, bytes(answer)))
        else:
            self._buffer += answer
        if not reply:
            return b""
        whole = self._framing.take(self._buffer)
        if whole is not None and not self._on_the_way:
            return whole
        return await self._wait(message, whole)

    async def _wait(self, message: bytes, whole: bytes | None) -> bytes:
        """Let lab time pass until a reply is whole or the time-out is over."""
        deadline = self._clock.now() + self._timeout
        while whole is None:
            due = min((instant for instant, _ in self._on_the_way), default=deadline)
            await self._clock.sleep_until(min(due, deadline))
            if due > deadline or not self._on_the_way:
                raise NoReply(self.name, message, self._timeout, bytes(self._buffer))
            for arrival in [a for a in self._on_the_way if a[0] <= due]:
                self._on_the_way.remove(arrival)
                self._buffer += arrival[1]
            whole = self._framing.take(self._buffer)
        return whole
