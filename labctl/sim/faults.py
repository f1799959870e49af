"""Faults on a simulated instrument's line: silence, garbage, half replies, late replies, a line that is broken."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from labctl.link.memory import Disconnected, Late
from labctl.sim.bench import ChannelSimulator, SimulatedInstrument
from labctl.sim.schedule import Kind
from labctl.sim.trouble import Trouble


class Fault(Protocol):
    """What becomes of one reply."""

    def __call__(self, reply: bytes, /) -> bytes:
        """Return what the client gets instead."""


def silence(_reply: bytes) -> bytes:
    """No reply."""
    return b""


def half(reply: bytes) -> bytes:
    """The first half of the reply."""
    return reply[: len(reply) // 2]


@dataclass(frozen=True, slots=True)
class Garbage:
    """Other bytes than the instrument's."""

    data: bytes

    def __call__(self, _reply: bytes) -> bytes:
        """Return them."""
        return self.data


@dataclass(frozen=True, slots=True)
class Delay:
    """The right reply, too late."""

    seconds: float

    def __call__(self, reply: bytes) -> bytes:
        """Return it late."""
        return Late(reply, self.seconds) if reply else reply


class Faulty:
    """A simulated instrument whose replies pass through a fault while `when` says so.

    Args:
        inner: the healthy instrument.
        fault: what becomes of its replies.
        when: told each request; True applies the fault.
    """

    def __init__(self, inner: SimulatedInstrument, fault: Fault, when: Callable[[bytes], bool]) -> None:
        self._inner = inner
        self._fault = fault
        self._when = when

    def receive(self, data: bytes) -> bytes:
        """Answer, or fail to."""
        reply = self._inner.receive(data)
        return self._fault(reply) if self._when(data) else reply

    def reset_line(self) -> None:
        """Pass it on."""
        self._inner.reset_line()

    def restart(self, *, other: bool = False) -> None:
        """Pass it on."""
        self._inner.restart(other=other)


class Troubled:
    """A simulated instrument on a line that has the faults of a script.

    Args:
        inner: the instrument, which does what it is told also where its reply is lost.
        trouble: its faults.

    Attributes:
        trouble: for the host, which closes and opens its door with it.
    """

    def __init__(self, inner: SimulatedInstrument, trouble: Trouble) -> None:
        self.trouble = trouble
        self._inner = inner
        self._opened = trouble.time
        trouble.on_restart.append(lambda other: inner.restart(other=other))
        if trouble.fault(Kind.OTHER_IDENTITY) is not None:
            inner.restart(other=True)

    def receive(self, data: bytes) -> bytes:
        """Answer as well as the line allows; raises Disconnected until a line that broke is opened again."""
        if self.trouble.dark_since(self._opened):
            raise Disconnected
        return self._on_the_line(self._inner.receive(data))

    def reset_line(self) -> None:
        """Open the line; raises Disconnected where nothing is at its other end."""
        if self.trouble.dark:
            raise Disconnected
        self._opened = self.trouble.time
        self._inner.reset_line()

    def restart(self, *, other: bool = False) -> None:
        """Pass it on."""
        self._inner.restart(other=other)

    def _on_the_line(self, reply: bytes) -> bytes:
        fault = self.trouble.fault
        if not reply or fault(Kind.SILENCE) is not None:
            return b""
        if fault(Kind.GARBAGE) is not None:
            reply = _noise(self.trouble.time, len(reply))
        if fault(Kind.HALF) is not None:
            reply = half(reply)
        late = fault(Kind.LATE)
        return reply if late is None else Late(reply, late.value)


class TroubledChannel(Troubled):
    """The same for one channel of an instrument that has several: a line that breaks concerns this channel alone."""

    def __init__(self, inner: ChannelSimulator, trouble: Trouble) -> None:
        super().__init__(inner, trouble)
        self.channel = inner.channel
        self._channel = inner

    def requests(self, buffer: bytearray) -> Iterable[tuple[int | None, bytes]]:
        """Take whole requests from a client's buffer."""
        return self._channel.requests(buffer)

    def answer(self, request: bytes) -> bytes:
        """Answer one request as well as the line allows."""
        return b"" if self.trouble.dark else self._on_the_line(self._channel.answer(request))


def troubled(simulator: SimulatedInstrument, trouble: Trouble) -> SimulatedInstrument:
    """Put a simulator on a line with the faults of its script; one without faults, or there already, stays as it is."""
    if not trouble.faults or isinstance(simulator, Troubled):
        return simulator
    if isinstance(simulator, ChannelSimulator):
        return TroubledChannel(simulator, trouble)
    return Troubled(simulator, trouble)


def _noise(time: float, length: int) -> bytes:
    """Return what a line picks up at a lab time: any bytes, always the same, with an end of line behind them."""
    block = blake2b(repr(time).encode(), digest_size=32).digest()
    return (block * (length // 32 + 1))[:length] + b"\r\n"
