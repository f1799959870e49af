"""ESPEC chamber with a P-300 or SCP-220 controller as thermostat: regulation and alarms are its own.

Every setting is acknowledged by its own words or refused with a reason, and then asked for again.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from drivers.thermostat import Bounds, refuse_outside, refuse_setpoint, sensible
from labctl.clock import LabClock
from labctl.errors import GarbledReply, InstrumentRefused, WrongInstrument
from labctl.instrument import (
    Executes,
    Features,
    Identity,
    Lines,
    Link,
    Range,
    Role,
    SerialWire,
    ThermostatReading,
    Wire,
)

AFTER_QUERY, AFTER_SETTING = 0.3, 0.5
"""Seconds that the network guide asks for before the next message."""
REFUSED = "NA:"
REASONS = {
    "CMD ERR": "it does not know this command",
    "ADDR ERR": "this command takes no address",
    "CONT NOT READY-1": "this chamber has no humidity or product temperature control",
    "CONT NOT READY-2": "no program is running",
    "CONT NOT READY-3": "its controller does not know this command",
    "CONT NOT READY-4": "its power is off",
    "CONT NOT READY-5": "this time signal cannot be changed",
    "CHB NOT READY": "the chamber cannot do this now",
    "DATA NOT READY": "there is no such program",
    "PARA ERR": "a parameter is missing or cannot be understood",
    "DATA OUT OF RANGE": "the value is beyond its range or its alarm limits",
    "PROTECT ON": "its settings are protected",
    "INVALID REQ": "it does not have this function",
}
REMEDIES = {
    "PROTECT ON": "Switch the protection of settings off at its panel.",
    "DATA OUT OF RANGE": "Choose another temperature, or widen the chamber's alarm limits at its panel.",
    "CONT NOT READY-4": "Switch the control power on at its panel.",
    "ADDR ERR": "Check `id` in config.toml: an RS-232 line has none.",
}
NUMBER = r"[+-]?\d+(?:\.\d+)?"
TYPE = re.compile(rf"[^,]+(?:,[^,]+)?,([^,]+),({NUMBER})")
"""Dry bulb sensor, perhaps wet bulb sensor, controller, highest temperature."""
TEMPERATURES = re.compile(rf"({NUMBER}),({NUMBER}),{NUMBER},{NUMBER}")
"""Measured, target, upper and lower alarm limit."""
MODE = re.compile(r"OFF|STANDBY|CONSTANT|RUN")
ALARMS = re.compile(r"(\d+)((?:,\d+)*)")
CONSTANT, STANDBY, STOPPED = "CONSTANT", "STANDBY", ("STANDBY", "OFF")
STEP = 0.1
"""K in which it takes and tells temperatures."""


class Espec:
    """ESPEC chamber with a P-300 or SCP-220 controller on RS-232 or RS-485."""

    class Options(Bounds):
        """What chamber, cables and cell allow, and the line as it is set at the controller.

        Attributes:
            id: of the chamber on an RS-485 line, 1 to 16; left out on RS-232.
            baudrate: as set at the controller.
        """

        id: Annotated[int, Field(ge=1, le=16)] | None = None
        baudrate: Literal[1200, 2400, 4800, 9600, 19200, 38400] = 9600

        def wire(self, declared: Wire) -> Wire:
            """Return the line at this speed."""
            assert isinstance(declared, SerialWire)
            return replace(declared, baudrate=self.baudrate)

    ROLE: ClassVar[Role] = Role.THERMOSTAT
    WIRE: ClassVar[SerialWire] = SerialWire(Lines(b"\r\n"), baudrate=9600, timeout=2.0)
    FEATURES: ClassVar[Features] = Features(limits=Executes.INSTRUMENT)
    SIMULATOR: ClassVar[str] = "drivers.espec.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {"minimum": "5 degC", "maximum": "80 degC"}

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        self.poll_period = 5.0
        self.temperature_range = Range(options.minimum, options.maximum)
        self.external_probe = False
        self._link = link
        address = options.id
        self._prefix = "" if address is None else f"{address},"
        self._identity: Identity | None = None
        self._wanted: float | None = None
        """The set point that was confirmed, °C."""

    async def connect(self) -> Identity:
        """Identify the chamber, and bring it to standby.

        Raises:
            WrongInstrument: not a P-300 or SCP-220.
            InstrumentRefused: it does not stop.
        """
        self._link.verify = None
        self._wanted = None
        self._identity = await self._identify()
        self._link.verify = self._verify
        await self.stop()
        return self._identity

    async def safe_state(self) -> None:
        """Standby, confirmed."""
        await self.stop()

    async def set_temperature(self, celsius: float) -> None:
        """Set the set point, confirm it, and start regulating, in steps of 0.1 K.

        Raises:
            RefusedForSafety: outside what config.toml allows.
            InstrumentRefused: the chamber did not take it, or did not start.
        """
        refuse_outside(self._link.name, self.temperature_range, celsius)
        self._wanted = None
        await self._set(f"TEMP, S{celsius:.1f}")
        _, setpoint = await self._temperatures()
        self._refuse_setpoint(setpoint, celsius)
        await self._set(f"MODE, {CONSTANT}")
        mode = await self._mode()
        if mode != CONSTANT:
            self._refuse(f"is in the mode {mode} after MODE, {CONSTANT}", "Look at the chamber: is its power on?")
        # Constant mode has its own set point; only now is it certain to be this one.
        _, setpoint = await self._temperatures()
        self._refuse_setpoint(setpoint, celsius)
        self._wanted = celsius

    async def stop(self) -> None:
        """Standby, confirmed: neither heats nor cools; a chamber whose control power is off stays so.

        Raises:
            InstrumentRefused: it still runs; switch it off by hand.
        """
        self._wanted = None
        if await self._mode() == "OFF":
            return
        await self._set(f"MODE, {STANDBY}")
        mode = await self._mode()
        if mode not in STOPPED:
            self._refuse(f"is in the mode {mode} after MODE, {STANDBY}", "Switch it off at its panel.")

    async def read(self) -> ThermostatReading:
        """Measure chamber temperature and set point; it runs in constant mode.

        Raises:
            GarbledReply: not a temperature.
            OverRange: a temperature that no chamber has: a broken or missing sensor.
            InstrumentRefused: an alarm, somebody's program, or another set point than was set.
        """
        await self._refuse_alarms()
        chamber, setpoint = await self._temperatures()
        mode = await self._mode()
        if mode not in (CONSTANT, *STOPPED):
            self._refuse(f"is in the mode {mode}: a program runs there", "End the program at its panel.")
        if self._wanted is not None:
            self._refuse_setpoint(setpoint, self._wanted)
        return ThermostatReading(chamber, None, setpoint, running=mode == CONSTANT)

    # -- exchanges -------------------------------------------------------------------------------------------------

    async def _verify(self) -> None:
        """After a reopening: the same chamber. It goes on regulating, within limits that are its own."""
        identity = await self._identify()
        if identity != self._identity:
            raise WrongInstrument(self._link.name, f"{identity} answers where {self._identity} did", "Restart the run.")

    async def _identify(self) -> Identity:
        reply = _packed(await self._ask("TYPE?"))
        match = TYPE.fullmatch(reply)
        if match is None:
            raise WrongInstrument(
                self._link.name,
                f"answers {reply!r} to TYPE?, not with its sensors, controller and highest temperature",
                "Correct the address or the driver of this station in config.toml.",
            )
        version = await self._ask("ROM?")
        if not version:
            raise GarbledReply(self._link.name, b"ROM?", b"", "the version of its program")
        return Identity("ESPEC", f"{match[1]} up to {match[2]} °C", "", version)

    async def _temperatures(self) -> tuple[float, float]:
        """Return measured temperature and set point, °C."""
        reply = _packed(await self._ask("TEMP?"))
        match = TEMPERATURES.fullmatch(reply)
        if match is None:
            expected = "four temperatures: measured, target, upper and lower limit"
            raise GarbledReply(self._link.name, b"TEMP?", reply.encode("ascii"), expected)
        return sensible(self._link.name, float(match[1]), "for the chamber"), float(match[2])

    async def _mode(self) -> str:
        reply = await self._ask("MODE?")
        if not MODE.fullmatch(reply):
            raise GarbledReply(self._link.name, b"MODE?", reply.encode("ascii"), "OFF, STANDBY, CONSTANT or RUN")
        return reply

    async def _refuse_alarms(self) -> None:
        reply = _packed(await self._ask("ALARM?"))
        match = ALARMS.fullmatch(reply)
        if match is None or int(match[1]) != match[2].count(","):
            raise GarbledReply(self._link.name, b"ALARM?", reply.encode("ascii"), "the count of alarms and each number")
        if match[2]:
            self._refuse(f"has alarm {match[2].removeprefix(',')}", "Look it up in its manual; reset it there.")

    async def _set(self, command: str) -> None:
        """Send a setting; it is acknowledged with OK and its own words."""
        reply, said = _packed(await self._ask(command, AFTER_SETTING)), _packed(command)
        if reply not in (f"OK:{said}", f"OK:{self._prefix}{said}"):
            raise GarbledReply(
                self._link.name, command.encode("ascii"), reply.encode("ascii"), f"OK:{said}, or a refusal"
            )

    async def _ask(self, command: str, quiet: float = AFTER_QUERY) -> str:
        """Return what it answers; raises InstrumentRefused where it answers NA."""
        request = f"{self._prefix}{command}\r\n".encode("ascii")
        reply = await self._link.query(request)
        await self._link.pause(quiet)
        if not reply.isascii() or not reply.decode("ascii").isprintable():
            raise GarbledReply(self._link.name, request, reply, "printable ASCII")
        text = reply.decode("ascii").strip()
        if text.startswith(REFUSED):
            reason = text.removeprefix(REFUSED).strip().replace("_", " ")
            meaning = REASONS.get(reason, "a reason that is not in its list")
            self._refuse(
                f"refused {command!r}: {reason} ({meaning})",
                REMEDIES.get(reason, "Look at the chamber and its manual."),
            )
        return text

    def _refuse_setpoint(self, setpoint: float, wanted: float) -> None:
        refuse_setpoint(self._link.name, setpoint, wanted, 0.5 * STEP + 1e-9, "its own limits")

    def _refuse(self, what: str, remedy: str) -> None:
        raise InstrumentRefused(self._link.name, what, remedy)


def _packed(text: str) -> str:
    """Leave blanks out: some versions have them behind commas, others have none."""
    return "".join(text.split())
