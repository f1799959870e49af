"""Keithley 2450 SourceMeter as cycler, in SCPI: its hardware bounds current and voltage, in both directions.

A drive sources the step's *end voltage* with the step's current as limit: current flows until the cell has reached
that voltage, which is then held, whatever becomes of this process. Positive current flows into the cell.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from pydantic import Field

from drivers.keithley_2450.scpi import Scpi, Settings
from labctl.clock import LabClock
from labctl.errors import InstrumentError, InstrumentRefused, OverRange, RefusedForSafety, WrongInstrument
from labctl.instrument import CellReading, Features, Identity, Limiting, Lines, Link, Range, Role, VisaWire, Wire
from labctl.instrument import Options as DriverOptions

SMALLEST_CURRENT_RANGE = {"2450": 1e-8, "2460": 1e-6, "2461": 1e-6}
CURRENT_RANGES = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)
VOLTAGE_RANGES = (0.02, 0.2, 2.0, 20.0)
LEAST_LIMIT = 0.1
"""A limit must be this part of the range or more."""
REST_HEADROOM = 1.05
"""A cell at the very edge of its window is measured, not clamped, while it rests."""

SET_POINTS = {":SOUR:VOLT", ":SOUR:VOLT:ILIM"}
"""What may change under a closed output; everything else switches relays."""

READ = ':READ? "defbuffer1",SOUR,READ,SOURSTAT;:SENS:CURR:UNIT?;:SENS:VOLT:UNIT?'
SENSED = (":SENS:CURR:UNIT", ":SENS:VOLT:UNIT")
"""Whose settings come with a reading, which does not say itself in which unit it is."""
OVER_TEMPERATURE, LIMITED, FOUR_WIRE, OUTPUT_ON = 16, 32, 64, 128
"""Bits of the source status that comes with a reading."""
OVERFLOW = 9.9e37


class Keithley2450:
    """One SourceMeter on one cell."""

    class Options(DriverOptions):
        """`four_wire` needs both sense leads at the cell; `nplc` is the integration time in power line cycles."""

        four_wire: bool = False
        nplc: float = Field(default=1.0, ge=0.01, le=10)

    ROLE: ClassVar[Role] = Role.CYCLER
    WIRE: ClassVar[Wire] = VisaWire(Lines(b"\n"))
    FEATURES: ClassVar[Features] = Features(voltage_resolution=1e-5)
    SIMULATOR: ClassVar[str] = "drivers.keithley_2450.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {"four_wire": True}

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        self.poll_period = 1.0
        self.voltage_range = Range(-20.0, 20.0)
        self.current_range = Range(-1.0, 1.0)
        self._link = link
        self._scpi = Scpi(link)
        self._options = options
        self._identity: Identity | None = None
        self._armed: tuple[Range, float] | None = None
        self._active: Settings | None = None
        """What the closed output drives; None while it is open."""

    # -- life ------------------------------------------------------------------------------------------------------

    async def connect(self) -> Identity:
        """Identify the instrument and open the circuit.

        Raises:
            WrongInstrument: another model, or a command set other than SCPI.
            InstrumentRefused: it does not open the circuit at high impedance.
        """
        self._identity = await self._identify()
        self._link.verify = self._verify
        await self.off()
        await self._scpi.tell("*CLS")
        await self._scpi.refuse_errors()
        return self._identity

    async def safe_state(self) -> None:
        """Open the circuit and confirm it."""
        await self.off()

    async def _verify(self) -> None:
        """After a reopening: the same instrument, and its circuit open."""
        identity = await self._identify()
        if identity != self._identity:
            raise WrongInstrument(
                self._link.name,
                f"is now {identity}, but was {self._identity}",
                "Put the instrument back that the run began with, or stop the run.",
            )
        await self.off()

    async def _identify(self) -> Identity:
        request = "*IDN?"
        reply = await self._scpi.ask(request)
        fields = [field.strip() for field in reply.split(",")]
        if len(fields) != 4:
            raise self._scpi.garbled(request, reply, "maker, model, serial number and firmware")
        maker, model, serial, firmware = fields
        model = model.upper().removeprefix("MODEL ")
        if not maker.upper().startswith("KEITHLEY") or model not in SMALLEST_CURRENT_RANGE:
            raise WrongInstrument(
                self._link.name,
                f"is a {maker} {model}, not a Keithley 2450, 2460 or 2461",
                "Correct the address or the driver of this station in config.toml.",
            )
        language = await self._scpi.ask("*LANG?")
        if language != "SCPI":
            raise WrongInstrument(
                self._link.name,
                f"uses the command set {language}, not SCPI",
                "Choose SCPI at the instrument (MENU, System, Settings, Command Set) and restart it.",
            )
        return Identity(maker, model, serial, firmware)

    # -- cycler ----------------------------------------------------------------------------------------------------

    async def arm(self, voltage: Range, current: float) -> None:
        """Keep the run's window and largest current (A, magnitude); every drive is checked against them.

        Raises:
            RefusedForSafety: the instrument's ranges do not contain them.
        """
        inside = voltage.low in self.voltage_range and voltage.high in self.voltage_range
        if not inside or not voltage.low < voltage.high or not 0 < current <= self.current_range.high:
            raise RefusedForSafety(
                f"{self._link.name}: {voltage.low:g} V to {voltage.high:g} V at {current:g} A is not within "
                f"{self.voltage_range.low:g} V to {self.voltage_range.high:g} V and {self.current_range.high:g} A.",
                "Narrow the limits of the protocol, the cell or the station.",
            )
        self._armed = (voltage, current)

    async def drive(self, current: float, voltage: float) -> None:
        """Source `voltage` with |current| as limit; the cell's own voltage decides the direction.

        Raises:
            RefusedForSafety: beyond what `arm` allows, or no current.
            InstrumentRefused: a setting was not taken; the circuit is open.
        """
        window, most = self._require_armed()
        least = LEAST_LIMIT * self._current_ranges()[0]
        if voltage not in window or not least <= abs(current) <= most:
            raise RefusedForSafety(
                f"{self._link.name}: {current:g} A to {voltage:g} V is not within {window.low:g} V to "
                f"{window.high:g} V and {least:g} A to {most:g} A.",
                "Change the step, or the limits it was checked against.",
            )
        await self._apply(
            {
                ":SOUR:FUNC": "VOLT",
                ":SENS:FUNC": '"CURR:DC"',
                **self._measuring("CURR", "AMP", _smallest(self._current_ranges(), abs(current))),
                ":SOUR:VOLT:READ:BACK": 1,
                ":SOUR:VOLT:RANG": _smallest(VOLTAGE_RANGES, _magnitude(window)),
                ":SOUR:VOLT:ILIM": abs(current),
                ":SOUR:VOLT": voltage,
            }
        )

    async def rest(self) -> None:
        """Source 0 A in the smallest range, so that the voltage is still measured.

        Raises:
            RefusedForSafety: not armed.
            InstrumentRefused: a setting was not taken; the circuit is open.
        """
        window, _ = self._require_armed()
        await self._apply(
            {
                ":SOUR:FUNC": "CURR",
                ":SENS:FUNC": '"VOLT:DC"',
                **self._measuring("VOLT", "VOLT", _smallest(VOLTAGE_RANGES, _magnitude(window))),
                ":SOUR:CURR:READ:BACK": 1,
                ":SOUR:CURR:RANG": self._current_ranges()[0],
                ":SOUR:CURR:VLIM": REST_HEADROOM * _magnitude(window),
                ":SOUR:CURR": 0.0,
            }
        )

    async def off(self) -> None:
        """Open the output relay and confirm it.

        Raises:
            InstrumentRefused: the output is not off at high impedance; only a hand at the instrument helps.
        """
        self._active = None
        # First the off-state: "normal" would put 0 V across the cell. In messages of their own, so that an
        # instrument that refuses the one still obeys the other.
        await self._scpi.tell(":OUTP:VOLT:SMOD HIMP;:OUTP:CURR:SMOD HIMP")
        await self._scpi.tell(":OUTP OFF")
        state = await self._scpi.ask(":OUTP:VOLT:SMOD?;:OUTP:CURR:SMOD?;:OUTP?")
        if state != "HIMP;HIMP;0":
            raise InstrumentRefused(
                self._link.name,
                f"did not open the circuit: off-states and output are {state!r}, not 'HIMP;HIMP;0'",
                "Disconnect the cell by hand.",
            )

    async def read(self) -> CellReading:
        """Measure voltage, current and what limits, in one exchange.

        Through an open output relay no voltage is seen: it is None then.

        Raises:
            GarbledReply: not the three numbers that were asked for.
            OverRange: the instrument says overflow.
            InstrumentRefused: overheated, two-wire where four were set, a reading in another unit than was set, or
                output on after it was switched off.
        """
        active = self._active
        if active is None:
            return await self._read_open()
        source, measured, status = await self._measure(active)
        if status & OVER_TEMPERATURE:
            raise InstrumentRefused(self._link.name, "is too hot and limits its output", "Free its air inlets.")
        if not status & OUTPUT_ON:
            self._active = None
            return CellReading(None, 0.0, False, None)
        if self._options.four_wire and not status & FOUR_WIRE:
            raise InstrumentRefused(self._link.name, "measured with two wires although four were set", "Restart it.")
        limited = bool(status & LIMITED)
        if active[":SOUR:FUNC"] == "VOLT":
            return CellReading(source, measured, True, Limiting.CURRENT if limited else Limiting.VOLTAGE)
        return CellReading(measured, source, True, Limiting.VOLTAGE if limited else Limiting.CURRENT)

    # -- settings --------------------------------------------------------------------------------------------------

    def _measuring(self, function: str, unit: str, full_scale: float) -> Settings:
        """One plain reading a time: no filter, count, offset or foreign unit that someone left behind."""
        return {
            f":SENS:{function}:UNIT": unit,
            f":SENS:{function}:NPLC": self._options.nplc,
            f":SENS:{function}:RSEN": int(self._options.four_wire),
            f":SENS:{function}:AVER": 0,
            f":SENS:{function}:REL:STAT": 0,
            f":SENS:{function}:RANG": full_scale,
            ":SENS:COUN": 1,
        }

    async def _apply(self, wanted: Settings) -> None:
        """Set and confirm everything, then close the output; on any failure the circuit is opened."""
        active = self._active
        try:
            if active is None or _changed(active, wanted) - SET_POINTS or await self._scpi.ask(":OUTP?") != "1":
                await self._start(wanted)
            elif _changed(active, wanted):
                await self._retarget(float(active[":SOUR:VOLT:ILIM"]), wanted)
        except InstrumentError:
            await self.off()
            raise
        self._active = wanted

    async def _start(self, wanted: Settings) -> None:
        await self.off()
        await self._scpi.set(wanted.items(), wanted)
        await self._scpi.tell(":OUTP ON")
        if await self._scpi.ask(":OUTP?") != "1":
            raise InstrumentRefused(self._link.name, "did not close its output", "Look at its display and interlock.")

    async def _retarget(self, present_limit: float, wanted: Settings) -> None:
        """Change set points under a closed output: between two settings no more current than either allows."""
        limit, voltage = float(wanted[":SOUR:VOLT:ILIM"]), float(wanted[":SOUR:VOLT"])
        await self._scpi.set(
            [(":SOUR:VOLT:ILIM", min(present_limit, limit)), (":SOUR:VOLT", voltage), (":SOUR:VOLT:ILIM", limit)],
            wanted,
        )

    # -- readings --------------------------------------------------------------------------------------------------

    async def _measure(self, active: Settings) -> tuple[float, float, int]:
        meaning = ("source value", "reading", "source status of eight bits")
        reply = await self._scpi.ask(READ)
        numbers, *units = reply.split(";")
        if len(units) != len(SENSED):
            raise self._scpi.garbled(READ, reply, ", ".join((*meaning, "two units")))
        source, measured, status = self._scpi.numbers(READ, numbers, meaning)
        if not (0 <= status < 256 and status.is_integer()):
            raise self._scpi.garbled(READ, reply, ", ".join(meaning))
        for header, unit in zip(SENSED, units, strict=True):
            if unit != active.get(header, unit):
                raise InstrumentRefused(
                    self._link.name,
                    f"measures in {unit} where {active[header]} was set",
                    "Somebody changed the unit at its panel: stop the run and look.",
                )
        if max(abs(source), abs(measured)) >= OVERFLOW:
            raise OverRange(
                self._link.name,
                "reports an overflow: voltage or current is beyond its range",
                "Check the cell, its wiring and the sense leads.",
            )
        return source, measured, int(status)

    async def _read_open(self) -> CellReading:
        if await self._scpi.ask(":OUTP?") != "0":
            raise InstrumentRefused(
                self._link.name, "its output is on although it was switched off", "See who else commands it."
            )
        return CellReading(None, 0.0, False, None)

    def _require_armed(self) -> tuple[Range, float]:
        if self._armed is None:
            raise RefusedForSafety(f"{self._link.name}: no limits were set before the output was to be closed.")
        return self._armed

    def _current_ranges(self) -> tuple[float, ...]:
        smallest = SMALLEST_CURRENT_RANGE[self._identity.model if self._identity else "2450"]
        return tuple(r for r in CURRENT_RANGES if r >= smallest)


def _smallest(ranges: Iterable[float], value: float) -> float:
    """Return the smallest range that holds a value."""
    return min(r for r in ranges if r >= value)


def _magnitude(window: Range) -> float:
    return max(abs(window.low), abs(window.high))


def _changed(one: Settings, other: Settings) -> set[str]:
    return {header for header in one.keys() | other.keys() if one.get(header) != other.get(header)}
