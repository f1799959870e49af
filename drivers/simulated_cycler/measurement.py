"""One spectrum on one cell: its frequencies one after the other, at the bias, within its limits, from event to event.

The cell is held at the bias for real; the sine is in the impedance alone. As for programs, limits are looked at every
10 ms, and looks that would find nothing are not made.
"""

import cmath
import math
from collections.abc import Callable, Iterator, Sequence

from drivers.simulated_cycler.language import HIGHEST
from drivers.simulated_cycler.looks import LOOK_MS, LOOKS, Excess, look_at
from drivers.simulated_cycler.points import LEAST_SECONDS, PERIODS, Order, Report, Stage
from labctl.impedance import ImpedancePoint
from labctl.sim.cell import Cell, CurrentSource, Open, Quantity, Source, VoltageSource

LEAST_MAGNITUDE, MOST_MAGNITUDE = 1e-3, 1e8
"""Ohm, that it can measure."""
_EARLY = 1e-6
"""s by which an instant that was searched for may be late: it must not fall behind the look that stands on it."""


class Measurement:
    """One spectrum. It begins at once.

    Args:
        number: by which the instrument knows it.
        felt: tells what the instrument makes of the impedance's magnitude (ohm) now.

    Attributes:
        stage: running, done, or ended before its last frequency.
    """

    def __init__(
        self, number: int, order: Order, frequencies: Sequence[float], cell: Cell, felt: Callable[[], float]
    ) -> None:
        self.stage: Stage = "running"
        self._number = number
        self._order = order
        self._frequencies = tuple(frequencies)
        self._cell = cell
        self._felt = felt
        self._points: list[ImpedancePoint] = []
        self._reason = ""
        self._regime = "voltage" if order.of == "V" else "current"
        self._look_number = self._began = look_at(cell.time)
        cell.drive(self._source())
        self._begin()

    @property
    def magnitude(self) -> float:
        """Return the true magnitude (ohm) at the present frequency, or at the last one."""
        return abs(self._cell.impedance(self._frequency))

    def report(self, after: int, page: int, unit: str, scale: float) -> Report:
        """Return where it is, with the points behind a number, in a unit that is so many to the ohm."""
        points = tuple(
            ImpedancePoint(each.frequency, scale * each.real, scale * each.imaginary, each.time)
            for each in self._points[after : after + page]
        )
        return Report(self.stage, self._number, len(self._frequencies), points, unit, self._reason)

    def end(self, reason: str) -> None:
        """Open the circuit, for good."""
        if self.stage == "running":
            self._finish("ended", reason)

    # -- time ------------------------------------------------------------------------------------------------------

    def next_event(self) -> float:
        """Return the lab time at which the bench must stop for it."""
        if self.stage != "running":
            return math.inf
        if self._foreseen != self._cell.stretches:
            self._foresee()
        return self._event

    def advance_to(self, time: float) -> None:
        """Look, where a look is due now."""
        if self.next_event() <= time and time >= self._due / LOOKS:
            self._look_number = self._due
            self._look()

    def _look(self) -> None:
        reason = self._wrong()
        if reason:
            self._finish("ended", reason)
        elif self._look_number >= self._ready:
            self._measure()
        else:
            self._foresee()

    # -- frequencies -----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Begin the next frequency, where its sine has room."""
        self._frequency = self._frequencies[len(self._points)]
        self._ready = self._look_number + look_at(max(LEAST_SECONDS, PERIODS / self._frequency))
        peak, magnitude = self._order.peak, self.magnitude
        self._swing = peak / magnitude if self._order.of == "V" else peak * magnitude
        reason = self._wrong()
        if reason:
            self._finish("ended", reason)
        else:
            self._foresee()

    def _measure(self) -> None:
        magnitude, phase = self._felt(), cmath.phase(self._cell.impedance(self._frequency))
        if not LEAST_MAGNITUDE <= magnitude <= MOST_MAGNITUDE:
            self._finish("ended", f"the impedance at {self._frequency:g} Hz could not be measured")
            return
        value = cmath.rect(magnitude, phase)
        seconds = LOOK_MS * (self._look_number - self._began) / 1000.0
        self._points.append(ImpedancePoint(self._frequency, value.real, value.imag, seconds))
        if len(self._points) < len(self._frequencies):
            self._begin()
        else:
            self._finish("done", "")

    def _finish(self, stage: Stage, reason: str) -> None:
        self._cell.drive(Open())
        self.stage, self._reason = stage, reason

    def _source(self) -> Source:
        """Return what holds the bias; a current is bounded by the limit of voltage in its own sense."""
        order = self._order
        if order.of == "V":
            return VoltageSource(order.bias, order.current)
        if order.bias == 0.0:
            return CurrentSource(0.0, 2.0 * HIGHEST)
        return VoltageSource(order.high if order.bias > 0.0 else order.low, abs(order.bias))

    # -- limits ----------------------------------------------------------------------------------------------------

    def _limits(self) -> Iterator[tuple[Quantity, Excess, str]]:
        """Each quantity that moves at this bias, by how much it is beyond with the peak of its sine, and what then."""
        order, swing = self._order, self._swing
        if order.of == "V":
            yield "current", lambda current: abs(current) + swing - order.current, f"beyond {order.current:g} A"
        else:
            yield "voltage", lambda voltage: voltage + swing - order.high, f"not below {order.high:g} V"
            yield "voltage", lambda voltage: order.low + swing - voltage, f"not above {order.low:g} V"

    def _wrong(self) -> str:
        """Return in which way a limit is met, or nothing."""
        order = self._order
        if self._cell.limiting != self._regime:
            beyond = f"{order.current:g} A" if order.of == "V" else f"{order.low:g} V to {order.high:g} V"
            return f"the bias of {order.bias:g} {order.of} takes the cell beyond {beyond}"
        for quantity, excess, what in self._limits():
            value = self._value(quantity)
            if excess(value) >= 0.0:
                return f"the {quantity} is {value:.5g} with a peak of {self._swing:.3g}, {what}"
        return ""

    def _value(self, quantity: Quantity) -> float:
        return self._cell.voltage if quantity == "voltage" else self._cell.current

    def _foresee(self) -> None:
        """Find the next look that finds something, as far as the cell's present closed form reaches."""
        cell = self._cell
        self._foreseen = cell.stretches
        due = self._ready
        for quantity, excess, _ in self._limits():
            instant = cell.when(quantity, excess)
            if instant < math.inf:
                due = min(due, look_at(instant - _EARLY))
        now = max(look_at(cell.time), self._look_number + 1)
        self._due = now if cell.limiting != self._regime else max(now, due)
        self._event = min(self._due / LOOKS, cell.next_event())
