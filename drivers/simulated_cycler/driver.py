"""A simulated 16-channel cycler: executes uploaded programs by itself and keeps their records while nobody listens.

Every request names the channel and is answered by one line, both with a checksum. What was set is read back.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import ClassVar

from pydantic import Field

from drivers.simulated_cycler.compiler import compile_program
from drivers.simulated_cycler.conversation import Conversation
from drivers.simulated_cycler.language import HIGHEST, LEAST_CURRENT, LOWEST, MOST_CURRENT
from drivers.simulated_cycler.points import HIGHEST_FREQUENCY, LOWEST_FREQUENCY, order_of
from drivers.simulated_cycler.records import Entry, unpaged
from drivers.simulated_cycler.spectra import Spectra
from drivers.simulated_cycler.wire import TERMINATOR
from labctl.clock import LabClock
from labctl.errors import InstrumentError, InstrumentRefused, OverRange, RefusedForSafety, WrongInstrument
from labctl.impedance import SpectrumStatus
from labctl.instrument import (
    CellReading,
    Executes,
    Features,
    Identity,
    Limiting,
    Lines,
    Link,
    Range,
    Role,
    VisaWire,
    Wire,
)
from labctl.instrument import Options as DriverOptions
from labctl.plan import Impedance, Limits, Node
from labctl.program import Program, ProgramRecord, ProgramState, ProgramStatus

VENDOR, MODEL, FIRMWARE = "labctl", "SC-16", "1.0"
CHANNELS = 16

_READING = re.compile(r"(CC|CV|OFF) (-?\d+\.\d{5}|inf) (-?\d+\.\d{8}|inf)")
_BEYOND = 1.1
"""Of what it drives: it measures a little further, but never this far."""
_STATUS = re.compile(rf"({'|'.join(ProgramState)}) (\S+) (\d+) (\d+) (\d+) (\d+)(?: (.+))?")
_LIMITING = {"CC": Limiting.CURRENT, "CV": Limiting.VOLTAGE}


class SimulatedCycler:
    """A simulated cycler of 16 channels that executes programs; one channel of it."""

    class Options(DriverOptions):
        """`channel` is the one whose leads are at the cell; another one would drive another cell."""

        channel: int = Field(ge=1, le=CHANNELS)

    ROLE: ClassVar[Role] = Role.CYCLER
    WIRE: ClassVar[Wire] = VisaWire(Lines(TERMINATOR))
    FEATURES: ClassVar[Features] = Features(steps=Executes.INSTRUMENT, voltage_resolution=1e-5, current_resolution=1e-8)
    SIMULATOR: ClassVar[str] = "drivers.simulated_cycler.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {"channel": 1}

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        self.poll_period = 1.0
        self.voltage_range = Range(LOWEST, HIGHEST)
        self.current_range = Range(-MOST_CURRENT, MOST_CURRENT)
        self.frequency_range = Range(LOWEST_FREQUENCY, HIGHEST_FREQUENCY)
        self._link = link
        self._channel = Conversation(link, options.channel)
        self._spectra = Spectra(self._channel)
        self._identity: Identity | None = None
        self._armed: tuple[Range, float] | None = None
        self._expected: str | None = None
        """Token of the program that a reconnection leaves running."""

    # -- life ------------------------------------------------------------------------------------------------------

    async def connect(self) -> Identity:
        """Identify the instrument; stop and open whatever it does, unless that is the expected program.

        Raises:
            WrongInstrument: another maker or model.
            InstrumentRefused: the circuit did not open.
        """
        self._identity = await self._identify()
        self._link.verify = self._verify
        self._spectra.forget()
        await self._settle()
        return self._identity

    async def safe_state(self) -> None:
        """Stop any program, open the circuit and confirm both."""
        await self.off()

    async def _verify(self) -> None:
        """After a reopening: the same instrument, with the expected program or an open circuit."""
        identity = await self._identify()
        if identity != self._identity:
            raise WrongInstrument(
                self._link.name,
                f"is now {identity}, but was {self._identity}",
                "Put the instrument back that the run began with, or stop the run.",
            )
        await self._settle()

    async def _identify(self) -> Identity:
        reply = await self._channel.ask("IDN?")
        fields = reply.split(",")
        if len(fields) != 4 or not all(fields):
            raise self._channel.garbled("IDN?", reply, "maker, model, serial number and firmware")
        if fields[:2] != [VENDOR, MODEL]:
            raise WrongInstrument(
                self._link.name,
                f"is a {fields[0]} {fields[1]}, not a {VENDOR} {MODEL}",
                "Correct the address or the driver of this station in config.toml.",
            )
        return Identity(*fields)

    async def _settle(self) -> None:
        if self._expected is not None and (await self.program_status()).token == self._expected:
            return
        await self._open()

    # -- cycler ----------------------------------------------------------------------------------------------------

    async def arm(self, voltage: Range, current: float) -> None:
        """Set the window (V) and the largest current (A, magnitude) in the instrument; ends what a trip left.

        Raises:
            RefusedForSafety: the instrument's ranges do not contain them.
        """
        inside = voltage.low in self.voltage_range and voltage.high in self.voltage_range
        if not inside or not voltage.low < voltage.high or not 0 < current <= MOST_CURRENT:
            raise RefusedForSafety(
                f"{self._link.name}: {voltage.low:g} V to {voltage.high:g} V at {current:g} A is not within "
                f"{LOWEST:g} V to {HIGHEST:g} V and {MOST_CURRENT:g} A.",
                "Narrow the limits of the protocol, the cell or the station.",
            )
        if self._expected is None and (await self.program_status()).state is ProgramState.TRIPPED:
            await self._channel.tell("ERASE")
        await self._channel.tell("WINDOW", f"{voltage.low!r} {voltage.high!r} {current!r}")
        self._armed = (voltage, current)

    async def drive(self, current: float, voltage: float) -> None:
        """Drive until the terminals reach `voltage`, which is then held; the cell's own voltage decides the direction.

        Raises:
            RefusedForSafety: beyond what `arm` allows, or no current.
            InstrumentRefused: the instrument does not do it; the circuit is open.
        """
        window, most = self._require_armed()
        if voltage not in window or not LEAST_CURRENT <= abs(current) <= most:
            raise RefusedForSafety(
                f"{self._link.name}: {current:g} A to {voltage:g} V is not within {window.low:g} V to "
                f"{window.high:g} V and {LEAST_CURRENT:g} A to {most:g} A.",
                "Change the step, or the limits it was checked against.",
            )
        await self._or_open("DRIVE", f"{current!r} {voltage!r}")

    async def rest(self) -> None:
        """Open the circuit; the cell's voltage is still measured.

        Raises:
            RefusedForSafety: not armed.
        """
        self._require_armed()
        await self._or_open("REST")

    async def off(self) -> None:
        """Stop any program, open the circuit and confirm both.

        Raises:
            InstrumentRefused: it is not open; only a hand at the instrument helps.
        """
        self._expected = None
        await self._open()

    async def read(self) -> CellReading:
        """Measure; the voltage is seen through the open output, too.

        Raises:
            GarbledReply: not what was asked for.
            OverRange: beyond what it can measure, which is also what a reading in mV is.
        """
        reply = await self._channel.ask("READ?")
        found = _READING.fullmatch(reply)
        if found is None:
            raise self._channel.garbled("READ?", reply, "mode, voltage and current")
        limiting, voltage, current = _LIMITING.get(found[1]), float(found[2]), float(found[3])
        if abs(voltage) > _BEYOND * HIGHEST or abs(current) > _BEYOND * MOST_CURRENT:
            raise OverRange(
                self._link.name,
                f"reads {voltage:g} V and {current:g} A, beyond its range",
                "Check the cell, its wiring and the channel.",
            )
        return CellReading(voltage, current, limiting is not None, limiting)

    # -- spectra ---------------------------------------------------------------------------------------------------

    async def start_spectrum(self, spectrum: Impedance, bias: float) -> None:
        """Upload the frequencies, begin, and confirm; where anything of it fails, the circuit is opened.

        Raises:
            RefusedForSafety: beyond what `arm` or the spectrum allows, or what the instrument can do.
            InstrumentRefused: the instrument does not do it; the circuit is open.
        """
        window, most = self._require_armed()
        try:
            order = order_of(spectrum, bias, window, most)
        except ValueError as error:
            raise RefusedForSafety(
                f"{self._link.name}: {error}.", "Change the step, or the limits it was checked against."
            ) from None
        self._expected = None
        try:
            await self._spectra.begin(order, spectrum.frequencies)
        except InstrumentError:
            with suppress(InstrumentError):
                await self.off()
            raise

    async def spectrum(self, after: int) -> SpectrumStatus:
        """Return the points behind a number; a spectrum that the instrument no longer knows has ended.

        Raises:
            GarbledReply: they are not those that were asked for.
        """
        return await self._spectra.status(after)

    # -- programs --------------------------------------------------------------------------------------------------

    def compile(self, nodes: Sequence[Node], limits: Limits) -> Program | None:
        """Return the program for these nodes, or None where it would not be the same experiment."""
        return compile_program(nodes, limits)

    def expect_program(self, token: str) -> None:
        """Leave a program of this token alone in the next `connect` and after every reconnection."""
        self._expected = token

    async def start_program(self, program: Program, token: str) -> None:
        """Upload the program line by line, read every line back, and start it.

        Raises:
            InstrumentRefused: the instrument did not take it as it is; nothing is executed.
        """
        lines = program.text.decode("ascii").split("\n")
        try:
            await self._open()
            await self._channel.tell("ERASE")
            for number, line in enumerate(lines, 1):
                await self._channel.tell("LINE", f"{number} {line}", echo=str(number))
            for number, line in enumerate(lines, 1):
                kept = await self._channel.ask(f"LINE? {number}")
                if kept != f"{number} {line}":
                    raise self._channel.garbled(f"LINE? {number}", kept, f"the line as it was sent, {line!r}")
            await self._channel.tell("START", token)
        except InstrumentError:
            # Whether it has begun may be unknown: nobody would follow it.
            with suppress(InstrumentError):
                await self.off()
            raise
        self._expected = token

    async def program_status(self) -> ProgramStatus:
        """Ask where the program is."""
        reply = await self._channel.ask("STATUS?")
        found = _STATUS.fullmatch(reply)
        if found is None:
            raise self._channel.garbled("STATUS?", reply, "state, token, and numbers of the last and the oldest record")
        state, token, low, high, oldest_low, oldest_high, reason = found.groups()
        records, oldest = (int(low) + (int(high) << 16), int(oldest_low) + (int(oldest_high) << 16))
        return ProgramStatus("" if token == "-" else token, ProgramState(state), records, oldest, reason or "")

    async def program_records(self, program: Program, after: int) -> tuple[ProgramRecord, ...]:
        """Return records behind a number in order, at most a page of them.

        Raises:
            InstrumentRefused: the instrument has overwritten some of them.
            GarbledReply: they are not those that were asked for.
        """
        request = f"RECORDS? {after & 0xFFFF} {after >> 16}"
        reply = await self._channel.ask(request)
        try:
            entries = unpaged(reply)
            if [entry.number for entry in entries] != [*range(after + 1, after + 1 + len(entries))]:
                raise ValueError
            return tuple(_record(entry, program) for entry in entries)
        except (ValueError, IndexError):
            raise self._channel.garbled(request, reply, f"records from number {after + 1} on") from None

    async def pause_program(self) -> None:
        """Open the circuit and stay in the step; confirmed by the instrument's state and output."""
        await self._channel.tell("PAUSE")
        status, reading = await self.program_status(), await self.read()
        if status.state is not ProgramState.PAUSED or reading.output:
            raise InstrumentRefused(self._link.name, f"is {status.state} after PAUSE", "Stop the run.")

    async def resume_program(self) -> None:
        """Go on with the rest of the step."""
        await self._channel.tell("CONTINUE")

    async def skip_program_step(self) -> None:
        """End the present step; the program goes on with the next one."""
        await self._channel.tell("SKIP")

    # -- conversation ----------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        await self._channel.tell("OFF")
        reading, status = await self.read(), await self.program_status()
        if reading.output or status.state in (ProgramState.RUNNING, ProgramState.PAUSED):
            raise InstrumentRefused(self._link.name, "did not open the circuit", "Disconnect the cell by hand.")

    async def _or_open(self, command: str, arguments: str = "") -> None:
        """Command something; where it is not confirmed the circuit is opened."""
        try:
            await self._channel.tell(command, arguments)
        except InstrumentError:
            await self._open()
            raise

    def _require_armed(self) -> tuple[Range, float]:
        if self._armed is None:
            raise RefusedForSafety(f"{self._link.name}: no limits were set before the output was to be closed.")
        return self._armed


def _record(entry: Entry, program: Program) -> ProgramRecord:
    """Turn a record of the instrument into one of the plan."""
    return ProgramRecord(
        number=entry.number,
        time=entry.clock / 1000.0,
        step_time=entry.step_clock / 1000.0,
        step=program.steps[entry.step - 1],
        step_count=entry.steps,
        cycle=entry.cycles,
        voltage=entry.voltage,
        current=entry.current,
        charge_in=entry.counts.charge_in,
        charge_out=entry.counts.charge_out,
        energy_in=entry.counts.energy_in,
        energy_out=entry.counts.energy_out,
        kept=entry.kept,
        end=entry.end,
    )
