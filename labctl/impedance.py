"""What a cycler offers that also measures impedance: a spectrum that it works through by itself, and its points.

While it does, `read` tells the voltage and the current around which the sine swings, so that the guard sees them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from labctl.instrument import Cycler, Range
from labctl.plan import Impedance

PERIODS, LEAST_AT_A_FREQUENCY = 3.0, 1.0
"""Of a sine, and s, that an instrument is assumed to look at one frequency."""


def duration(frequencies: Iterable[float]) -> float:
    """Return s that a spectrum takes, as long as nobody knows better."""
    return sum(max(LEAST_AT_A_FREQUENCY, PERIODS / each) for each in frequencies)


@dataclass(frozen=True, slots=True)
class ImpedancePoint:
    """Impedance at one frequency (Hz), in ohm; a negative imaginary part is capacitive.

    Attributes:
        time: s since the spectrum began, by the instrument's clock.
    """

    frequency: float
    real: float
    imaginary: float
    time: float


@dataclass(frozen=True, slots=True)
class SpectrumStatus:
    """Where a spectrum is.

    Attributes:
        running: whether the instrument is still at it.
        points: those that were asked for.
        reason: why it has ended before its last frequency, in the instrument's words.
    """

    running: bool
    points: tuple[ImpedancePoint, ...]
    reason: str = ""


@runtime_checkable
class Potentiostat(Cycler, Protocol):
    """A cycler that measures impedance. Every other command, and `off` and `safe_state` above all, ends a spectrum."""

    frequency_range: Range
    """Hz."""

    async def start_spectrum(self, spectrum: Impedance, bias: float) -> None:
        """Begin a spectrum around a bias (V, or A), within what `arm` allows; it goes on, and ends, by itself.

        Raises:
            RefusedForSafety: a peak of the sine is beyond what `arm` or the spectrum allows.
        """

    async def spectrum(self, after: int) -> SpectrumStatus:
        """Return the points behind a number (0: all) in order, at most a page of them, and whether more will come."""
