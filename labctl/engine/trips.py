"""What the guard concludes: an excess at one measurement, a warning that pauses, a trip that latches."""

from dataclasses import dataclass
from typing import NamedTuple


class Excess(NamedTuple):
    """What one measurement shows to be wrong; the guard acts when it lasts.

    Attributes:
        quantity: "voltage", "pressure.negative", "short", ...
        warns: whether it pauses a run rather than ending it.
        heat: whether heaters must go off.
        lasting: s for which it must be seen before the guard acts.
        certain: whether several measurements have shown it already, so that no second one is waited for.
    """

    quantity: str
    sentence: str
    warns: bool = False
    heat: bool = False
    lasting: float = 0.0
    certain: bool = False


@dataclass(frozen=True, slots=True)
class Trip:
    """Why the guard acted.

    Attributes:
        quantity: "voltage", "pressure.negative", the name of a silent gauge, ...
        silent: whether an instrument fell silent rather than a limit being passed.
        heat: whether heaters must go off.
        driven: whether a current was driven just before; None where nobody knows.
    """

    quantity: str
    sentence: str
    silent: bool = False
    heat: bool = False
    driven: bool | None = None


@dataclass(frozen=True, slots=True)
class Warned:
    """Why a run pauses until a person goes on with it; attributes as those of a trip."""

    quantity: str
    sentence: str
    driven: bool | None = None


def passed(quantity: str, value: float, side: str, limit: float, unit: str, scale: float) -> str:
    """Say that a value is "above", "below" or "beyond" a limit; `scale` is the unit in SI."""
    return f"{quantity} is {value / scale:.5g} {unit}, {side} the limit of {limit / scale:.5g} {unit}."
