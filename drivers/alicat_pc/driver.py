"""Alicat PC/PCD pressure controller as gas regulator: its own loop holds the pressure of a gas on a piston.

A frame carries numbers without their unit, so the unit is asked for with every reading. The safe state is both valves
held closed, which keeps the gas where it is but for leaks. Nothing in it notices a host that has died: it goes on
regulating to the last set point.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from drivers.force import text_of
from labctl.clock import LabClock
from labctl.errors import GarbledReply, InstrumentRefused, OverRange, RefusedForSafety, WrongInstrument
from labctl.fields import Length, Stress
from labctl.instrument import Executes, Features, GasReading, Identity, Lines, Link, Range, Role, SerialWire
from labctl.instrument import Options as DriverOptions

UnitOfPressure = Literal["Pa", "hPa", "kPa", "MPa", "mbar", "bar", "psi"]
PASCAL: dict[UnitOfPressure, float] = {
    "Pa": 1.0,
    "hPa": 100.0,
    "kPa": 1e3,
    "MPa": 1e6,
    "mbar": 100.0,
    "bar": 1e5,
    "psi": 6894.757293168,
}
CODES: dict[int, UnitOfPressure] = {2: "Pa", 3: "hPa", 4: "kPa", 5: "MPa", 6: "mbar", 7: "bar", 10: "psi"}
"""Of pressure units (Serial Primer, appendix B-1)."""
GAUGE_PRESSURE = 38
"""Register 122, the variable of its loop."""
STATISTIC = 6
"""Gauge pressure, for its full scale."""
REFUSED = "?"
HELD = "HLD"
BEYOND = {"POV", "OPL", "OVR"}
BROKEN = {"ADC": "its converter has failed", "EXH": "its exhaust valve is open"}
KNOWN = {HELD, *BEYOND, *BROKEN, "LCK", "TOV", "VOV", "MOV", "TMF", "P2O", "COM", "GTA"}
CLOSE = 1e-3
"""Of the full scale: by how much a set point that was read back may differ, which is a step of its display."""

FRAME = re.compile(
    r"(?P<unit>[A-Z]) (?P<pressure>[+-]\d+\.?\d*) (?P<setpoint>[+-]?\d+\.?\d*)(?P<status>(?: +[A-Z0-9]{3})*)"
)
FULL_SCALE = re.compile(r"(?P<unit>[A-Z]) (?P<most>[+-]?\d+\.?\d*) (?P<code>\d+) (?P<label>\S+)")
REGISTER = re.compile(r"(?P<unit>[A-Z]) +122 = (?P<value>\d+)")
ABOUT = {"model": "M04 Model Number", "serial": "M05 Serial Number", "firmware": "M09 Software Revision"}
_LINES = Lines(b"\r", strip=b"\n")


@dataclass(frozen=True, slots=True)
class LinesAndTables:
    """Replies that end with CR; the table of the manufacturer has ten lines, M00 to M09."""

    def take(self, buffer: bytearray) -> bytes | None:
        """Return a line, or a whole table without its last CR; line feeds between them are dropped."""
        while buffer.startswith(b"\n"):
            del buffer[:1]
        if not re.match(rb"[A-Z] +M00\b", buffer):
            return _LINES.take(buffer)
        last = re.search(rb"\bM09\b[^\r]*\r", buffer)
        if last is None:
            return None
        table = bytes(buffer[: last.end() - 1])
        del buffer[: last.end()]
        return table

    def unsolicited(self, buffer: bytearray) -> bool:
        """Any byte but line feeds: a controller that streams is out of step."""
        return _LINES.unsolicited(buffer)


class AlicatPc:
    """Alicat PC or PCD pressure controller that presses one side through a piston."""

    class Options(DriverOptions):
        """How the controller is set up and what it presses on.

        Attributes:
            unit: in which its display, and so its wire, tells pressure.
            piston: diameter of the piston on which the gas presses.
            maximum: gauge pressure of the gas ("6 bar") that controller, piston and supply allow.
            id: its letter on the line.
        """

        unit: UnitOfPressure
        piston: Length
        maximum: Stress
        id: str = Field("A", pattern=r"^[A-Z]$")

    ROLE: ClassVar[Role] = Role.GAS_REGULATOR
    WIRE: ClassVar[SerialWire] = SerialWire(LinesAndTables(), baudrate=19200, timeout=0.5)
    FEATURES: ClassVar[Features] = Features(limits=Executes.HOST)
    SIMULATOR: ClassVar[str] = "drivers.alicat_pc.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {"unit": "psi", "piston": "50 mm", "maximum": "6 bar"}

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        self.poll_period = 0.5
        self.pressure_range = Range(0.0, options.maximum)
        self.piston_area = math.pi * options.piston**2 / 4.0
        self._link = link
        self._id = options.id
        self._unit: UnitOfPressure = options.unit
        self._tells_unit = True
        self._identity: Identity | None = None
        self._wanted: float | None = None
        """Pa, the set point to which it regulates; None: its valves are to be closed."""

    async def connect(self) -> Identity:
        """Identify the controller, and hold its valves closed.

        Raises:
            WrongInstrument: no Alicat, or its loop is not on gauge pressure, or its unit is another one.
            InstrumentRefused: its valves are not held closed.
        """
        self._link.verify, self._wanted = None, None
        self._identity = await self._identify()
        await self.hold()
        self._link.verify = self._verify
        return self._identity

    async def safe_state(self) -> None:
        """Close the valves, confirmed."""
        await self.hold()

    async def set_pressure(self, pressure: float) -> None:
        """Regulate to a gauge pressure in Pa: the set point first, confirmed, and only then the valves let go.

        Raises:
            RefusedForSafety: beyond what the configuration allows.
            InstrumentRefused: it did not take the set point, or goes on holding its valves.
        """
        if pressure not in self.pressure_range:
            raise RefusedForSafety(
                f"{self._link.name}: {pressure:g} Pa is not within 0 Pa to {self.pressure_range.high:g} Pa.",
                "Change the step, or `maximum` of this regulator in config.toml.",
            )
        await self._check_unit()
        wanted = pressure / PASCAL[self._unit]
        self._wanted = None
        frame = await self._command(f"S{wanted:.4f}")
        self._refuse_setpoint(frame, pressure)
        if frame.closed:
            frame = await self._command("C")
            if frame.closed:
                raise InstrumentRefused(
                    self._link.name, "goes on holding its valves", "Cancel the hold at its display."
                )
            self._refuse_setpoint(frame, pressure)
        self._wanted = pressure

    async def hold(self) -> None:
        """Close the valves, and confirm it.

        Raises:
            InstrumentRefused: they are not, or its firmware (before 5v07) cannot.
        """
        self._wanted = None
        frame = await self._command("HC")
        if not frame.closed:
            raise InstrumentRefused(
                self._link.name, "does not hold its valves closed", "Close the gas supply by hand, and look at it."
            )

    async def read(self) -> GasReading:
        """Gauge pressure and set point in Pa, and whether the valves are held closed.

        Raises:
            GarbledReply: no frame of a pressure controller.
            OverRange: it says that its pressure is beyond its range.
            WrongInstrument: somebody has set another unit.
            InstrumentRefused: it has another set point than was set, regulates where its valves were closed, or fails.
        """
        await self._check_unit()
        frame = await self._command("")
        if self._wanted is not None and not frame.closed:
            self._refuse_setpoint(frame, self._wanted)
        if self._wanted is None and not frame.closed:
            raise InstrumentRefused(
                self._link.name,
                "regulates, although its valves were held closed",
                "It was restarted, or somebody has cancelled the hold: close the gas supply, and restart the run.",
            )
        return frame

    # -- exchanges -------------------------------------------------------------------------------------------------

    async def _verify(self) -> None:
        """After a reopening: the same controller; its valves are closed until the next set point."""
        identity = await self._identify()
        if identity != self._identity:
            raise WrongInstrument(self._link.name, f"{identity} answers where {self._identity} did", "Restart the run.")
        await self.hold()

    async def _identify(self) -> Identity:
        table = await self._ask("??M*")
        found = {key: re.search(rf"{label} +([^|]*[^| ])", table) for key, label in ABOUT.items()}
        said = {key: match[1] for key, match in found.items() if match is not None}
        if len(said) < len(ABOUT) or "ALICAT" not in table.upper():
            raise WrongInstrument(
                self._link.name,
                f"answers {table[:60]!r} when asked who made it",
                "Correct the address, or the letter `id`, of this regulator in config.toml.",
            )
        variable = REGISTER.fullmatch(reply := await self._ask("R122"))
        if variable is None or int(variable["value"]) != GAUGE_PRESSURE:
            raise WrongInstrument(
                self._link.name,
                f"answers {reply!r} when asked what its loop controls",
                "Set its loop control variable to gauge pressure: a piston feels the pressure above that of the room.",
            )
        self._tells_unit = True
        await self._check_unit(first=True)
        untold = "" if self._tells_unit else ", unit not told"
        return Identity("Alicat", f"{said['model']}{untold}", said["serial"], said["firmware"])

    async def _check_unit(self, *, first: bool = False) -> None:
        """Ask for the unit of its gauge pressure, where its firmware (from 6v00) tells it."""
        if not self._tells_unit:
            return
        reply = await self._ask(f"FPF {STATISTIC}")
        if reply == REFUSED and first:
            self._tells_unit = False
            return
        match = FULL_SCALE.fullmatch(reply)
        if match is None:
            raise GarbledReply(self._link.name, b"FPF", reply.encode(), "its full scale with its unit")
        label = match["label"].lower().removesuffix("g")
        if CODES.get(int(match["code"])) != self._unit or label != self._unit.lower():
            raise WrongInstrument(
                self._link.name,
                f"tells gauge pressure in {match['label']}, and config.toml says {self._unit}",
                f"Set its engineering unit to {self._unit}, or correct `unit`.",
            )

    async def _command(self, command: str) -> GasReading:
        """Send a command that is answered with a frame."""
        reply = await self._ask(command)
        match = FRAME.fullmatch(reply)
        if match is None:
            expected = "a frame of a pressure controller: letter, pressure, set point, codes"
            raise GarbledReply(self._link.name, command.encode(), reply.encode(), expected)
        status = set(match["status"].split())
        if status - KNOWN:
            raise GarbledReply(self._link.name, command.encode(), reply.encode(), f"codes among {sorted(KNOWN)}")
        for code in status & BROKEN.keys():
            raise InstrumentRefused(
                self._link.name, f"says {code}: {BROKEN[code]}", "Close the gas supply; look at it."
            )
        if status & BEYOND:
            raise OverRange(self._link.name, f"says {', '.join(status & BEYOND)}: beyond its range", "Relieve it.")
        scale = PASCAL[self._unit]
        return GasReading(float(match["pressure"]) * scale, float(match["setpoint"]) * scale, HELD in status)

    def _refuse_setpoint(self, frame: GasReading, wanted: float) -> None:
        if abs(frame.setpoint - wanted) > CLOSE * self.pressure_range.high:
            raise InstrumentRefused(
                self._link.name,
                f"has the set point {frame.setpoint:g} Pa where {wanted:g} Pa was set",
                "Check that its set point comes from the serial line, its range, and that nobody else commands it.",
            )

    async def _ask(self, command: str) -> str:
        request = f"{self._id}{command}\r".encode()
        reply = await self._link.query(request)
        text = text_of(reply.replace(b"\r", b"|"), request, self._link.name)
        if text == REFUSED and not command.startswith("FPF"):
            raise InstrumentRefused(
                self._link.name, f"refused {command!r}", "Its firmware may be too old: 5v07 is needed to hold valves."
            )
        if text != REFUSED and not text.startswith(self._id):
            raise GarbledReply(self._link.name, request, reply, f"an answer that begins with {self._id}")
        return text
