"""The temperatures around the cell: a thermostat bath with a bounded heater, and the cell as one thermal node in it.

Both nodes are first-order, so every stretch with the heater in one regime has a closed form. The heat of the cell
itself is neglected: 0.16 mA through 300 Ω is 8 µW, which lifts the cell by less than 1 mK at 0.01 W/K to the bath.
"""

import math
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from labctl.fields import Duration, Parameters, Power, Temperature

_NEAR = 1e-9
"""K within which the bath counts as standing where the heater changes its regime."""


class RoomParameters(Parameters):
    """Ambient, bath and thermostat, °C and SI. All assumed: no paper states them."""

    ambient: Temperature = 23.0
    heat_capacity: float = Field(10_000.0, gt=0)
    """J/K of the bath; a 2 L circulator has about this."""
    loss: float = Field(5.0, gt=0)
    """W/K from bath to ambient."""
    heating_power: Power = 1000.0
    cooling_power: Power = 300.0
    response_time: Duration = 60.0
    """Time constant of the regulated bath where the heater is not saturated."""
    cell_time: Duration = 300.0
    """Time constant of the cell behind steel dies."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A stretch of lab time during which the bath relaxes to one temperature with one time constant."""

    start: float
    end: float
    target: float
    time_constant: float
    bath: float
    cell: float
    cell_time: float

    def bath_at(self, time: float) -> float:
        return self.target + (self.bath - self.target) * math.exp((self.start - time) / self.time_constant)

    def cell_at(self, time: float) -> float:
        elapsed = time - self.start
        share = (self.bath - self.target) * self.time_constant / (self.time_constant - self.cell_time)
        own = self.cell - self.target - share
        return self.target + share * math.exp(-elapsed / self.time_constant) + own * math.exp(-elapsed / self.cell_time)


class Room:
    """Bath and cell temperature at one lab time.

    The regulator feeds the loss forward and adds a proportional part, so a reachable set point is held without error.
    """

    def __init__(self, parameters: RoomParameters) -> None:
        self._parameters = parameters
        self._loss_time = parameters.heat_capacity / parameters.loss
        if not parameters.response_time < self._loss_time:
            raise ValueError(
                f"room: response_time {parameters.response_time:g} s must be shorter than that of the unregulated "
                f"bath, heat_capacity / loss = {self._loss_time:g} s"
            )
        bath_times = (parameters.response_time, self._loss_time)
        if any(math.isclose(parameters.cell_time, time, rel_tol=1e-6) for time in bath_times):
            raise ValueError(
                f"room: cell_time {parameters.cell_time:g} s equals a time constant of the bath, for which the closed "
                "form has no value; change it by a second"
            )
        self._time = 0.0
        self._setpoint: float | None = None
        self._heater: Literal["works", "off", "on"] = "works"
        self._stretch = self._next_stretch(parameters.ambient, parameters.ambient)

    @property
    def setpoint(self) -> float | None:
        """Temperature asked of the bath, °C; None while it is not regulated."""
        return self._setpoint

    @property
    def bath(self) -> float:
        """True temperature of the bath, °C."""
        return self._stretch.bath_at(self._time)

    @property
    def cell(self) -> float:
        """True temperature of the cell, °C."""
        return self._stretch.cell_at(self._time)

    @property
    def still(self) -> bool:
        """Whether bath and cell are at ambient temperature and nobody asks for another."""
        ambient = self._parameters.ambient
        return self._setpoint is None and self._heater != "on" and self.bath == self.cell == ambient

    @property
    def heater_power(self) -> float:
        """Present heating (positive) or cooling power, W."""
        return self._power(self.bath)

    def regulate(self, setpoint: float | None) -> None:
        """Hold the bath at a temperature (°C), or stop heating and cooling (None)."""
        self._setpoint = setpoint
        self._restart()

    def fail_heater(self, *, stuck_on: bool = False) -> None:
        """Make the heater stop heating, while cooling still works; or make it heat all it can, whatever is asked."""
        self._heater = "on" if stuck_on else "off"
        self._restart()

    def mend_heater(self) -> None:
        """Let the heater obey again."""
        self._heater = "works"
        self._restart()

    def advance_to(self, time: float) -> None:
        """Bring both temperatures to a lab time."""
        while time >= self._stretch.end:
            self._time = self._stretch.end
            self._restart()
        self._time = time

    def _restart(self) -> None:
        self._stretch = self._next_stretch(self.bath, self.cell)

    def _limits(self) -> tuple[float, float]:
        heating = self._parameters.heating_power if self._heater == "works" else 0.0
        return -self._parameters.cooling_power, heating

    def _gain(self) -> float:
        # With this proportional gain, W/K, the regulated bath has the time constant response_time.
        return self._parameters.heat_capacity / self._parameters.response_time - self._parameters.loss

    def _holding_power(self, setpoint: float) -> float:
        return self._parameters.loss * (setpoint - self._parameters.ambient)

    def _power(self, bath: float) -> float:
        if self._heater == "on":
            return self._parameters.heating_power
        if self._setpoint is None:
            return 0.0
        low, high = self._limits()
        wanted = self._holding_power(self._setpoint) + self._gain() * (self._setpoint - bath)
        return min(max(wanted, low), high)

    def _next_stretch(self, bath: float, cell: float) -> _Stretch:
        p = self._parameters
        target, constant, end = p.ambient, self._loss_time, math.inf
        if self._heater == "on":
            target = p.ambient + p.heating_power / p.loss
        elif self._setpoint is not None:
            holding, gain = self._holding_power(self._setpoint), self._gain()
            low, high = self._limits()
            # Bath temperatures at which the regulator begins to heat, or to cool, less than all it can.
            full_heat, full_cool = self._setpoint + (holding - high) / gain, self._setpoint + (holding - low) / gain
            if bath < full_heat - _NEAR or (bath < full_heat + _NEAR and holding > high):
                target, edge = p.ambient + high / p.loss, full_heat
            elif bath > full_cool + _NEAR or (bath > full_cool - _NEAR and holding < low):
                target, edge = p.ambient + low / p.loss, full_cool
            else:
                target, constant = self._setpoint, p.response_time
                edge = full_heat if holding > high else full_cool
            if abs(bath - edge) > _NEAR and (bath - edge) * (edge - target) > 0.0:
                end = self._time + constant * math.log((bath - target) / (edge - target))
        return _Stretch(self._time, end, target, constant, bath, cell, p.cell_time)
