"""Closed-form stretches of the cell's equivalent circuit U(s) + R0 + R1||C1 + η(i): exact at any time in them.

Within a stretch nothing bends: the current is constant, or the open-circuit voltage is on one of its linear pieces and
so is the overpotential. A stretch knows how long it lasts; the caller asks for any instant of it, always counted from
its start, so that the instants that were asked for change nothing.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from labctl.sim.circuit import Circuit
from labctl.sim.roots import root

LONGEST = 1000.0
"""s after which a stretch ends even if nothing happens; bounds every search for an instant."""
_NEAR = 1e-9
"""Relative distance from a bend of the overpotential within which a current counts as standing on it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The interval that a source's regime is valid for: of voltage at constant current, else of current."""

    low: float = -math.inf
    high: float = math.inf


class Stretch(Protocol):
    """A stretch of time with one closed form.

    Attributes:
        duration: s.
        bound: which bound ended it: +1 the high one, -1 the low one, 0 neither.
    """

    duration: float
    bound: int

    def at(self, elapsed: float) -> tuple[float, float, float]:
        """Return state, slow voltage and current so many seconds after its start."""

    def monotone(self) -> Sequence[float]:
        """Return the ends of the parts, in s after its start, in each of which voltage and current have one sense."""


class Steady:
    """Constant current; also no current at all. Spans many knots of the open-circuit voltage."""

    __slots__ = ("_circuit", "_current", "_final", "_gain", "_slow", "_start", "bound", "duration")

    def __init__(self, circuit: Circuit, state: float, slow: float, current: float, bounds: Bounds) -> None:
        direction = -1 if current < 0.0 else 1
        self._circuit = circuit
        self._start = state
        self._slow = slow
        self._current = current
        self._gain = circuit.gain(direction)
        self._final = current * circuit.slow_resistance
        self.duration = LONGEST
        self.bound = 0
        rate = self._gain * current
        if rate > 0.0:
            self.duration = min(LONGEST, max(circuit.side_end - state, 0.0) / rate)
        if bounds.low > -math.inf or bounds.high < math.inf:
            self._stop_at(bounds, direction)

    def at(self, elapsed: float) -> tuple[float, float, float]:
        """Return state, slow voltage and current."""
        slow = self._final + (self._slow - self._final) * math.exp(-elapsed / self._circuit.slow_time)
        return self._start + self._gain * self._current * elapsed, slow, self._current

    def monotone(self) -> Sequence[float]:
        """Return the knots, and where in between the falling back of the slow voltage outweighs the current."""
        direction = -1 if self._current < 0.0 else 1
        if self._current == 0.0 or direction * (self._final - self._slow) >= 0.0:
            return (self.duration,)
        knots = self._knots(direction)
        curve, slow_time = self._circuit.branch(direction), self._circuit.slow_time
        first = curve.interval(self._start, direction)
        fall = direction * (self._slow - self._final) / slow_time
        turns: list[float] = []
        for k, knot in enumerate(knots):
            rise = (
                curve.slopes[min(max(first + direction * k, 0), curve.intervals - 1)] * self._gain * abs(self._current)
            )
            turn = slow_time * math.log(fall / rise) if rise > 0.0 else math.inf
            if (turns[-1] if turns else 0.0) < turn < knot:
                turns.append(turn)
            turns.append(knot)
        return turns

    def area(self, elapsed: float) -> float:
        """Return the integral of the terminal voltage since its start, V·s."""
        circuit, rate = self._circuit, self._gain * self._current
        curve = circuit.branch(-1 if rate < 0.0 else 1)
        if rate:
            open_circuit = (curve.area(self._start + rate * elapsed) - curve.area(self._start)) / rate
        else:
            open_circuit = curve(self._start) * elapsed
        slow = self._final * elapsed - (self._slow - self._final) * circuit.slow_time * math.expm1(
            -elapsed / circuit.slow_time
        )
        ohmic = circuit.resistance * self._current + circuit.overpotential(self._current)
        return open_circuit + slow + ohmic * elapsed

    def _voltage(self, elapsed: float) -> float:
        return self._circuit.voltage(*self.at(elapsed))

    def _stop_at(self, bounds: Bounds, direction: int) -> None:
        """End where the voltage meets a bound. Between two knots it has no interior maximum in the current's sense."""
        if self._current == 0.0:
            direction = 1 if self._slow < 0.0 else -1
        limit = bounds.high if direction > 0 else bounds.low

        def excess(elapsed: float) -> float:
            return direction * (self._voltage(elapsed) - limit)

        monotone = direction * (self._final - self._slow) >= 0.0
        if monotone:
            if excess(0.0) >= 0.0:
                self.duration, self.bound = 0.0, direction
                return
            if excess(self.duration) < 0.0:
                return
            instants = self._knots(direction)
            met = bisect_left(instants, 0.0, key=excess)
        else:
            # The slow voltage still falls back: the terminals may start on the limit, leave it and come again.
            instants = self._knots(direction)
            instants = [self._dip(direction, instants[0]), *instants]
            met = next((k for k, t in enumerate(instants) if excess(t) >= 0.0), -1)
            if met < 0:
                return
        self.duration = root(excess, instants[met - 1] if met else 0.0, instants[met])
        self.bound = direction

    def _dip(self, direction: int, first_knot: float) -> float:
        """Return when, before the first knot, the voltage turns back towards its limit."""
        curve = self._circuit.branch(direction)
        rise = curve.slopes[curve.interval(self._start, direction)] * self._gain * abs(self._current)
        fall = direction * (self._slow - self._final) / self._circuit.slow_time
        if rise <= 0.0 or fall <= rise:
            return 0.0 if fall <= rise else first_knot
        return min(self._circuit.slow_time * math.log(fall / rise), first_knot)

    def _knots(self, direction: int) -> list[float]:
        """Return the times at which the state passes knots of the open-circuit voltage, and the end."""
        rate = self._gain * abs(self._current)
        if rate == 0.0:
            return [self.duration]
        curve = self._circuit.branch(direction)
        first = curve.interval(self._start, direction)
        times = []
        for k in range(curve.intervals):
            knot = curve.edge(first + direction * k, direction)
            time = direction * (knot - self._start) / rate
            if not time < self.duration:
                break
            times.append(time)
        times.append(self.duration)
        return times


class Driven:
    """A voltage source behind a resistance: constant voltage, or any source across a short.

    With one piece of U and of η, (i, v) obeys a homogeneous linear system with two real, non-positive eigenvalues.
    """

    __slots__ = ("_a", "_b", "_direction", "_fast", "_gain", "_lazy", "_start", "_va", "_vb", "bound", "duration")

    def __init__(
        self, circuit: Circuit, state: float, slow: float, source: float, source_resistance: float, bounds: Bounds
    ) -> None:
        drive = circuit.drive(state, slow, source)
        direction = 1 if drive > 0.0 else -1
        resistance = circuit.resistance + source_resistance
        curve = circuit.branch(direction)
        interval = curve.interval(state, direction)
        gain = circuit.gain(direction)
        self._direction, self._gain, self._start = direction, gain, state
        number = circuit.piece_under(drive, resistance)
        low, high = self._solve(circuit, slow, drive, resistance, curve.slopes[interval], number)
        magnitude = direction * (self._a + self._b)
        if (
            number
            and magnitude <= low * (1.0 + _NEAR)
            and direction * (self._a * self._fast + self._b * self._lazy) < 0
        ):
            low, high = self._solve(circuit, slow, drive, resistance, curve.slopes[interval], number - 1)
        inner = Bounds(low, high) if direction > 0 else Bounds(-high, -low)
        self._end_by_current(inner, bounds)
        edge = curve.edge(interval, direction)
        if direction > 0:
            edge = min(edge, circuit.side_end)
        self._end_by_state(edge)

    def at(self, elapsed: float) -> tuple[float, float, float]:
        """Return state, slow voltage and current."""
        fast, lazy = self._fast, self._lazy
        grown_fast, grown_lazy = math.expm1(fast * elapsed), math.expm1(lazy * elapsed)
        charge = self._a * grown_fast / fast + self._b * (grown_lazy / lazy if lazy else elapsed)
        a, b = 1.0 + grown_fast, 1.0 + grown_lazy
        return self._start + self._gain * charge, self._va * a + self._vb * b, self._a * a + self._b * b

    def _solve(
        self, circuit: Circuit, slow: float, drive: float, resistance: float, slope: float, number: int
    ) -> tuple[float, float]:
        """Find the two exponentials on one piece of the overpotential; return that piece's range of |i|."""
        offset, kinetic, low, high = circuit.piece(number)
        resistance += kinetic
        capacitance = circuit.slow_time / circuit.slow_resistance
        current = (drive - self._direction * offset) / resistance
        alpha = (slope * self._gain + 1.0 / capacitance) / resistance
        beta = 1.0 / (circuit.slow_time * resistance)
        trace = alpha + 1.0 / circuit.slow_time
        determinant = slope * self._gain * beta
        root_of_discriminant = math.sqrt(max(trace * trace - 4.0 * determinant, 0.0))
        self._fast = -0.5 * (trace + root_of_discriminant)
        # The product of the eigenvalues is the determinant: no cancellation in the small one.
        self._lazy = determinant / self._fast
        change = beta * slow - alpha * current
        self._a = (change - self._lazy * current) / (self._fast - self._lazy)
        self._b = current - self._a
        self._va = self._a * (self._fast + alpha) / beta
        self._vb = slow - self._va
        return low, high

    def _current(self, elapsed: float) -> float:
        return self._a * math.exp(self._fast * elapsed) + self._b * math.exp(self._lazy * elapsed)

    def _end_by_current(self, inner: Bounds, bounds: Bounds) -> None:
        """End where the current leaves its piece of the overpotential (bound 0) or the regime's bounds (±1)."""
        self.duration, self.bound = LONGEST, 0
        start = self._a + self._b
        # Rounding may put the start a hair outside; only a current that moves outward leaves.
        low, high = min(max(inner.low, bounds.low), start), max(min(inner.high, bounds.high), start)
        before = 0.0
        for turn in self._turns():
            now = self._current(turn)
            rising = now > self._current(before)
            limit = high if rising else low
            if (now > high) if rising else (now < low):
                self.duration = root(lambda t: self._current(t) - limit, before, turn)  # noqa: B023  called at once
                if rising and bounds.high <= inner.high:
                    self.bound = 1
                elif not rising and bounds.low >= inner.low:
                    self.bound = -1
                return
            before = turn

    def monotone(self) -> Sequence[float]:
        """Return where the current turns, and the end."""
        return [*(turn for turn in self._turns() if turn < self.duration), self.duration]

    def _turns(self) -> tuple[float, ...]:
        """Return the ends of the monotone parts of the current."""
        if self._a and self._b and self._lazy:
            ratio = -self._b * self._lazy / (self._a * self._fast)
            if ratio > 0.0:
                turn = math.log(ratio) / (self._fast - self._lazy)
                if 0.0 < turn < LONGEST:
                    return turn, LONGEST
        return (LONGEST,)

    def _end_by_state(self, edge: float) -> None:
        """End earlier where the state reaches an edge: there U or the side reaction bends."""
        if math.isinf(edge):
            return

        def excess(elapsed: float) -> float:
            return self._direction * (self.at(elapsed)[0] - edge)

        if excess(self.duration) >= 0.0:
            self.duration = root(excess, 0.0, self.duration)
            self.bound = 0


class Blocked(Steady):
    """No current although a source holds the terminals: between the branches of the open-circuit voltage."""

    __slots__ = ()

    def __init__(self, circuit: Circuit, state: float, slow: float, source: float) -> None:
        super().__init__(circuit, state, slow, 0.0, Bounds())
        edge = source - (circuit.charging(state) if slow > 0.0 else circuit.discharging(state))
        if edge * slow > 0.0 and abs(edge) < abs(slow):
            self.duration = min(LONGEST, circuit.slow_time * math.log(slow / edge))
