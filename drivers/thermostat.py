"""What thermostats have in common: the temperatures that config.toml allows, and those that no probe measures."""

from typing import Self

from pydantic import model_validator

from labctl.errors import InstrumentRefused, OverRange, RefusedForSafety
from labctl.fields import Temperature
from labctl.instrument import Options, Range

SENSIBLE = Range(-100.0, 400.0)
"""No bath and no chamber is outside, °C: such a value is a broken or missing probe."""


class Bounds(Options):
    """The lowest and the highest temperature that may be set: what bath or chamber, hoses and cell allow."""

    minimum: Temperature
    maximum: Temperature

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not SENSIBLE.low <= self.minimum < self.maximum <= SENSIBLE.high:
            raise ValueError(f"minimum must be below maximum, both from {SENSIBLE.low:g} to {SENSIBLE.high:g}")
        return self


def refuse_outside(name: str, allowed: Range, celsius: float) -> None:
    """Refuse a set point that config.toml does not allow; raises RefusedForSafety."""
    if celsius not in allowed:
        raise RefusedForSafety(
            f"{name}: {celsius:g} °C is not within {allowed.low:g} °C to {allowed.high:g} °C.",
            "Change the step, or minimum and maximum of this thermostat in config.toml.",
        )


def sensible(name: str, celsius: float, what: str) -> float:
    """Return a measured temperature; raises OverRange for one that none can be, and for NaN."""
    if celsius not in SENSIBLE:
        raise OverRange(name, f"reports {celsius:g} °C {what}", "Check the probe and its plug.")
    return celsius


def refuse_setpoint(name: str, setpoint: float, wanted: float, tolerance: float, check: str) -> None:
    """Refuse a set point (°C) that was read back and is another one than was set; raises InstrumentRefused.

    Args:
        name: of the instrument.
        setpoint: as read back.
        wanted: as set.
        tolerance: K by which they may differ.
        check: what to look at first ("its own limits").
    """
    if not abs(setpoint - wanted) <= tolerance:
        raise InstrumentRefused(
            name,
            f"has the set point {setpoint:g} °C where {wanted:g} °C was set",
            f"Check {check}, that it shows °C, and that nobody else commands it.",
        )
