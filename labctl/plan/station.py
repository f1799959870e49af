"""What a plan is bound to: the cell, and what a station can do."""

import math
from dataclasses import dataclass
from typing import Literal

from labctl.plan.bounds import Bound, Disagreement, Margins, Rates
from labctl.plan.sides import Side


@dataclass(frozen=True, slots=True)
class BoundCell:
    """The cell as this run sees it, SI; None where neither protocol nor cell file says.

    Attributes:
        bore_area: m², turns pressure into force.
        positive_area: m², turns current density into current.
        active_mass: kg of positive active material.
        one_c: A at 1C.
        theoretical: C, the charge one full pass can move at most.
        negative_potential: V vs Li, of the counter electrode.
        soc: state of charge when the run begins, as a ratio.
        stack_thickness: m, of what is between the electrodes of a blocking cell; `positive_area` is then that of it.
    """

    name: str
    kind: str
    bore_area: float | None = None
    positive_area: float | None = None
    active_mass: float | None = None
    one_c: float | None = None
    theoretical: float | None = None
    negative_potential: float | None = None
    soc: float | None = None
    stack_thickness: float | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """The mechanics between screw and stack; None: nobody has said.

    Attributes:
        stiffness: N/m, of all between screw and stack.
        lead: m, of one turn of the screw.
        screw: m, its nominal diameter.
    """

    stiffness: float | None = None
    lead: float | None = None
    screw: float | None = None


TEXTBOOK_COEFFICIENT = 0.2
"""K of torque = K · diameter · force, of a dry steel screw; ±25 % from one tightening to the next."""


def textbook_torque(force: float, screw: float) -> float:
    """Return the torque, N·m, that a force (N) takes at a screw (m, nominal diameter) that nobody has calibrated."""
    return TEXTBOOK_COEFFICIENT * screw * force


@dataclass(frozen=True, slots=True)
class ByHand:
    """A side that a person presses with a tool.

    Attributes:
        shows: what the scale of the tool is worth: N·m, or N.
        lowest, highest: between which the scale is true.
        screw: m, nominal diameter; None: a press.
        self_locking: whether the force stays by itself.
    """

    side: Side
    shows: Literal["torque", "force"]
    lowest: float
    highest: float
    screw: float | None
    self_locking: bool

    def scale(self, force: float) -> float:
        """Return what the scale shows at a force (N), by the textbook where it shows torque."""
        return force if self.screw is None else textbook_torque(force, self.screw)


@dataclass(frozen=True, slots=True)
class Spring:
    """A passive spring behind a side: N/m, N at assembly, and m until its coils touch."""

    side: Side
    stiffness: float
    preload: float
    travel: float

    @property
    def most(self) -> float:
        """N at which it bottoms out."""
        return self.preload + self.stiffness * self.travel


@dataclass(frozen=True, slots=True)
class StationAbilities:
    """What a station can do, as far as a plan must know; None or empty: it has no such instrument.

    Attributes:
        voltage, current, torque, temperature: (low, high) in SI; current and torque as magnitudes.
        actuated: sides whose screw a rig turns.
        by_hand: sides that a person presses with a tool.
        gas: sides that a gas presses, with the largest force in N.
        springs: that press a side by themselves; its pressure is verified, not driven.
        measured: sides whose force it measures, with the load cell's capacity in N.
        limits: the station's own, never widened by a file.
        external_probe: whether the thermostat measures the cell's own temperature.
        without_takeover: instruments that a guard cannot make safe when the process that has them dies.
        software_only: those of them that have no limits and no watchdog of their own either.
        letting_go: driven sides whose mechanism holds no force by itself, for it is neither self-locking nor braked.
        accuracy: by how many N the force of a side may be wrong, where the load cell's driver says.
        continuous_torque: N·m that the rig holds for ever; `torque` is for a moment.
        angle_resolution: rad, the smallest turn of the screw.
        voltage_resolution, current_resolution: V and A, the smallest difference that the cycler tells.
        frequencies: (low, high) in Hz of the impedance that its cycler measures.
        uncalibrated: driven sides of a real station without a torque calibration that stands, with the reason.
    """

    name: str
    voltage: tuple[float, float] | None = None
    current: float | None = None
    torque: float | None = None
    temperature: tuple[float, float] | None = None
    actuated: tuple[Side, ...] = ()
    by_hand: tuple[ByHand, ...] = ()
    gas: tuple[tuple[Side, float], ...] = ()
    springs: tuple[Spring, ...] = ()
    measured: tuple[tuple[Side, float], ...] = ()
    external_probe: bool = False
    without_takeover: tuple[str, ...] = ()
    software_only: tuple[str, ...] = ()
    letting_go: tuple[Side, ...] = ()
    poll_period: float = 1.0
    voltage_limit: Bound = Bound()
    current_limit: float | None = None
    temperature_limit: Bound = Bound()
    pressure_negative_limit: Bound = Bound()
    pressure_positive_limit: Bound = Bound()
    rates: Rates = Rates()
    margins: Margins = Margins()
    disagreement: Disagreement = Disagreement()
    debounce: float = 0.0
    accuracy: tuple[tuple[Side, float], ...] = ()
    continuous_torque: float | None = None
    angle_resolution: float | None = None
    voltage_resolution: float | None = None
    current_resolution: float | None = None
    frequencies: tuple[float, float] | None = None
    frame: Frame = Frame()
    uncalibrated: tuple[tuple[Side, str], ...] = ()

    def tool(self, side: Side) -> ByHand | None:
        """Return the tool with which a person presses a side, or None."""
        return next((tool for tool in self.by_hand if tool.side == side), None)

    @property
    def ramped(self) -> tuple[Side, ...]:
        """Sides whose pressure this program moves, along a ramp."""
        return (*self.actuated, *(side for side, _ in self.gas))

    @property
    def screws(self) -> tuple[Side, ...]:
        """Sides whose screw is turned by this program, or by a person with a wrench."""
        return (*self.actuated, *(tool.side for tool in self.by_hand if tool.shows == "torque"))

    def turns(self, side: Side) -> bool:
        """Whether the screw of a side can be turned, as at a station without any bound of torque, that can do all."""
        return side in self.screws or self.torque == math.inf

    @property
    def driven(self) -> tuple[Side, ...]:
        """Sides whose pressure changes when a plan asks for it: by this program or by hand."""
        return (*self.ramped, *(tool.side for tool in self.by_hand))
