"""Mark-10 Series 5 force gauge as load cell, in Gauge Control Language 2 (GCL2).

Every reading carries its unit and is converted; positive is compression. The gauge must not sleep: automatic shut-off
is switched off and that is confirmed.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from drivers.force import KILOGRAM, POUND, Sign, refuse_residue, text_of, within
from labctl.clock import LabClock
from labctl.errors import GarbledReply, InstrumentRefused, OverRange, WrongInstrument
from labctl.fields import Capacity
from labctl.instrument import Executes, Features, Identity, Lines, Link, Role, SerialWire
from labctl.instrument import Options as DriverOptions

NEWTON = {
    "N": 1.0,
    "kN": 1e3,
    "mN": 1e-3,
    "lbF": POUND,
    "ozF": POUND / 16,
    "kgF": KILOGRAM,
    "gF": KILOGRAM / 1000,
}
"""Newtons in each unit that the gauge offers."""
ERRORS = {
    "*10": "illegal command",
    "*11": "not applicable",
    "*12": "invalid specifier",
    "*22": "value too large",
}
TOO_LARGE = "*22"
OVERLOAD = "OVER"

READING = re.compile(r"(-?\d+(?:\.\d+)?|-?\.\d+)(?: ([A-Za-z]+))?")
SETTINGS = (b"FULL", b"CUR", b"AOUT0", b"AOFF0")
"""Readings with unit, of the present force, only when asked for; no automatic shut-off."""
ACCURACY = 1e-3
"""Of the capacity (Mark-10, "Accuracy", Series 5: ±0.1 %)."""


class Mark10:
    """Mark-10 Series 5 force gauge on one side of a rig."""

    class Options(DriverOptions):
        """`capacity` is on the gauge's label ("500 N"); `compression` is the sign that it gives to compression."""

        capacity: Capacity
        compression: Sign = "positive"

    ROLE: ClassVar[Role] = Role.LOAD_CELL
    WIRE: ClassVar[SerialWire] = SerialWire(Lines(b"\r\n"), baudrate=115200, timeout=0.5)
    FEATURES: ClassVar[Features] = Features(limits=Executes.HOST, accuracy=ACCURACY)
    SIMULATOR: ClassVar[str] = "drivers.mark10.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {"capacity": "500 N"}

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        self.poll_period = 1.0
        self.capacity = options.capacity
        self._link = link
        self._inverted = options.compression == "negative"
        self._identity: Identity | None = None
        self._tared = self._zero_lost = False

    async def connect(self) -> Identity:
        """Identify the gauge, make it send readings with units, and keep it awake.

        Raises:
            WrongInstrument: it does not speak GCL2, or its polarity is not what the options say.
            InstrumentRefused: it does not take a setting.
        """
        self._link.verify = None
        self._tared = self._zero_lost = False
        self._identity = await self._identify()
        await self._prepare()
        self._link.verify = self._verify
        return self._identity

    async def safe_state(self) -> None:
        """Do nothing: a gauge moves and energises nothing."""

    async def tare(self) -> None:
        """Zero the reading, and confirm that it is near zero."""
        await self._link.write(b"Z\r")
        refuse_residue(self.capacity, await self._force(), self._link.name)
        self._tared, self._zero_lost = True, False

    async def read(self) -> float:
        """Force in N, positive in compression.

        Raises:
            OverRange: beyond capacity, or where the gauge says so.
            InstrumentRefused: a power cut has undone the zero of `tare`, until the next one.
        """
        force = await self._force()
        if self._zero_lost:
            raise InstrumentRefused(
                self._link.name,
                "was restarted and has lost its zero: what it reads is not the force",
                "Check its power supply; unload it and tare again.",
            )
        return force

    async def _force(self) -> float:
        reply = await self._query(b"?C")
        if OVERLOAD in reply or reply == TOO_LARGE:
            raise OverRange(self._link.name, f"answers {reply}: the force is beyond its range", "Unload it.")
        force = within(self.capacity, self._newtons(reply), self._link.name)
        return -force if self._inverted else force

    def _newtons(self, reply: str) -> float:
        self._refuse_error(reply, "to send a reading")
        match = READING.fullmatch(reply)
        if match is None or match[2] not in {None, *NEWTON}:
            expected = f"a number and one of {', '.join(NEWTON)}"
            raise GarbledReply(self._link.name, b"?C", reply.encode("ascii", "replace"), expected)
        if match[2] is None:
            raise WrongInstrument(
                self._link.name,
                f"answers {reply} without a unit",
                'Set its data format from "Numeric Only" to "Numeric + Units", then restart the run.',
            )
        return float(match[1]) * NEWTON[match[2]]

    async def _verify(self) -> None:
        """After a reopening: the same gauge, with its settings; a restart has undone them, and the zero with them."""
        identity = await self._identify()
        if identity != self._identity:
            raise WrongInstrument(self._link.name, f"{identity} answers where {self._identity} did", "Restart the run.")
        _, numbers = await self._listed()
        self._zero_lost = self._zero_lost or (self._tared and numbers.get("AOFF") != 0)
        await self._prepare()

    async def _identify(self) -> Identity:
        name, model, serial, firmware = [await self._query(command) for command in (b"RN", b"RM", b"RS", b"RV")]
        if any(not reply or reply in ERRORS or READING.fullmatch(name) for reply in (name, model, serial, firmware)):
            raise WrongInstrument(
                self._link.name,
                f"answers {name!r}, {model!r}, {serial!r}, {firmware!r} when asked for name, model, serial, firmware",
                "This driver needs GCL2 with its RN, RM, RS and RV: a Series 5 gauge. A Series 4 gauge lacks them.",
            )
        return Identity("Mark-10", f"{name} {model}", serial, firmware)

    async def _prepare(self) -> None:
        """Make the settings, and read them back from the gauge's list."""
        for command in SETTINGS:
            await self._link.write(command + b"\r")
        settings, numbers = await self._listed()
        listed = ";".join(settings)
        kept = {"FULL", "CUR"} <= set(settings) and numbers.get("AOUT") == 0 and numbers.get("AOFF") == 0
        if not kept:
            raise InstrumentRefused(
                self._link.name,
                f"lists {listed} after {b', '.join(SETTINGS).decode()}",
                "Set readings with units, current mode, no automatic output and no automatic shut-off at the gauge.",
            )
        # Firmware that can invert or omit the sign may list it; the factory does neither.
        if numbers.get("OPOL", 0) or numbers.get("IPOL", int(self._inverted)) != int(self._inverted):
            raise WrongInstrument(
                self._link.name,
                f"lists {listed}: its sign is omitted, or not the one that `compression` in config.toml says",
                "Set the polarity at the gauge (OPOL0, IPOL0), or correct `compression`.",
            )

    async def _listed(self) -> tuple[list[str], dict[str, int]]:
        """Return the gauge's settings, and those of them that have a number, by name."""
        listed = await self._query(b"LIST")
        self._refuse_error(listed, f"one of {b', '.join(SETTINGS).decode()}")
        settings = listed.split(";")
        if len(settings) < len(SETTINGS):
            raise GarbledReply(self._link.name, b"LIST", listed.encode("ascii", "replace"), "settings separated by ;")
        found = (re.fullmatch(r"([A-Z]+)(\d+)", setting) for setting in settings)
        return settings, {match[1]: int(match[2]) for match in found if match}

    def _refuse_error(self, reply: str, what: str) -> None:
        if reply.startswith("*"):
            raise InstrumentRefused(self._link.name, f"refused {what}: {reply} {ERRORS.get(reply, 'unknown error')}")

    async def _query(self, command: bytes) -> str:
        return text_of(await self._link.query(command + b"\r"), command, self._link.name)
