"""The roles an instrument can play, as small Protocols, and what a driver declares about itself.

The engine and the drivers meet here and nowhere else. All values are SI: volt, ampere, newton, newton metre, radian,
second; temperatures are degrees Celsius, as BDF has them. Positive current charges the cell.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable
from zlib import crc32

from pydantic import BaseModel, ConfigDict


class Role(StrEnum):
    """What an instrument does at a station."""

    CYCLER = "cycler"
    LOAD_CELL = "load_cell"
    PRESSURE_RIG = "pressure_rig"
    HAND_TOOL = "hand_tool"
    GAS_REGULATOR = "gas_regulator"
    THERMOSTAT = "thermostat"


class Executes(StrEnum):
    """Where a function executes: decides what still protects the cell when this process dies."""

    INSTRUMENT = "instrument"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Features:
    """What a driver's instrument can do; the plan is bound against it and `labctl drivers` prints it.

    Attributes:
        steps: where the sequence of steps executes.
        limits: where voltage and current limits are enforced.
        watchdog: whether the instrument makes itself safe when its host falls silent.
        takeover: whether a second process can open it and make it safe after the first one died.
        self_locking: (rigs) whether the mechanism holds force without torque.
        accuracy: (load cells) share of its capacity by which a reading may be wrong; None: not declared.
        voltage_resolution, current_resolution: (cyclers) V and A, the smallest difference told; None: not declared.
        tried_on_hardware: false until someone has.
    """

    steps: Executes = Executes.HOST
    limits: Executes = Executes.INSTRUMENT
    watchdog: bool = False
    takeover: bool = True
    self_locking: bool = False
    accuracy: float | None = None
    voltage_resolution: float | None = None
    current_resolution: float | None = None
    tried_on_hardware: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """A closed interval in SI units."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Identity:
    """What the instrument says it is; compared after every reconnection."""

    vendor: str
    model: str
    serial: str
    firmware: str

    def __str__(self) -> str:
        return f"{self.vendor} {self.model} (serial {self.serial or 'unknown'}, firmware {self.firmware or 'unknown'})"


def digest_of(identity: str) -> str:
    """Return eight hexadecimal digits that tell one identity, as text, from another."""
    return f"{crc32(identity.encode()):08x}"


class Limiting(StrEnum):
    """Which of the two bounds of a set point the instrument is enforcing now."""

    CURRENT = "current"
    """The set current flows: the constant-current part."""
    VOLTAGE = "voltage"
    """The set voltage is reached and held: the constant-voltage part."""


@dataclass(frozen=True, slots=True)
class CellReading:
    """One measurement of a cycler.

    Attributes:
        voltage: terminal voltage, V; None while the instrument cannot see the terminals, its relay being open.
        current: A, positive charges.
        output: whether the output relay is closed.
        limiting: None while the output is off or the instrument does not say.
    """

    voltage: float | None
    current: float
    output: bool
    limiting: Limiting | None

    @property
    def power(self) -> float | None:
        """W, positive charges."""
        return None if self.voltage is None else self.voltage * self.current


@dataclass(frozen=True, slots=True)
class RigReading:
    """One measurement of a pressure rig: screw angle in rad (positive tightens), motor torque at the screw in N·m."""

    angle: float
    torque: float
    moving: bool


@dataclass(frozen=True, slots=True)
class GasReading:
    """Gauge pressure of a gas and its set point, Pa; `closed`: its valves are held closed, and nothing regulates."""

    pressure: float
    setpoint: float
    closed: bool


@dataclass(frozen=True, slots=True)
class ThermostatReading:
    """Bath and, where an external probe is fitted, cell temperature in °C."""

    bath: float
    external: float | None
    setpoint: float
    running: bool


class Link(Protocol):
    """A wire to one instrument: strictly one exchange at a time, whoever asks.

    After a time-out the link is dirty: before the next exchange it reopens, drains until quiet and calls `verify`,
    through which the driver identifies its instrument again. Raises Unreachable, NoReply.
    """

    name: str
    """Station, role and address, for sentences: "A1/cycler at TCPIP::127.0.0.1::5025::SOCKET"."""
    simulated: bool
    verify: Callable[[], Any] | None
    """An async callable of the driver, run after every reopening; it raises WrongInstrument where identity changed."""

    async def write(self, message: bytes) -> None:
        """Send bytes to which the instrument does not answer."""

    async def query(self, message: bytes) -> bytes:
        """Send bytes and return one reply without its terminator, as the driver's Wire frames it."""

    async def pause(self, seconds: float) -> None:
        """Keep the wire quiet for a span of lab time before its next exchange; returns at once."""


class Framing(Protocol):
    """Knows where a reply ends."""

    def take(self, buffer: bytearray) -> bytes | None:
        """Remove one complete reply from the front of the buffer and return it, or return None and leave it alone."""

    def unsolicited(self, buffer: bytearray) -> bool:
        """Whether bytes that came before any question mean that question and answer are out of step."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Replies that end with a terminator, which is not part of them; XON and XOFF are dropped where asked."""

    terminator: bytes
    strip: bytes = b""

    def take(self, buffer: bytearray) -> bytes | None:
        """Return the line before the first terminator."""
        end = buffer.find(self.terminator)
        if end < 0:
            return None
        line = bytes(buffer[:end])
        del buffer[: end + len(self.terminator)]
        return line.translate(None, self.strip) if self.strip else line

    def unsolicited(self, buffer: bytearray) -> bool:
        """Any byte but those to strip."""
        return bool(buffer.translate(None, self.strip))


@dataclass(frozen=True, slots=True)
class VisaWire:
    """A message-based VISA resource."""

    framing: Lines
    timeout: float = 2.0


@dataclass(frozen=True, slots=True)
class SerialWire:
    """A serial line; quiet_interval is how long the line must be silent before it counts as drained."""

    framing: Framing
    baudrate: int
    bytesize: int = 8
    parity: str = "N"
    stopbits: float = 1
    rtscts: bool = False
    xonxoff: bool = False
    timeout: float = 1.0
    quiet_interval: float = 0.05


@dataclass(frozen=True, slots=True)
class PersonWire:
    """A person who is asked a line and types a line; simulated ones answer at once, or not within `timeout`."""

    framing: Lines = Lines(b"\n")
    timeout: float = 3600.0


Wire = VisaWire | SerialWire | PersonWire


class Options(BaseModel):
    """Base of a driver's own keys in config.toml; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def wire(self, declared: Wire) -> Wire:
        """Return the wire of this one instrument: the declared one, or with the line settings that its keys say."""
        return declared


@runtime_checkable
class Instrument(Protocol):
    """What every driver is: declared facts, and a life after `connect`.

    A driver class also carries its own keys of config.toml as `Options`, a subclass of the model above, and is made as
    `Driver(link, options, clock)`.
    """

    ROLE: ClassVar[Role]
    WIRE: ClassVar[Wire]
    FEATURES: ClassVar[Features]
    SIMULATOR: ClassVar[str]
    """"package.module:Class", imported for `sim://` only."""
    EXAMPLE: ClassVar[Mapping[str, object]]
    """Its own keys of config.toml for a typical instrument: what is simulated where no configuration says otherwise."""
    poll_period: float
    """Seconds between two reads that safety and the instrument's own watchdog ask for."""

    async def connect(self) -> Identity:
        """Identify the instrument, refuse a wrong one, and bring it to its safe state without moving or energising."""

    async def safe_state(self) -> None:
        """Reach the state that can hurt neither cell nor hand, and confirm it by reading it back."""


class Cycler(Instrument, Protocol):
    """Drives current through one cell. The output is off after `connect` and after `off`."""

    voltage_range: Range
    current_range: Range

    async def arm(self, voltage: Range, current: float) -> None:
        """Set the hard limits (V window, A magnitude) that hold for the run; before any output is switched on."""

    async def drive(self, current: float, voltage: float) -> None:
        """Drive `current` (signed, A) until the terminals reach `voltage`, then hold that voltage.

        Both bounds are set in the instrument before its output closes. Refuses what `arm` does not allow.
        """

    async def rest(self) -> None:
        """Zero current with the cell's voltage still measured."""

    async def off(self) -> None:
        """Open the circuit and confirm it."""

    async def read(self) -> CellReading:
        """Measure; raises GarbledReply for what is no number, OverRange for an overflow."""


class LoadCell(Instrument, Protocol):
    """Measures compressive force; positive is compression."""

    capacity: float

    async def tare(self) -> None:
        """Zero the reading; the engine has confirmed that the cell is unloaded."""

    async def read(self) -> float:
        """Force in N; raises OverRange beyond capacity."""


class PressureRig(Instrument, Protocol):
    """Turns a screw. It moves only between `engage` and `freeze`."""

    torque_range: Range
    continuous_torque: float
    """N·m at the screw that it can hold for ever."""
    angle_resolution: float

    async def engage(self, torque: float, speed: float) -> None:
        """Set torque (N·m) and speed (rad/s) limits in the drive, arm its watchdog, then hold the present angle."""

    async def turn_to(self, angle: float) -> None:
        """Go to an angle in rad, bounded by the limits of `engage`; returns at once."""

    async def read(self) -> RigReading:
        """Angle, torque and motion; also feeds the drive's watchdog. Raises InstrumentRefused on a hardware error."""

    async def freeze(self) -> None:
        """Stop and stay: no closed loop, the self-locking screw or brake holds the force."""


class HandTool(Instrument, Protocol):
    """A tool with a scale in a person's hand: a torque wrench on a self-locking screw, or a press.

    It is asked for and never polled, and nobody can freeze it: when a person is not asked, nothing moves.
    """

    shows: Literal["torque", "force"]
    """What its scale is worth: N·m at the screw, or N on the stack."""
    tool_range: Range
    """Between which the scale is true; 0, which is let go, is always possible."""
    screw: float | None
    """m, nominal diameter of the screw that a wrench turns; None: a press."""
    self_locking: bool
    """Whether the force stays when nobody is at the tool."""

    async def apply(self, value: float, side: str, why: str, *, release: bool) -> float:
        """Ask a person to bring the scale to a value, and return what it showed, both in N·m or N.

        Waits as long as the person takes; what is typed without a unit, beyond the range or not at all is asked again.

        Args:
            side: of the cell.
            why: what the value is for, in words.
            release: whether the tool must first be let go, because it is to press less than now.

        Raises:
            RefusedForSafety: the value is beyond the range of the tool; nobody is asked.
            InstrumentRefused: no answer could be understood.
        """


class GasRegulator(Instrument, Protocol):
    """Presses with a gas on a piston: force = gauge pressure · piston area.

    It regulates between `set_pressure` and `hold`. It does not lock itself: behind closed valves a leak loosens it.
    """

    pressure_range: Range
    """Pa, gauge."""
    piston_area: float
    """m²."""

    async def set_pressure(self, pressure: float) -> None:
        """Regulate the gas to a gauge pressure in Pa, confirmed by reading the set point back."""

    async def hold(self) -> None:
        """Close the valves, and confirm that they are held closed."""

    async def read(self) -> GasReading:
        """Measure."""


class Thermostat(Instrument, Protocol):
    """Holds a bath or chamber at a temperature; `external_probe`: a second sensor sits at the cell."""

    temperature_range: Range
    external_probe: bool

    async def set_temperature(self, celsius: float) -> None:
        """Set the set point and start regulating; confirmed by reading it back."""

    async def stop(self) -> None:
        """Heating and pump off; confirmed."""

    async def read(self) -> ThermostatReading:
        """Measure."""
