"""Ticks at 1-2-5 steps with their labels and unit: time in s, min, h or d, SI units with a prefix, no float noise."""

import math
from dataclasses import dataclass

_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
_PREFIXED = frozenset({"V", "A", "W", "Ah", "Wh", "Pa", "N", "N m", "Ω", "Hz", "F", "C", "m", "g"})
"""Units that take a prefix; any other is printed as it is."""
_TIMES = {"d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0}
_TIME_STEPS = {"s": (1, 2, 5, 10, 15, 30, 60), "min": (1, 2, 5, 10, 15, 30, 60), "h": (1, 2, 3, 6, 12, 24, 48)}
_PLAIN = (0.1, 1000.0)
"""A largest value from here to there needs no prefix: 0.2 V is not 200 mV."""
_READABLE = (1e-3, 1e5)
"""The same for a unit that takes no prefix."""
_FEWEST_UNITS = 2.0
"""A time axis counts in the largest unit of which it shows as many."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows: its name and the unit of the data; "s" makes it a time axis."""

    label: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Ticks:
    """The ticks of an axis.

    Attributes:
        places: in the unit of the data, ascending.
        labels: one for each place.
        unit: that the labels are in.
        factor: of that unit, in the unit of the data.
        decimals: of the labels.
    """

    places: tuple[float, ...]
    labels: tuple[str, ...]
    unit: str
    factor: float
    decimals: int

    def say(self, value: float) -> str:
        """Return a value in the unit of the labels, a hundred times finer than the last digit of them."""
        return f"{value / self.factor:.{self.decimals + 2}f}"


def ticks(axis: Axis, low: float, high: float, most: int) -> Ticks:
    """Return at most so many ticks (at least one is asked for) between two finite values, low < high."""
    unit, factor = _unit(axis.unit, low, high)
    bottom, top = low / factor, high / factor
    mantissa, exponent = _step((top - bottom) / most, _TIME_STEPS.get(unit, ()) if axis.unit == "s" else ())
    step = mantissa * 10.0**exponent
    slack = 1e-9  # a tick that falls on an edge is there whatever its last bit says
    counts = range(math.ceil(bottom / step - slack), math.floor(top / step + slack) + 1)
    decimals = max(0, -exponent)
    counts = counts[:most]
    return Ticks(
        places=tuple(_times(count * mantissa, exponent) * factor for count in counts),
        labels=tuple(f"{_times(count * mantissa, exponent):.{decimals}f}" for count in counts),
        unit=unit,
        factor=factor,
        decimals=decimals,
    )


def _times(integer: int, exponent: int) -> float:
    """Return integer x 10^exponent, correctly rounded: dividing by a power of ten makes no noise, 0.1 would."""
    return integer * 10.0**exponent if exponent >= 0 else integer / 10.0**-exponent


def _step(least: float, steps: tuple[int, ...]) -> tuple[int, int]:
    """Return the smallest good step that is not smaller, as mantissa and exponent of ten."""
    if steps and steps[0] < least <= steps[-1]:
        return next(step for step in steps if step >= least), 0
    exponent = math.floor(math.log10(least))
    for mantissa in (1, 2, 5):
        if _times(mantissa, exponent) >= least:
            return mantissa, exponent
    return 1, exponent + 1


def _unit(unit: str, low: float, high: float) -> tuple[str, float]:
    """Return the unit to print and how much of the data's unit it is."""
    if unit == "s":
        name = next((name for name, size in _TIMES.items() if high - low >= _FEWEST_UNITS * size), "s")
        return (name, _TIMES[name]) if max(abs(low), abs(high)) < _READABLE[1] * _TIMES[name] else ("s", 1.0)
    largest = max(abs(low), abs(high))
    plain = _PLAIN if unit in _PREFIXED else _READABLE
    if plain[0] <= largest < plain[1]:
        return unit, 1.0
    exponent = 3 * math.floor((math.log10(largest) + 1.0) / 3)  # the largest that leaves 0.1 or more
    if unit in _PREFIXED and exponent in _PREFIXES:
        return _PREFIXES[exponent] + unit, 10.0**exponent
    return f"1e{exponent} {unit}".rstrip(), 10.0**exponent
