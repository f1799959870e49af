"""Open-circuit voltages of the positive electrodes against lithium, over the state 0 (full of lithium) … 1 (empty)."""

import math
from functools import cache

from labctl.sim.curve import Curve

KNOTS = 401
_THERMAL_VOLTAGE = 8.314462618 * 298.15 / 96485.33212

_LITHIATED_END, _LITHIATED_FIT = 0.94, 0.9084
"""Lithium content of the stretched curve and of Chen's fit at the discharged end, where the fit's range stops."""
_CHARGED_END, _CHARGED_FIT = 0.20, 0.2617
"""The same at 4.30 V."""
_FRESH_SLOPE = 4.0
"""V for all lithium, in the lithium that only a fresh electrode holds; assumed."""
_PLATEAU, _PLATEAU_WIDTH, _PLATEAU_HEIGHT = 0.254, 0.008, 0.004
"""H2-H3: lithium content at 4.2 V; width and V assumed."""

_Steps = tuple[tuple[float, float, float], ...]
"""Part of the lithium, V vs Li, width in RT/F."""
_NICKELATE_STEPS = ((0.300, 3.66, 2.5), (0.315, 3.97, 3.5), (0.180, 4.20, 0.8), (0.205, 4.75, 6.0))
"""LiNiO2. 4.2 V is Doerrer's H2-H3; all else is assumed (3.66 and 4.0 V from
memory)."""
_SPINEL_STEPS = ((0.10, 4.02, 2.0), (0.45, 4.62, 1.0), (0.45, 4.68, 1.0))
"""LiNi0.5Mn1.5O4. Lee's plateaus in discharge, 3.4 V and 4.0 V against Li-In, are 4.02 V and 4.62 V; the parts, the
widths and the upper half of the nickel's plateau are assumed."""


@cache
def nickel_rich_layered() -> tuple[float, ...]:
    """Return the voltage of NMC with 70 to 83 % nickel, V vs Li.

    The fit of Chen et al. 2020 (J. Electrochem. Soc. 167, 080534) to NMC811, the numbers as in PyBaMM's parameter set
    Chen2020, stretched so that 4.30 V lie at 20 % and the fit's end at 94 % lithium, with a sharper H2-H3 plateau at
    4.2 V (Doerrer 2021). A calibration, not evidence.
    """
    return tuple(_layered(1.0 - k / (KNOTS - 1)) for k in range(KNOTS))


@cache
def nickelate() -> tuple[float, ...]:
    """Return the voltage of LiNiO2, V vs Li: a sum of logistic steps in the lithium content, inverted."""
    return _stepped(_NICKELATE_STEPS)


@cache
def spinel() -> tuple[float, ...]:
    """Return the voltage of LiNi0.5Mn1.5O4, V vs Li: a sum of logistic steps in the lithium content, inverted."""
    return _stepped(_SPINEL_STEPS)


def cell_curves(electrode: tuple[float, ...], counter: float, hole: float, width: float) -> tuple[Curve, Curve]:
    """Return the cell's voltage in charge (and rest) and in discharge, against a counter electrode (V vs Li).

    Near state `hole` the electrode takes its last lithium up ever more slowly: in discharge the voltage is 1 V lower
    there, and e times as much for each `width` below; so what a fresh electrode gave below it does not come back.
    """
    charging = [value - counter for value in electrode]
    discharging = [value - _starvation(k / (KNOTS - 1), hole, width) for k, value in enumerate(charging)]
    return Curve(charging), Curve(discharging)


def _starvation(state: float, hole: float, width: float) -> float:
    depth = (hole - state) / width
    # Exactly zero above 1 mV, and straight below 20 V, where no instrument follows.
    return max(math.exp(min(depth, 3.0)) * (1.0 + max(depth - 3.0, 0.0)) - 1e-3, 0.0)


def _layered(lithium: float) -> float:
    if lithium > _LITHIATED_END:
        return _layered(_LITHIATED_END) - _FRESH_SLOPE * (lithium - _LITHIATED_END)
    x = _CHARGED_FIT + (lithium - _CHARGED_END) * (_LITHIATED_FIT - _CHARGED_FIT) / (_LITHIATED_END - _CHARGED_END)
    z = (lithium - _PLATEAU) / _PLATEAU_WIDTH
    return _chen(x) + _PLATEAU_HEIGHT * z * math.exp(-z * z / 2.0)


def _chen(x: float) -> float:
    return (
        -0.8090 * x
        + 4.4875
        - 0.0428 * math.tanh(18.5138 * (x - 0.5542))
        - 17.7326 * math.tanh(15.7890 * (x - 0.3117))
        + 17.5842 * math.tanh(15.9308 * (x - 0.3120))
    )


def _stepped(steps: _Steps) -> tuple[float, ...]:
    return tuple(_inverted(steps, min(max(1.0 - k / (KNOTS - 1), 1e-3), 1.0 - 1e-3)) for k in range(KNOTS))


def _inverted(steps: _Steps, lithium: float) -> float:
    low, high = 2.0, 8.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        held = sum(part / (1.0 + math.exp((middle - u) / (w * _THERMAL_VOLTAGE))) for part, u, w in steps)
        low, high = (middle, high) if held > lithium else (low, middle)
    return 0.5 * (low + high)
