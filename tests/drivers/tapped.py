"""A load cell's driver on a memory link to its simulator, with a tap on the wire between them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from labctl.clock import RealClock, VirtualClock
from labctl.errors import InstrumentError, LabctlError, NoReply, WrongInstrument
from labctl.instrument import Instrument, LoadCell, Options
from labctl.link import MemoryLink, open_link
from labctl.sim.bench import Bench, BenchParameters, SimulatedInstrument
from labctl.sim.faults import silence
from tests.conftest import Served

MakeSimulator = Callable[..., SimulatedInstrument]
MakeDriver = Callable[..., Any]


class Tapped:
    """One load cell on the negative side of a bench.

    Attributes:
        sent: what the driver has sent.
        answers: what is answered instead, by what was asked.
        fault: what becomes of every reply.
    """

    def __init__(self, make: MakeDriver, simulator: MakeSimulator, options: Options, clock: VirtualClock) -> None:
        self.clock = clock
        self.bench = Bench.of(BenchParameters(), seed=1)
        self.simulator: Any = simulator(self.bench, "negative", options)
        self.sent: list[bytes] = []
        self.answers: dict[bytes, bytes] = {}
        self.fault: Callable[[bytes], bytes] | None = None
        wire = make.WIRE  # type: ignore[attr-defined]
        self.link = MemoryLink(self._receive, self.simulator.reset_line, wire, "A1/load_cell", clock)
        self.driver = make(self.link, options, clock)

    def _receive(self, data: bytes) -> bytes:
        self.bench.advance_to(self.clock.now())
        self.sent.append(data)
        reply = self.simulator.receive(data)
        reply = self.answers.get(data.rstrip(b"\r"), reply)
        return self.fault(reply) if self.fault else reply

    async def exchange(self, call: Callable[[], Any]) -> list[bytes]:
        """Return what one call of the driver sends."""
        self.sent.clear()
        await call()
        return list(self.sent)

    async def refused(
        self, call: Callable[[], Any], asked: bytes, answer: bytes, error: type[LabctlError], sentence: str
    ) -> None:
        """Answer one question otherwise during one call, which must fail with this error and sentence."""
        self.answers[asked] = answer
        with pytest.raises(error) as told:
            await call()
        self.answers.clear()
        assert sentence in str(told.value)
        assert "A1/load_cell" in str(told.value)

    async def refused_as_another(self, asked: bytes, answer: bytes) -> None:
        """Let the line fall silent; an instrument that then answers otherwise must be refused."""
        await self.driver.connect()
        self.fault = silence
        with pytest.raises(NoReply):
            await self.driver.read()
        self.fault = None
        await self.refused(self.driver.read, asked, answer, WrongInstrument, "answers where")

    def press(self, newton: float) -> float:
        """Tighten the screw until this force, N; returns the true one."""
        return pressed(self.bench, newton)


def pressed(bench: Bench, newton: float) -> float:
    """Tighten a bench's screw until this force, N; returns the true one."""
    while bench.rig.force("negative") < newton:
        bench.rig.turn_to(bench.rig.angle + 1e-3)
    return bench.rig.force("negative")


async def zeroed_over_a_terminal(
    served: Served, make: MakeDriver, bench: Bench, simulator: SimulatedInstrument, options: Options
) -> float:
    """Return what a driver reads over a pseudo-terminal after connecting and taring."""
    clock = RealClock()
    async with served(bench, simulator, "pty") as address:
        wire = options.wire(make.WIRE)  # type: ignore[attr-defined]
        link = open_link(address, wire, "A1/load_cell", clock, simulated=True)
        try:
            driver: LoadCell = make(link, options, clock)
            await driver.connect()
            await driver.tare()
            return await driver.read()
        finally:
            await link.close()


class Canned:
    """A link that answers every question with the same bytes."""

    name, simulated = "A1/load_cell", True
    verify: Callable[[], Any] | None = None

    def __init__(self, reply: bytes) -> None:
        self._reply = reply

    async def query(self, _message: bytes) -> bytes:
        return self._reply

    async def write(self, _message: bytes) -> None: ...

    async def pause(self, _seconds: float) -> None: ...


def read_of(make: MakeDriver, options: Options, reply: bytes) -> float | InstrumentError:
    """Return what a driver that has not connected reads, or the error, when everything is answered so."""

    async def attempt() -> float | InstrumentError:
        try:
            driver: LoadCell = make(Canned(reply), options, VirtualClock(0.0))
            assert isinstance(driver, Instrument)
            return await driver.read()
        except InstrumentError as error:
            return error

    return asyncio.run(attempt())
