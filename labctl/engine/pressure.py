"""Pressure control of one side: approaches its set point along a ramp, and corrects seldom while it is held there.

It also turns a screw steadily, with a torque at most, without looking at the force.
The screw is self-locking, so between corrections nothing has to hold. Every move is followed by a measurement, and is
so small that by all that is known the force cannot pass its goal; a side whose force does not answer is left alone.
"""

import math
from math import inf
from typing import NamedTuple

from labctl.clock import LabClock
from labctl.engine.approach import FIRST_NEWTONS, Approach
from labctl.engine.board import ANGLE_GAUGE, FORCE_GAUGE, Board
from labctl.engine.correction import Correction
from labctl.engine.holding import HOPELESS, Hold
from labctl.engine.station import Station, Tell
from labctl.engine.train import Train
from labctl.errors import RefusedForSafety
from labctl.instrument import PressureRig
from labctl.plan import Pressure, Side, Torque
from labctl.reading import Severity

BAND = 0.02
"""Of the set point, within which a force is held where its step does not say how stable it wants it."""
SPEED = 0.5
"""rad/s, of the screw: 0.1 mm/s on 1.25 mm of lead, slow enough for a hand to be withdrawn."""
AHEAD = 1.5
"""Polls that a screw on its way to a torque is sent ahead: it still moves when it is asked what torque it needs."""
UNANSWERED = "pressure.unanswered"
"""The event that tells of a screw that was turned without an answer."""


def controls_of(station: Station, tell: Tell) -> dict[Side, "PressureControl"]:
    """Return a control for each side of a station that a screw drives; of two each knows the other."""
    controls = {
        side: PressureControl(side, rig, station.board, station.clock, tell)
        for side, rig in station.instruments.rigs.items()
    }
    if len(controls) > 1:
        controls["negative"].beside, controls["positive"].beside = controls["positive"], controls["negative"]
    return controls


class _Asked(NamedTuple):
    """What the plan asks of a side: N, N/s on the way, N by which it may differ when it is held."""

    target: float
    ramp: float
    band: float


class PressureControl:
    """Controls one actuated side during one run; cancelling `run` ends all motion.

    Attributes:
        held: whether the screw is to stay where it is, whatever the aim: the run is paused.
        beside: the control of the other side, where that is driven, too. Of two the negative side leads.

    Args:
        tell: takes what a person must know: kind, sentence, severity.
    """

    def __init__(self, side: Side, rig: PressureRig, board: Board, clock: LabClock, tell: Tell) -> None:
        self.side: Side = side
        self.held = False
        self.beside: PressureControl | None = None
        self._rig = rig
        self._board = board
        self._clock = clock
        self._torque = rig.torque_range.high
        self._most = inf
        self._tell = tell
        self._train = Train(rig.angle_resolution)
        self._asked: _Asked | None = None
        self._approach: Approach | None = None
        self._hold: Hold | None = None
        self._correction: Correction | None = None
        self._test = self._ignored = False
        self._turns = 0.0
        """rad/s at which the screw is turned whatever the force; negative loosens it."""
        self._engaged = False
        self._acted_on = -inf
        """Lab time of the force that was last acted on: each measurement is worth one turn."""

    # -- what the verbs ask ------------------------------------------------------------------------------------------

    async def go(self, action: Pressure, pressure: float, band: float | None = None) -> None:
        """Begin to bring the side to `pressure` in Pa; the force now is where the ramp begins.

        Args:
            band: Pa within which it is held then; None: BAND.

        Raises:
            RefusedForSafety: the force now is not known.
        """
        asked, force = self._in_newton(pressure, action.ramp, band)
        await self._engage()
        self._head_for(asked, force)

    async def turn(self, action: Torque) -> None:
        """Begin to turn the screw steadily with at most a torque, whatever the force; `lock` ends it."""
        self._forget()
        await self._rig.engage(abs(action.torque), action.speed)
        self._engaged, self._turns = True, math.copysign(action.speed, action.torque)

    @property
    def aim(self) -> tuple[Side, float, float] | None:
        """Side, pressure (Pa) and ramp (Pa/s) that are in control; None: none is."""
        asked, area = self._asked, self._board.bore_area
        return None if asked is None or area is None else (self.side, asked.target / area, asked.ramp / area)

    @property
    def band(self) -> float | None:
        """Pa within which the side is held; None: it is not."""
        asked, area = self._asked, self._board.bore_area
        return None if asked is None or area is None else asked.band / area

    def head_for(self, pressure: float, ramp: float, band: float | None = None) -> None:
        """Bring the side to a pressure (Pa) at a ramp (Pa/s) from the next correction on.

        Raises:
            RefusedForSafety: the force now is not known.
        """
        self._head_for(*self._in_newton(pressure, ramp, band))

    def _in_newton(self, pressure: float, ramp: float, band: float | None) -> tuple[_Asked, float]:
        """Return what is asked for, and the force now."""
        force, area = self._force, self._board.bore_area
        assert area is not None
        if force is None:
            raise RefusedForSafety(f"The force on the {self.side} side is not known now, so its screw is not turned.")
        within = BAND * abs(pressure) if band is None else band
        return _Asked(pressure * area, ramp * area, within * area), force

    @property
    def _force(self) -> float | None:
        return self._board.force(self.side, self._clock.now())

    def _head_for(self, asked: _Asked, force: float, *, lets_go: bool = False) -> None:
        self._forget()
        self._asked = asked
        self._approach = Approach(asked.target, asked.ramp, asked.band, force, lets_go=lets_go)

    def _forget(self) -> None:
        self._asked = self._approach = self._hold = self._correction = None
        self._turns, self._test, self._ignored = 0.0, False, False

    async def lock(self) -> None:
        """Stop controlling; the screw stays where it is, and breathing shows as pressure."""
        self._forget()
        await self._rig.freeze()
        self._engaged = False

    async def release(self) -> None:
        """Switch the drive off where the mechanism holds the force by itself; else loosen it along the ramp first."""
        asked, force = self._asked, self._force
        if self._rig.FEATURES.self_locking or asked is None:
            await self.lock()
        else:
            began = asked.target if force is None else force
            self._head_for(asked._replace(target=0.0), began, lets_go=True)

    def frozen(self) -> None:
        """Know that the rig was frozen by another hand: the next turn engages it anew, from where the force is then."""
        self._engaged, self._turns = False, 0.0
        self._train.forget()
        asked, force = self._asked, self._force
        if asked is not None:
            lets_go = self._approach is not None and self._approach.lets_go
            self._head_for(asked, asked.target if force is None else force, lets_go=lets_go)

    def limit(self, torque: float | None, pressure: float | None) -> None:
        """Take other limits: of torque in N·m, which the drive has before the next turn, and of pressure in Pa.

        Without them the torque is at most what the rig can do, and the pressure what its torque makes of it.
        """
        area = self._board.bore_area
        self._most = inf if pressure is None or area is None else pressure * area
        torque = torque or self._rig.torque_range.high
        if torque != self._torque:
            self._torque = torque
            self._engaged = False

    # -- what others may know ----------------------------------------------------------------------------------------

    @property
    def stiffness(self) -> float:
        """N that a radian of this screw is worth, by what has been learnt."""
        return self._train.stiffness

    @property
    def learnt(self) -> bool:
        """Whether that was learnt, and is not the stiffest that a train can be."""
        return self._train.learnt

    @property
    def ignored(self) -> bool:
        """Whether the screw is left alone, because the force did not move at all when it was turned."""
        return self._ignored

    @property
    def moving(self) -> bool:
        """Whether the screw is on its way: in an approach, in a correction, or to a torque."""
        return bool(self._turns) or self._approach is not None or self._correction is not None

    def test_move(self) -> bool:
        """Move the held force a little within its band, at the next poll, so that a sensor has something to show.

        It counts as a correction, and is made even where the budget of this hour is spent: a load cell that is stuck
        is not left for an hour. False: nothing is held, or a correction is under way.
        """
        self._test = self._hold is not None and self._correction is None
        return self._test

    # -- the loop ----------------------------------------------------------------------------------------------------

    async def _engage(self) -> None:
        if not self._engaged:
            await self._rig.engage(self._torque, SPEED)
            self._engaged = True

    async def run(self) -> None:
        """Look at the force once a poll, for as long as the run lives."""
        period = self._rig.poll_period
        while True:
            await self._clock.sleep(period)
            if self.held:
                continue
            if self._turns:
                await self._turn_on(period)
            elif self._approach is not None or self._hold is not None:
                await self._control(period)

    async def _control(self, period: float) -> None:
        now = self._clock.now()
        force, angle = self._force, self._board.value(ANGLE_GAUGE[self.side], now)
        measured = self._board.gauges[FORCE_GAUGE[self.side]].time
        if force is None or angle is None or measured <= self._acted_on:
            return  # blind, or the last turn has not been felt yet: the guard decides, the screw waits
        self._acted_on = measured
        contact = FIRST_NEWTONS if self._approach is None else self._approach.contact
        self._train.see(force, angle, contact, softer=self._approach is not None)
        if force > self._most:
            await self._stop()  # the guard wants a second measurement; the screw does not wait for it
        elif self._approach is not None:
            await self._go_on(self._approach, force, angle, period)
        elif self._hold is not None:
            self._look(self._hold, force, now)
            if self._correction is not None:
                await self._correct(self._hold, self._correction, force, angle, period)

    async def _stop(self) -> None:
        if self._engaged:
            await self._rig.freeze()
            self._engaged = False

    async def _go_on(self, approach: Approach, force: float, angle: float, period: float) -> None:
        """Take the next step of an approach, or end it."""
        if not self._has_turn(approach, force):
            return
        if not approach.arrived(force, self._train):
            await self._move(approach.turn(force, self._train, period), angle, period)
        elif approach.lets_go or self._asked is None:
            await self.lock()
        else:
            self._approach = None
            self._hold = Hold(self._asked.target, self._asked.band, self._train)
            self._settle()

    def _look(self, hold: Hold, force: float, now: float) -> None:
        """Begin a correction where the held force asks for one, and nothing else moves."""
        if self._correction is not None:
            return
        goal, tests = hold.see(force, now), False
        if goal is None and self._test:
            goal, tests = hold.test(force), True
        if goal is None or not self._may_correct():
            return
        self._test = False
        if hold.hopeless(now) and not tests:
            self._give_up(f"was turned {HOPELESS} times within an hour, and the force has left its band again")
        else:
            hold.corrected(now)
            self._correction = Correction(force, goal, now)

    async def _correct(self, hold: Hold, correction: Correction, force: float, angle: float, period: float) -> None:
        """Take the next move of a correction, or end it."""
        correction.feel(force, angle, self._train)
        if correction.done(force, hold.tolerance, self._train):
            self._correction = None
            self._settle()
        elif correction.in_vain(self._clock.now(), self._train):
            self._give_up(correction.told(force))
            self._ignored = not correction.answered
        else:
            await self._move(correction.turn(force, self._train), angle, period)

    def _give_up(self, why: str) -> None:
        self._correction = self._hold = None
        sentence = (
            f"The screw of the {self.side} side {why}. It is not turned any more until another pressure is asked for, "
            "or the run is paused and resumed: look at load cell and screw."
        )
        self._tell(UNANSWERED, sentence, Severity.WARNING)

    async def _move(self, turn: float, angle: float, period: float) -> None:
        """Turn by so many rad from an angle, no faster than SPEED and by one smallest turn at least."""
        least = self._rig.angle_resolution
        turn = min(max(turn, -SPEED * period), SPEED * period)
        if turn == 0.0:
            return
        turn = math.copysign(max(abs(turn), least), turn)
        await self._engage()
        await self._rig.turn_to(angle + turn)

    async def _turn_on(self, period: float) -> None:
        """Send the screw a little further than it is now; the drive stops where that needs more than its torque."""
        angle = self._board.value(ANGLE_GAUGE[self.side], self._clock.now())
        if angle is not None:
            await self._rig.turn_to(angle + AHEAD * self._turns * period)

    # -- two driven sides --------------------------------------------------------------------------------------------

    def judge_anew(self) -> None:
        """Judge the held force from here on alone: a screw has been turned, and what presses there may be felt here."""
        if self._hold is not None:
            self._hold.begin(self._clock.now())

    def _settle(self) -> None:
        self.judge_anew()
        if self.beside is not None:
            self.beside.judge_anew()

    @property
    def progress(self) -> float | None:
        """Which part of its way an approach has gone; None: it is none, or the force is not known."""
        force = self._force
        return None if self._approach is None or force is None else self._approach.progress(force)

    def _has_turn(self, approach: Approach, force: float) -> bool:
        """Whether this side may take the next step of its approach: of two the one that lags behind, alone."""
        other = self.beside
        if other is None or other.held:
            return True
        here, there = approach.progress(force), other.progress
        if there is None:
            return not other.moving
        return here < there or (here == there and self.side == "negative")

    def _may_correct(self) -> bool:
        """Whether nothing else moves; the negative side looks first, and so leads."""
        return self.beside is None or not self.beside.moving
