"""Counts: what has passed the terminals of a cell, in and out apart."""

from typing import NamedTuple


class Counts(NamedTuple):
    """Charge in C and energy in J since the cell was assembled; each of them only grows."""

    charge_in: float = 0.0
    charge_out: float = 0.0
    energy_in: float = 0.0
    energy_out: float = 0.0

    def plus(self, charge: float, energy: float) -> "Counts":
        """Return them with a signed charge and a signed energy added, each of which kept its sense."""
        return Counts(
            self.charge_in + max(charge, 0.0),
            self.charge_out - min(charge, 0.0),
            self.energy_in + max(energy, 0.0),
            self.energy_out - min(energy, 0.0),
        )

    @property
    def charge(self) -> float:
        """Net charge, C."""
        return self.charge_in - self.charge_out

    @property
    def energy(self) -> float:
        """Net energy, J."""
        return self.energy_in - self.energy_out
