"""Registers as config.toml describes them: where a number stands, how it is written, and what it must be."""

import math
import struct
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from drivers.modbus.frame import bytes_of, words_of
from labctl.fields import Parameters
from labctl.instrument import Options as DriverOptions
from labctl.instrument import SerialWire, Wire

Word = Annotated[int, Field(strict=True, ge=0, le=0xFFFF)]
Scale = Annotated[float, Field(allow_inf_nan=False)]

_FORMATS = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "float32": ">f"}


class NoValue(Exception):
    """A register holds what is no number of its quantity."""


class NotFinite(NoValue):
    """The register says that there is no number."""


class AtItsEnd(NoValue):
    """The register holds infinity, or an end of its type, which stands for what is beyond its range."""


class Location(Parameters):
    """A register and the function that reads it: 3 (holding) or 4 (input). Registers are numbered from 0."""

    function: Literal[3, 4]
    first: Annotated[Word, Field(alias="register")]


class Number(Location):
    """A number in one register, or in two, of which `words` says which comes first."""

    type: Literal["int16", "uint16", "int32", "uint32", "float32"]
    words: Literal["high-first", "low-first"] | None = None

    @model_validator(mode="after")
    def _has_an_order(self) -> Self:
        if self.count == 2 and self.words is None:
            raise ValueError(f'{self.type} stands in two registers: say words = "high-first" or "low-first"')
        if self.count == 1 and self.words is not None:
            raise ValueError(f"{self.type} stands in one register: leave `words` out")
        if self.first + self.count > 0x10000:
            raise ValueError(f"{self.type} at register {self.first} goes beyond the last register, 65535")
        return self

    @property
    def count(self) -> int:
        """Registers in which it stands."""
        return struct.calcsize(_FORMATS[self.type]) // 2

    def decode(self, words: tuple[int, ...]) -> int | float:
        """Return the number as it stands there."""
        ordered = words[::-1] if self.words == "low-first" else words
        (value,) = struct.unpack(_FORMATS[self.type], bytes_of(*ordered))
        return value if isinstance(value, float) else int(value)

    def encode(self, value: float) -> tuple[int, ...]:
        """Return the registers for a number, integers rounded; raises ValueError where it has no place in the type."""
        number = value if self.type == "float32" else round(value)
        try:
            words = words_of(struct.pack(_FORMATS[self.type], number))
        except (struct.error, OverflowError):
            raise ValueError(f"{value:g} is no {self.type}") from None
        return words[::-1] if self.words == "low-first" else words

    @property
    def ends(self) -> tuple[float, float]:
        """The first and the last number of the type."""
        if self.type == "float32":
            return -math.inf, math.inf
        bits = 16 * self.count
        return (0, 2**bits - 1) if self.type.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


class Measured(Number):
    """A quantity in registers: `scale` is what one count of it is worth."""

    scale: Scale

    @model_validator(mode="after")
    def _is_worth_something(self) -> Self:
        if self.scale == 0.0:
            raise ValueError("a scale of 0 would make every value 0")
        return self

    def value(self, words: tuple[int, ...]) -> float:
        """Return the quantity.

        Raises:
            NotFinite: a float that is no number.
            AtItsEnd: infinity, or the last number of an integer; of a signed one the first, too.
        """
        raw = self.decode(words)
        if math.isnan(raw):
            raise NotFinite
        low, high = self.ends
        if raw == high or (raw == low and low < 0):
            raise AtItsEnd
        return raw * self.scale if isinstance(raw, float) else float(raw * Fraction(repr(self.scale)))

    def registers(self, value: float) -> tuple[int, ...]:
        """Return the registers for a quantity, rounded to a count; raises ValueError where it has no place there."""
        return self.encode(value / self.scale)

    @property
    def step(self) -> float:
        """The smallest difference; 0 for a float."""
        return 0.0 if self.type == "float32" else abs(self.scale)


class Expected(Number):
    """A number that never changes, and what it is: a serial number, the code of a unit."""

    value: Annotated[int, Field(strict=True)]

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        low, high = self.ends
        if self.type == "float32" or not low <= self.value <= high:
            raise ValueError(f"{self.value} is not possible for {self.type}")
        return self


class Device(DriverOptions):
    """What a Modbus instrument of any kind needs: its line, and how it is known.

    Attributes:
        id: of the slave on its line; 0 would speak to all of them, and none would answer.
        baudrate: as set at the instrument.
        parity: as set at the instrument.
        stopbits: as set at the instrument.
        serial_number: a register that tells this instrument from another, and its value.
        settings: registers on which the meaning of its numbers depends, such as the code of its unit.
    """

    id: int = Field(ge=1, le=247)
    baudrate: int = Field(ge=300, le=921600)
    parity: Literal["none", "even", "odd"]
    stopbits: Literal[1, 2] = 1
    serial_number: Expected | None = None
    settings: tuple[Expected, ...] = ()

    def wire(self, declared: Wire) -> Wire:
        """Return the serial line of this instrument."""
        assert isinstance(declared, SerialWire)
        return SerialWire(
            declared.framing,
            baudrate=self.baudrate,
            parity=self.parity[0].upper(),
            stopbits=self.stopbits,
            timeout=declared.timeout,
        )

    @property
    def silence(self) -> float:
        """Seconds of silence between two frames: 3.5 characters of 11 bits, and never less than 1.75 ms."""
        return max(3.5 * 11 / self.baudrate, 1.75e-3)
