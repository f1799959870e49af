"""A Modbus RTU load-cell transmitter of any make as load cell: config.toml says what stands in which register.

Nothing that gives a number its meaning has a default: function, register, type, order of words, scale, unit and sign.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from drivers.force import NEWTON, Sign, UnitOfForce, within
from drivers.modbus.client import Client
from drivers.modbus.frame import Replies
from drivers.modbus.registers import Device, Location, Measured, Word
from labctl.clock import LabClock
from labctl.errors import InstrumentRefused, OverRange
from labctl.fields import Capacity, Parameters
from labctl.instrument import Executes, Features, Identity, Link, Role, SerialWire

SETTLING = 1.0
"""Seconds between a tare and the reading that confirms it: filters of transmitters still show what was."""


class Force(Measured):
    """Where the force stands: one count is worth `scale` of `unit`."""

    unit: UnitOfForce


class Status(Location):
    """A register of which any bit of `overload` or `fault` means that; 0 where it has no such bit."""

    overload: Word
    fault: Word

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.overload | self.fault:
            raise ValueError("overload and fault are both 0: a status that says nothing is left out")
        return self


class Tare(Parameters):
    """What zeroes the reading: a coil (function 5, value 0 or 1) or a register (6, or 16) to which `value` is written.

    Attributes:
        within: the largest reading that it may leave ("0.5 N").
        kept: whether the transmitter keeps its zero without power.
    """

    function: Literal[5, 6, 16]
    first: Annotated[Word, Field(alias="register")]
    value: Word
    within: Capacity
    kept: Annotated[bool, Field(strict=True)]

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.function == 5 and self.value > 1:
            raise ValueError(f"a coil is switched to 0 or 1, not {self.value}")
        return self


class ModbusLoadCell:
    """Load-cell transmitter on Modbus RTU, its registers as config.toml says."""

    class Options(Device):
        """The line, the registers, `capacity` (on the cell's label) and `compression`, the sign that is given to it."""

        capacity: Capacity
        compression: Sign
        force: Force
        status: Status | None = None
        tare: Tare | None = None

    ROLE: ClassVar[Role] = Role.LOAD_CELL
    WIRE: ClassVar[SerialWire] = SerialWire(Replies(), baudrate=19200, parity="E", timeout=0.5)
    FEATURES: ClassVar[Features] = Features(limits=Executes.HOST)
    SIMULATOR: ClassVar[str] = "drivers.modbus_load_cell.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {
        "id": 1,
        "baudrate": 19200,
        "parity": "even",
        "capacity": "500 N",
        "compression": "positive",
        "force": {
            "function": 4,
            "register": 0,
            "type": "int32",
            "words": "high-first",
            "scale": 0.01,
            "unit": "N",
        },
        "status": {"function": 4, "register": 2, "overload": 0x0001, "fault": 0x0006},
        "tare": {"function": 6, "register": 100, "value": 1, "within": "0.5 N", "kept": True},
        "serial_number": {"function": 3, "register": 10, "type": "uint32", "words": "high-first", "value": 100001},
        "settings": [{"function": 3, "register": 20, "type": "uint16", "value": 0}],
    }

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        self.poll_period = 1.0
        self.capacity = options.capacity
        self._link = link
        self._options = options
        self._newton = NEWTON[options.force.unit] * (1.0 if options.compression == "positive" else -1.0)
        self._client = Client(link, options)
        self._tared = self._zero_lost = False

    async def connect(self) -> Identity:
        """Check serial number and settings, where config.toml says them, and that the force's register is there.

        Raises:
            WrongInstrument: another transmitter, or another setting.
            InstrumentRefused: it has no such register.
        """
        self._link.verify = None
        self._tared = self._zero_lost = False
        await self._client.begin()
        force = self._options.force
        await self._client.read_words(force.function, force.first, force.count)
        self._link.verify = self._verify
        serial = self._options.serial_number
        return Identity("Modbus", f"transmitter {self._options.id}", str(serial.value) if serial else "", "unknown")

    async def safe_state(self) -> None:
        """Do nothing: a transmitter moves and energises nothing."""

    async def tare(self) -> None:
        """Zero the reading, and confirm that it is near zero.

        Raises:
            InstrumentRefused: config.toml says no tare, or what is left is too much.
        """
        tare = self._options.tare
        if tare is None:
            raise InstrumentRefused(
                self._link.name,
                "has no tare in config.toml",
                "Zero it by its own means while it is unloaded, and leave `tare` out of the protocol; or add `tare`.",
            )
        await self._client.write(tare.function, tare.first, tare.value)
        await self._link.pause(SETTLING)
        force = await self._force()
        if abs(force) > tare.within:
            raise InstrumentRefused(
                self._link.name,
                f"reads {force:g} N after its tare, more than {tare.within:g} N",
                "Unload it, wait until the reading is steady, and tare again; check `tare` in config.toml.",
            )
        self._tared, self._zero_lost = True, False

    async def read(self) -> float:
        """Force in N, positive in compression.

        Raises:
            OverRange: beyond capacity, at the end of its type, or where its status says so.
            InstrumentRefused: its status says a fault, or its zero may be lost.
            WrongInstrument: a setting on which the number depends was changed.
        """
        force = await self._force()
        if self._zero_lost:  # which this reading may have found out, where it reopened the line
            raise InstrumentRefused(
                self._link.name,
                "was silent and may have been without power, which loses its zero: what it reads may not be the force",
                "Check its power supply; unload it and tare again.",
            )
        return force

    async def _force(self) -> float:
        await self._client.require_settings()
        await self._refuse_status()
        force = self._newton * await self._client.read(self._options.force)
        return within(self.capacity, force, self._link.name)

    async def _refuse_status(self) -> None:
        status = self._options.status
        if status is None:
            return
        (word,) = await self._client.read_words(status.function, status.first)
        if word & status.fault:
            raise InstrumentRefused(
                self._link.name, f"says that it has a fault (status {word:#06x})", "Look at the transmitter."
            )
        if word & status.overload:
            raise OverRange(self._link.name, f"says that it is overloaded (status {word:#06x})", "Unload it.")

    async def _verify(self) -> None:
        """After a reopening: the same transmitter; nobody knows whether it was without power."""
        await self._client.resume()
        tare = self._options.tare
        self._zero_lost = self._zero_lost or (self._tared and tare is not None and not tare.kept)
