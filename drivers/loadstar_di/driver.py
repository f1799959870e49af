"""Loadstar DI-100/DI-1000 interface as load cell: bare numbers, whose unit and scale the configuration must say.

A reading is a number without unit. The interface tells its unit when asked; it is asked before every reading, so that
nobody can change it unseen.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from drivers.force import NEWTON, Sign, UnitOfForce, refuse_residue, text_of, within
from labctl.clock import LabClock
from labctl.errors import GarbledReply, InstrumentRefused, WrongInstrument
from labctl.fields import Capacity
from labctl.instrument import Executes, Features, Identity, Lines, Link, Role, SerialWire, Wire
from labctl.instrument import Options as DriverOptions

NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
MODEL = re.compile(r"(?:FCM )?(DI-100\S*)")
READY, BAD, TARED = "A", "E", "Tared"
UNITS: dict[str, UnitOfForce] = {
    "N": "N",
    "KN": "kN",
    "KG": "kgf",
    "KGF": "kgf",
    "G": "gf",
    "GF": "gf",
    "LB": "lbf",
    "LBF": "lbf",
    "OZ": "ozf",
    "OZF": "ozf",
}
"""What the interface calls them, in capitals."""
NO_FORCE = {"PR": "pressure", "TQ": "torque", "DISP": "displacement or level"}
"""Identifiers of sensors that measure something else begin so."""


class LoadstarDi:
    """Loadstar DI-100/DI-1000 load cell interface on one side of a rig."""

    class Options(DriverOptions):
        """What the interface does not tell, or not unmistakably.

        Attributes:
            capacity: on the load cell's label ("500 N").
            unit: in which it is calibrated; compared with what it says.
            scale: how many of these units a reading of 1 is: 1 or 0.001.
            compression: the sign that it gives to compression.
            baudrate: 9600, or 230400 of the high-speed version; some older ones have 115200.
        """

        capacity: Capacity
        unit: UnitOfForce
        scale: float = Field(gt=0, allow_inf_nan=False)
        compression: Sign
        baudrate: Literal[9600, 115200, 230400] = 9600

        def wire(self, declared: Wire) -> Wire:
            """Return the line at that speed."""
            return replace(declared, baudrate=self.baudrate) if isinstance(declared, SerialWire) else declared

    ROLE: ClassVar[Role] = Role.LOAD_CELL
    WIRE: ClassVar[SerialWire] = SerialWire(Lines(b"\n", strip=b"\r"), baudrate=9600, timeout=1.0)
    FEATURES: ClassVar[Features] = Features(limits=Executes.HOST)
    SIMULATOR: ClassVar[str] = "drivers.loadstar_di.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {
        "capacity": "500 N",
        "unit": "lbf",
        "scale": 1.0,
        "compression": "positive",
    }

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        self.poll_period = 1.0
        self.capacity = options.capacity
        self._link = link
        self._unit = options.unit
        sign = 1.0 if options.compression == "positive" else -1.0
        self._newton = sign * options.scale * NEWTON[options.unit]
        self._identity: Identity | None = None

    async def connect(self) -> Identity:
        """Identify the interface and its sensor, and compare its unit.

        Raises:
            WrongInstrument: it is none, its sensor measures no force, or its unit is not the configured one.
        """
        self._link.verify = None
        self._identity = await self._identify()
        self._link.verify = self._verify
        return self._identity

    async def safe_state(self) -> None:
        """Do nothing: a load cell moves and energises nothing."""

    async def tare(self) -> None:
        """Zero the reading, and confirm that it is near zero."""
        reply = await self._query("CT0")
        if reply != TARED:
            raise GarbledReply(self._link.name, b"CT0", reply.encode("ascii"), TARED)
        refuse_residue(self.capacity, await self.read(), self._link.name)

    async def read(self) -> float:
        """Force in N, positive in compression.

        Raises:
            OverRange: beyond capacity.
            WrongInstrument: its unit is not the configured one any more.
        """
        await self._compare_unit()
        number = await self._number("W")
        return within(self.capacity, self._newton * float(number), self._link.name)

    async def _verify(self) -> None:
        """After a reopening: the same interface with the same sensor."""
        identity = await self._identify()
        if identity != self._identity:
            raise WrongInstrument(self._link.name, f"{identity} answers where {self._identity} did", "Restart the run.")

    async def _identify(self) -> Identity:
        """Ask for what it is; two empty lines first, of which the second must be answered with A, as its maker says."""
        first = text_of(await self._link.query(b"\r"), b"", self._link.name)
        second = await self._query("")
        if first not in (READY, BAD) or second != READY:
            raise WrongInstrument(
                self._link.name, f"answers {first!r} and {second!r} to empty lines", "A DI interface answers A."
            )
        model = await self._query("MODEL")
        match = MODEL.fullmatch(model)
        if match is None:
            raise WrongInstrument(
                self._link.name, f"says that it is {model!r}", "This driver needs a DI-100 or DI-1000."
            )
        serial = await self._query("ID")
        for prefix, quantity in NO_FORCE.items():
            if serial.startswith(prefix):
                raise WrongInstrument(self._link.name, f"has the sensor {serial}, which measures {quantity}")
        if not serial or NUMBER.fullmatch(serial):
            raise GarbledReply(self._link.name, b"ID", serial.encode("ascii"), "an identifier such as W1234-5678")
        # What its capacity is in is not documented beyond doubt: as text it still tells one sensor from another.
        capacity = await self._number("LC")
        await self._compare_unit()
        return Identity("Loadstar", f"{match[1]} with capacity {capacity}", serial, "not told")

    async def _compare_unit(self) -> None:
        told = await self._query("UNITS")
        if UNITS.get(told.upper()) != self._unit:
            raise WrongInstrument(
                self._link.name,
                f'says that its unit is {told!r}; `unit` in config.toml is "{self._unit}"',
                "Correct `unit`, or set the unit of its calibration again (UNITS), then restart the run.",
            )

    async def _number(self, command: str) -> str:
        reply = await self._query(command)
        if not NUMBER.fullmatch(reply):
            raise GarbledReply(self._link.name, command.encode(), reply.encode("ascii"), "a decimal number")
        return reply

    async def _query(self, command: str) -> str:
        reply = text_of(await self._link.query(command.encode() + b"\r"), command.encode(), self._link.name)
        if reply == BAD:
            raise InstrumentRefused(self._link.name, f"refused {command!r}: {BAD}")
        return reply
