"""The pressure rig: a self-locking screw that presses the stack in its die against a passive spring.

    screw → train of dies and load cell → stack, held by wall friction → spring → frame
    (negative side)                                                      (positive side)

The stack is a rigid body that sticks to the wall as long as the difference of the two forces stays under the wall's
friction, and slips when it would exceed it. Forces are algebraic in screw angle, creep and thickness of the cell.
"""

import math
from collections.abc import Callable
from typing import Literal, Protocol

from pydantic import Field

from labctl.fields import Force, Length, Parameters, Stiffness, Stress, Torque
from labctl.sim.sensor import gaussian

Side = Literal["negative", "positive"]
Growth = Callable[[], tuple[float, float]]
"""Tells by how much the negative and the positive electrode are thicker (m) than when the cell was assembled."""

_K_REFERENCE_FORCE = 100.0
"""N at which torque_coefficient is stated; assumed."""
_K_EXPONENT = -0.05
"""K falls as torque rises; the amount is assumed."""


class RigParameters(Parameters):
    """A screw rig in SI units; defaults are a 10 mm die with 2.5 MPa on one side and 0.2 MPa on the other."""

    kind: Literal["screw"] = "screw"
    lead: Length = 1.25e-3
    """A turn of M8 coarse thread."""
    diameter: Length = 8e-3
    """Nominal; M8."""
    torque_coefficient: float = Field(0.2, gt=0)
    """K of torque = K · diameter · force, dry steel: 0.20 to 0.25."""
    torque_scatter: float = Field(0.125, ge=0)
    """Relative standard deviation of K from one tightening to the next: ±25 % is two of them."""
    free_torque: Torque = 0.01
    """To turn the unloaded screw; assumed."""
    train_stiffness: Stiffness = 1e6
    """Of everything between screw and stack; 1e7 N/m is a stiff frame, a 500 N load cell is softer."""
    spring_stiffness: Stiffness = 5e4
    """Behind the positive side: a soft compression spring; 1e9 N/m for a rig that is rigid there."""
    spring_preload: Force = 15.7
    """At assembly: 0.2 MPa on 10 mm (Doerrer 2021)."""
    spring_travel: Length = 2e-3
    """Until the spring's coils touch; assumed."""
    wall_friction: float = Field(0.3, ge=0)
    """Friction coefficient between stack and die, assumed; 0 for a rig in which force passes through."""
    residual_stress: Stress = 20e6
    """With which a stack once pressed at 500 MPa pushes on the wall: assumed; 13 MPa is the least that holds 2.5 MPa
    against 0.2 MPa."""
    bore: Length = 10e-3
    """Inner diameter of the die."""
    stack_height: Length = 1.5e-3
    """Of the stack that touches the wall; the separator of Doerrer 2021."""
    creep: tuple[tuple[float, float], ...] = ((0.04, 600.0), (0.06, 7200.0))
    """(share of the force, time in s) of each creep term; 5 to 20 % in the first hours, split assumed."""

    @property
    def wall_friction_force(self) -> float:
        """N that the wall can hold."""
        grip: float = self.wall_friction * self.residual_stress * math.pi * self.bore * self.stack_height
        return grip


class PressParameters(Parameters):
    """An external press that holds one force on both sides, whatever the cell does."""

    kind: Literal["press"]
    force: Force
    """760 MPa on 10 mm are 59.7 kN."""
    bore: Length = 10e-3


class Rig(Protocol):
    """What applies force to the cell."""

    area: float
    """m² of the bore, which turns force into pressure."""
    still: bool
    """Whether no force can change, whatever the cell does."""

    @property
    def angle(self) -> float:
        """Angle of the screw in rad; positive tightens, 0 where it first touches the fresh cell."""

    def turn_to(self, angle: float) -> None:
        """Set the angle of the screw now."""

    def force(self, side: Side) -> float:
        """Return the true compressive force on one side, N."""

    def torque(self, direction: int) -> float:
        """Return the torque needed at the screw to turn on, N·m: +1 tightens, -1 loosens."""

    def advance_to(self, time: float) -> None:
        """Bring it to a lab time."""

    def settle(self) -> None:
        """Take the present forces as those that drive creep and hold the stack, until the next time."""


class Press:
    """A hydraulic press: a force, no screw."""

    angle = 0.0
    still = True

    def __init__(self, parameters: PressParameters) -> None:
        self._force = parameters.force
        self.area = math.pi * parameters.bore**2 / 4

    def turn_to(self, angle: float) -> None:
        """Refuse: there is nothing to turn."""
        raise ValueError(f"this rig is a press without a screw: it cannot turn to {angle:g} rad")

    def force(self, side: Side) -> float:
        """Return its force."""
        return self._force

    def torque(self, direction: int) -> float:
        """Return 0: there is no screw."""
        return 0.0

    def advance_to(self, time: float) -> None:
        """Stay as it is."""

    def settle(self) -> None:
        """Stay as it is."""


class ScrewRig:
    """The screw, the train, the stack in its die and the spring.

    Args:
        parameters: dimensions, stiffnesses, friction.
        seed: of the bench; decides the torque coefficient of each tightening.
        growth: thickness of the cell now.

    Attributes:
        lead: m by which a turn moves the screw.
    """

    still = False

    def __init__(self, parameters: RigParameters, seed: int, growth: Growth) -> None:
        self._parameters = parameters
        self._seed = seed
        self._growth = growth
        self.area = math.pi * parameters.bore**2 / 4
        self.lead = parameters.lead
        self._friction = parameters.wall_friction_force
        self._travel = parameters.spring_travel
        self._time = 0.0
        self._settled = 0.0
        self._angle = 0.0
        self._lost = 0.0
        self._stack = 0.0
        self._creep = [0.0] * len(parameters.creep)
        self._creep_force = 0.0
        self._tightenings = 0
        self._coefficient = parameters.torque_coefficient
        self._unloaded = True

    @property
    def angle(self) -> float:
        """Angle of the screw in rad; positive tightens, 0 where it first touches the fresh cell."""
        return self._angle

    @property
    def tightenings(self) -> int:
        """How often the screw was tightened from the unloaded state; each has its own torque coefficient."""
        return self._tightenings

    def advance_to(self, time: float) -> None:
        """Bring it to a lab time; creep goes on under the force of the last settling."""
        self._time = time

    def settle(self) -> None:
        """Take the present forces as those that drive creep and hold the stack."""
        self._stack, negative, _ = self._balance()
        self._creep = [self._crept(k) for k in range(len(self._creep))]
        self._creep_force = negative
        self._settled = self._time

    def turn_to(self, angle: float) -> None:
        """Set the angle of the screw now; wall friction follows the path, so a turn may be taken in any pieces."""
        self._stack = self._balance()[0]
        if angle > self._angle and self._unloaded:
            self._unloaded = False
            self._tightenings += 1
            scatter = self._parameters.torque_scatter * gaussian(self._seed, "torque coefficient", self._tightenings)
            self._coefficient = self._parameters.torque_coefficient * (1.0 + min(max(scatter, -0.5), 0.5))
        loosened = angle < self._angle
        self._angle = angle
        self._stack, negative, _ = self._balance()
        if loosened and negative == 0.0:
            self._unloaded = True

    def force(self, side: Side) -> float:
        """Return the true compressive force on one side, N."""
        _, negative, positive = self._balance()
        return negative if side == "negative" else positive

    def torque(self, direction: int) -> float:
        """Return the torque needed at the screw to turn on, N·m; the held screw needs none, it locks itself."""
        p = self._parameters
        force = self.force("negative")
        lever: float = self._coefficient * (1.0 + force / _K_REFERENCE_FORCE) ** _K_EXPONENT * p.diameter
        if direction < 0:
            lever -= p.lead / math.pi
        return p.free_torque + max(lever, 0.0) * force

    def slip(self, distance: float) -> None:
        """Let the train settle by a distance (m) at once: a thread that slips, a pellet that cracks."""
        self._lost += distance
        self._stack = self._balance()[0]

    def release_friction(self) -> None:
        """Let the wall lose its grip for good: the force of one side passes to the other."""
        self._friction = 0.0
        self._stack = self._balance()[0]

    def bottom_spring(self) -> None:
        """Let the spring's coils touch where it is now: from here on it is as stiff as the train."""
        self._travel = self._stack + self._growth()[1]

    def _crept(self, term: int) -> float:
        share, time = self._parameters.creep[term]
        target = share * self._creep_force / self._parameters.train_stiffness
        return target + (self._creep[term] - target) * math.exp((self._settled - self._time) / time)

    def _balance(self) -> tuple[float, float, float]:
        """Return where the stack stands (m, towards the positive side) and the forces on both sides (N)."""
        p = self._parameters
        negative_growth, positive_growth = self._growth()
        crept = sum(self._crept(term) for term in range(len(self._creep)))
        advance = self._angle * p.lead / math.tau - self._lost - crept + negative_growth
        stack = self._stack
        negative = max(p.train_stiffness * (advance - stack), 0.0)
        positive = self._spring_force(stack + positive_growth)
        held = negative - positive
        if abs(held) > self._friction:
            stack = self._slipped(advance, positive_growth, math.copysign(self._friction, held))
            negative = max(p.train_stiffness * (advance - stack), 0.0)
            positive = self._spring_force(stack + positive_growth)
        return stack, negative, positive

    def _spring_force(self, compression: float) -> float:
        stiffness, preload = self._spring(compression)
        return max(preload + stiffness * compression, 0.0)

    def _spring(self, compression: float) -> tuple[float, float]:
        """Return stiffness (N/m) and force at zero compression (N) of the branch that a compression (m) is on."""
        p = self._parameters
        if compression <= self._travel:
            return p.spring_stiffness, p.spring_preload
        bottomed = max(p.train_stiffness, p.spring_stiffness)
        return bottomed, p.spring_preload + (p.spring_stiffness - bottomed) * self._travel

    def _slipped(self, advance: float, positive_growth: float, wall: float) -> float:
        """Return where a slipping stack stands (m), so that negative force - positive force = wall (N)."""
        stack = self._standing(self._parameters.train_stiffness, advance, positive_growth, wall)
        # The train pushes but does not pull: out of its reach only the spring moves the stack.
        return stack if stack <= advance else self._standing(0.0, advance, positive_growth, wall)

    def _standing(self, train: float, advance: float, positive_growth: float, wall: float) -> float:
        # The spring stiffens where it bottoms, so the stack stands at the smaller of both branches' answers.
        return min(
            (train * advance - preload - stiffness * positive_growth - wall) / (train + stiffness)
            for stiffness, preload in (self._spring(-math.inf), self._spring(math.inf))
        )
