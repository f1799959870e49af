"""Compute the reference curve of tests/sim/pybamm_thevenin.json with PyBaMM's Thevenin model.

PyBaMM is not installed with the project. Run by hand, in an environment of its own, from the root of the checkout:

    python3 -m venv /tmp/pybamm
    /tmp/pybamm/bin/pip install pybamm
    /tmp/pybamm/bin/python scripts/pybamm_reference.py

The cell has a piecewise-linear open-circuit voltage, R0 and one RC pair, and nothing else: what both programs have.
"""

import json
import math
from pathlib import Path

import numpy as np
import pybamm

TARGET = Path(__file__).parent.parent / "tests" / "sim" / "pybamm_thevenin.json"
CAPACITY = 11.0  # C
R0, R1, C1 = 120.0, 600.0, 4.0  # ohm, ohm, F: slow enough that the samples see it
CURRENT = 2e-4  # A
UPPER, LOWER, HOLD = 4.3, 2.8, 900.0  # V, V, s
START = 0.02
KNOTS = [round(2.6 + 1.75 * k / 400 + 0.12 * math.sin(9.0 * k / 400) + 0.6 * math.tanh(k / 25), 6) for k in range(401)]


def open_circuit_voltage(soc: pybamm.Symbol) -> pybamm.Symbol:
    """Return the same straight pieces between the same knots."""
    return pybamm.Interpolant(np.linspace(0.0, 1.0, len(KNOTS)), np.array(KNOTS), soc, interpolator="linear")


def solve() -> pybamm.Solution:
    """Charge at constant current, hold, and discharge."""
    parameters = pybamm.equivalent_circuit.Thevenin().default_parameter_values
    parameters.update(
        {
            "Initial SoC": START,
            "Cell capacity [A.h]": CAPACITY / 3600.0,
            "Nominal cell capacity [A.h]": CAPACITY / 3600.0,
            "Open-circuit voltage [V]": open_circuit_voltage,
            "R0 [Ohm]": R0,
            "R1 [Ohm]": R1,
            "C1 [F]": C1,
            "Entropic change [V/K]": 0.0,
            "Current function [A]": CURRENT,
            "Upper voltage cut-off [V]": 5.0,
            "Lower voltage cut-off [V]": 1.0,
        }
    )
    experiment = pybamm.Experiment(
        [
            (
                pybamm.step.current(-CURRENT, termination=f"{UPPER} V", period="1700 seconds", duration="40 hours"),
                pybamm.step.voltage(UPPER, duration=HOLD, period="45 seconds"),
                pybamm.step.current(CURRENT, termination=f"{LOWER} V", period="1700 seconds", duration="40 hours"),
            )
        ]
    )
    simulation = pybamm.Simulation(
        pybamm.equivalent_circuit.Thevenin(),
        parameter_values=parameters,
        experiment=experiment,
        solver=pybamm.IDAKLUSolver(atol=1e-12, rtol=1e-12),
    )
    return simulation.solve()


def main() -> None:
    """Write the points of the three steps: time since the step began (s), voltage (V), current (A, + charges)."""
    steps = []
    for step in solve().cycles[0].steps:
        times = step["Time [s]"].entries
        steps.append(
            [
                [float(t - times[0]), float(v), float(-i)]
                for t, v, i in zip(times, step["Voltage [V]"].entries, step["Current [A]"].entries, strict=True)
            ]
        )
    reference = {
        "made_by": f"scripts/pybamm_reference.py with PyBaMM {pybamm.__version__}",
        "capacity": CAPACITY,
        "resistance": R0,
        "slow_resistance": R1,
        "slow_time": R1 * C1,
        "current": CURRENT,
        "upper": UPPER,
        "lower": LOWER,
        "hold": HOLD,
        "start": START,
        "charge": steps[0],
        "constant_voltage": steps[1],
        "discharge": steps[2],
        "knots": KNOTS,
    }
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in reference.items())
    TARGET.write_text(f"{{\n{lines}\n}}\n")
    print(f"{TARGET}: {', '.join(f'{len(s)} points to {s[-1][0]:.3f} s' for s in steps)}")


if __name__ == "__main__":
    main()
