"""IMADA DST/DSV force gauge as load cell: each reading says its unit, its mode and whether it is overloaded.

Only newtons are believed. The gauge tells no serial number: what is compared after a reconnection is its resolution
and its two set points.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from drivers.force import Sign, refuse_residue, text_of, within
from labctl.clock import LabClock
from labctl.errors import GarbledReply, InstrumentRefused, OverRange, WrongInstrument
from labctl.fields import Capacity
from labctl.instrument import Executes, Features, Identity, Lines, Link, Role, SerialWire, Wire
from labctl.instrument import Options as DriverOptions

READING = re.compile(r"([+-])(\d+(?:\.\d*)?)([NKO])([TP])([LOHE])")
SET_POINTS = re.compile(r"E(\d{4})(\d{4})")
DONE, ERROR = "R", "E"
GREETING = b"Gauge Started.\r"
"""Comes when the line is opened, or the gauge switched on: which of them is not known, so it means neither."""
UNITS = {"N": "newton", "K": "kilogram-force or gram-force", "O": "pound-force or ounce-force"}
"""K and O mean the larger or the smaller unit depending on the gauge's range, which it does not tell."""
OVERLOAD, PEAK = "E", "P"
_LINES = Lines(b"\r")


@dataclass(frozen=True, slots=True)
class GreetedLines:
    """Replies that end with CR; a greeting in front of them is dropped."""

    def take(self, buffer: bytearray) -> bytes | None:
        """Return the line before the first CR that is no greeting."""
        while buffer.startswith(GREETING):
            del buffer[: len(GREETING)]
        return _LINES.take(buffer)

    def unsolicited(self, buffer: bytearray) -> bool:
        """Any byte but those of greetings."""
        return bool(buffer.replace(GREETING, b""))


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer to `D`.

    Attributes:
        value: in `unit`, with the gauge's own sign.
        decimals: digits behind the point.
        unit: N, K or O.
        mode: T (real time) or P (peak).
        state: L, O or H (below, between and above the set points) or E (overload).
    """

    value: float
    decimals: int
    unit: str
    mode: str
    state: str


class ImadaDst:
    """IMADA DST/DSV force gauge on one side of a rig."""

    class Options(DriverOptions):
        """How the gauge is mounted and connected.

        Attributes:
            capacity: on the gauge's label ("500 N").
            compression: the sign that it gives to compression.
            interface: its USB socket, or its RS-232 cable, which is slower.
        """

        capacity: Capacity
        compression: Sign
        interface: Literal["usb", "rs232"] = "usb"

        def wire(self, declared: Wire) -> Wire:
            """Return the line of that socket."""
            if self.interface == "usb" or not isinstance(declared, SerialWire):
                return declared
            return replace(declared, baudrate=19200, rtscts=False)

    ROLE: ClassVar[Role] = Role.LOAD_CELL
    WIRE: ClassVar[SerialWire] = SerialWire(GreetedLines(), baudrate=256000, rtscts=True, timeout=0.5)
    FEATURES: ClassVar[Features] = Features(limits=Executes.HOST)
    SIMULATOR: ClassVar[str] = "drivers.imada_dst.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {"capacity": "500 N", "compression": "positive"}

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        self.poll_period = 1.0
        self.capacity = options.capacity
        self._link = link
        self._sign = 1.0 if options.compression == "positive" else -1.0
        self._identity: Identity | None = None

    async def connect(self) -> Identity:
        """Set newton and real time, and remember what tells this gauge from another.

        Raises:
            WrongInstrument: it does not speak as a DST or DSV does.
            InstrumentRefused: it does not take a setting.
        """
        self._link.verify = None
        self._identity = await self._identify()
        self._link.verify = self._verify
        return self._identity

    async def safe_state(self) -> None:
        """Do nothing: a gauge moves and energises nothing."""

    async def tare(self) -> None:
        """Zero the reading, and confirm that it is near zero."""
        await self._set("Z")
        refuse_residue(self.capacity, await self.read(), self._link.name)

    async def read(self) -> float:
        """Force in N, positive in compression.

        Raises:
            OverRange: beyond capacity, or where the gauge says so.
            InstrumentRefused: another unit or mode was chosen at the gauge.
        """
        reading = await self._reading()
        if reading.state == OVERLOAD:
            raise OverRange(self._link.name, f"says that it is overloaded at {reading.value:g}", "Unload it.")
        if reading.unit != "N":
            raise InstrumentRefused(
                self._link.name,
                f"reads in {UNITS[reading.unit]}, which cannot be told apart; labctl had set newton",
                "Somebody has chosen it at the gauge: set newton there.",
            )
        if reading.mode == PEAK:
            raise InstrumentRefused(
                self._link.name,
                "holds its peak, which is not the present force; labctl had set real time",
                "Somebody has chosen it at the gauge: set real time there.",
            )
        return self._sign * within(self.capacity, reading.value, self._link.name)

    async def _reading(self) -> Reading:
        reply = await self._query("D")
        match = READING.fullmatch(reply)
        if match is None:
            expected = "sign, number, unit (N, K or O), mode (T or P) and state (L, O, H or E)"
            raise GarbledReply(self._link.name, b"D", reply.encode("ascii"), expected)
        sign, digits, unit, mode, state = match.groups()
        return Reading(float(sign + digits), len(digits.partition(".")[2]), unit, mode, state)

    async def _verify(self) -> None:
        """After a reopening: a gauge with the same resolution and set points, and with its settings again."""
        identity = await self._identify()
        if identity != self._identity:
            raise WrongInstrument(self._link.name, f"{identity} answers where {self._identity} did", "Restart the run.")

    async def _identify(self) -> Identity:
        """Make the settings; then they are part of what a reading says."""
        for command in ("N", "T"):
            await self._set(command)
        reply = await self._query("E")
        set_points = SET_POINTS.fullmatch(reply)
        if set_points is None:
            raise WrongInstrument(
                self._link.name,
                f"answers {reply!r} when asked for its set points",
                "This driver needs a DST or DSV gauge, which answers E and eight digits.",
            )
        reading = await self._reading()
        if (reading.unit, reading.mode) != ("N", "T"):
            raise InstrumentRefused(
                self._link.name,
                f"reads in {UNITS[reading.unit]}, {'peak' if reading.mode == PEAK else 'real time'} after N and T",
                "Set newton and real time at the gauge.",
            )
        resolution = f"{10.0**-reading.decimals:g} N"
        high, low = set_points.groups()
        return Identity("IMADA", f"DST/DSV in steps of {resolution}, set points {high} and {low}", "", "not told")

    async def _set(self, command: str) -> None:
        reply = await self._query(command)
        if reply == ERROR:
            raise InstrumentRefused(self._link.name, f"refused {command!r}", "Leave the menu at the gauge.")
        if reply != DONE:
            raise GarbledReply(self._link.name, command.encode(), reply.encode("ascii"), f"{DONE} or {ERROR}")

    async def _query(self, command: str) -> str:
        return text_of(await self._link.query(command.encode() + b"\r"), command.encode(), self._link.name)
