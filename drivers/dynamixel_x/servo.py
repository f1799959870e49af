"""The moving parts of the simulated servo: motor, gear with play, screw, and the bus watchdog.

Positions are in counts, counterclockwise positive; torque is that at the servo's horn.
"""

import math
from collections.abc import Callable

from drivers.dynamixel_x.table import COUNTS_PER_TURN
from labctl.sim.rig import Rig

PLAY = 0.25 / 360 * COUNTS_PER_TURN
"""Counts between horn and screw when the direction changes; 15 arcmin in the data sheet, placed there by assumption."""
FIRST_POSITION = COUNTS_PER_TURN // 2
STALL_CHECK = 1.0
"""Seconds between two looks whether a stalled servo can move on because the stack has relaxed; assumed."""


class Servo:
    """Turns at constant speed towards its goal, count by count, as long as its torque suffices for the screw.

    Acceleration is unlimited, gear friction is none, and a servo at rest draws no current: all assumed.
    """

    def __init__(self, rig: Rig, counts_per_radian: float, reduction: float) -> None:
        self.position = FIRST_POSITION
        self.stalled = False
        self.load = 0.0
        """N·m that the last count needed."""
        self._rig = rig
        self._counts_per_radian = counts_per_radian
        self._reduction = reduction
        self._screw = float(FIRST_POSITION)
        self._zero = FIRST_POSITION - rig.angle * counts_per_radian
        self._goal = FIRST_POSITION
        self._speed = 0.0
        self._torque = 0.0
        self._moving = False
        self._since = 0.0
        self._origin = FIRST_POSITION
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
        self._moving = self.stalled = False
        self._retry = math.inf

    def restart(self) -> None:
        """Forget whole turns, as a power cut makes it."""
        self.stop()
        lost = self.position - self.position % COUNTS_PER_TURN
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
        counts = min(int((time - self._since) * self._speed + 1e-6), abs(self._goal - self._origin))
        due = self._origin + counts * self.direction
        while self.position != due:
            if not self._step():
                self._stall(time)
                return
        if self.position == self._goal:
            self.stop()

    def _start(self, now: float) -> None:
        self.stop()
        self._since, self._origin = now, self.position
        self._moving = self._goal != self.position and self._speed > 0
        if self._moving and not self._can_step():
            self._stall(now)

    def _stall(self, time: float) -> None:
        self.stalled = True
        self._retry = (math.floor(time / STALL_CHECK) + 1) * STALL_CHECK

    def _can_step(self) -> bool:
        self.load = 0.0
        if abs(self.position + self.direction - self._screw) > PLAY / 2:
            tightening = self.direction if self._counts_per_radian > 0 else -self.direction
            self.load = self._rig.torque(tightening) / self._reduction
        return self.load <= self._torque

    def _step(self) -> bool:
        """Turn by one count; False where the screw needs more torque than there is."""
        if not self._can_step():
            return False
        self.position += self.direction
        pushed = self.position - self.direction * PLAY / 2
        if (pushed - self._screw) * self.direction > 0:
            self._screw = pushed
            self._rig.turn_to((self._screw - self._zero) / self._counts_per_radian)
        return True


class BusWatchdog:
    """Bites when no instruction packet has come for `period` seconds while torque is on."""

    def __init__(self, bite: Callable[[], None]) -> None:
        self._bite = bite
        self._period = 0.0
        self._fed = 0.0

    def watch(self, period: float) -> None:
        """Watch with this period; 0 does not watch."""
        self._period = period

    def feed(self, now: float) -> None:
        """Note that a packet came."""
        self._fed = now

    def next_event(self) -> float:
        """Lab time at which it bites."""
        return self._fed + self._period if self._period else math.inf

    def advance_to(self, time: float) -> None:
        """Bite when it is due."""
        if time >= self.next_event():
            self._period = 0.0
            self._bite()
