"""A climate chamber or temperature controller on Modbus RTU as thermostat: regulation and over-temperature are its own.

A map says which registers it has. Where it has one that starts and stops, stopping is confirmed there; where it has
none, the chamber always regulates, and to stop it is to send it to `stop_at`.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from drivers.modbus.client import Client
from drivers.modbus.frame import Replies
from drivers.modbus.registers import Device, Location, Measured, Word
from drivers.modbus_chamber.maps import MAPS, ChamberMap, Mode, Target
from drivers.thermostat import Bounds, refuse_outside, refuse_setpoint, sensible
from labctl.clock import LabClock
from labctl.errors import InstrumentRefused
from labctl.fields import Temperature
from labctl.instrument import Executes, Features, Identity, Link, Range, Role, SerialWire, ThermostatReading

CUSTOM = "custom"
AFTER_WRITE = 0.25
"""Seconds after which a Binder has answered and a written value is in force; assumed for the others."""
TOLERANCE = 0.01
"""K by which a set point that is read back may differ, beside half a step of its register."""


class Alarm(Location):
    """A register of which any bit of `mask` means an alarm."""

    mask: Annotated[Word, Field(gt=0)]


class ModbusChamber:
    """Climate chamber or temperature controller on Modbus RTU, by a named map or one's own."""

    class Options(Device, Bounds):
        """The line, the map, and what chamber and cell allow.

        Attributes:
            map: a named map, or "custom" with `actual`, `setpoint`, `write` and perhaps `mode`.
            actual: (custom) temperature of the chamber.
            setpoint: (custom) the set point in force.
            write: (custom) registers to which it is written.
            mode: (custom) the register that starts and stops.
            external: a second sensor, which sits at the cell.
            alarm: bits that mean an alarm.
            stop_at: without `mode`: the temperature to which the chamber is sent when it is to stop.
        """

        map: Literal["binder-mk53", "eurotherm-3500", "custom"]
        actual: Measured | None = None
        setpoint: Measured | None = None
        write: tuple[Target, ...] = ()
        mode: Mode | None = None
        external: Measured | None = None
        alarm: Alarm | None = None
        stop_at: Temperature | None = None

        @model_validator(mode="after")
        def _is_complete(self) -> Self:
            own = {"actual": self.actual, "setpoint": self.setpoint, "write": self.write or None, "mode": self.mode}
            said = [name for name, value in own.items() if value is not None]
            if self.map != CUSTOM and said:
                raise ValueError(f'the map "{self.map}" says {", ".join(said)}: leave it out, or write map = "custom"')
            lacking = [name for name in ("actual", "setpoint", "write") if name not in said]
            if self.map == CUSTOM and lacking:
                raise ValueError(f'map = "custom" lacks {", ".join(lacking)}')
            return self

        @model_validator(mode="after")
        def _can_be_stopped(self) -> Self:
            registers = self.registers
            if registers.mode is not None and self.stop_at is not None:
                raise ValueError("it is stopped by its mode: leave stop_at out")
            if registers.mode is None and self.stop_at is None:
                raise ValueError("no register stops it: say in stop_at which temperature it is to hold instead")
            if self.stop_at is not None and self.stop_at not in Range(self.minimum, self.maximum):
                raise ValueError("stop_at is not within minimum and maximum")
            for celsius in (self.minimum, self.maximum):
                words = len(registers.setpoint.registers(celsius))
                if words > 1 and any(target.function == 6 for target in registers.write):
                    raise ValueError("function 6 writes one register, and the set point has two: write it with 16")
            return self

        @property
        def registers(self) -> ChamberMap:
            """The map that was named, or the one that these keys are."""
            if self.map != CUSTOM:
                return MAPS[self.map]
            assert self.actual is not None
            assert self.setpoint is not None
            return ChamberMap(actual=self.actual, setpoint=self.setpoint, write=self.write, mode=self.mode)

    ROLE: ClassVar[Role] = Role.THERMOSTAT
    WIRE: ClassVar[SerialWire] = SerialWire(Replies(), baudrate=9600, timeout=1.0)
    FEATURES: ClassVar[Features] = Features(limits=Executes.INSTRUMENT)
    SIMULATOR: ClassVar[str] = "drivers.modbus_chamber.sim:Simulator"
    # The map is a Binder's; external sensor and serial number are invented.
    EXAMPLE: ClassVar[Mapping[str, object]] = {
        "id": 1,
        "baudrate": 9600,
        "parity": "none",
        "minimum": "5 degC",
        "maximum": "80 degC",
        "map": "binder-mk53",
        "external": {"function": 3, "register": 0x1100, "type": "float32", "words": "low-first", "scale": 1.0},
        "serial_number": {
            "function": 3,
            "register": 0x1000,
            "type": "uint32",
            "words": "high-first",
            "value": 100001,
        },
    }

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        self.poll_period = 5.0
        self.temperature_range = Range(options.minimum, options.maximum)
        self.external_probe = options.external is not None
        self._link = link
        self._options = options
        self._map = options.registers
        self._tolerance = TOLERANCE + 0.5 * self._map.setpoint.step
        self._client = Client(link, options)
        self._wanted: float | None = None
        """The set point that was confirmed, °C."""

    async def connect(self) -> Identity:
        """Check serial number and settings, where config.toml says them, and stop it.

        Raises:
            WrongInstrument: another chamber, or another setting.
            InstrumentRefused: it has no such register, or does not stop.
        """
        self._link.verify = None
        self._wanted = None
        await self._client.begin()
        self._link.verify = self._client.resume
        await self.stop()
        serial = self._options.serial_number
        model = f"{self._options.map} {self._options.id}"
        return Identity("Modbus", model, str(serial.value) if serial else "", "unknown")

    async def safe_state(self) -> None:
        """Stop, confirmed."""
        await self.stop()

    async def set_temperature(self, celsius: float) -> None:
        """Set the set point, confirm it, and start regulating.

        Raises:
            RefusedForSafety: outside what config.toml allows.
            WrongInstrument: a setting is not as it must be for the set point to have an effect.
            InstrumentRefused: the chamber did not take it, or did not start.
        """
        refuse_outside(self._link.name, self.temperature_range, celsius)
        await self._client.require(self._map.settings)
        await self._write_setpoint(celsius)
        if self._map.mode is not None:
            await self._switch(self._map.mode, self._map.mode.running, "start")
            # Only what runs shows for certain which of several set points is in force.
            self._refuse_setpoint(await self._setpoint(), celsius)
        self._wanted = celsius

    async def stop(self) -> None:
        """Stop regulating, confirmed; without a register for that, go to `stop_at`, confirmed.

        Raises:
            InstrumentRefused: it still runs; switch it off by hand.
        """
        self._wanted = None
        if self._map.mode is not None:
            await self._switch(self._map.mode, self._map.mode.stopped, "stop")
            return
        assert self._options.stop_at is not None
        await self._write_setpoint(self._options.stop_at)

    async def read(self) -> ThermostatReading:
        """Measure chamber, external sensor where there is one, set point and whether it runs.

        A chamber that always regulates counts as running while its set point is not `stop_at`.

        Raises:
            GarbledReply: not a temperature.
            OverRange: a temperature that no chamber has: a broken or missing probe.
            InstrumentRefused: an alarm, a mode that is neither, or another set point than was set.
            WrongInstrument: a setting on which its numbers depend was changed.
        """
        await self._client.require_settings()
        await self._client.require(self._map.settings)
        await self._refuse_alarm()
        chamber = await self._temperature(self._map.actual, "for the chamber")
        external = None
        if self._options.external is not None:
            external = await self._temperature(self._options.external, "for the external sensor")
        setpoint = await self._setpoint()
        if self._wanted is not None:
            self._refuse_setpoint(setpoint, self._wanted)
        return ThermostatReading(chamber, external, setpoint, running=await self._runs(setpoint))

    # -- exchanges -------------------------------------------------------------------------------------------------

    async def _temperature(self, measured: Measured, what: str) -> float:
        return sensible(self._link.name, await self._client.read(measured), what)

    async def _setpoint(self) -> float:
        return await self._client.read(self._map.setpoint)

    async def _write_setpoint(self, celsius: float) -> None:
        self._wanted = None
        words = self._map.setpoint.registers(celsius)
        for target in self._map.write:
            await self._client.write(target.function, target.first, *words)
        await self._link.pause(AFTER_WRITE)
        self._refuse_setpoint(await self._setpoint(), celsius)

    async def _switch(self, mode: Mode, wanted: int, what: str) -> None:
        await self._client.write(mode.write, mode.first, wanted)
        await self._link.pause(AFTER_WRITE)
        found = await self._mode(mode)
        if found & mode.mask != wanted & mode.mask:
            raise InstrumentRefused(
                self._link.name,
                f"did not {what}: its mode is {found:#06x}, not {wanted:#06x}",
                "Look at the chamber: somebody may operate it, or a program runs there. Stop it by hand.",
            )

    async def _runs(self, setpoint: float) -> bool:
        mode = self._map.mode
        if mode is None:
            assert self._options.stop_at is not None
            return not abs(setpoint - self._options.stop_at) <= self._tolerance
        found = await self._mode(mode)
        if found & mode.mask not in (mode.running & mode.mask, mode.stopped & mode.mask):
            raise InstrumentRefused(
                self._link.name,
                f"is in a mode that is neither running nor stopped ({found:#06x})",
                "Look at the chamber: somebody operates it, or a program runs there.",
            )
        return found & mode.mask == mode.running & mode.mask

    async def _mode(self, mode: Mode) -> int:
        (word,) = await self._client.read_words(mode.function, mode.first)
        return word

    async def _refuse_alarm(self) -> None:
        alarm = self._options.alarm
        if alarm is None:
            return
        (word,) = await self._client.read_words(alarm.function, alarm.first)
        if word & alarm.mask:
            raise InstrumentRefused(self._link.name, f"says that it has an alarm ({word:#06x})", "Look at the chamber.")

    def _refuse_setpoint(self, setpoint: float, wanted: float) -> None:
        refuse_setpoint(self._link.name, setpoint, wanted, self._tolerance, "its own limits")
