"""JULABO circulator as thermostat: temperature regulation, alarms and over-temperature cut-off are its own."""

import re
from collections.abc import Mapping
from typing import ClassVar, NoReturn

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

AFTER_COMMAND, AFTER_QUERY = 0.250, 0.010
"""Seconds that the manual asks for before the next message."""

TEMPERATURE = re.compile(r"[+-]?\d+(\.\d+)?")
STATUS = re.compile(r"(-?\d\d) (\S.*)")
VERSION = re.compile(r"JULABO (\S.*?) VERSION (\S+)", re.IGNORECASE)

STOPPED, RUNNING = "02", "03"
MANUAL = ("00", "01")
REMEDIES = {
    "-09": "Set the circulator to remote control (serial interface) in its menu.",
    "-10": "Choose a higher set point, or widen the limits in the circulator's menu.",
    "-11": "Choose a lower set point, or widen the limits in the circulator's menu.",
    "-13": "Choose a set point within the circulator's own limits and warnings.",
}


class Julabo:
    """One circulator on a serial line; its display must be set to °C, which cannot be asked for."""

    class Options(Bounds):
        """What bath liquid, hoses and cell allow, and whether an external Pt100 sits at the cell."""

        external_probe: bool = False

    ROLE: ClassVar[Role] = Role.THERMOSTAT
    WIRE: ClassVar[Wire] = SerialWire(
        Lines(b"\n", strip=b"\r\x11\x13"), baudrate=4800, bytesize=7, parity="E", stopbits=1, rtscts=True
    )
    FEATURES: ClassVar[Features] = Features(limits=Executes.INSTRUMENT)
    SIMULATOR: ClassVar[str] = "drivers.julabo.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {"minimum": "5 degC", "maximum": "80 degC", "external_probe": True}

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        self.poll_period = 5.0
        self.temperature_range = Range(options.minimum, options.maximum)
        self.external_probe = options.external_probe
        self._link = link
        self._options = options
        self._identity: Identity | None = None
        self._wanted: float | None = None
        """The set point that was confirmed, °C."""

    async def connect(self) -> Identity:
        """Identify the circulator, and stop it.

        Raises:
            WrongInstrument: not a JULABO.
            InstrumentRefused: it is not in remote control, or reports an alarm.
        """
        self._wanted = None
        self._identity = await self._identify()
        self._link.verify = self._verify
        await self.stop()
        return self._identity

    async def safe_state(self) -> None:
        """Heating and pump off, confirmed."""
        await self.stop()

    async def set_temperature(self, celsius: float) -> None:
        """Set the set point, confirm it, and start regulating.

        Raises:
            RefusedForSafety: outside what the configuration allows.
            InstrumentRefused: the circulator did not take it, or did not start.
        """
        refuse_outside(self._link.name, self.temperature_range, celsius)
        self._wanted = None
        await self._command(f"out_sp_00 {celsius:.2f}")
        self._refuse_setpoint(await self._temperature("in_sp_00"), celsius)
        self._wanted = celsius
        await self._command("out_mode_05 1", becomes=RUNNING)

    async def stop(self) -> None:
        """Heating and pump off, confirmed.

        Raises:
            InstrumentRefused: it still runs, or is not in remote control; switch it off by hand.
        """
        await self._command("out_mode_05 0", becomes=STOPPED)

    async def read(self) -> ThermostatReading:
        """Measure bath, external probe where one is configured, set point and whether it runs.

        Raises:
            GarbledReply: not a temperature.
            OverRange: a temperature that no bath has: a broken or missing probe.
            InstrumentRefused: the circulator reports an alarm, or has another set point than was set, which is also
                what a display in °F shows.
        """
        bath = await self._temperature("in_pv_00")
        external = await self._temperature("in_pv_02") if self._options.external_probe else None
        setpoint = await self._temperature("in_sp_00")
        if self._wanted is not None:
            self._refuse_setpoint(setpoint, self._wanted)
        code, _ = await self._status()
        return ThermostatReading(bath, external, setpoint, running=code in ("01", RUNNING))

    # -- exchanges -------------------------------------------------------------------------------------------------

    async def _verify(self) -> None:
        """After a reopening: the same circulator. It goes on regulating, within limits that are its own."""
        identity = await self._identify()
        if identity != self._identity:
            raise WrongInstrument(
                self._link.name,
                f"is now {identity}, but was {self._identity}",
                "Put the circulator back that the run began with, or stop the run.",
            )

    async def _identify(self) -> Identity:
        reply = await self._ask("version")
        match = VERSION.fullmatch(reply)
        if match is None:
            raise WrongInstrument(
                self._link.name,
                f'calls itself "{reply}", not a JULABO with its version',
                "Correct the address or the driver of this station in config.toml.",
            )
        return Identity("JULABO", match[1], "", match[2])

    async def _command(self, command: str, becomes: str | None = None) -> None:
        """Send a command, which is never answered, and ask what came of it."""
        await self._link.write(f"{command}\r".encode("ascii"))
        await self._link.pause(AFTER_COMMAND)
        code, words = await self._status()
        if code in MANUAL:
            self._refuse("-09", f'is not in remote control ("{code} {words}"), so "{command}" had no effect')
        if becomes is not None and code != becomes:
            self._refuse(code, f'is in "{code} {words}" after "{command}"')

    async def _status(self) -> tuple[str, str]:
        reply = await self._ask("status")
        match = STATUS.fullmatch(reply)
        if match is None:
            raise GarbledReply(self._link.name, b"status\r", reply.encode("ascii"), "a status of two digits and words")
        code, words = match[1], match[2]
        if code.startswith("-"):
            self._refuse(code, f'says "{code} {words}"')
        return code, words

    def _refuse_setpoint(self, setpoint: float, wanted: float) -> None:
        refuse_setpoint(self._link.name, setpoint, wanted, 0.01, "that its set point 1 is selected")

    def _refuse(self, code: str, what: str) -> NoReturn:
        raise InstrumentRefused(self._link.name, what, REMEDIES.get(code, "Look at the circulator."))

    async def _temperature(self, request: str) -> float:
        reply = await self._ask(request)
        if not TEMPERATURE.fullmatch(reply):
            raise GarbledReply(self._link.name, f"{request}\r".encode("ascii"), reply.encode("ascii"), "a temperature")
        return sensible(self._link.name, float(reply), f"for {request}")

    async def _ask(self, request: str) -> str:
        message = f"{request}\r".encode("ascii")
        reply = await self._link.query(message)
        await self._link.pause(AFTER_QUERY)
        try:
            return reply.decode("ascii").strip()
        except UnicodeDecodeError:
            raise GarbledReply(self._link.name, message, reply, "ASCII text") from None
