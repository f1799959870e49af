"""The pressure rig: self-locking screws that press the stack in its die, or one of them against a passive spring.

    screw → train of dies and load cell → piston → stack, held by wall friction → piston → spring → frame, or screw
    (negative side)                                                                        (positive side)

The stack is a rigid body that sticks to the wall as long as the difference of the two forces stays under the wall's
friction, and slips when it would exceed it. Each piston sticks in its bore, too, so that a load cell behind it does not
feel what the cell feels. Forces are algebraic in screw angles, creep and thickness of the cell.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from pydantic import Field

from labctl.fields import Angle, Duration, Force, Length, Parameters, Stiffness, Stress, Torque
from labctl.sim.roots import root
from labctl.sim.sensor import gaussian

Side = Literal["negative", "positive"]
Growth = Callable[[], tuple[float, float]]
"""Tells by how much the negative and the positive electrode are thicker (m) than when the cell was assembled."""

_K_REFERENCE_FORCE = 100.0
"""N at which torque_coefficient is stated; assumed."""
_PISTON_STIFFNESS = 5e7
"""N/m with which a piston yields before it slips in its bore; assumed: 20 N turn over within 0.8 µm."""
_STILL = (0.0, 0.0)


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
    torque_exponent: float = Field(-0.05, gt=-0.5, le=0.0)
    """K falls as torque rises, with (1 + force / 100 N) to this power; the amount is assumed."""
    free_torque: Torque = 0.01
    """To turn the unloaded screw; assumed."""
    static_friction: float = Field(1.0, ge=1.0, le=2.0)
    """Torque that breaks the standing screw loose, of that which turns it on: 1.3 to 1.5 on steel; 1 never sticks."""
    winding: float = Field(0.02, ge=0.0)
    """rad of the motor's shaft for each N·m, which a screw that breaks loose jumps by; assumed: at a static friction of
    1.4 and 1e7 N/m by 2.5 % of 2.5 MPa."""
    backlash: Angle | None = None
    """Of gear and coupling, at the screw, beside the play of the drive's own gear; None: none."""
    train_stiffness: Stiffness = 1e6
    """Of everything between screw and stack; 1e7 N/m is a stiff frame, a 500 N load cell is softer."""
    disc_springs: Stiffness | None = None
    """Of springs in series with the train; 5e5 N/m make of breathing 3 % of 2.5 MPa; None: there are none."""
    piston_friction: Force = 0.0
    """N between the force that a load cell feels and that on the cell, on either side: 5 to 20 N, estimated."""
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

    @property
    def stiffness(self) -> float:
        """N/m of train and disc springs in series."""
        springs: float | None = self.disc_springs
        train: float = self.train_stiffness
        return train if springs is None else train * springs / (train + springs)


class PressParameters(Parameters):
    """An external press that holds one force on both sides, whatever the cell does."""

    kind: Literal["press"]
    force: Force
    """760 MPa on 10 mm are 59.7 kN."""
    then: tuple[tuple[Duration, Force], ...] = ()
    """(lab time, force): from when on somebody lets it press with another force; taken up within 10 s."""
    bore: Length = 10e-3


class Drivetrain(NamedTuple):
    """What lies between a motor and the screw that it turns.

    Attributes:
        static_friction: torque that breaks the standing screw loose, of that which turns it on.
        winding: rad of the motor's shaft for each N·m.
        backlash: rad of the screw.
    """

    static_friction: float = 1.0
    winding: float = 0.0
    backlash: float = 0.0


class Rig(Protocol):
    """What applies force to the cell."""

    area: float
    """m² of the bore, which turns force into pressure."""
    still: bool
    """Whether no force can change, whatever the cell does."""
    drivetrain: Drivetrain

    @property
    def angle(self) -> float:
        """Angle of the negative side's screw in rad; positive tightens, 0 where it first touches the fresh cell."""

    def angle_of(self, side: Side) -> float:
        """Return the angle of the screw of a side in rad."""

    def turn_to(self, angle: float, side: Side = "negative") -> None:
        """Set the angle of a screw now."""

    def force(self, side: Side) -> float:
        """Return the true compressive force on one side of the cell, N."""

    def indicated(self, side: Side) -> float:
        """Return the force that a load cell of a side feels, N."""

    def torque(self, direction: int, side: Side = "negative") -> float:
        """Return the torque needed at a screw to turn on, N·m: +1 tightens, -1 loosens."""

    def advance_to(self, time: float) -> None:
        """Bring it to a lab time."""

    def settle(self) -> None:
        """Take the present forces as those that drive creep and hold the stack, until the next time."""


class Press:
    """A hydraulic press: a force, no screw."""

    angle = 0.0
    drivetrain = Drivetrain()

    def __init__(self, parameters: PressParameters) -> None:
        self.still = not parameters.then
        self._force = parameters.force
        self._then = sorted(parameters.then)
        self.area = math.pi * parameters.bore**2 / 4

    def angle_of(self, side: Side) -> float:
        """Return 0: there is nothing to turn."""
        return self.angle

    def turn_to(self, angle: float, side: Side = "negative") -> None:
        """Refuse: there is nothing to turn."""
        raise ValueError(f"this rig is a press without a screw: it cannot turn to {angle:g} rad")

    def force(self, side: Side) -> float:
        """Return its force."""
        return self._force

    def indicated(self, side: Side) -> float:
        """Return its force."""
        return self._force

    def torque(self, direction: int, side: Side = "negative") -> float:
        """Return 0: there is no screw."""
        return 0.0

    def press_with(self, force: float) -> None:
        """Press with a force (N) from now on: a person, or a gas, works it."""
        self.still, self._force = False, force

    def advance_to(self, time: float) -> None:
        """Press as it does at that lab time."""
        while self._then and self._then[0][0] <= time:
            self._force = self._then.pop(0)[1]

    def settle(self) -> None:
        """Stay as it is."""


class _Screw:
    """One screw: where it stands, and how it was tightened."""

    def __init__(self, parameters: RigParameters, seed: int, name: str) -> None:
        self._parameters = parameters
        self._seed = seed
        self._name = name
        self.angle = 0.0
        self.tightenings = 0
        self._coefficient = parameters.torque_coefficient
        self._unloaded = True

    @property
    def advance(self) -> float:
        """How far it has moved, m."""
        return self.angle * self._parameters.lead / math.tau

    def turn_to(self, angle: float) -> None:
        """Turn; the first turn that tightens the unloaded screw draws another torque coefficient."""
        if angle > self.angle and self._unloaded:
            self._unloaded = False
            self.tightenings += 1
            scatter = self._parameters.torque_scatter * gaussian(self._seed, self._name, self.tightenings)
            self._coefficient = self._parameters.torque_coefficient * (1.0 + min(max(scatter, -0.5), 0.5))
        self.angle = angle

    def let_go(self) -> None:
        """Know that it carries no force any more."""
        self._unloaded = True

    def torque(self, direction: int, force: float) -> float:
        """Return N·m to turn on under a force; the held screw needs none, it locks itself."""
        p = self._parameters
        lever: float = self._coefficient * (1.0 + force / _K_REFERENCE_FORCE) ** p.torque_exponent * p.diameter
        if direction < 0:
            lever -= p.lead / math.pi
        return p.free_torque + max(lever, 0.0) * force


class _Balance(NamedTuple):
    """Where the stack stands (m, towards the positive side), and what (N) each side's train and piston bear."""

    stack: float
    negative: float
    positive: float
    pistons: tuple[float, float]

    @property
    def held(self) -> float:
        """N between both sides, which the wall holds."""
        return self.negative + self.pistons[0] - self.positive - self.pistons[1]


class ScrewRig:
    """The screws, the train, the pistons, the stack in its die and the spring.

    The positive side's screw stands still behind its spring where nothing drives it.

    Args:
        parameters: dimensions, stiffnesses, friction.
        seed: of the bench; decides the torque coefficient of each tightening.
        growth: thickness of the cell now.

    Attributes:
        lead: m by which a turn moves a screw.
    """

    still = False

    def __init__(self, parameters: RigParameters, seed: int, growth: Growth) -> None:
        self._parameters = parameters
        self._growth = growth
        self._stiffness = parameters.stiffness
        self.area = math.pi * parameters.bore**2 / 4
        self.lead = parameters.lead
        self.drivetrain = Drivetrain(parameters.static_friction, parameters.winding, parameters.backlash or 0.0)
        self._friction = parameters.wall_friction_force
        self._travel = parameters.spring_travel
        self._screw = _Screw(parameters, seed, "torque coefficient")
        self._far_screw = _Screw(parameters, seed, "torque coefficient, positive")
        self._time = 0.0
        self._settled = 0.0
        self._lost = 0.0
        self._stack = 0.0
        self._pistons = _STILL
        """N that friction adds, on each side, to what the train presses with."""
        self._driven = self._pushed = _STILL
        """m by which screws have driven, and cell and stack pushed back, each side's piston, when it was last seen."""
        self._creep = [0.0] * len(parameters.creep)
        self._creep_force = 0.0
        self._keep(self._balance())

    def _screw_of(self, side: Side) -> _Screw:
        return self._screw if side == "negative" else self._far_screw

    @property
    def angle(self) -> float:
        """Angle of the negative side's screw in rad; positive tightens, 0 where it first touches the fresh cell."""
        return self._screw.angle

    def angle_of(self, side: Side) -> float:
        """Return the angle of the screw of a side in rad; 0 where the spring has its preload."""
        return self._screw_of(side).angle

    @property
    def tightenings(self) -> int:
        """How often the negative side's screw was tightened unloaded; each has its own torque coefficient."""
        return self._screw.tightenings

    def advance_to(self, time: float) -> None:
        """Bring it to a lab time; creep goes on under the force of the last settling."""
        self._time = time

    def settle(self) -> None:
        """Take the present forces as those that drive creep and hold the stack."""
        balance = self._balance()
        self._keep(balance)
        self._creep = [self._crept(k) for k in range(len(self._creep))]
        self._creep_force = balance.negative
        self._settled = self._time

    def turn_to(self, angle: float, side: Side = "negative") -> None:
        """Set the angle of a screw now; wall friction follows the path, so a turn may be taken in any pieces."""
        self._keep(self._balance())
        screw = self._screw_of(side)
        loosened = angle < screw.angle
        screw.turn_to(angle)
        balance = self._balance()
        self._keep(balance)
        if loosened and (balance.negative if side == "negative" else balance.positive) == 0.0:
            screw.let_go()

    def force(self, side: Side) -> float:
        """Return the true compressive force on one side of the cell, N."""
        balance = self._balance()
        return balance.negative + balance.pistons[0] if side == "negative" else balance.positive + balance.pistons[1]

    def indicated(self, side: Side) -> float:
        """Return the force that a load cell between train, or spring, and piston feels, N."""
        balance = self._balance()
        return balance.negative if side == "negative" else balance.positive

    def torque(self, direction: int, side: Side = "negative") -> float:
        """Return the torque needed at a screw to turn on, N·m; the held screw needs none, it locks itself."""
        return self._screw_of(side).torque(direction, self.indicated(side))

    def slip(self, distance: float) -> None:
        """Let the train settle by a distance (m) at once: a thread that slips, a pellet that cracks."""
        self._lost += distance
        self._keep(self._balance())

    def release_friction(self) -> None:
        """Let the wall lose its grip for good: the force of one side passes to the other."""
        self._friction = 0.0
        self._keep(self._balance())

    def bottom_spring(self) -> None:
        """Let the spring's coils touch where it is now: from here on it is as stiff as the train."""
        self._travel = self._stack + self._growth()[1] + self._far_screw.advance

    def _crept(self, term: int) -> float:
        share, time = self._parameters.creep[term]
        target = share * self._creep_force / self._stiffness
        return target + (self._creep[term] - target) * math.exp((self._settled - self._time) / time)

    def _keep(self, balance: _Balance) -> None:
        """Take a balance as the one from which stack and pistons are followed on."""
        self._stack, self._pistons = balance.stack, balance.pistons
        if self._parameters.piston_friction:
            self._driven, self._pushed = self._drives(), self._pushes(balance.stack)

    def _drives(self) -> tuple[float, float]:
        return self._screw.advance - self._lost, self._far_screw.advance

    def _pushes(self, stack: float) -> tuple[float, float]:
        negative_growth, positive_growth = self._growth()
        crept = sum(self._crept(term) for term in range(len(self._creep)))
        return negative_growth - crept - stack, positive_growth + stack

    def _balance(self) -> _Balance:
        """Return where the stack stands and what bears on both sides now."""
        driven, at_rest = self._drives(), self._pushes(0.0)
        here = self._with_stack(self._stack, driven, at_rest)
        held = here.held
        if abs(held) <= self._friction:
            return here
        wall = math.copysign(self._friction, held)
        unmoved = wall - here.pistons[0] + here.pistons[1]
        there = self._with_stack(
            self._slipped(driven[0] + at_rest[0], driven[1] + at_rest[1], unmoved), driven, at_rest
        )
        if (here.held - wall) * (there.held - wall) >= 0.0:
            return there
        # The pistons stop it before it has slipped as far as it would if they stayed as they are.
        way = sorted((here.stack, there.stack))
        found = root(lambda stack: self._with_stack(stack, driven, at_rest).held - wall, *way)
        return self._with_stack(found, driven, at_rest)

    def _with_stack(self, stack: float, driven: tuple[float, float], at_rest: tuple[float, float]) -> _Balance:
        """Return what bears on both sides where the stack stands at `stack` (m)."""
        negative = max(self._stiffness * (driven[0] + at_rest[0] - stack), 0.0)
        positive = self._spring_force(driven[1] + at_rest[1] + stack)
        pistons = _STILL
        if self._parameters.piston_friction:
            pistons = self._stuck(driven, (at_rest[0] - stack, at_rest[1] + stack), negative, positive)
        return _Balance(stack, negative, positive, pistons)

    def _stuck(
        self, driven: tuple[float, float], pushed: tuple[float, float], negative: float, positive: float
    ) -> tuple[float, float]:
        """Return what friction adds to each side's force: less where a screw drives a piston, more where the cell does.

        A piston whose train bears nothing is not held either.
        """
        stiffness = (self._stiffness, self._parameters.spring_stiffness)
        forces: list[float] = []
        for side, train in enumerate((negative, positive)):
            most = min(self._parameters.piston_friction, train)
            force = self._pistons[side] - stiffness[side] * (driven[side] - self._driven[side])
            force += _PISTON_STIFFNESS * (pushed[side] - self._pushed[side])
            forces.append(min(max(force, -most), most))
        return forces[0], forces[1]

    def _spring_force(self, compression: float) -> float:
        stiffness, preload = self._spring(compression)
        return max(preload + stiffness * compression, 0.0)

    def _spring(self, compression: float) -> tuple[float, float]:
        """Return stiffness (N/m) and force at zero compression (N) of the branch that a compression (m) is on."""
        p = self._parameters
        if compression <= self._travel:
            return p.spring_stiffness, p.spring_preload
        bottomed = max(self._stiffness, p.spring_stiffness)
        return bottomed, p.spring_preload + (p.spring_stiffness - bottomed) * self._travel

    def _slipped(self, advance: float, offset: float, wall: float) -> float:
        """Return where a slipping stack stands (m), so that negative force - positive force = wall (N)."""
        stack = self._standing(self._stiffness, advance, offset, wall)
        # The train pushes but does not pull: out of its reach only the spring moves the stack.
        return stack if stack <= advance else self._standing(0.0, advance, offset, wall)

    def _standing(self, train: float, advance: float, offset: float, wall: float) -> float:
        # The spring stiffens where it bottoms, so the stack stands at the smaller of both branches' answers.
        return min(
            (train * advance - preload - stiffness * offset - wall) / (train + stiffness)
            for stiffness, preload in (self._spring(-math.inf), self._spring(math.inf))
        )
