"""The host: serves the simulated instruments of one bench on TCP and pseudo-terminals, for anyone's client.

A process has one for each of its stations. An instrument whose channels belong to several stations is served by one of
their hosts; each request then goes to the host of its channel.

Lab time runs with the host's clock until a controller connects to the control port; from then on the controller says
what time it is, and the wires of one station stay in step with the engine that drives them. When the controller is
gone, time runs on by itself from where it was: a simulator whose daemon died keeps living, as an instrument would.
"""

import asyncio
import math
import os
import tty
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Self

from labctl.clock import host_monotonic, host_sleep
from labctl.errors import LabctlError
from labctl.link.memory import Disconnected, Late
from labctl.sim.bench import Bench, ChannelSimulator, SimulatedInstrument
from labctl.sim.door import Door
from labctl.sim.faults import Troubled
from labctl.sim.mainframe import Answer, MainframeClient, Seat

TICK = 0.05
"""Host seconds between two looks at what moves by itself while nobody asks."""
LONGEST_LINE = 64
LONGEST_LEAP = 1e6
"""Bytes of a controller's line, and lab seconds of one step of time: whoever asks for more is no controller."""


class UsageError(LabctlError):
    """An address to listen on that is none."""

    exit_code = 2


class Host:
    """Serves simulated instruments that share one bench."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._lab_zero = bench.time
        self._host_zero = host_monotonic()
        self._controllers = 0
        self._doors: list[Door] = []
        self._ptys: list[tuple[int, int]] = []
        self._ticker: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._ticker = asyncio.create_task(self._tick(), name="bench ticker")
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (self._ticker, *self._tasks):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        for door in self._doors:
            await door.close()
        for master, slave in self._ptys:
            asyncio.get_running_loop().remove_reader(master)
            os.close(master)
            os.close(slave)

    async def serve(self, simulator: SimulatedInstrument, listen: str) -> str:
        """Serve an instrument at "tcp://127.0.0.1:0" (port 0: any free one) or "pty"; return its address."""
        if listen == "pty":
            return self._serve_pty(simulator)
        if isinstance(simulator, ChannelSimulator):
            seats = {simulator.channel: self.seat(simulator)}
            door, address = await self._listen(listen, lambda door: _TcpPeer(door, MainframeClient(seats).exchange))
        else:
            door, address = await self._listen(listen, partial(self._peer, simulator))
        if isinstance(simulator, Troubled):
            _darken(door, simulator.trouble.dark)
            simulator.trouble.on_dark.append(partial(_darken, door))
        return _socket(*address)

    async def serve_mainframe(self, seats: Mapping[int, Seat], listen: str) -> str:
        """Serve channels, which may be seats at other hosts, at one TCP address; return it."""
        _, address = await self._listen(listen, lambda door: _TcpPeer(door, MainframeClient(seats).exchange))
        return _socket(*address)

    def seat(self, simulator: ChannelSimulator) -> Seat:
        """Return the place that a channel of this host's bench takes in a mainframe."""
        return Seat(self.exchange, simulator)

    async def control(self, listen: str = "tcp://127.0.0.1:0") -> str:
        """Serve the control port: lines with a lab time in seconds, each answered when the bench has reached it."""
        _, (host, port) = await self._listen(listen, partial(_Controller, self))
        return f"{host}:{port}"

    def exchange(self, receive: Callable[[bytes], bytes], data: bytes, answer: Answer) -> None:
        """Bring the bench to now, hand the bytes to a simulator, and answer, late where it says so."""
        self._to_now()
        try:
            reply = receive(data)
        except Disconnected:
            return
        if isinstance(reply, Late):
            task = asyncio.create_task(_answer_late(reply, answer), name="late reply")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif reply:
            answer(reply)

    def controlled(self, change: int) -> None:
        """Count controllers; the last one that leaves hands time back to the host's clock."""
        self._to_now()
        self._controllers += change
        self._lab_zero, self._host_zero = self._bench.time, host_monotonic()

    def advance_to(self, time: float) -> None:
        """Bring the bench to a lab time that a controller said."""
        self._bench.advance_to(max(time, self._bench.time))

    @property
    def time(self) -> float:
        """Lab time of the bench."""
        return self._bench.time

    def _peer(self, simulator: SimulatedInstrument, door: Door) -> "_TcpPeer":
        self._to_now()
        with suppress(Disconnected):  # it has fallen off the line since the client was let in, and hears nothing
            simulator.reset_line()
        return _TcpPeer(door, partial(self.exchange, simulator.receive))

    async def _listen(self, listen: str, peer: Callable[[Door], asyncio.Protocol]) -> tuple[Door, tuple[str, int]]:
        host, port = _tcp(listen)
        door = Door(peer)
        try:
            bound = await door.open(host, port)
        except OSError as error:
            reason = error.strerror or error
            raise UsageError(
                f'Nothing can be served at "{listen}": {reason}.',
                'Write port 0 for any free one: "tcp://127.0.0.1:0".',
            ) from error
        self._doors.append(door)
        return door, (host, bound)

    def _to_now(self) -> None:
        if not self._controllers:
            self.advance_to(self._lab_zero + host_monotonic() - self._host_zero)

    async def _tick(self) -> None:
        while True:
            await host_sleep(TICK)
            self._to_now()

    def _serve_pty(self, simulator: SimulatedInstrument) -> str:
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._ptys.append((master, slave))

        def readable() -> None:
            with suppress(BlockingIOError):
                self.exchange(simulator.receive, os.read(master, 4096), lambda reply: _write_all(master, reply))

        def darkened(dark: bool) -> None:
            if not dark:  # a terminal does not tell that it was opened again
                simulator.reset_line()

        asyncio.get_running_loop().add_reader(master, readable)
        if isinstance(simulator, Troubled):
            simulator.trouble.on_dark.append(darkened)
        with suppress(Disconnected):
            simulator.reset_line()
        return os.ttyname(slave)


class _TcpPeer(asyncio.Protocol):
    """One client of one instrument."""

    def __init__(self, door: Door, exchange: Callable[[bytes, Answer], None]) -> None:
        self._clients = door.clients
        self._exchange = exchange
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._clients.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._clients.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._exchange(data, self._transport.write)


class _Controller(asyncio.Protocol):
    """One engine that says what time it is."""

    def __init__(self, host: Host, door: Door) -> None:
        self._host = host
        self._clients = door.clients
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._clients.add(transport)
        self._host.controlled(+1)
        transport.write(b"%.9f\n" % self._host.time)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._clients.discard(self._transport)
        self._host.controlled(-1)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            time = _lab_time(line)
            if not 0.0 <= time <= self._host.time + LONGEST_LEAP:  # not a number is refused, too
                self._transport.close()
                return
            self._host.advance_to(time)
            self._transport.write(b"%.9f\n" % self._host.time)
        if len(self._buffer) > LONGEST_LINE:
            self._transport.close()


def _darken(door: Door, dark: bool) -> None:
    door.shut() if dark else door.reopen()


def _socket(host: str, port: int) -> str:
    return f"TCPIP::{host}::{port}::SOCKET"


def _lab_time(line: bytes) -> float:
    try:
        return float(line)
    except ValueError:
        return math.nan


def _tcp(listen: str) -> tuple[str, int]:
    host, _, port = listen.removeprefix("tcp://").rpartition(":")
    if not listen.startswith("tcp://") or not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f'"{listen}" is no address to listen on.', 'Write "tcp://127.0.0.1:0" or "pty".')
    return host, int(port)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            return  # nobody reads: as on a real line, the bytes are lost


async def _answer_late(reply: Late, answer: Callable[[bytes], None]) -> None:
    await host_sleep(reply.delay)
    answer(bytes(reply))
