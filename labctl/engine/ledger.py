"""The ledger: charge, energy and time, counted at every poll, whether it becomes a row or not."""

from labctl.instrument import CellReading, Limiting


class Ledger:
    """Counts of a run, of its present step and of its present direction of current.

    Charges in C, energies in J, times in s; all counts grow. Between two readings of one step current and power are
    taken as linear (trapezoid); the first reading of a step stands for the time since the step began, because current
    jumps there.
    """

    __slots__ = (
        "_current",
        "_power",
        "_time",
        "charge_in",
        "charge_out",
        "cv_time",
        "energy_in",
        "energy_out",
        "start_time",
        "step_charge",
        "step_energy",
        "step_start",
    )

    def __init__(self, now: float) -> None:
        self.start_time = now
        self.charge_in = 0.0
        self.charge_out = 0.0
        self.energy_in = 0.0
        self.energy_out = 0.0
        self._time = now
        self._current: float | None = None
        self._power = 0.0
        self.start_step(now)

    def start_step(self, now: float) -> None:
        """Begin a step: its own counts are zero, and the readings before it are no longer joined to those after."""
        self.step_start = now
        self.step_charge = 0.0
        self.step_energy = 0.0
        self.cv_time = 0.0
        self._current = None

    def add(self, reading: CellReading, now: float) -> None:
        """Count the time since the last reading; the same instant twice adds nothing."""
        span = now - self._time
        current, power = reading.current, reading.current * (reading.voltage or 0.0)
        if span > 0.0:
            mean_current = current if self._current is None else 0.5 * (current + self._current)
            mean_power = power if self._current is None else 0.5 * (power + self._power)
            charge, energy = mean_current * span, mean_power * span
            if charge >= 0.0:
                self.charge_in += charge
            else:
                self.charge_out -= charge
            if energy >= 0.0:
                self.energy_in += energy
            else:
                self.energy_out -= energy
            self.step_charge += charge
            self.step_energy += energy
            if reading.limiting is Limiting.VOLTAGE:
                self.cv_time += span
        self._time, self._current, self._power = now, current, power
