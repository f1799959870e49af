"""The impedance of a simulated cell: the circuit that charges it, linearised where it stands.

In series: leads; R0 without its interfaces; these and the slope of the Butler-Volmer overpotential at the bias current,
parallel to their capacitance; R1 parallel to C1; the slope of the open-circuit voltage as a capacitance. A short inside
lies parallel to all but the leads.
"""

import math

from labctl.sim.circuit import Circuit

LEADS = 1e-6
"""H, of the leads to the cell; assumed."""


def impedance(circuit: Circuit, state: float, current: float, short: float, frequency: float) -> complex:
    """Return the impedance at the instrument's terminals, ohm; a negative imaginary part is capacitive.

    Args:
        state: of the open-circuit voltage, 0 … 1.
        current: A, around which the sine swings; its sign chooses the branch of the open-circuit voltage.
        short: ohm parallel to the electrodes; inf for none.
        frequency: Hz.
    """
    rate = 2j * math.pi * frequency
    overpotential = circuit.piece(circuit.piece_number(abs(current)))[1]
    interface = (circuit.interface_resistance + overpotential) / (1.0 + rate * circuit.interface_time)
    slow = circuit.slow_resistance / (1.0 + rate * circuit.slow_time)
    ohmic = circuit.resistance - circuit.interface_resistance
    inner = ohmic + interface + slow + _elastance(circuit, state, current) / rate
    return rate * LEADS + (inner if math.isinf(short) else inner * short / (inner + short))


def _elastance(circuit: Circuit, state: float, current: float) -> float:
    """Return by how much the open-circuit voltage rises with the charge, V/C."""
    direction = (current > 0.0) - (current < 0.0)
    curve = circuit.branch(direction)
    return curve.slopes[curve.interval(state, direction or 1)] * circuit.gain(direction)
