"""The ledger: charge, energy and time, counted at every poll, whether it becomes a row or not."""

from dataclasses import dataclass

from labctl.instrument import CellReading, Limiting


@dataclass(frozen=True, slots=True)
class Carried:
    """What a step had counted when a pause interrupted it: s, C, J, s.

    `rested` is the voltage (V) that the cell had at open circuit when the step first began; None: not looked at.
    """

    time: float = 0.0
    charge: float = 0.0
    energy: float = 0.0
    cv_time: float = 0.0
    rested: float | None = None


NOTHING = Carried()


@dataclass(frozen=True, slots=True)
class Counts:
    """What went in and out since the run began: C and J; all grow."""

    charge_in: float = 0.0
    charge_out: float = 0.0
    energy_in: float = 0.0
    energy_out: float = 0.0

    def __add__(self, more: "Counts") -> "Counts":
        return Counts(
            self.charge_in + more.charge_in,
            self.charge_out + more.charge_out,
            self.energy_in + more.energy_in,
            self.energy_out + more.energy_out,
        )


class Ledger:
    """Counts of a run, of its present step and of its present direction of current.

    Charges in C, energies in J, times in s; all counts grow. Between two readings of one step current and power are
    taken as linear (trapezoid); the first reading of a step stands for the time since the step began, because current
    jumps there.

    Attributes:
        step_start: when the step began, moved by its pauses: the time since then is what the step itself has taken.
        began: when the present execution of the step began.
    """

    __slots__ = (
        "_current",
        "_power",
        "_rested",
        "_time",
        "began",
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

    def start_step(self, now: float, carried: Carried = NOTHING) -> None:
        """Begin a step, or what a pause has left of it; readings before are not joined to those after."""
        self.began = now
        self.step_start = now - carried.time
        self.step_charge = carried.charge
        self.step_energy = carried.energy
        self.cv_time = carried.cv_time
        self._rested = carried.rested
        self._current = None

    def carried(self, now: float) -> Carried:
        """Return what the step has counted, for its continuation after a pause."""
        return Carried(now - self.step_start, self.step_charge, self.step_energy, self.cv_time, self._rested)

    @property
    def counts(self) -> Counts:
        """What went in and out so far."""
        return Counts(self.charge_in, self.charge_out, self.energy_in, self.energy_out)

    def recount(self, counts: Counts, since: Counts, reading: CellReading, instant: float) -> None:
        """Take what the instrument itself has counted up to an instant; what follows is counted from there.

        Args:
            since: what it had counted when the present step began.
        """
        self.charge_in, self.charge_out = counts.charge_in, counts.charge_out
        self.energy_in, self.energy_out = counts.energy_in, counts.energy_out
        self.step_charge = counts.charge_in - since.charge_in - (counts.charge_out - since.charge_out)
        self.step_energy = counts.energy_in - since.energy_in - (counts.energy_out - since.energy_out)
        self._time, self._current, self._power = instant, reading.current, reading.power or 0.0

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
