"""What an instrument connects to the terminals of the cell: nothing, a voltage or a current."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Open:
    """Nothing: no current flows through the terminals."""


@dataclass(frozen=True, slots=True)
class VoltageSource:
    """Source `voltage` (V) and clamp the magnitude of the current at `current_limit` (A), in either direction.

    While the clamp acts the current is constant; once the terminals reach the voltage it is held: CC, then CV.
    """

    voltage: float
    current_limit: float


@dataclass(frozen=True, slots=True)
class CurrentSource:
    """Source `current` (A, positive charges) unless the terminals would exceed ±`voltage_limit` (V); then hold that."""

    current: float
    voltage_limit: float


Source = Open | VoltageSource | CurrentSource
