"""Pressure control: brings the force on an actuated side to its set point along a ramp, and keeps it there.

It also tightens a screw until that needs a torque, without looking at the force.
The screw is self-locking, so between corrections nothing has to hold. How far it must turn for a newton is learnt from
its own moves; a side whose force does not answer is left to the step's time-out and to the guard, never forced.
"""

from dataclasses import dataclass
from math import inf

from labctl.clock import LabClock
from labctl.engine.board import ANGLE, FORCE_GAUGE, Board
from labctl.errors import RefusedForSafety
from labctl.instrument import PressureRig
from labctl.plan import Pressure, Side

DEAD_BAND = 0.005
"""Of the set point: closer than this nothing is corrected; a correction costs wear and stirs friction."""
FIRST_STIFFNESS = 2000.0
"""N/rad assumed until moves in contact have taught better: 1e7 N/m on 1.25 mm of lead, as stiff as a frame gets, so the
first moves are too small rather than too large."""
STIFFNESS_RANGE = (20.0, 20_000.0)
SPEED = 0.5
"""rad/s, of the screw: 0.1 mm/s on 1.25 mm of lead, slow enough for a hand to be withdrawn."""
TIGHTENING = 0.2
"""rad/s at which a screw is tightened towards a torque, which the drive itself does not exceed."""
LEARNING_MOVE = 0.002
"""rad: smaller moves teach more noise than stiffness."""
CONTACT = 0.02
"""Of the set point: below this force the screw is still on its way to the stack, and its moves teach nothing."""
LEAD = 2
"""Ramp steps that the aim may be ahead of the force: a stack met late must not meet a large step."""


@dataclass(slots=True)
class _Aim:
    """Where one side is going: newton now and at the end, newton per second on the way."""

    force: float
    target: float
    ramp: float


class PressureControl:
    """Controls one actuated side during one run; cancelling `run` ends all motion.

    Attributes:
        held: whether the screw is to stay where it is, whatever the aim: the run is paused.

    Args:
        torque: N·m, limit set in the drive before anything moves.
    """

    def __init__(self, side: Side, rig: PressureRig, board: Board, clock: LabClock, torque: float) -> None:
        self.side = side
        self.held = False
        self._rig = rig
        self._board = board
        self._clock = clock
        self._torque = torque
        self._aim: _Aim | None = None
        self._tightens = False
        self._engaged = False
        self._stiffness = FIRST_STIFFNESS
        self._before: tuple[float, float] | None = None
        self._acted_on = -inf
        """Lab time of the force that was last acted on: each measurement is worth one turn."""

    async def go(self, action: Pressure, pressure: float) -> None:
        """Begin to bring the side to `pressure` in Pa; the force now is where the ramp begins.

        Raises:
            RefusedForSafety: the force now is not known.
        """
        aim = self._aim_at(pressure, action.ramp)
        await self._engage()
        self._aim = aim

    async def tighten(self, torque: float) -> None:
        """Begin to tighten the screw with at most `torque` in N·m, whatever the force; `lock` ends it."""
        self._aim = None
        await self._rig.engage(torque, SPEED)
        self._engaged = self._tightens = True

    @property
    def aim(self) -> tuple[Side, float, float] | None:
        """Side, pressure (Pa) and ramp (Pa/s) that are in control; None: none is."""
        aim, area = self._aim, self._board.bore_area
        return None if aim is None or area is None else (self.side, aim.target / area, aim.ramp / area)

    def head_for(self, pressure: float, ramp: float) -> None:
        """Bring the side to a pressure (Pa) at a ramp (Pa/s) from the next correction on.

        Raises:
            RefusedForSafety: the force now is not known.
        """
        self._aim = self._aim_at(pressure, ramp)

    def _aim_at(self, pressure: float, ramp: float) -> _Aim:
        force, area = self._board.force(self.side, self._clock.now()), self._board.bore_area
        assert area is not None
        if force is None:
            raise RefusedForSafety(f"The force on the {self.side} side is not known now, so its screw is not turned.")
        return _Aim(force, pressure * area, ramp * area)

    async def lock(self) -> None:
        """Stop controlling; the screw stays where it is, and breathing shows as pressure."""
        self._aim, self._tightens = None, False
        await self._rig.freeze()
        self._engaged = False

    def frozen(self) -> None:
        """Know that the rig was frozen by another hand: the next turn engages it anew and learns from there."""
        self._engaged = self._tightens = False
        self._before = None

    def limit(self, torque: float) -> None:
        """Take another limit of torque in N·m; the drive has it before the next turn."""
        if torque != self._torque:
            self._torque = torque
            self._engaged = False

    async def _engage(self) -> None:
        if not self._engaged:
            await self._rig.engage(self._torque, SPEED)
            self._engaged = True

    async def run(self) -> None:
        """Correct once a poll, for as long as the run lives."""
        period = self._rig.poll_period
        while True:
            await self._clock.sleep(period)
            if self._aim is not None and not self.held:
                await self._correct(self._aim, period)
            elif self._tightens and not self.held:
                await self._turn_on(period)

    async def _correct(self, aim: _Aim, period: float) -> None:
        now = self._clock.now()
        force, angle = self._board.force(self.side, now), self._board.value(ANGLE, now)
        measured = self._board.gauges[FORCE_GAUGE[self.side]].time
        if force is None or angle is None or measured <= self._acted_on:
            return  # blind, or the last turn has not been felt yet: the guard decides, the screw waits
        self._acted_on = measured
        self._learn(force, angle, contact=CONTACT * abs(aim.target))
        step = aim.ramp * period
        aim.force += min(max(aim.target - aim.force, -step), step)
        aim.force = min(max(aim.force, force - LEAD * step), force + LEAD * step)
        error = aim.force - force
        if abs(error) <= DEAD_BAND * max(abs(aim.force), CONTACT * abs(aim.target)):
            return
        await self._engage()
        turn = min(max(error / self._stiffness, -SPEED * period), SPEED * period)
        await self._rig.turn_to(angle + turn)

    async def _turn_on(self, period: float) -> None:
        """Tighten a little further than the screw is now; the drive stops where that needs more than its torque."""
        angle = self._board.value(ANGLE, self._clock.now())
        if angle is not None:
            await self._rig.turn_to(angle + TIGHTENING * period)

    def _learn(self, force: float, angle: float, contact: float) -> None:
        """Take the secant of the last move in contact, averaged, within what a train can be."""
        if self._before is not None:
            moved, answered = angle - self._before[1], force - self._before[0]
            if abs(moved) < LEARNING_MOVE:
                return
            if min(force, self._before[0]) > contact:
                low, high = STIFFNESS_RANGE
                secant = min(max(answered / moved, low), high)
                self._stiffness += 0.3 * (secant - self._stiffness)
        self._before = (force, angle)
