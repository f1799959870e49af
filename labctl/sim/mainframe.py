"""A mainframe: one address, several clients at a time, and channels that each live on the bench of their station."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labctl.sim.bench import ChannelSimulator

Answer = Callable[[bytes], None]
Exchange = Callable[[Callable[[bytes], bytes], bytes, Answer], None]
"""Hands bytes to a simulator when its bench has been brought to now, and answers."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A channel and how its bench is brought to the lab time of its own station."""

    exchange: Exchange
    simulator: ChannelSimulator


class MainframeClient:
    """One client of the mainframe, with a line buffer of its own.

    Args:
        seats: by channel; not empty. A request for any other channel is refused in the words of the first.
    """

    def __init__(self, seats: Mapping[int, Seat]) -> None:
        self._seats = seats
        self._spokesman = next(iter(seats.values()))
        self._buffer = bytearray()

    def exchange(self, data: bytes, answer: Answer) -> None:
        """Hand each whole request to the channel it names; requests come in any pieces."""
        self._buffer += data
        for channel, request in self._spokesman.simulator.requests(self._buffer):
            seat = self._spokesman if channel is None else self._seats.get(channel, self._spokesman)
            seat.exchange(seat.simulator.answer, request, answer)
