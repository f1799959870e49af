"""The frequency response analyser of a channel, as its wire sees it: frequencies, a spectrum, its points."""

import math

from drivers.simulated_cycler import points
from drivers.simulated_cycler.arguments import Refusal, numbers
from drivers.simulated_cycler.language import LEAST_CURRENT
from drivers.simulated_cycler.measurement import Measurement
from labctl.sim.bench import Bench
from labctl.sim.trouble import Trouble

GAIN_ERROR, NOISE = 1e-3, 2e-4
"""Relative, of an impedance's magnitude: it reads so much high, and scatters so much (standard deviation)."""


class Analyser:
    """It measures the bench's cell; a part of its channel, which passes time and commands on."""

    def __init__(self, bench: Bench, port: str, trouble: Trouble) -> None:
        self._cell = bench.cell
        self._trouble = trouble
        self._sensor = bench.sensor(f"{port}.impedance", gain_error=GAIN_ERROR, noise=NOISE)
        self._felt = trouble.quantity(self._magnitude, drifts=False)
        self._frequencies: list[float] = []
        self._measurement: Measurement | None = None
        self._begun = 0

    # -- commands --------------------------------------------------------------------------------------------------

    def store(self, arguments: str) -> str:
        """Take frequencies from a number on; those from there on that were there before are gone."""
        number, *words = arguments.split(" ")
        frequencies = numbers(" ".join(words), len(words))
        first, following = int(number) if number.isdecimal() else 0, len(self._frequencies) + 1
        if not 1 <= first <= following or not 1 <= len(frequencies) <= points.PAGE:
            raise Refusal(f"give from 1 to {points.PAGE} frequencies, from number {following} or less on")
        if first - 1 + len(frequencies) > points.MOST_FREQUENCIES:
            raise Refusal(f"there are at most {points.MOST_FREQUENCIES} frequencies")
        low, high = points.LOWEST_FREQUENCY, points.HIGHEST_FREQUENCY
        if not all(low <= frequency <= high for frequency in frequencies):
            raise Refusal(f"a frequency is from {low:g} Hz to {high:g} Hz")
        self._frequencies[first - 1 :] = frequencies
        return points.frequency_page(first, self._frequencies)

    def begin(self, arguments: str, window: tuple[float, float, float]) -> str:
        """Begin a spectrum within a window (V, V, A); return its number before what was understood."""
        try:
            order = points.ordered(arguments)
        except ValueError:
            raise Refusal("give the number of frequencies, V or A, amplitude, bias, current, low, high") from None
        low, high, most = window
        if not low <= order.low < order.high <= high or not LEAST_CURRENT <= order.current <= most:
            raise Refusal(f"outside the window of {low:g} V to {high:g} V and {LEAST_CURRENT:g} A to {most:g} A")
        if order.frequencies != len(self._frequencies) or not self._frequencies:
            raise Refusal(f"there are {len(self._frequencies)} frequencies")
        if reason := order.wrong():
            raise Refusal(reason)
        if not order.low < self._cell.voltage < order.high:
            raise Refusal(f"the cell is not inside {order.low:g} V to {order.high:g} V")
        self._begun += 1
        self._measurement = Measurement(self._begun, order, self._frequencies, self._cell, self._felt)
        return f"{self._begun} {order}"

    def report(self, after: str) -> str:
        """Return where the spectrum is, and its points behind a number."""
        if not after.isdecimal():
            raise Refusal("give the number of a point")
        if self._measurement is None:
            return points.page(points.Report("none", 0, 0, ()))
        unit, scale = ("mohm", 1e3) if self._trouble.wrong_unit else (points.UNIT, 1.0)
        return points.page(self._measurement.report(int(after), points.PAGE, unit, scale))

    def end(self, reason: str) -> None:
        """End a spectrum that is under way."""
        if self._measurement is not None:
            self._measurement.end(reason)

    def forget(self) -> None:
        """Know nothing any more: the power was cut."""
        self._measurement, self._begun = None, 0
        self._frequencies.clear()

    # -- time ------------------------------------------------------------------------------------------------------

    def next_event(self) -> float:
        """Return the lab time of the spectrum's next event."""
        return math.inf if self._measurement is None else self._measurement.next_event()

    def advance_to(self, time: float) -> None:
        """Go on with the spectrum, whoever is connected."""
        if self._measurement is not None:
            self._measurement.advance_to(time)

    def _magnitude(self) -> float:
        """Return what is measured of an impedance's magnitude now, ohm; 0 before the first."""
        return 0.0 if self._measurement is None else self._sensor.read(1.0) * self._measurement.magnitude
