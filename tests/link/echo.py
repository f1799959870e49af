"""An instrument that answers every line with itself, or with what a test puts in its place, on any wire."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from labctl.clock import LabClock, RealClock
from labctl.instrument import Lines, SerialWire, VisaWire
from labctl.link import BaseLink, MemoryLink, open_link
from labctl.sim.bench import Bench, BenchParameters, SimulatedInstrument
from labctl.sim.host import Host

TCP, PTY = "tcp://127.0.0.1:0", "pty"
LINES = Lines(b"\n")
WIRES: dict[str, VisaWire | SerialWire] = {
    TCP: VisaWire(LINES, timeout=0.05),
    PTY: SerialWire(LINES, baudrate=115200, timeout=0.05, quiet_interval=0.05),
}


class Echo:
    """Answers `line` with `reply(line)`.

    Attributes:
        lines: everything that was asked or told.
        opened: how often a client has connected.
        restarts: of each, whether it was exchanged for another one.
        asked: is set when a line has come.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.lines: list[bytes] = []
        self.opened = 0
        self.restarts: list[bool] = []
        self.reply: Callable[[bytes], bytes] = lambda line: line + b"\n"
        self._rest = b""

    def receive(self, data: bytes) -> bytes:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines += lines
        if lines:
            self.asked.set()
        replies = [self.reply(line) for line in lines]
        return replies[0] if len(replies) == 1 else b"".join(replies)

    def reset_line(self) -> None:
        self._rest = b""
        self.opened += 1

    def restart(self, *, other: bool = False) -> None:
        self.restarts.append(other)


@asynccontextmanager
async def wired(echo: Echo, listen: str, clock: LabClock | None = None) -> AsyncIterator[BaseLink]:
    """Yield a link to it over a real wire."""
    async with Host(Bench.of(BenchParameters(), seed=1)) as host:
        address = await host.serve(echo, listen)
        wire = WIRES[PTY if listen == PTY else TCP]
        link = open_link(address, wire, "A1/cycler", clock or RealClock(), simulated=True)
        try:
            yield link
        finally:
            await link.close()


def remembered(echo: SimulatedInstrument, clock: LabClock, wire: SerialWire | VisaWire) -> MemoryLink:
    """Return a memory link to it, or to another instrument."""
    return MemoryLink(echo.receive, echo.reset_line, wire, "A1/cycler", clock)
