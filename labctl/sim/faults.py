"""Faults on a simulated instrument's wire: silence, garbage, half replies, late replies, put in on purpose."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from labctl.link.memory import Late
from labctl.sim.bench import SimulatedInstrument


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
