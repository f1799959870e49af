"""The rig watch: what forces, torques and angles of a rig show to be wrong beyond limits, by what is known of the rig.

It judges a force when every screw has been read after it, so that a turn between two polls is no jump. Thresholds come
from the accuracy of a load cell, the noise that it showed, the stiffness that pressure control has learnt, and the
configuration; where one of them is not known, what needs it is off.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from math import inf

from labctl.engine.board import ANGLE_GAUGE
from labctl.engine.bottoming import Bottoming
from labctl.engine.correction import LOST_MOTION
from labctl.engine.drift import Drift
from labctl.engine.pressure import BAND, PressureControl
from labctl.engine.sensing import Jump, Reading, Scatter, Stuck
from labctl.engine.station import Station
from labctl.engine.symptoms import flows
from labctl.engine.train import FIRST_STIFFNESS
from labctl.engine.trips import Excess
from labctl.engine.turning import Turning
from labctl.plan import SIDES, Limits, Side

NOISE = 8.0
"""Standard deviations of one reading, which two readings in a row do not pass by chance."""
STEPS = 3.0
"""Of the sensor's smallest step."""
UNLEARNT = 3.0
"""Accuracies, while the noise is not known yet."""
AFTER = 10.0
"""s after a turn in which the force may still answer it: a shaft that is wound up, a screw that sticks."""
GENEROUS = 2.0
"""Stiffnesses that a turn is taken to be worth where it may have changed the force: one that was learnt while the stack
slipped in its die is not that with which it sticks. Half a one where the turn must have changed the force."""
CONTACT = 5.0
"""Least changes: below, a screw may be on its way to the stack."""
UNCHANGED = 480.0
"""s of exactly the same reading after which a small move tests the sensor: within two minutes it takes up the play."""
WALL_VARIES = 1.1
"""Of what the wall holds by the configuration: zeros follow the temperature, and friction is no constant."""
FRICTION_HOLDS = 60.0
"""s: longer than a ramp takes, and forces that were not measured at the same instant."""
LOWEST, HIGHEST = 0.1, 0.4
"""K of torque = K · diameter · force: 0.14 of an oiled and 0.25 of a dry screw, ±30 %, and breaking loose."""
WIDENED = 2.5
"""95 % intervals that a torque may differ from its calibration: one tightening in two thousand does by chance."""
SMALL_FORCE = 10.0
"""N that friction of pistons and the torque of gears may make."""


class _Sensor:
    """What is kept of the load cell of one side."""

    def __init__(self) -> None:
        self.scatter, self.jump, self.stuck, self.drift = Scatter(), Jump(), Stuck(), Drift()
        self.bottoming = Bottoming()
        self.waiting: deque[tuple[float, float]] = deque()
        """Lab time and force of readings after which not every screw has been read."""
        self.turned_from: tuple[float, float | None] | None = None
        """Angle of its own screw when the reading changed last, and N that a radian makes at least, where learnt."""
        self.tested = False

    def begin(self) -> None:
        """Compare nothing from before; what has been learnt of the sensor stays."""
        self.jump.begin()
        self.stuck.begin()
        self.drift.begin()
        self.bottoming.begin()
        self.waiting.clear()
        self.turned_from, self.tested = None, False


class Rigwatch:
    """Watches the rig of one station during one run.

    Args:
        controls: of the driven sides; they know how stiff the rig is, and make test moves.
    """

    def __init__(self, station: Station, controls: Mapping[Side, PressureControl]) -> None:
        self._station = station
        self._board = station.board
        self._controls = controls
        self._handled = False
        self._sensors = {side: _Sensor() for side in station.instruments.load_cells}
        self._pressed_here = bool(station.instruments.rigs or station.instruments.tools or station.springs)
        """Whether what presses is the station's: another press changes its force whenever its operator wants."""
        self._screws = {side: Turning(rig.angle_resolution) for side, rig in station.instruments.rigs.items()}

    def begin(self) -> None:
        """Compare nothing from before with what comes."""
        for sensor in self._sensors.values():
            sensor.begin()

    def follow(self, *, handled: bool) -> None:
        """Know whether a person has the rig in hand in the step that begins: then nothing is judged."""
        if handled or self._handled:
            self.begin()
        self._handled = handled

    def of_force(self, side: Side, limits: Limits, now: float) -> Iterator[Excess]:
        """Look at a poll of the load cell of a side."""
        force = self._board.force(side, now)
        if force is None or self._handled:
            return
        self._sensors[side].waiting.append((now, force))
        yield from self._judge(limits)
        yield from self._wall(limits, now)

    def of_screw(self, side: Side, limits: Limits, now: float) -> Iterator[Excess]:
        """Look at a poll of the rig of a side."""
        angle = self._board.value(ANGLE_GAUGE[side], now)
        if angle is None:
            return
        self._screws[side].see(angle, now, moving=self._board.moving.get(side, False))
        if not self._handled:
            yield from self._judge(limits)
            yield from self._torque(side, limits, now)

    # -- one load cell -------------------------------------------------------------------------------------------------

    def _judge(self, limits: Limits) -> Iterator[Excess]:
        """Judge the readings after which every screw has been read."""
        read = min((screw.time for screw in self._screws.values()), default=inf)
        for side, sensor in self._sensors.items():
            while sensor.waiting and sensor.waiting[0][0] <= read:
                time, force = sensor.waiting.popleft()
                stands = all(screw.stirred < time - AFTER for screw in self._screws.values())
                reading = Reading(time, force, stands)
                yield from self._jump(side, sensor, reading)
                yield from self._stuck(side, sensor, reading)
                yield from self._bottoming(side, sensor, reading)
                yield from self._drift(side, sensor, reading, limits)

    def _least(self, side: Side, sensor: _Sensor) -> float | None:
        """Return the change of force, N, that a load cell surely tells from none; None: not known."""
        accuracy, noise = self._accuracy(side), sensor.scatter.noise
        if noise is None:
            return None if accuracy is None else UNLEARNT * accuracy
        return max(accuracy or 0.0, NOISE * noise, STEPS * sensor.scatter.step)

    def _accuracy(self, side: Side) -> float | None:
        cell = self._station.instruments.load_cells[side]
        share = cell.FEATURES.accuracy
        return None if share is None else share * cell.capacity

    def _jump(self, side: Side, sensor: _Sensor, reading: Reading) -> Iterator[Excess]:
        old = sensor.jump.see(reading)
        if old is not None:
            sensor.scatter.see(old)  # not before it has been judged: a jump is no noise
        least = self._least(side, sensor)
        if least is None or not self._pressed_here or self._station.instruments.gases:
            return
        least = max(least, BAND * abs(reading.force))  # no more than a force that is held may differ
        rise, fall = self._worth(sensor.jump.since - AFTER)
        jumped = sensor.jump.judge(least, rise, fall)
        if jumped is not None:
            sentence = (
                f"The force on the {side} side jumped from {jumped[0]:.4g} N to {jumped[1]:.4g} N, more than its screw "
                f"explains (allowed: {least:.2g} N): a slip, a cracked pellet, or friction that let go."
            )
            yield Excess(f"jump.{side}", sentence, certain=True)

    def _worth(self, since: float) -> tuple[float, float]:
        """Return by how many N turns of the screws since a lab time may have raised, and lowered, a force."""
        rise = fall = 0.0
        for side, screw in self._screws.items():
            up, down = screw.turned(since)
            if up or down:
                newton = max(GENEROUS * self._controls[side].stiffness, self._station.stiffness or FIRST_STIFFNESS)
                rise, fall = rise + newton * up, fall + newton * down
        return rise, fall

    def _stuck(self, side: Side, sensor: _Sensor, reading: Reading) -> Iterator[Excess]:
        control, stuck = self._controls.get(side), sensor.stuck
        if stuck.see(reading.force, reading.time):
            sensor.tested = False
            sensor.turned_from = None if control is None else (self._screws[side].angle, self._weakest(side, control))
            return
        how = ""
        if stuck.repeats_too_often(sensor.scatter.most_repeats):
            how = "which its noise makes impossible"
        elif control is not None and sensor.turned_from is not None:
            how = self._ignored(side, sensor, control, *sensor.turned_from)
        if how:
            sentence = (
                f"The load cell of the {side} side is stuck: it has shown {reading.force:.5g} N in "
                f"{stuck.repeats + 1} polls, for {reading.time - stuck.since:.3g} s, {how}."
            )
            yield Excess(f"stuck.{side}", sentence, certain=True)
        elif reading.time - stuck.since > UNCHANGED and sensor.scatter.most_repeats is None and not sensor.tested:
            sensor.tested = control is not None and control.test_move()

    def _weakest(self, side: Side, control: PressureControl) -> float | None:
        """Return N that a radian of a screw makes at least; None: not learnt.

        A stack that slips in its die passes the force on to a spring behind it.
        """
        if not control.learnt:
            return None
        others = [newton for other, newton in self._station.springs.items() if other != side]
        return min(control.stiffness, *others) / GENEROUS if others else control.stiffness / GENEROUS

    def _ignored(
        self, side: Side, sensor: _Sensor, control: PressureControl, angle: float, weakest: float | None
    ) -> str:
        """Say which turn from an angle the reading has ignored, when play and winding are taken up; empty: none."""
        turned, least = abs(self._screws[side].angle - angle) - LOST_MOTION, self._least(side, sensor)
        if turned <= 0.0 or sensor.stuck.repeats < Stuck.REPEATS_IN_A_MOVE:
            return ""
        if control.ignored:
            return "though its screw was turned by more than should have been needed to change it"
        loaded = least is not None and abs(sensor.stuck.value) > CONTACT * least
        if weakest is None or least is None or not loaded or weakest * turned <= least:
            return ""
        return f"though its screw was turned by what is worth {weakest * turned:.2g} N or more"

    def _bottoming(self, side: Side, sensor: _Sensor, reading: Reading) -> Iterator[Excess]:
        newton, least = self._station.springs.get(side), self._least(side, sensor)
        if newton is None or least is None:
            return
        turned = sum(screw.turned(sensor.bottoming.since - AFTER)[0] for screw in self._screws.values())
        least = max(least, BAND * abs(reading.force))
        across: Side = "positive" if side == "negative" else "negative"
        other, control = self._board.force(across, reading.time), self._controls.get(across)
        passes = 0.0 if control is None else GENEROUS * newton / control.stiffness
        found = sensor.bottoming.see(reading.time, reading.force, newton * turned, other or 0.0, passes, least)
        if found is not None:
            sentence = (
                f"The spring of the {side} side has bottomed out: the force rose by {found[0]:.3g} N, and what the "
                f"screw was turned by compresses it by {found[1]:.2g} N at most."
            )
            yield Excess(f"spring.{side}", sentence, certain=True)

    def _drift(self, side: Side, sensor: _Sensor, reading: Reading, limits: Limits) -> Iterator[Excess]:
        share, board = limits.disagreement.drift, self._board
        cell = self._station.instruments.load_cells[side]
        temperature, current = board.temperature(reading.time), board.fresh_cell(reading.time)
        if share is None or temperature is None:
            return
        least = self._least(side, sensor)
        if (current is not None and flows(current, limits)) or not reading.still or least is None:
            sensor.drift.begin()
            return
        found = sensor.drift.see(reading.time, reading.force, temperature, share * cell.capacity, least)
        if found is not None:
            force, kelvin, allowed = found
            sentence = (
                f"The load cell of the {side} side drifts: {force:+.3g} N while the temperature changed by "
                f"{kelvin:+.3g} K and nothing moved (allowed: {allowed:.2g} N)."
            )
            yield Excess(f"drift.{side}", sentence, warns=True, certain=True)

    # -- two sensors ---------------------------------------------------------------------------------------------------

    def _wall(self, limits: Limits, now: float) -> Iterator[Excess]:
        wall = limits.disagreement.wall
        negative, positive = (self._board.force(side, now) for side in SIDES)
        if wall is None or negative is None or positive is None:
            return
        allowed = WALL_VARIES * wall + sum(self._accuracy(side) or 0.0 for side in SIDES)
        if abs(negative - positive) > allowed:
            sentence = (
                f"Forces disagree: {negative:.4g} N on the negative and {positive:.4g} N on the positive side, and the "
                f"wall holds {wall:.4g} N."
            )
            yield Excess("disagreement.wall", sentence, lasting=FRICTION_HOLDS)

    def _torque(self, side: Side, limits: Limits, now: float) -> Iterator[Excess]:
        """Compare the torque of a screw that moves on, play taken up, with the force."""
        board, screw = self._board, self._screws[side]
        torque, force = board.torque(side, now), board.force(side, now)
        if torque is None or force is None or screw.run < LOST_MOTION:
            return
        bounds = self._believed(side, abs(torque), screw.way > 0, limits)
        if bounds is None or bounds[0] <= force <= bounds[1]:
            return
        low, high, source = bounds
        sentence = (
            f"Torque and force disagree: {abs(torque):.3g} N·m at the moving screw mean {low:.3g} to {high:.3g} N by "
            f"{source}, and {force:.4g} N are measured on the {side} side."
        )
        yield Excess("disagreement.torque", sentence)

    def _believed(self, side: Side, torque: float, tightens: bool, limits: Limits) -> tuple[float, float, str] | None:
        """Return between which forces, N, a torque lies, and by what; None: not known."""
        small = SMALL_FORCE + (self._accuracy(side) or 0.0)
        force_of = self._station.forces_of_torque.get(side)
        if force_of is not None:
            low, middle, high = force_of(torque, tightens)
            return middle - WIDENED * (middle - low) - small, middle + WIDENED * (high - middle) + small, "calibration"
        screw = limits.disagreement.screw
        if screw is None or not tightens:
            return None
        least = self._station.instruments.rigs[side].torque_range.low
        high = (torque + least) / (LOWEST * screw)
        return torque / (HIGHEST * screw) - small, high + small, "a textbook's K of 0.1 to 0.4"
