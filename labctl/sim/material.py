"""What has become of the cell: pressure, temperature, side reaction, ageing and lost contact, as a circuit."""

import math

from labctl.sim.circuit import Circuit
from labctl.sim.parameters import CellParameters

GAS_CONSTANT = 8.314462618
"""J/(mol K), CODATA."""
FARADAY = 96485.33212
"""C/mol, CODATA."""
_ZERO_CELSIUS = 273.15
_LEAST_PRESSURE = 2e4
"""Pa below which a contact gets no worse: a loose stack still touches; assumed."""
_SIDE_LEVELS = 16
"""Steps in which the side reaction passivates; each has a constant share of the current, so the solver stays exact."""


class Material:
    """The material of one cell.

    Attributes:
        cycles: full cycles' worth of discharge so far.
    """

    def __init__(self, parameters: CellParameters) -> None:
        self._parameters = parameters
        self._mass = parameters.loading * parameters.area
        self._negative_pressure = self._positive_pressure = parameters.reference_pressure
        self._celsius = parameters.reference_temperature
        self._accessible = parameters.accessible
        self._contact = 1.0
        self._growth = 1.0
        self._added = 0.0
        self._side = 0.0
        self._penetration = 0.0
        self.cycles = 0.0

    @property
    def pierced(self) -> bool:
        """Whether lithium has grown through the separator."""
        return self._penetration >= 1.0

    def put_under(self, negative_pressure: float, positive_pressure: float, celsius: float) -> None:
        """Take pressures (Pa) and a temperature (°C) as those that hold from now on."""
        self._negative_pressure = negative_pressure
        self._positive_pressure = max(positive_pressure, _LEAST_PRESSURE)
        self._celsius = celsius

    def lose_contact(self, part: float) -> None:
        """Cut a part (0…1) of what is in contact now off."""
        if not 0.0 <= part < 1.0:
            raise ValueError(f"a part of the contact is from 0 to below 1, not {part!r}")
        self._contact *= 1.0 - part

    def add_resistance(self, resistance: float) -> None:
        """Put a resistance (ohm) in series."""
        self._added += resistance

    def circuit(self) -> Circuit:
        """Return the circuit that the material is now."""
        p = self._parameters
        kelvin, reference = self._celsius + _ZERO_CELSIUS, p.reference_temperature + _ZERO_CELSIUS
        cold = math.exp(p.activation_energy / GAS_CONSTANT * (1.0 / kelvin - 1.0 / reference))
        pressed = (self._positive_pressure / p.reference_pressure) ** p.pressure_exponent
        interface = p.interface_resistance * pressed / self._contact
        slowing = cold * self._growth / p.area
        return Circuit(
            charging=p.charging,
            discharging=p.discharging,
            capacity=p.specific_capacity * self._mass * self._accessible * self._contact,
            resistance=(p.separator_resistance * self._looseness() + interface) * slowing + self._added,
            slow_resistance=p.slow_resistance * slowing,
            slow_time=p.slow_time,
            kinetic_current=2.0 * p.exchange_current * p.area * self._contact / cold,
            kinetic_voltage=2.0 * GAS_CONSTANT * kelvin / FARADAY,
            interface_resistance=interface * slowing,
            interface_time=p.interface_time,
        )

    def _looseness(self) -> float:
        """Return how much more the separator resists under this pressure than packed as well as it can be."""
        p = self._parameters
        if not p.packing_pressure:
            return 1.0
        pressure = max(min(self._negative_pressure, self._positive_pressure), _LEAST_PRESSURE)
        packed = math.expm1(-min(pressure, p.cracking_pressure) / p.packing_pressure)
        best = math.expm1(-p.cracking_pressure / p.packing_pressure)
        return best / packed * math.pow(max(1.0, pressure / p.cracking_pressure), p.cracking_exponent)

    def share_with_side_reaction(self, circuit: Circuit, state: float) -> None:
        """Set in a circuit which part of a charging current the side reaction takes, and up to which state."""
        p = self._parameters
        circuit.side_share, circuit.side_end = 0.0, math.inf
        step = p.side_capacity * self._mass / _SIDE_LEVELS
        level = int(self._side / step + 1e-9) if step else _SIDE_LEVELS
        if level < _SIDE_LEVELS:
            share = p.side_share * (1.0 - level / _SIDE_LEVELS)
            circuit.side_share = share
            circuit.side_end = state + ((level + 1) * step - self._side) / share * circuit.gain(1)

    def take_charge(self, charge: float, side_share: float) -> None:
        """Passivate, and let lithium grow through the separator, by a charge (C); faster where lithium creeps."""
        p = self._parameters
        self._side += side_share * charge
        haste = max(1.0, self._negative_pressure / p.creep_pressure) ** p.penetration_exponent
        self._penetration += charge / p.area * haste / p.penetration_charge

    def age(self, depth: float) -> None:
        """Fade by a discharge over so many states."""
        p = self._parameters
        alive = self.cycles < p.death_cycle
        turns = depth / p.full_swing
        self.cycles += turns
        strain = min(1.0, (p.reference_pressure / self._positive_pressure) ** p.fade_exponent)
        floor = p.accessible * p.fade_floor
        left = (self._accessible - floor) / (p.accessible - floor)
        self._accessible -= p.accessible * p.fade * strain * turns * left
        self._growth *= 1.0 + p.resistance_growth * turns
        if alive and self.cycles >= p.death_cycle:
            self._added += p.death_resistance / p.area
