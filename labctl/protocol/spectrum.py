"""What an impedance spectrum is told: its frequencies, its sine and what that swings around. Checks form alone."""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, PlainValidator, StrictInt

from labctl.protocol.model import CURRENTS, Magnitude, SignedCurrent, VoltageOrRest
from labctl.quantity import Dimension, Frequency, Quantity, WordingError, Written, parse, shown
from labctl.table import Model

PER_DECADE, MOST_PER_DECADE = 10, 100
MOST_FREQUENCIES = 1000
_KINDS = ("rms", "peak")
_AMPLITUDE = re.compile(r"(.*\S)\s+(rms|peak)\s*", re.DOTALL)
_DIGITS = 12
"""To which a frequency between the first and the last is rounded: 100 kHz, not 99999.99999999994 Hz."""


@dataclass(frozen=True, slots=True)
class Amplitude:
    """How far a sine swings: `size` is its root mean square or its peak, as `kind` says."""

    size: Quantity
    kind: Literal["rms", "peak"]

    def rms(self, si: float) -> float:
        """Return the root mean square of a sine whose size is this in SI."""
        return si if self.kind == "rms" else si / math.sqrt(2.0)

    def __str__(self) -> str:
        return f"{self.size} {self.kind}"


@dataclass(frozen=True, slots=True)
class _Amplitudes:
    """Reads amplitudes of these dimensions."""

    allowed: tuple[Dimension, ...]

    def read(self, value: object) -> Amplitude:
        """Read what a file says; raises WordingError."""
        if isinstance(value, Amplitude):
            return value
        said = _AMPLITUDE.fullmatch(value) if isinstance(value, str) else None
        size = Written(self.allowed, positive=True).read(said[1] if said else value)
        if said is None:
            ways = " or ".join(f'"{size.text.strip()} {kind}"' for kind in _KINDS)
            raise WordingError(
                f"{shown(size.text)} is a root mean square or a peak: nothing says which", f"write {ways}"
            )
        return Amplitude(size, "rms" if said[2] == "rms" else "peak")


VoltageAmplitude = Annotated[
    Amplitude, PlainValidator(_Amplitudes((Dimension.VOLTAGE,)).read, json_schema_input_type=str)
]
CurrentAmplitude = Annotated[Amplitude, PlainValidator(_Amplitudes(CURRENTS).read, json_schema_input_type=str)]
PerDecade = Annotated[StrictInt, Field(ge=1, le=MOST_PER_DECADE)]


class EisTable(Model):
    """A sine of voltage: its frequencies are spaced evenly on a logarithmic scale, its first and last included.

    `bias` is the voltage that it swings around, and `max_current` the most that may flow there.
    """

    from_: Frequency = Field(alias="from", examples=['"1 MHz"'])
    to: Frequency = Field(examples=['"0.1 Hz"'])
    amplitude: VoltageAmplitude = Field(examples=['"10 mV rms"'])
    per_decade: PerDecade = PER_DECADE
    bias: VoltageOrRest = "ocv"
    max_current: Magnitude | None = None


class GeisTable(Model):
    """A sine of current: its frequencies are spaced evenly on a logarithmic scale, its first and last included.

    `bias` is the current that it swings around, positive charges.
    """

    from_: Frequency = Field(alias="from", examples=['"1 MHz"'])
    to: Frequency = Field(examples=['"0.1 Hz"'])
    amplitude: CurrentAmplitude = Field(examples=['"0.1 mA rms"'])
    per_decade: PerDecade = PER_DECADE
    bias: SignedCurrent = parse("0 A")


Table = TypeVar("Table", EisTable, GeisTable)


def frequencies(table: EisTable | GeisTable) -> tuple[float, ...]:
    """Return every frequency in Hz, in the order in which they are measured."""
    first, last, gaps = float(table.from_), float(table.to), _gaps(table)
    between = (first * (last / first) ** (index / gaps) for index in range(1, gaps))
    return (first, *(float(f"{each:.{_DIGITS}g}") for each in between), *([last] if gaps else []))


def _gaps(table: EisTable | GeisTable) -> int:
    """Return how many steps lead from the first frequency to the last, none of them wider than asked for."""
    if table.from_ == table.to:
        return 0
    decades = abs(math.log10(float(table.to)) - math.log10(float(table.from_)))
    return max(1, math.ceil(decades * table.per_decade - 1e-9))


def _not_too_many(table: Table) -> Table:
    count = _gaps(table) + 1
    if count > MOST_FREQUENCIES:
        raise WordingError(f"these are {count} frequencies, more than {MOST_FREQUENCIES}", "lower per_decade")
    return table


VoltageSpectrum = Annotated[EisTable, AfterValidator(_not_too_many)]
CurrentSpectrum = Annotated[GeisTable, AfterValidator(_not_too_many)]
