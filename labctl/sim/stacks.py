"""Stacks between blocking electrodes by name, each constant with its source: conductivity, and what leaks past it.

The way of what is blocked is a resistance L / (sigma A) in series with the capacitance of two electrodes; that of what
passes lies parallel. Electrodes of steel block ions, so the electrons leak; others block electrons, so the ions do.
"calibrated" means chosen so that the simulated stack shows the paper's figure.
"""

from dataclasses import dataclass
from math import inf, pi

from labctl.sim.curve import Curve
from labctl.sim.parameters import CellParameters

_DIE_10_MM = pi * 0.005**2
_MS_PER_CM = 0.1
_UF_PER_CM2 = 0.01
_OHM_CM2 = 1e-4
_VOLTAGE = Curve((0.0, 1.0))
"""V over the state: an ideal capacitor, which holds `specific_capacity` times `loading` at 1 V."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What lies between two electrodes that block one of its carriers.

    Attributes:
        thickness: m.
        conductivity: S/m, of what is blocked, at cracking_pressure.
        leakage: S/m, of what passes; 0 for nothing.
        capacitance: F/m², of both electrodes in series.
        packing_pressure, cracking_pressure, cracking_exponent: as those of a cell.
    """

    thickness: float
    conductivity: float
    leakage: float = 0.0
    capacitance: float = 5.0 * _UF_PER_CM2  # assumed: 10 µF/cm² at either electrode
    packing_pressure: float = 0.0
    cracking_pressure: float = inf
    cracking_exponent: float = 0.0

    def parameters(self) -> CellParameters:
        """Return it as a cell of its own kind: no state of charge, no ageing, no breathing."""
        return CellParameters(
            area=_DIE_10_MM,
            loading=1.0,  # no active material: the capacitance counts for each m²
            specific_capacity=self.capacitance,
            charging=_VOLTAGE,
            discharging=_VOLTAGE,
            separator_resistance=self.thickness / self.conductivity,
            leakage_resistance=self.thickness / self.leakage if self.leakage else inf,
            packing_pressure=self.packing_pressure,
            cracking_pressure=self.cracking_pressure,
            cracking_exponent=self.cracking_exponent,
            slow_resistance=0.01 * _OHM_CM2,  # next to none: the circuit has one
            slow_time=1.0,
            activation_energy=35e3,  # 0.36 eV, assumed within 0.3 to 0.4 eV
            reference_temperature=25.0,  # assumed
        )


STACKS: dict[str, Stack] = {
    # Li6PS5Cl powder between steel (Doerrer 2021): conducts better up to 500 MPa, and worse beyond.
    "lpscl-blocking": Stack(
        thickness=1.5e-3,  # paper: that of the separator; that of the pellet between steel is not stated
        conductivity=3.0 * _MS_PER_CM,  # paper: large particles; calibrated to it, 1.2 for small ones
        packing_pressure=100e6,  # assumed: it rises, and saturates (paper, without numbers in between)
        cracking_pressure=500e6,  # paper
        cracking_exponent=0.5,  # assumed: worse beyond, by how much is not stated
        leakage=1e-8,  # assumed: electrons hardly pass a sulfide
    ),
    # A cathode composite between electrodes that block electrons (Ma 2024): the ions' current remains.
    "composite-blocking": Stack(
        thickness=1.0e-4,  # assumed
        conductivity=1.0 * _MS_PER_CM,  # assumed: of the electrons, which are blocked
        leakage=0.1 * _MS_PER_CM,  # assumed: of the ions of the slurry; the pellet's are calibrated to it
    ),
}
