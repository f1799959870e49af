"""Trinamic TMCM servo module on a screw as pressure rig: current and speed are limited in the module.

It runs in position mode between `engage` and `freeze` only. It has no watchdog: a host that dies leaves it on its way
to the last angle, within the current and the speed of `engage`. A velocity is never commanded, but for the stop.
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from drivers.screw import FASTEST, Mounting, Whereabouts, frozen, refuse_speed, refuse_torque
from drivers.trinamic_tmcl.axis import Axis
from drivers.trinamic_tmcl.frame import Frames
from drivers.trinamic_tmcl.models import APPLICATION_STATUS, AUTO_START, ERROR_FLAGS, MODELS, Parameter
from labctl.clock import LabClock, Lock
from labctl.errors import InstrumentError, InstrumentRefused, RefusedForSafety, WrongInstrument
from labctl.instrument import Features, Identity, Link, Range, RigReading, Role, SerialWire

SLACK = 1 / 16
"""Turns of the motor that play and a coasting stop may add to where the screw is expected."""
BRAKE_CLOSES = 0.2
"""Seconds that a brake may take to hold, during which the motor still does; assumed, most take half of it."""
MOST_COUNTS = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Engagement:
    """The limits that `engage` has set: mA and rpm of the motor."""

    current: int
    velocity: int


class TrinamicTMCL:
    """Trinamic TMCM BLDC servo module (TMCL) that turns the screw of one rig."""

    class Options(Mounting):
        """Which module it is, and how its motor is mounted.

        Attributes:
            model: on its label; the numbers of its parameters depend on it.
            address: of the module on its line.
        """

        model: Literal["TMCM-1617", "TMCM-1636", "TMCM-1637", "TMCM-1633", "TMCM-1640", "TMCM-1670", "TMCM-1690"]
        address: int = Field(default=1, ge=1, le=255)

        @model_validator(mode="after")
        def _a_brake_is_known(self) -> Self:
            if self.holds == "brake" and not MODELS[self.model].has_brake:
                raise ValueError(
                    f"labctl does not know which value of {self.model}'s brake output engages the brake: "
                    "use a self-locking screw, or a TMCM-1690"
                )
            return self

    ROLE: ClassVar[Role] = Role.PRESSURE_RIG
    WIRE: ClassVar[SerialWire] = SerialWire(Frames(), baudrate=9600, timeout=0.5)
    FEATURES: ClassVar[Features] = Features(watchdog=False, self_locking=True)
    SIMULATOR: ClassVar[str] = "drivers.trinamic_tmcl.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {
        "model": "TMCM-1636",
        "direction": "positive",
        "reduction": 5.0,
        "counts_per_turn": 65536,
        "torque_constant": "0.05 N m/A",
        "torque_limit": "1 N m",
        "continuous_torque": "0.5 N m",
        "travel": "30 rad",
        "holds": "self-locking screw",
    }

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        self.poll_period = 0.5  # without a watchdog, also how far ahead the engine sends the screw
        self._link = link
        self._options = options
        self._model = MODELS[options.model]
        self._brakes = options.holds == "brake"
        self._lock = Lock(clock)
        self._axis = Axis(link, options.address, self._model)
        self._counts_per_radian = options.turns * options.counts_per_turn / math.tau
        self._torque_per_count = options.torque_per_ampere / 1000
        self._speed_per_count = math.tau / 60 / options.reduction
        self.angle_resolution = 1 / abs(self._counts_per_radian)
        self.torque_range = Range(self._torque_per_count, options.torque_limit)
        self.continuous_torque = options.continuous_torque
        self._whereabouts = Whereabouts(
            link.name, self._counts_per_radian, options.travel, SLACK * options.counts_per_turn
        )
        self._identity: Identity | None = None
        self._engaged: Engagement | None = None

    # -- life ------------------------------------------------------------------------------------------------------

    async def connect(self) -> Identity:
        """Identify the module, take its torque away, and refuse settings that make motion unsafe.

        Raises:
            WrongInstrument: another model, or a setting that contradicts the options.
            InstrumentRefused: an error flag, named; or it does not take a command.
        """
        async with self._lock:
            self._link.verify = None
            self._identity = await self._identify()
            await self._release()
            await self._prepare()
            await self._refuse_weak_motor()
            self._whereabouts.begin(await self._axis.get(Parameter.ACTUAL_POSITION))
            self._link.verify = self._verify
            return self._identity

    async def safe_state(self) -> None:
        """Freeze."""
        await self.freeze()

    async def _verify(self) -> None:
        """After a reopening: the same module, frozen. No more, so that one with an error can still be made safe."""
        identity = await self._identify()
        if identity != self._identity:
            raise WrongInstrument(self._link.name, f"{identity} answers where {self._identity} did", "Restart the run.")
        await self._release()

    async def _identify(self) -> Identity:
        number, firmware = await self._axis.version()
        if number != self._model.number:
            raise WrongInstrument(
                self._link.name,
                f"is a module of type {number}, not a {self._options.model}",
                "Correct `model` or `address` in config.toml: the parameters of another model have other numbers.",
            )
        version = f"{firmware >> 8}.{firmware & 0xFF:02d}"
        return Identity("Trinamic", self._options.model, f"address {self._options.address}", version)

    async def _prepare(self) -> None:
        """Without torque: refuse errors, and settings that make motion unsafe."""
        await self._refuse_error()
        axis, options = self._axis, self._options
        mode = await axis.get(Parameter.COMMUTATION_MODE)
        if mode not in self._model.closed_loop:
            known = " or ".join(map(str, sorted(self._model.closed_loop)))
            self._unfit(f"has Commutation Mode {mode}, not {known}: no encoder closes its loop", "Set it up")
        if Parameter.COUNTS_PER_TURN in self._model.parameters:
            counts = await axis.get(Parameter.COUNTS_PER_TURN)
            if counts != options.counts_per_turn:
                self._unfit(f"counts {counts} a turn, not counts_per_turn = {options.counts_per_turn}", "Correct one")
        if Parameter.VELOCITY_UNIT in self._model.parameters and await axis.get(Parameter.VELOCITY_UNIT):
            self._unfit("does not tell velocities in rpm (Velocity Unit Selection is not 0)", "Set it to 0")
        if await axis.get(Parameter.MAX_ACCELERATION) <= 0:
            self._unfit("has Max Acceleration 0: its ramp does not move", "Set it")
        if await axis.global_parameter(AUTO_START) or await axis.global_parameter(APPLICATION_STATUS):
            self._unfit("has a program of its own, which may turn the screw", "Stop it, and set auto start (77) to 0,")
        if self._brakes and not await axis.get(Parameter.ENABLE_BRAKE_OUTPUT):
            self._unfit("has its brake output switched off, and config.toml says that a brake holds", "Switch it on")

    def _unfit(self, what: str, remedy: str) -> None:
        raise WrongInstrument(self._link.name, what, f"{remedy} with TMCL-IDE, and store it in the module.")

    async def _refuse_weak_motor(self) -> None:
        """Compare torque_limit with what the module's own Max Current, as stored, gives."""
        await self._axis.restore(Parameter.MAX_CURRENT)
        current = await self._axis.get(Parameter.MAX_CURRENT)
        allowed = current * self._torque_per_count
        if self._options.torque_limit > allowed * (1 + 1e-9):
            raise WrongInstrument(
                self._link.name,
                f"limits its torque to {allowed:.3g} N·m at the screw (Max Current {current} mA), "
                f"less than torque_limit = {self._options.torque_limit:g}",
                "Lower torque_limit in config.toml, or store a larger Max Current if the motor allows it.",
            )

    # -- rig -------------------------------------------------------------------------------------------------------

    async def engage(self, torque: float, speed: float) -> None:
        """Set torque limit (N·m) and speed limit (rad/s), both of the screw, then hold the present angle.

        Both are rounded down, to mA and rpm of the motor. The module is switched on with a torque of zero and goes over
        to holding where it stands; a brake is released last. What was engaged before is released first.

        Raises:
            RefusedForSafety: limits beyond the options, or too small for the module.
            InstrumentRefused: the module did not take them, or has an error.
        """
        limits = self._limits(torque, speed)
        async with self._lock:
            await self._release()
            await self._prepare()
            for parameter, value in (
                (Parameter.MAX_CURRENT, limits.current),
                (Parameter.MAX_VELOCITY, limits.velocity),
                (Parameter.ENABLE_RAMP, 1),
                (Parameter.ENABLE_DRIVER, 1),
            ):
                await self._axis.set_confirmed(parameter, value)
            try:
                await self._hold()
            except InstrumentError:
                with suppress(InstrumentError):  # nobody knows what it makes for
                    await self._release()
                raise
            self._engaged = limits

    async def _hold(self) -> None:
        """Go over to holding the present position, confirmed; then release the brake."""
        position = await self._axis.get(Parameter.ACTUAL_POSITION)
        self._whereabouts.follow(position, stands=True)
        await self._axis.go_to(position)
        await self._axis.require(Parameter.TARGET_POSITION, position, f"after {position} was set")
        if self._brakes:
            await self._axis.set_confirmed(Parameter.RELEASE_BRAKE, 1)

    async def turn_to(self, angle: float) -> None:
        """Go to a screw angle in rad, positive tightens; returns at once.

        Raises:
            RefusedForSafety: not engaged, or beyond `travel`.
            InstrumentRefused: the module did not take it.
        """
        async with self._lock:
            self._refuse_frozen()
            goal = round(self._whereabouts.destination(angle))
            if abs(goal) > MOST_COUNTS:
                raise RefusedForSafety(
                    f"{self._link.name}: {angle:g} rad is beyond what the module counts.",
                    "Set its position to 0 while the screw is loose, and connect again.",
                )
            self._whereabouts.goal = goal
            await self._axis.go_to(goal)
            self._refuse_frozen()

    async def read(self) -> RigReading:
        """Angle, torque and motion; while engaged also whether the module still has limits and goal.

        A module that was restarted has forgotten both. Torque is motor current times the torque constant: it says what
        the screw needs while it moves, and little while it rests.

        Raises:
            InstrumentRefused: an error flag, a restart, or an angle where the screw cannot be.
        """
        async with self._lock:
            await self._refuse_error()
            position = await self._axis.get(Parameter.ACTUAL_POSITION)
            current = await self._axis.get(Parameter.ACTUAL_TORQUE)
            velocity = await self._axis.get(Parameter.ACTUAL_VELOCITY)
            if self._engaged is not None:
                await self._refuse_lost_limits(self._engaged)
            self._whereabouts.follow(position, stands=self._engaged is None)
            return RigReading(
                angle=position / self._counts_per_radian,
                torque=math.copysign(self._torque_per_count, self._counts_per_radian) * current,
                moving=velocity != 0,
            )

    async def freeze(self) -> None:
        """Stop, engage the brake where there is one, and take the torque away; confirmed."""
        async with self._lock:
            await self._release()

    async def _release(self) -> None:
        """Stop where it is, brake on, torque off, confirmed: a torque of zero, and a driver that is off."""
        self._engaged = None
        with suppress(InstrumentError):  # whatever keeps it from stopping under control, torque goes off next
            if await self._axis.get(Parameter.ENABLE_DRIVER):
                await self._axis.stop()
        if self._brakes:
            await self._axis.set_confirmed(Parameter.RELEASE_BRAKE, 0)
            await self._link.pause(BRAKE_CLOSES)
        await self._axis.set_confirmed(Parameter.TARGET_TORQUE, 0)
        await self._axis.set_confirmed(Parameter.ENABLE_DRIVER, 0)

    # -- refusals --------------------------------------------------------------------------------------------------

    def _limits(self, torque: float, speed: float) -> Engagement:
        refuse_torque(self._link.name, torque, self.torque_range)
        refuse_speed(
            self._link.name,
            speed,
            Range(self._speed_per_count, FASTEST),
            "The upper bound is a turn of the screw a second; the lower one is 1 rpm of the motor.",
        )
        return Engagement(
            current=int(torque / self._torque_per_count + 1e-9), velocity=int(speed / self._speed_per_count + 1e-9)
        )

    def _refuse_frozen(self) -> None:
        if self._engaged is None:
            raise frozen(self._link.name)

    async def _refuse_error(self) -> None:
        flags = await self._axis.get(Parameter.STATUS_FLAGS)
        errors = [meaning for bit, meaning in ERROR_FLAGS.items() if flags & bit]
        if errors:
            raise InstrumentRefused(
                self._link.name,
                f"has an error: {'; '.join(errors)}",
                f"The {self._options.holds} holds the force. Remove the cause; a restart of the module may be needed.",
            )

    async def _refuse_lost_limits(self, engaged: Engagement) -> None:
        current = await self._axis.get(Parameter.MAX_CURRENT)
        goal = await self._axis.get(Parameter.TARGET_POSITION)
        if current != engaged.current or goal != self._whereabouts.goal:
            raise InstrumentRefused(
                self._link.name,
                "has lost the limits of engage or its goal: it was restarted, or something else writes to it",
                "Freeze the rig; check its power supply; engage again.",
            )
