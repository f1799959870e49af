"""One installed driver on a memory link to its own simulator, with a tap on the wire between them."""

from collections.abc import Callable, Container, Sequence
from typing import cast

from labctl.clock import VirtualClock
from labctl.impedance import Potentiostat
from labctl.instrument import Cycler, GasRegulator, HandTool, Instrument, LoadCell, PressureRig, Role, Thermostat
from labctl.link import MemoryLink
from labctl.registry import driver_names, load_driver
from labctl.sim.bench import Bench, BenchParameters, SimulatedInstrument, port_of
from labctl.sim.faults import Fault, troubled
from labctl.sim.rig import PressParameters
from labctl.sim.schedule import Scheduled

EPOCH = 1_767_225_600.0
DRIVERS = {name: load_driver(name) for name in driver_names()}
"""Every installed driver, whoever wrote it."""
NAMES = {
    Role.CYCLER: "cycler",
    Role.LOAD_CELL: "load_cell.negative",
    Role.PRESSURE_RIG: "pressure_rig.negative",
    Role.HAND_TOOL: "hand_tool.negative",
    Role.GAS_REGULATOR: "gas_regulator.negative",
    Role.THERMOSTAT: "thermostat",
}
"""What an instrument of each role is called at its station."""
BENCHES = {Role.GAS_REGULATOR: BenchParameters(rig=PressParameters(kind="press", force=0.0))}
"""For roles that the usual screw is nothing to."""


class Stand:
    """A driver with the typical options that it declares, in virtual lab time; faults happen as scheduled.

    Attributes:
        bench: the truth.
        replies: counts what the instrument has answered since the last `break_replies`.
        messages: counts what was sent since then, whether or not it is answered.
        lost: numbers of the messages that do not arrive.
        cut: nothing gets through in either direction.
        zero: of the rig: what its first reading says about the angle at which the bench's screw is 0.
    """

    def __init__(self, name: str, faults: Sequence[Scheduled] = ()) -> None:
        self.driver = DRIVERS[name]
        self.clock = VirtualClock(EPOCH)
        self.bench = Bench.of(BENCHES.get(self.driver.role, BenchParameters()), seed=1, faults=faults)
        self.options = self.driver.example_options({})
        port = port_of(NAMES[self.driver.role])
        simulator: SimulatedInstrument = self.driver.load_simulator()(self.bench, port, self.options)
        self.simulator = troubled(simulator, self.bench.trouble(port))
        self.replies = self.messages = 0
        self.lost: Container[int] = ()
        self.cut = False
        self.zero = 0.0
        self._fault: Fault | None = None
        self._broken: Container[int] = ()
        self.link, self.instrument = self.open()

    def open(self) -> tuple[MemoryLink, Instrument]:
        """Make a link and a driver of a process that has not spoken with the instrument yet."""
        name = f"A1/{self.driver.role}"
        link = MemoryLink(self._receive, self._reset, self.driver.wire, name, self.clock)
        return link, self.driver.make(link, self.options, self.clock)

    def break_replies(self, fault: Fault, which: Container[int]) -> None:
        """Put a fault on replies by their number from now on; the first is 1."""
        self.replies = self.messages = 0
        self._fault, self._broken = fault, which

    def mend(self) -> None:
        """End every fault."""
        self.cut, self.lost, self._fault, self._broken = False, (), None, ()

    async def unpolled(self, seconds: float) -> None:
        """Let lab time pass while nobody asks anything, as when the host has stalled."""
        await self.clock.sleep(seconds)
        self.look()

    def look(self) -> Bench:
        """Return the bench at the present lab time, or a little ahead of it where a check has looked ahead."""
        self.bench.advance_to(max(self.clock.now(), self.bench.time))
        return self.bench

    def _reset(self) -> None:
        self.look()
        self.simulator.reset_line()

    def _receive(self, data: bytes) -> bytes:
        self.look()
        self.messages += 1
        reply = b"" if self.cut or self.messages in self.lost else self.simulator.receive(data)
        if not reply:
            return b""
        self.replies += 1
        return self._fault(reply) if self._fault is not None and self.replies in self._broken else reply

    @property
    def cycler(self) -> Cycler:
        return cast("Cycler", self.instrument)

    @property
    def potentiostat(self) -> Potentiostat:
        return cast("Potentiostat", self.instrument)

    @property
    def load_cell(self) -> LoadCell:
        return cast("LoadCell", self.instrument)

    @property
    def rig(self) -> PressureRig:
        return cast("PressureRig", self.instrument)

    @property
    def tool(self) -> HandTool:
        return cast("HandTool", self.instrument)

    @property
    def gas(self) -> GasRegulator:
        return cast("GasRegulator", self.instrument)

    @property
    def thermostat(self) -> Thermostat:
        return cast("Thermostat", self.instrument)


Check = Callable[[Stand], None]
