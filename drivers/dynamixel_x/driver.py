"""DYNAMIXEL XM540-W270 on a self-locking screw as pressure rig: torque and speed are limited in the servo.

It runs in current-based position mode: it turns towards a goal and never with more than the goal current. Torque is on
between `engage` and `freeze` only; without it the screw holds the force by its own friction.
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import Field

from drivers.dynamixel_x import table
from drivers.dynamixel_x.packet import Packets
from drivers.dynamixel_x.registers import Registers
from drivers.dynamixel_x.table import Item
from drivers.screw import Whereabouts, frozen, refuse_speed, refuse_torque
from labctl.clock import LabClock, Lock
from labctl.errors import InstrumentError, InstrumentRefused, RefusedForSafety, WrongInstrument
from labctl.fields import Angle, Duration, TorqueLimit
from labctl.instrument import Features, Identity, Link, Range, RigReading, Role, SerialWire
from labctl.instrument import Options as DriverOptions

SLACK = table.COUNTS_PER_TURN // 16
"""Counts that play and a coasting stop may add to where the screw is expected."""


@dataclass(frozen=True, slots=True)
class Engagement:
    """The limits that `engage` has set, in counts."""

    goal_current: int
    profile_velocity: int


class DynamixelX:
    """ROBOTIS DYNAMIXEL XM540-W270 servo that turns the self-locking screw of one rig."""

    class Options(DriverOptions):
        """How the servo is mounted, and what it may do.

        Attributes:
            id: of the servo on its bus.
            direction: rotation of the servo's horn, seen from its front, that tightens the screw.
            reduction: turns of the servo for one turn of the screw.
            torque_limit: at the screw ("1 N m"), that no protocol may exceed.
            travel: angle ("30 rad") that the screw may be turned away from where it stood at `connect`.
            watchdog: time ("2.5 s") without a packet after which the servo stops by itself.
        """

        id: int = Field(default=1, ge=0, le=252)
        direction: Literal["clockwise", "counterclockwise"]
        reduction: float = Field(gt=0, allow_inf_nan=False)
        torque_limit: TorqueLimit
        travel: Angle
        watchdog: Duration = Field(default=2.5, ge=0.1, le=127 * table.WATCHDOG_UNIT)

    ROLE: ClassVar[Role] = Role.PRESSURE_RIG
    WIRE: ClassVar[SerialWire] = SerialWire(Packets(), baudrate=57600, timeout=0.5)
    FEATURES: ClassVar[Features] = Features(watchdog=True, self_locking=True)
    SIMULATOR: ClassVar[str] = "drivers.dynamixel_x.sim:Simulator"
    EXAMPLE: ClassVar[Mapping[str, object]] = {
        "direction": "clockwise",
        "reduction": 1.0,
        "torque_limit": "1 N m",
        "travel": "30 rad",
    }

    def __init__(self, link: Link, options: Options, clock: LabClock) -> None:
        # Two reads fit into the watchdog's time, so that one that is late does not stop the servo.
        self.poll_period = 0.4 * options.watchdog
        self._link = link
        self._options = options
        self._clock = clock
        self._lock = Lock(clock)
        self._registers = Registers(link, options.id)
        sign = 1 if options.direction == "counterclockwise" else -1  # counts increase counterclockwise
        self._counts_per_radian = sign * options.reduction * table.COUNTS_PER_TURN / (2 * math.pi)
        self._torque_per_count = sign * options.reduction * table.NEWTON_METRE_PER_COUNT
        self._speed_per_count = table.RADIAN_PER_SECOND_PER_COUNT / options.reduction
        self.angle_resolution = 1 / abs(self._counts_per_radian)
        self.torque_range = Range(abs(self._torque_per_count), options.torque_limit)
        self.continuous_torque = options.reduction * table.CONTINUOUS_TORQUE
        self._fastest = 0.0
        self._firmware = 0
        self._identity: Identity | None = None
        self._engaged: Engagement | None = None
        self._fed = -math.inf
        """Lab time of the last exchange."""
        self._whereabouts = Whereabouts(link.name, self._counts_per_radian, options.travel, SLACK)

    # -- life ------------------------------------------------------------------------------------------------------

    async def connect(self) -> Identity:
        """Identify the servo, switch its torque off and bring it into current-based position mode.

        Raises:
            WrongInstrument: another model, a firmware without bus watchdog, or a setting that makes motion unsafe.
            InstrumentRefused: a hardware error, named.
        """
        async with self._lock:
            self._link.verify = None
            self._identity = await self._identify()
            await self._release()
            await self._prepare()
            self._whereabouts.begin(await self._registers.read(table.PRESENT_POSITION))
            self._link.verify = self._verify
            return self._identity

    async def safe_state(self) -> None:
        """Freeze."""
        await self.freeze()

    async def _verify(self) -> None:
        """After a reopening: the same servo, frozen. No more, so that a servo with an error can still be made safe."""
        identity = await self._identify()
        if identity != self._identity:
            raise WrongInstrument(self._link.name, f"{identity} answers where {self._identity} did", "Restart the run.")
        await self._release()

    async def _identify(self) -> Identity:
        model, firmware = await self._registers.ping()
        if model != table.XM540_W270:
            raise WrongInstrument(
                self._link.name,
                f"is a DYNAMIXEL of model number {model}, not an XM540-W270 ({table.XM540_W270})",
                "Check the option `id`: another model's currents and torques would be taken for this one's.",
            )
        if firmware < table.FIRMWARE_WITH_WATCHDOG:
            raise WrongInstrument(
                self._link.name,
                f"has firmware {firmware}, which knows no bus watchdog",
                f"Update it to {table.FIRMWARE_WITH_WATCHDOG} or later with DYNAMIXEL Wizard.",
            )
        self._firmware = firmware
        return Identity("ROBOTIS", "XM540-W270", f"ID {self._options.id}", str(firmware))

    async def _prepare(self) -> None:
        """With torque off: refuse settings that make motion unsafe, and enter the operating mode."""
        await self._refuse_hardware_error()
        await self._require(table.DRIVE_MODE, 0, "it turns the wrong way, by time, as a slave, or switches itself on")
        await self._require(table.STATUS_RETURN_LEVEL, 2, "it does not answer what it is told")
        if self._firmware >= table.FIRMWARE_WITH_STARTUP_CONFIGURATION:
            await self._require(table.STARTUP_CONFIGURATION, 0, "it switches itself on after a power cut")
        current_limit = await self._registers.read(table.CURRENT_LIMIT)
        allowed = current_limit * abs(self._torque_per_count)
        if self._options.torque_limit > allowed:
            raise WrongInstrument(
                self._link.name,
                f"limits its torque to {allowed:.3g} N·m at the screw (Current Limit {current_limit}), "
                f"less than torque_limit = {self._options.torque_limit:g}",
                "Lower torque_limit in config.toml, or raise Current Limit with DYNAMIXEL Wizard.",
            )
        self._fastest = await self._registers.read(table.VELOCITY_LIMIT) * self._speed_per_count
        if await self._registers.read(table.OPERATING_MODE) != table.CURRENT_BASED_POSITION:
            await self._registers.write_confirmed(table.OPERATING_MODE, table.CURRENT_BASED_POSITION)

    async def _require(self, item: Item, wanted: int, otherwise: str) -> None:
        value = await self._registers.read(item)
        if value != wanted:
            raise WrongInstrument(
                self._link.name,
                f"{item.name} ({item.address}) is {value} instead of {wanted}: {otherwise}",
                f"Set it to {wanted} with DYNAMIXEL Wizard.",
            )

    # -- rig -------------------------------------------------------------------------------------------------------

    async def engage(self, torque: float, speed: float) -> None:
        """Set torque limit (N·m) and speed limit (rad/s), both of the screw, then hold the present angle.

        Both are rounded down to whole counts. The watchdog is armed and the goal is the present position before torque
        is on, so that nothing moves. What was engaged before is released first.

        Raises:
            RefusedForSafety: limits beyond the options, or too small for one count.
            InstrumentRefused: the servo did not take them, or has a hardware error.
        """
        limits = self._limits(torque, speed)
        async with self._lock:
            await self._release()
            await self._prepare()
            position = await self._registers.read(table.PRESENT_POSITION)
            self._whereabouts.follow(position, stands=self._engaged is None)
            for item, value in (
                (table.GOAL_CURRENT, limits.goal_current),
                (table.PROFILE_VELOCITY, limits.profile_velocity),
                (table.GOAL_POSITION, position),
                (table.BUS_WATCHDOG, int(self._options.watchdog / table.WATCHDOG_UNIT + 1e-9)),
                (table.TORQUE_ENABLE, 1),
            ):
                await self._registers.write_confirmed(item, value)
            self._engaged, self._fed = limits, self._clock.now()

    async def turn_to(self, angle: float) -> None:
        """Go to a screw angle in rad, positive tightens; returns at once.

        Raises:
            RefusedForSafety: not engaged, or beyond `travel` or the servo's ±256 turns.
            InstrumentRefused: the servo stopped by itself, with the reason.
        """
        async with self._lock:
            self._refuse_frozen()
            goal = self._goal_of(angle)
            await self._refuse_expired_watchdog()
            self._whereabouts.goal = goal
            await self._registers.write(table.GOAL_POSITION, goal)
            self._fed = self._clock.now()
            self._refuse_frozen()

    async def read(self) -> RigReading:
        """Angle, torque and motion in one exchange, which also feeds the watchdog.

        The block of registers has no gap from Goal Current to Present Position: it shows at every poll that the limits
        of `engage` are still those in the servo, which forgets them in a power cut. Torque is motor current times the
        data sheet's factor: it says what the screw needs while it moves, and little while it rests.

        Raises:
            InstrumentRefused: a hardware error, an expired watchdog, a restart, or an angle where the screw cannot be.
        """
        async with self._lock:
            await self._refuse_expired_watchdog()
            goal_current, profile_velocity, moving, current, position = await self._registers.read_block(
                table.GOAL_CURRENT,
                table.PROFILE_VELOCITY,
                table.MOVING,
                table.PRESENT_CURRENT,
                table.PRESENT_POSITION,
            )
            self._fed = self._clock.now()
            await self._refuse_hardware_error()
            if self._engaged not in (None, Engagement(goal_current, profile_velocity)):
                raise InstrumentRefused(
                    self._link.name,
                    "has lost the limits of engage: it was restarted, or something else writes to it",
                    "Freeze the rig; check its power supply; engage again.",
                )
            self._whereabouts.follow(position, stands=self._engaged is None)
            return RigReading(
                angle=position / self._counts_per_radian,
                torque=current * self._torque_per_count,
                moving=bool(moving),
            )

    async def freeze(self) -> None:
        """Stop and switch torque off, confirmed: the self-locking screw holds the force."""
        async with self._lock:
            await self._release()

    async def _release(self) -> None:
        """Stop where it is, torque off, watchdog cleared; confirmed."""
        self._engaged = None
        with suppress(InstrumentError):  # whatever keeps it from stopping under control, torque goes off next
            if await self._registers.read(table.TORQUE_ENABLE):
                position = await self._registers.read(table.PRESENT_POSITION)
                await self._registers.write(table.GOAL_POSITION, position)
        await self._registers.write_confirmed(table.TORQUE_ENABLE, 0)
        await self._registers.write_confirmed(table.BUS_WATCHDOG, 0)

    # -- refusals --------------------------------------------------------------------------------------------------

    def _limits(self, torque: float, speed: float) -> Engagement:
        refuse_torque(self._link.name, torque, self.torque_range)
        # Less than a count would be Profile Velocity 0, which means no limit at all.
        refuse_speed(
            self._link.name,
            speed,
            Range(self._speed_per_count, self._fastest),
            "The upper bound is the servo's Velocity Limit (44); the lower one is one count of speed.",
        )
        return Engagement(
            goal_current=int(torque / abs(self._torque_per_count)), profile_velocity=int(speed / self._speed_per_count)
        )

    def _goal_of(self, angle: float) -> int:
        goal = round(self._whereabouts.destination(angle))
        if abs(goal) > table.MULTI_TURN_END:
            raise RefusedForSafety(
                f"{self._link.name}: {angle:g} rad is beyond the ±256 turns that the servo counts.",
                "Restart the servo, which then counts from zero, and connect again.",
            )
        return goal

    def _refuse_frozen(self) -> None:
        if self._engaged is None:
            raise frozen(self._link.name)

    async def _refuse_hardware_error(self) -> None:
        """Name the hardware error at which the last answer hinted."""
        if not self._registers.alert:
            return
        bits = await self._registers.read(table.HARDWARE_ERROR_STATUS)
        meanings = [meaning for bit, meaning in table.HARDWARE_ERRORS.items() if bits & bit]
        raise InstrumentRefused(
            self._link.name,
            f"has a hardware error: {'; '.join(meanings) or f'unknown bits {bits:#04x}'}",
            "The screw holds the force. Remove the cause, then switch the servo's power off and on.",
        )

    async def _refuse_expired_watchdog(self) -> None:
        """After a silence nearly as long as the watchdog's, ask the servo whether it has stopped by itself."""
        silence = self._clock.now() - self._fed
        if self._engaged is None or silence < self._options.watchdog - table.WATCHDOG_UNIT:
            return
        if await self._registers.read(table.BUS_WATCHDOG) == table.WATCHDOG_EXPIRED:
            raise InstrumentRefused(
                self._link.name,
                f"has stopped by itself: no packet reached it for {self._options.watchdog:g} s (bus watchdog)",
                "The screw holds the force. Engage the rig again.",
            )
