"""ODrive v3 (firmware 0.5.x) on a screw as pressure rig: the board limits torque and speed, and has a watchdog.

It runs in position control between `engage` and `freeze` only; its watchdog is armed as long, and fed by every poll.
Set points are not answered over its ASCII protocol: each is read back.
"""

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from drivers.odrive_v3.condition import Condition
from drivers.odrive_v3.errors import WATCHDOG_EXPIRED
from drivers.odrive_v3.line import Answers
from drivers.odrive_v3.properties import Properties, alike
from drivers.screw import FASTEST, Mounting, Whereabouts, frozen, refuse_speed, refuse_torque
from labctl.clock import LabClock, Lock
from labctl.errors import InstrumentError, InstrumentRefused, RefusedForSafety, WrongInstrument
from labctl.fields import Duration
from labctl.instrument import Features, Identity, Link, Range, RigReading, Role, SerialWire

IDLE, CLOSED_LOOP = 1, 8
"""States of an axis."""
POSITION_CONTROL, PASSTHROUGH = 3, 1
"""Control mode and input mode: it goes for the angle at once, and its speed limit bounds it."""
SETTLING = 0.05
"""Seconds that the board may take to change its state; its own loop takes one thousandth."""
SLACK = 1 / 16
"""Turns of the motor that play and a coasting stop may add to where the screw is expected."""
STANDSTILL = 0.02
"""Turns of the motor a second that its estimate of velocity may tell of one that stands; assumed."""
MOST_TURNS = 1000.0
"""Of the motor: beyond it a number in single precision is coarser than an encoder."""
LEAST_TORQUE = 1e-3
"""N·m of the motor; assumed, its numbers are a thousand times as fine."""

FIRMWARE = r"0\.5\.[3-9]"
"""Whose paths are known; 0.5.2 leaves out the end of lines with a checksum."""


@dataclass(frozen=True, slots=True)
class Engagement:
    """The limits that `engage` has set: N·m and turns a second of the motor."""

    torque: float
    speed: float


class OdriveV3:
    """ODrive v3 motor controller that turns the screw of one rig."""

    class Options(Mounting):
        """How the motor is mounted, and what it may do.

        Attributes:
            axis: of the board that drives it.
            watchdog: time ("2.5 s") without a poll after which the board takes the torque away by itself.
        """

        axis: int = Field(default=0, ge=0, le=1)
        watchdog: Duration = Field(default=2.5, ge=0.5, le=10.0)

    ROLE: ClassVar[Role] = Role.PRESSURE_RIG
    WIRE: ClassVar[SerialWire] = SerialWire(Answers(), baudrate=115200, timeout=0.3)
    FEATURES: ClassVar[Features] = Features(watchdog=True, self_locking=True)
    SIMULATOR: ClassVar[str] = "drivers.odrive_v3.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {
        "direction": "positive",
        "reduction": 5.0,
        "counts_per_turn": 8192,
        "torque_constant": "0.04 N m/A",
        "torque_limit": "1 N m",
        "continuous_torque": "0.5 N m",
        "travel": "30 rad",
        "holds": "self-locking screw",
    }

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        # Two polls fit into the watchdog's time, so that one that is late does not stop the motor.
        self.poll_period = 0.4 * options.watchdog
        self._link = link
        self._options = options
        self._lock = Lock(clock)
        self._properties = Properties(link, options.axis)
        self._turns_per_radian = options.turns / math.tau
        self._sign = math.copysign(1.0, options.turns)
        self.angle_resolution = 1 / (abs(self._turns_per_radian) * options.counts_per_turn)
        self.torque_range = Range(LEAST_TORQUE * options.reduction, options.torque_limit)
        self.continuous_torque = options.continuous_torque
        self._condition = Condition(link.name, self._properties, options, options.axis, options.watchdog)
        self._whereabouts = Whereabouts(link.name, self._turns_per_radian, options.travel, SLACK)
        self._identity: Identity | None = None
        self._engaged: Engagement | None = None

    # -- life ------------------------------------------------------------------------------------------------------

    async def connect(self) -> Identity:
        """Identify the board, take the motor's torque away, and refuse settings that make motion unsafe.

        Raises:
            WrongInstrument: another board or firmware, or a setting that contradicts the options.
            InstrumentRefused: an error, named; or it does not take a command.
        """
        async with self._lock:
            self._link.verify = None
            self._identity = await self._identify()
            await self._release()
            await self._condition.refuse_error()
            await self._condition.refuse_unfit()
            self._whereabouts.begin((await self._feedback())[0])
            self._link.verify = self._verify
            return self._identity

    async def safe_state(self) -> None:
        """Freeze."""
        await self.freeze()

    async def _verify(self) -> None:
        """After a reopening: the same board, frozen. No more, so that one with an error can still be made safe."""
        identity = await self._identify()
        if identity != self._identity:
            raise WrongInstrument(self._link.name, f"{identity} answers where {self._identity} did", "Restart the run.")
        await self._release()

    async def _identify(self) -> Identity:
        told = await self._properties.ask("i")
        values = [line.partition(": ")[2] for line in told]
        if len(values) != 3 or not all(values):
            raise WrongInstrument(
                self._link.name, f'answers {" / ".join(told)!r} to "i"', "Check the address: this is no ODrive."
            )
        hardware, firmware, serial = values
        if not hardware.startswith("3."):
            raise WrongInstrument(
                self._link.name, f"is an ODrive of hardware {hardware}, not v3", "This driver knows v3 boards only."
            )
        if not re.fullmatch(FIRMWARE, firmware):
            raise WrongInstrument(
                self._link.name,
                f"has firmware {firmware}, not 0.5.3 or later of 0.5",
                "This driver knows the paths of these alone: those of 0.6 and of older ones are different.",
            )
        return Identity("ODrive Robotics", f"ODrive v{hardware}", serial, firmware)

    # -- rig -------------------------------------------------------------------------------------------------------

    async def engage(self, torque: float, speed: float) -> None:
        """Set torque limit (N·m) and speed limit (rad/s), both of the screw, then hold the present angle.

        The watchdog is armed before the torque is on; the board itself takes the present position as its set point, and
        that is confirmed. What was engaged before is released first.

        Raises:
            RefusedForSafety: limits beyond the options, or too small.
            InstrumentRefused: the board did not take them, or has an error.
        """
        limits = self._limits(torque, speed)
        async with self._lock:
            await self._release()
            await self._condition.refuse_error()
            await self._condition.refuse_unmovable()
            properties = self._properties
            await properties.set_real("motor.config.torque_lim", limits.torque)
            await properties.set_real("controller.config.vel_limit", limits.speed)
            await properties.set_whole("controller.config.control_mode", POSITION_CONTROL)
            await properties.set_whole("controller.config.input_mode", PASSTHROUGH)
            for feed_forward in ("controller.input_vel", "controller.input_torque"):
                await properties.set_real(feed_forward, 0.0)  # what another master left would be added
            await properties.set_real("config.watchdog_timeout", self._options.watchdog)
            try:
                await self._hold()
            except InstrumentError:
                with suppress(InstrumentError):  # nobody knows what it makes for
                    await self._release()
                raise
            self._engaged = limits

    async def _hold(self) -> None:
        """Arm the watchdog, switch the torque on, and confirm that the board holds the present position."""
        position, _ = await self._feedback()
        self._whereabouts.follow(position, stands=True)
        await self._confirm_goal(position)  # which also feeds the watchdog
        await self._properties.set_whole("config.enable_watchdog", 1)
        await self._go_into(CLOSED_LOOP)  # where the board takes its position for the goal by itself, too
        goal = await self._properties.real("controller.input_pos")
        if abs(goal - position) > SLACK:
            raise InstrumentRefused(
                self._link.name,
                f"makes for {goal:g} turns where it stands at {position:g}",
                "It was switched off again. Do not use it with this firmware.",
            )

    async def turn_to(self, angle: float) -> None:
        """Go to a screw angle in rad, positive tightens; returns when the board has confirmed where it goes.

        Raises:
            RefusedForSafety: not engaged, or beyond `travel` or what the board counts exactly.
            InstrumentRefused: the board did not take it, or has stopped by itself, with the reason.
        """
        async with self._lock:
            self._refuse_frozen()
            goal = self._whereabouts.destination(angle)
            if abs(goal) > MOST_TURNS:
                raise RefusedForSafety(
                    f"{self._link.name}: {angle:g} rad is beyond the ±{MOST_TURNS:g} turns of the motor that the "
                    "ODrive tells exactly.",
                    "Restart the board, which then counts from zero, and connect again.",
                )
            await self._refuse_stopped()
            self._whereabouts.goal = goal
            await self._confirm_goal(goal)
            self._refuse_frozen()

    async def read(self) -> RigReading:
        """Angle, torque and motion; also feeds the watchdog, and shows whether the limits of `engage` are still there.

        Torque is the measured current times the torque constant: it says what the screw needs while it moves, and
        little while it rests.

        Raises:
            InstrumentRefused: an error, an expired watchdog, a restart, or an angle where the screw cannot be.
        """
        async with self._lock:
            if self._engaged is not None:
                await self._feed()
            await self._refuse_stopped()
            position, velocity = await self._feedback()
            current = await self._properties.real("motor.current_control.Iq_measured")
            self._whereabouts.follow(position, stands=self._engaged is None)
            return RigReading(
                angle=position / self._turns_per_radian,
                torque=self._sign * current * self._options.torque_per_ampere,
                moving=abs(velocity) > STANDSTILL,
            )

    async def freeze(self) -> None:
        """Stop and take the torque away, confirmed; the board engages its brake where there is one."""
        async with self._lock:
            await self._release()

    async def _release(self) -> None:
        """Idle, confirmed; then the watchdog off, which would call an idle axis expired, and its error cleared."""
        self._engaged = None
        await self._go_into(IDLE)
        await self._properties.set_whole("config.enable_watchdog", 0)
        if await self._properties.whole("error") == WATCHDOG_EXPIRED:
            await self._properties.set_whole("error", 0)

    # -- the board -------------------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        await self._properties.command(f"u {self._options.axis}")

    async def _feedback(self) -> tuple[float, float]:
        """Return position (turns) and velocity (turns/s) of the motor."""
        number = r"(-?\d+\.\d{6})"
        match = await self._properties.numbers(f"f {self._options.axis}", f"{number} {number}")
        return float(match[1]), float(match[2])

    async def _confirm_goal(self, goal: float) -> None:
        """Send a set point in turns, and read it back."""
        await self._properties.command(f"p {self._options.axis} {goal:.6f}")
        actual = await self._properties.real("controller.input_pos")
        if not alike(actual, goal):
            raise InstrumentRefused(
                self._link.name,
                f"makes for {actual:g} turns after {goal:g} was sent",
                "The command may have been lost: check the line if it comes again.",
            )

    async def _go_into(self, state: int) -> None:
        await self._properties.request(state)
        await self._link.pause(SETTLING)
        actual = await self._properties.whole("current_state")
        if actual != state:
            if state != IDLE:
                await self._condition.refuse_error()
            raise InstrumentRefused(
                self._link.name,
                f"is in state {actual} after {state} was asked for ({IDLE}: idle, {CLOSED_LOOP}: under control)",
                "Do not rely on the rig: check the line, and that nothing else commands the ODrive.",
            )

    # -- refusals --------------------------------------------------------------------------------------------------

    def _limits(self, torque: float, speed: float) -> Engagement:
        refuse_torque(self._link.name, torque, self.torque_range)
        allowed = Range(2 * STANDSTILL * math.tau / self._options.reduction, FASTEST)
        bounds = "The upper bound is a turn of the screw a second; slower than the lower one it seems to stand."
        refuse_speed(self._link.name, speed, allowed, bounds)
        return Engagement(
            torque=math.floor(torque / self._options.reduction * 1e6 + 1e-3) / 1e6,
            speed=math.floor(speed * abs(self._turns_per_radian) * 1e6 + 1e-3) / 1e6,
        )

    def _refuse_frozen(self) -> None:
        if self._engaged is None:
            raise frozen(self._link.name)

    async def _refuse_stopped(self) -> None:
        """Name what has stopped it: an error, or while engaged a restart or another master."""
        await self._condition.refuse_error()
        limits = self._engaged
        if limits is None:
            return
        if await self._properties.whole("current_state") != CLOSED_LOOP or not await self._has(limits):
            raise InstrumentRefused(
                self._link.name,
                "is not under control any more, or has lost the limits of engage: it was restarted, or something else "
                "commands it",
                "Freeze the rig; check its power supply; engage again.",
            )

    async def _has(self, limits: Engagement) -> bool:
        torque = await self._properties.real("motor.config.torque_lim")
        speed = await self._properties.real("controller.config.vel_limit")
        return alike(torque, limits.torque) and alike(speed, limits.speed)
