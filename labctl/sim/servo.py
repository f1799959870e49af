"""What moves in a simulated pressure rig: a motor with its encoder, a gear with play, the screw; and its watchdog.

Positions are counts of the drive's encoder; torque is that of the motor's shaft.
"""

import math
from collections.abc import Callable

from labctl.sim.rig import Rig, Side

STALL_CHECK = 1.0
"""Seconds between two looks whether a stalled motor can move on because the stack has relaxed; assumed."""
STEPS_PER_TURN = 4096
"""Of the screw, in which it is moved where the encoder is finer: more would cost time and show nothing."""


class Servo:
    """Turns at constant speed towards its goal, step by step, as long as its torque suffices for the screw.

    A screw that stands sticks: the motor winds its shaft up until it breaks loose, and the screw jumps after it. Where
    the motor stands the screw does, too. Acceleration is unlimited, gear friction is none, and a motor at rest draws no
    current: all assumed.

    Args:
        rig: whose screw it turns, with what lies between.
        counts_per_turn: of the motor.
        reduction: turns of the motor for one of the screw; negative where counts fall as the screw is tightened.
        play: counts between motor and screw when the direction changes, beside the rig's own backlash.
        first: what the encoder counts where it stands now.
        side: whose screw it is.
    """

    def __init__(
        self,
        rig: Rig,
        counts_per_turn: int,
        reduction: float,
        *,
        play: float,
        first: int = 0,
        side: Side = "negative",
    ) -> None:
        self.position = first
        self.stalled = False
        self.load = 0.0
        """N·m that the last step needed."""
        self.counts_per_radian = reduction * counts_per_turn / math.tau
        self._rig = rig
        self._reduction = abs(reduction)
        self._stride = max(int(counts_per_turn * self._reduction) // STEPS_PER_TURN, 1)
        self._side: Side = side
        drivetrain = rig.drivetrain
        self._play = play + drivetrain.backlash * abs(self.counts_per_radian)
        self._winding = drivetrain.winding * counts_per_turn / math.tau
        """Counts for each N·m at the motor's shaft."""
        self._static = drivetrain.static_friction - 1.0
        self._sticks = True
        self._screw = float(first)
        self._zero = first - rig.angle_of(side) * self.counts_per_radian
        self._goal = first
        self._speed = 0.0
        self._torque = 0.0
        self._moving = False
        self._since = 0.0
        self._origin = first
        self._retry = math.inf

    @property
    def direction(self) -> int:
        """+1 or -1 on the way to the goal, 0 at rest."""
        return (self._goal > self._origin) - (self._goal < self._origin) if self._moving else 0

    @property
    def velocity(self) -> float:
        """Counts per second now."""
        return 0.0 if self.stalled else self._speed * self.direction

    def drive(self, now: float, goal: int, speed: float, torque: float) -> None:
        """Go to a goal with at most this speed (counts/s) and torque, from lab time `now`."""
        self._goal, self._speed, self._torque = goal, speed, torque
        self._start(now)

    def stop(self) -> None:
        """Stay here."""
        self._rest()
        self._sticks = True

    def _rest(self) -> None:
        self._moving = self.stalled = False
        self._retry = math.inf

    def restart(self, position: int) -> None:
        """Lose power, and count from `position` on where it stands."""
        self.stop()
        lost = self.position - position
        self.position -= lost
        self._screw -= lost
        self._zero -= lost

    def next_event(self) -> float:
        """Lab time of arrival, or of the next look while stalled."""
        if not self._moving:
            return math.inf
        return self._retry if self.stalled else self._since + abs(self._goal - self._origin) / self._speed

    def advance_to(self, time: float) -> None:
        """Turn as far as time and torque allow."""
        if not self._moving or (self.stalled and time < self._retry):
            return
        if self.stalled:
            self._start(time)
        way = abs(self._goal - self._origin)
        counts = min(int((time - self._since) * self._speed + 1e-6), way)
        if counts < way:
            counts -= counts % self._stride  # on whole steps only, in whatever pieces time passes
        due = self._origin + counts * self.direction
        while self.position != due:
            if not self._step(due):
                self._stall(time)
                return
        if self.position == self._goal:
            self.stop()

    def _start(self, now: float) -> None:
        self._rest()
        self._since, self._origin = now, self.position
        self._moving = self._goal != self.position and self._speed > 0
        if self._moving and not self._can_step():
            self._stall(now)

    def _stall(self, time: float) -> None:
        self.stalled = self._sticks = True
        self._retry = (math.floor(time / STALL_CHECK) + 1) * STALL_CHECK

    def _can_step(self) -> bool:
        self.load = 0.0
        ahead = (self.position + self.direction - self._screw) * self.direction - self._play / 2
        if ahead > 0:
            tightening = self.direction if self.counts_per_radian > 0 else -self.direction
            self.load = self._rig.torque(tightening, self._side) / self._reduction
            if self._sticks and self._static:
                self.load *= 1.0 + self._static * min(ahead / self._wound(), 1.0)
        return self.load <= self._torque

    def _wound(self) -> float:
        """Return by how many counts the shaft is wound up when the screw breaks loose."""
        tightening = self.direction if self.counts_per_radian > 0 else -self.direction
        torque = self._rig.torque(tightening, self._side) / self._reduction
        return max(self._static * torque * self._winding, 1e-9)

    def _step(self, due: int) -> bool:
        """Turn by one step; False where the screw needs more torque than there is."""
        if not self._can_step():
            return False
        self.position += self.direction * min(self._stride, abs(due - self.position))
        pushed = self.position - self.direction * self._play / 2
        ahead = (pushed - self._screw) * self.direction
        if ahead > 0 and not (self._sticks and self._static and ahead < self._wound()):
            self._sticks = False
            self._screw = pushed
            self._rig.turn_to((self._screw - self._zero) / self.counts_per_radian, self._side)
        return True


class HostWatchdog:
    """Bites when its host has been silent for `period` seconds while it watches."""

    def __init__(self, bite: Callable[[], None]) -> None:
        self._bite = bite
        self._period = 0.0
        self._fed = 0.0

    def watch(self, period: float) -> None:
        """Watch with this period; 0 does not watch."""
        self._period = period

    def feed(self, now: float) -> None:
        """Note that the host spoke."""
        self._fed = now

    def next_event(self) -> float:
        """Lab time at which it bites."""
        return self._fed + self._period if self._period else math.inf

    def advance_to(self, time: float) -> None:
        """Bite when it is due."""
        if time >= self.next_event():
            self._period = 0.0
            self._bite()
