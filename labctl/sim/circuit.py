"""The equivalent circuit U(s) + R0 + R1||C1 + η(i) at one instant: which voltage a current causes, and the reverse.

U is in V over the state s (0 discharged … 1), i in A (positive charges), v ("slow") the voltage across R1||C1, η the
Butler-Volmer overpotential 2RT/F · asinh(i / 2 i0), interpolated between evenly spaced values of the asinh.
"""

import math
from dataclasses import dataclass

from labctl.sim.curve import Curve

_STEP = 0.05
"""Spacing of the overpotential's knots in asinh(i / 2 i0): at most 16 µV from the smooth curve at 25 °C."""
_NEAR = 1e-9
"""Relative distance from a knot within which a current counts as standing on it."""
_STILL = 1e-12
"""V of driving voltage below which the current counts as zero; _LEAST is what drives it when it is about to rise."""
_LEAST = 1e-13
_CONVERGED = 1e-13
"""Relative, of the asinh."""


@dataclass(slots=True)
class Circuit:
    """The numbers of the circuit between two changes of its conditions.

    Attributes:
        charging, discharging: open-circuit voltage of either direction, V.
        capacity: C between s = 0 and 1.
        resistance: R0, ohm.
        slow_resistance, slow_time: R1 in ohm and R1·C1 in s.
        kinetic_current: 2 i0 in A; inf for no overpotential.
        kinetic_voltage: 2RT/F in V.
        side_share: part of a charging current that a side reaction takes.
        side_end: state at which that share changes.
        interface_resistance: part of R0 that lies at interfaces, ohm.
        interface_time: s in which its capacitance is charged, parallel to it and to the overpotential; a sine alone
            meets it, all that is slower finds it settled.
    """

    charging: Curve
    discharging: Curve
    capacity: float
    resistance: float
    slow_resistance: float
    slow_time: float
    kinetic_current: float
    kinetic_voltage: float
    side_share: float = 0.0
    side_end: float = math.inf
    interface_resistance: float = 0.0
    interface_time: float = 0.0

    def branch(self, direction: int) -> Curve:
        """Return the open-circuit voltage that a current of this direction sees."""
        return self.discharging if direction < 0 else self.charging

    def gain(self, direction: int) -> float:
        """Return ds/dt per ampere, 1/C."""
        return (1.0 - self.side_share) / self.capacity if direction > 0 else 1.0 / self.capacity

    def piece(self, number: int) -> tuple[float, float, float, float]:
        """Return the overpotential's piece over a current's magnitude: η = offset + slope·|i| from low to high."""
        if math.isinf(self.kinetic_current):
            return 0.0, 0.0, 0.0, math.inf
        low = self.kinetic_current * math.sinh(number * _STEP)
        high = self.kinetic_current * math.sinh((number + 1) * _STEP)
        slope = self.kinetic_voltage * _STEP / (high - low)
        return self.kinetic_voltage * _STEP * number - slope * low, slope, low, high

    def piece_number(self, magnitude: float) -> int:
        """Return the piece that a current's magnitude is on."""
        return int(math.asinh(magnitude / self.kinetic_current) / _STEP + _NEAR)

    def overpotential(self, current: float) -> float:
        """Return η with the sign of the current, V."""
        offset, slope, _, _ = self.piece(self.piece_number(abs(current)))
        return math.copysign(offset, current) + slope * current if current else 0.0

    def voltage(self, state: float, slow: float, current: float) -> float:
        """Return the terminal voltage, V."""
        u = self.discharging(state) if current < 0.0 else self.charging(state)
        return u + slow + self.resistance * current + self.overpotential(current)

    def drive(self, state: float, slow: float, source: float) -> float:
        """Return the voltage that a source pushes current with, its sign the current's; 0.0 where none can flow."""
        pushing = source - self.charging(state) - slow
        if pushing > _STILL or (pushing >= -_STILL and slow > 0.0):
            return max(pushing, _LEAST)
        pulling = source - self.discharging(state) - slow
        if pulling < -_STILL or (pulling <= _STILL and slow < 0.0):
            return min(pulling, -_LEAST)
        return 0.0

    def piece_under(self, drive: float, resistance: float) -> int:
        """Return the overpotential's piece on which |drive| = resistance·|i| + η stands."""
        if math.isinf(self.kinetic_current):
            return 0
        drive = abs(drive)
        ohmic = resistance * self.kinetic_current
        # The left side is convex in y = asinh(i / 2 i0) and this start lies beyond the root: Newton walks down to it.
        y = min(drive / self.kinetic_voltage, math.asinh(drive / ohmic))
        for _ in range(50):
            correction = (ohmic * math.sinh(y) + self.kinetic_voltage * y - drive) / (
                ohmic * math.cosh(y) + self.kinetic_voltage
            )
            y -= correction
            if correction <= _CONVERGED * y:
                break
        number = int(y / _STEP + _NEAR)
        # The chords of the pieces lie a little under the smooth curve: the root may be on a neighbour.
        while True:
            offset, slope, low, high = self.piece(number)
            magnitude = (drive - offset) / (resistance + slope)
            if magnitude > high * (1.0 + _NEAR):
                number += 1
            elif magnitude < low * (1.0 - _NEAR):
                number -= 1
            else:
                return number

    def current_under(self, state: float, slow: float, source: float, source_resistance: float) -> float:
        """Return the current that a voltage source behind a resistance drives into the cell, A."""
        drive = self.drive(state, slow, source)
        if drive == 0.0:
            return 0.0
        resistance = self.resistance + source_resistance
        offset, slope, _, _ = self.piece(self.piece_under(drive, resistance))
        return (drive - math.copysign(offset, drive)) / (resistance + slope)
