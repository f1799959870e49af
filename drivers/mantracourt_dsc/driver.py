"""Mantracourt DSC/DCell digitiser as load cell, in its ASCII protocol: numbers without unit, name or checksum.

With every reading the digitiser is asked for its status, its scaling and its zero: a reading is believed while they
are what they were when it was connected, and zeroed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from drivers.force import NEWTON, Sign, UnitOfForce, refuse_residue, text_of, within
from labctl.clock import LabClock
from labctl.errors import GarbledReply, InstrumentRefused, OverRange, WrongInstrument
from labctl.fields import Capacity
from labctl.instrument import Executes, Features, Identity, Lines, Link, Role, SerialWire, Wire
from labctl.instrument import Options as DriverOptions

MOST_DIGITS = 15
"""Characters of a number on the wire."""
BROADCAST, FIRST, LAST = 0, 1, 254
"""Station numbers; what is sent to the first of these is carried out by all and answered by none."""
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
DECIMAL = re.compile(r"[+-]?\d+\.\d+")
INTEGER = re.compile(r"[+-]?\d{1,9}(\.0*)?")
REFUSED = "?"
BEYOND = {
    1 << 4: "bridge under range (ECOMUR)",
    1 << 5: "bridge over range (ECOMOR)",
    1 << 6: "cell output under range (CRAWUR)",
    1 << 7: "cell output over range (CRAWOR)",
    1 << 8: "system output under range (SYSUR)",
    1 << 9: "system output over range (SYSOR)",
}
"""Bits of STAT that say that SYS is not the force but where its range ends."""
INTEGRITY, SHUNT = 1 << 11, 1 << 12
"""Bits of STAT: LCINTEG and SCALON. The second one causes the first."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """What makes of a bridge's output the number that is read, as the digitiser prints it."""

    gain: str
    offset: str
    zero: str

    def __str__(self) -> str:
        return f"SGAI {self.gain}, SOFS {self.offset}, SZ {self.zero}"


class MantracourtDsc:
    """Mantracourt DSC/DCell strain gauge digitiser on one side of a rig."""

    class Options(DriverOptions):
        """What the digitiser does not tell.

        Attributes:
            station: its number on the RS-485 line, 1 to 254.
            capacity: on the load cell's label ("500 N").
            unit: in which its output SYS was scaled.
            compression: the sign that it gives to compression.
            baudrate: as set in it (BAUD).
        """

        station: int = Field(le=LAST)
        capacity: Capacity
        unit: UnitOfForce
        compression: Sign
        baudrate: Literal[2400, 4800, 9600, 19200, 38400, 57600, 76800, 115200, 230400, 460800] = 115200

        @field_validator("station")
        @classmethod
        def _one(cls, station: int) -> int:
            if station == BROADCAST:
                raise ValueError(
                    f"{BROADCAST:03d} addresses all digitisers at once and none answers; "
                    f"each has a number of its own, {FIRST} to {LAST}"
                )
            if station < FIRST:
                raise ValueError(f"a station is a number from {FIRST} to {LAST}")
            return station

        def wire(self, declared: Wire) -> Wire:
            """Return the line at that speed."""
            return replace(declared, baudrate=self.baudrate) if isinstance(declared, SerialWire) else declared

    ROLE: ClassVar[Role] = Role.LOAD_CELL
    WIRE: ClassVar[SerialWire] = SerialWire(Lines(b"\r"), baudrate=115200, timeout=0.5)
    FEATURES: ClassVar[Features] = Features(limits=Executes.HOST)
    SIMULATOR: ClassVar[str] = "drivers.mantracourt_dsc.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {
        "station": 1,
        "capacity": "500 N",
        "unit": "N",
        "compression": "positive",
    }

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        self.poll_period = 1.0
        self.capacity = options.capacity
        self._link = link
        self._station = options.station
        self._unit = options.unit
        self._newton = NEWTON[options.unit] * (1.0 if options.compression == "positive" else -1.0)
        self._identity: Identity | None = None
        self._scaling: Scaling | None = None

    async def connect(self) -> Identity:
        """Identify the digitiser, and remember its scaling and zero.

        Raises:
            WrongInstrument: what answers is no digitiser.
            InstrumentRefused: it prints too few digits for its load cell.
        """
        self._link.verify = None
        self._identity = await self._identify()
        await self._refuse_few_digits()
        self._scaling = await self._present_scaling()
        self._link.verify = self._verify
        return self._identity

    async def safe_state(self) -> None:
        """Do nothing: a digitiser moves and energises nothing."""

    async def tare(self) -> None:
        """Make what it reads now its zero, and confirm that it reads near zero.

        Raises:
            OverRange: its status says so; the zero is left alone.
            InstrumentRefused: its scaling has changed since it was connected, its bridge is broken, or it does not read
                zero afterwards.
        """
        self._refuse_change(await self._present_scaling(), but_zero=True)
        self._refuse_status(await self._integer("STAT"))
        await self._set("SZ", await self._get("SRAW", DECIMAL))
        self._scaling = await self._present_scaling()
        refuse_residue(self.capacity, await self.read(), self._link.name)

    async def read(self) -> float:
        """Force in N, positive in compression.

        Raises:
            OverRange: beyond capacity, or where its status says so.
            InstrumentRefused: its bridge is broken, or its scaling or zero is not what it was.
        """
        self._refuse_change(await self._present_scaling())
        value = self._newton * float(await self._get("SYS", DECIMAL))
        self._refuse_status(await self._integer("STAT"))
        return within(self.capacity, value, self._link.name)

    async def _verify(self) -> None:
        """After a reopening: the same digitiser; its scaling is compared with every reading."""
        identity = await self._identify()
        if identity != self._identity:
            raise WrongInstrument(self._link.name, f"{identity} answers where {self._identity} did", "Restart the run.")

    async def _identify(self) -> Identity:
        high, low, version = [await self._integer(name) for name in ("SERH", "SERL", "VER")]
        if not 0 < version < 1 << 16:
            raise WrongInstrument(self._link.name, f"says that its version is {version}", "Check `station` and wiring.")
        return Identity("Mantracourt", "DSC/DCell", str(high << 16 | low), f"{version >> 8}.{version & 0xFF:02d}")

    async def _refuse_few_digits(self) -> None:
        """A number with more digits before its point than DPB allows is not printed whole."""
        digits = await self._integer("DPB")
        largest = self.capacity / abs(self._newton)
        if 10.0 ** min(digits, MOST_DIGITS) <= largest:
            raise InstrumentRefused(
                self._link.name,
                f"prints {digits} digits before the point (DPB); {largest:g} {self._unit} needs more",
                "Set DPB to more digits, and check `capacity` and `unit` in config.toml.",
            )

    async def _present_scaling(self) -> Scaling:
        return Scaling(*[await self._get(name, NUMBER) for name in ("SGAI", "SOFS", "SZ")])

    def _refuse_change(self, now: Scaling, *, but_zero: bool = False) -> None:
        before = self._scaling
        if before is None or now == before or (but_zero and replace(now, zero=before.zero) == before):
            return
        raise InstrumentRefused(
            self._link.name,
            f"has {now} where it had {before}: what it reads is another force",
            "Where only SZ differs it was restarted or zeroed by somebody: unload it and tare again. "
            "Otherwise check its scaling and `unit`, and restart the run.",
        )

    def _refuse_status(self, status: int) -> None:
        if status & SHUNT:
            raise InstrumentRefused(self._link.name, "has its shunt calibration on (SCALON)", "Send it SCOF.")
        if status & INTEGRITY:
            raise InstrumentRefused(
                self._link.name, "says that its bridge is broken (LCINTEG)", "Check the load cell and its cable."
            )
        if beyond := [name for bit, name in BEYOND.items() if status & bit]:
            raise OverRange(self._link.name, f"says: {', '.join(beyond)}", "Unload it.")

    async def _integer(self, name: str) -> int:
        value = int(float(await self._get(name, INTEGER)))
        if not 0 <= value < 1 << 16:
            raise GarbledReply(self._link.name, name.encode(), str(value).encode(), "a number from 0 to 65535")
        return value

    async def _get(self, name: str, form: re.Pattern[str]) -> str:
        request = f"!{self._station:03d}:{name}?"
        reply = await self._query(request)
        if not form.fullmatch(reply):
            expected = "a number with a decimal point (DP set to 1 or more)" if form is DECIMAL else "a number"
            raise GarbledReply(self._link.name, request.encode(), reply.encode("ascii"), expected)
        return reply

    async def _set(self, name: str, value: str) -> None:
        request = f"!{self._station:03d}:{name}={value}"
        reply = await self._query(request)
        if reply:
            raise GarbledReply(self._link.name, request.encode(), reply.encode("ascii"), "an empty line")

    async def _query(self, request: str) -> str:
        reply = text_of(await self._link.query(request.encode() + b"\r"), request.encode(), self._link.name)
        if reply == REFUSED:
            raise InstrumentRefused(self._link.name, f"refused {request}: {REFUSED}", "Is it a DSC or DCell in ASCII?")
        return reply
