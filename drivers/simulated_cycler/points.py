"""A spectrum on the wire: what is asked for, and where it is with the points behind a number; written and read."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from drivers.simulated_cycler.language import LEAST_CURRENT, MOST_CURRENT
from labctl.impedance import ImpedancePoint
from labctl.instrument import Range
from labctl.plan import Impedance

PAGE = 100
"""Most frequencies, or points, of one line."""
MOST_FREQUENCIES = 1000
LOWEST_FREQUENCY, HIGHEST_FREQUENCY = 1e-3, 7e6
"""Hz."""
PERIODS, LEAST_SECONDS = 3.0, 1.0
"""For which it looks at one frequency."""
AMPLITUDES = {"V": (1e-4, 0.5), "A": (LEAST_CURRENT, MOST_CURRENT)}
"""Least and most, root mean square."""
UNIT = "ohm"

Stage = Literal["none", "running", "done", "ended"]
_HEAD = re.compile(r"(none|running|done|ended) (\d{1,9}) (\d{1,4}) (\d{1,3}) (\w+)(?: ([^;]+))?")
_REAL = r"(-?\d\.\d{6}e[+-]\d{2,3})"
_POINT = re.compile(rf"([\d.e+-]{{1,24}}),{_REAL},{_REAL},(\d{{1,12}})")


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for; `of` is V or A, the unit of amplitude (root mean square) and bias. V and A otherwise."""

    frequencies: int
    of: Literal["V", "A"]
    amplitude: float
    bias: float
    current: float
    low: float
    high: float

    def __str__(self) -> str:
        numbers = (self.amplitude, self.bias, self.current, self.low, self.high)
        return f"{self.frequencies} {self.of} {' '.join(map(repr, numbers))}"

    @property
    def peak(self) -> float:
        """V or A."""
        return math.sqrt(2.0) * self.amplitude

    def wrong(self) -> str:
        """Return why this is not done on any cell, or nothing."""
        least, most = AMPLITUDES[self.of]
        if not least <= self.amplitude <= most:
            return f"an amplitude of {self.amplitude:g} {self.of} is not within {least:g} to {most:g} {self.of}"
        if self.of == "V" and not self.low < self.bias - self.peak < self.bias + self.peak < self.high:
            return f"{self.bias:g} V with a peak of {self.peak:.3g} V is not inside {self.low:g} V to {self.high:g} V"
        if self.of == "A" and not (self.bias == 0.0 or abs(self.bias) >= LEAST_CURRENT):
            return f"a bias is 0 A, or from {LEAST_CURRENT:g} A on"
        if self.of == "A" and not abs(self.bias) + self.peak <= self.current:
            return f"{self.bias:g} A with a peak of {self.peak:.3g} A is beyond {self.current:g} A"
        return ""


@dataclass(frozen=True, slots=True)
class Report:
    """Where a spectrum is.

    Attributes:
        number: of the spectrum, from 1 since power came; 0 where there is none.
        frequencies: how many were asked for.
        points: behind the number that was asked for, at most a page.
        unit: of real and imaginary part.
        reason: a sentence, where it has ended before its last frequency.
    """

    stage: Stage
    number: int
    frequencies: int
    points: tuple[ImpedancePoint, ...]
    unit: str = UNIT
    reason: str = ""


def order_of(spectrum: Impedance, bias: float, window: Range, most: float) -> Order:
    """Return the order for a spectrum within a window (V) and a largest current (A).

    Raises:
        ValueError: it leads beyond them, or the instrument cannot do it; a reason.
    """
    low = window.low if spectrum.window.low is None else spectrum.window.low
    high = window.high if spectrum.window.high is None else spectrum.window.high
    current, frequencies = spectrum.max_current, spectrum.frequencies
    if not (low in window and high in window and LEAST_CURRENT <= current <= most):
        allowed = f"{window.low:g} V to {window.high:g} V and {most:g} A"
        raise ValueError(f"{low:g} V to {high:g} V at {current:g} A is not within {allowed}")
    if not 1 <= len(frequencies) <= MOST_FREQUENCIES:
        raise ValueError(f"a spectrum has from 1 to {MOST_FREQUENCIES} frequencies, not {len(frequencies)}")
    if not all(LOWEST_FREQUENCY <= frequency <= HIGHEST_FREQUENCY for frequency in frequencies):
        raise ValueError(f"not every frequency is within {LOWEST_FREQUENCY:g} Hz to {HIGHEST_FREQUENCY:g} Hz")
    of: Literal["V", "A"] = "V" if spectrum.of == "voltage" else "A"
    order = Order(len(frequencies), of, spectrum.amplitude, bias, current, low, high)
    if reason := order.wrong():
        raise ValueError(reason)
    return order


def ordered(text: str) -> Order:
    """Read an order.

    Raises:
        ValueError: it is none.
    """
    count, of, *numbers = text.split(" ")
    amplitude, bias, current, low, high = map(float, numbers)
    if of not in ("V", "A") or not all(map(math.isfinite, (amplitude, bias, current, low, high))):
        raise ValueError
    return Order(int(count), "V" if of == "V" else "A", amplitude, bias, current, low, high)


def page(report: Report) -> str:
    """Return a report as one text: its head, and each point after a semicolon."""
    head = f"{report.stage} {report.number} {report.frequencies} {len(report.points)} {report.unit} {report.reason}"
    return ";".join([head.rstrip(), *map(_written, report.points)])


def unpaged(text: str) -> Report:
    """Read a report.

    Raises:
        ValueError: it is none.
    """
    head, *written = text.split(";")
    found = _HEAD.fullmatch(head)
    if found is None or int(found[4]) != len(written):
        raise ValueError("no head of a page, or another number of points than it says")
    stage: Stage = found[1]  # type: ignore[assignment]  # one of the four, by the expression
    return Report(stage, int(found[2]), int(found[3]), tuple(map(_read, written)), found[5], found[6] or "")


def frequency_page(first: int, frequencies: Sequence[float]) -> str:
    """Return the frequencies from a number on, as doubles without loss."""
    return " ".join([str(first), *map(repr, frequencies[first - 1 : first - 1 + PAGE])])


def _written(point: ImpedancePoint) -> str:
    return f"{point.frequency!r},{point.real:.6e},{point.imaginary:.6e},{round(1000.0 * point.time)}"


def _read(written: str) -> ImpedancePoint:
    found = _POINT.fullmatch(written)
    if found is None:
        raise ValueError("no point")
    return ImpedancePoint(float(found[1]), float(found[2]), float(found[3]), int(found[4]) / 1000.0)
