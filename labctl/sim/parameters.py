"""What a simulated cell is made of: its constants in SI units, per area of the electrode or mass of active material."""

import math
from dataclasses import dataclass

from labctl.sim.curve import Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class CellParameters:
    """A cell; resistances are in ohm·m², currents in A/m². The defaults switch an effect off.

    Attributes:
        area: m² of the positive electrode.
        loading: kg/m² of active material in it.
        specific_capacity: C/kg between state 0 (all lithium in) and 1 (all lithium out).
        charging: open-circuit voltage of the cell over the state, V; also at rest.
        discharging: the same for a discharge: where the positive electrode takes lithium up ever more slowly it falls
            below `charging` (the kinetic hole of layered oxides).
        accessible: part of the active material that takes part when fresh.
        initial_state: where a fresh cell begins.
        side_capacity: C/kg that the side reaction of the first charge can consume; side_share: its part of the current
            at first, falling as it passivates.
        separator_resistance, interface_resistance: together R0; the latter at reference_pressure of the positive side.
        packing_pressure: Pa over which a separator of powder packs: it conducts as 1 - exp(-pressure /
            packing_pressure), at the lesser pressure of both sides; 0 for one that was packed before.
        cracking_pressure: Pa at which a powder has separator_resistance, and beyond which its particles crack: it then
            conducts ever less, by cracking_exponent of (cracking_pressure / pressure).
        leakage_resistance: what is parallel to all else from the beginning, such as the way of the electrons.
        pressure_exponent: of the interface resistance in pressure.
        interface_time: s, of interface and overpotential with the capacitance parallel to them; in impedance alone.
        slow_resistance, slow_time: R1 and R1·C1 (s).
        exchange_current: i0 of the Butler-Volmer overpotential; inf for none.
        activation_energy: J/mol, of all resistances and of 1/i0, from reference_temperature (°C).
        fade: part of the accessible material lost in the first full cycle at reference_pressure or below; fade_floor is
            the part that is never lost, so fade slows down; fade_exponent of (reference_pressure / pressure).
        resistance_growth: relative, in one full cycle.
        full_swing: states in a full cycle.
        negative_growth: m thicker for each C/m² charged.
        positive_growth: m thicker for each kg/m² of active material from state 0 to 1.
        penetration_charge: C/m² of lithium plated until a dendrite shorts the cell; faster above creep_pressure (Pa) on
            the negative side, with penetration_exponent; it then has short_resistance (ohm).
        death_cycle: after so many cycles death_resistance is suddenly added.
    """

    area: float
    loading: float
    specific_capacity: float
    charging: Curve
    discharging: Curve
    accessible: float = 1.0
    initial_state: float = 0.0
    side_capacity: float = 0.0
    side_share: float = 0.0
    separator_resistance: float
    interface_resistance: float = 0.0
    packing_pressure: float = 0.0
    cracking_pressure: float = math.inf
    cracking_exponent: float = 0.0
    leakage_resistance: float = math.inf
    reference_pressure: float = 2.5e6
    pressure_exponent: float = -0.5
    interface_time: float = 0.0
    slow_resistance: float
    slow_time: float
    exchange_current: float = math.inf
    activation_energy: float = 0.0
    reference_temperature: float = 25.0
    fade: float = 0.0
    fade_floor: float = 0.0
    fade_exponent: float = 2.0
    resistance_growth: float = 0.0
    full_swing: float = 1.0
    negative_growth: float = 0.0
    positive_growth: float = 0.0
    penetration_charge: float = math.inf
    creep_pressure: float = 10e6
    penetration_exponent: float = 0.0
    short_resistance: float = math.inf
    death_cycle: float = math.inf
    death_resistance: float = 0.0
