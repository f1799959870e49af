"""Pressure control on the physics of a rig: approaches, holds, two driven sides, stops, a sensor that lies."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Mapping
from itertools import pairwise
from typing import Any, ClassVar

import pytest

from benchmarks.pressure import CASES, perform
from labctl.clock import VirtualClock
from labctl.engine.approach import FIRST_NEWTONS
from labctl.engine.board import ANGLE_GAUGE, FORCE_GAUGE, Board
from labctl.engine.holding import MOST_AN_HOUR
from labctl.engine.pressure import UNANSWERED, PressureControl
from labctl.engine.run import Run
from labctl.instrument import Features, Identity, Lines, Range, RigReading, Role, SerialWire, Wire
from labctl.plan import SIDES, Pressure, Side, Torque
from labctl.reading import RunState, Severity
from labctl.sim.rig import RigParameters, ScrewRig
from tests.stations import Lab, laboratory

AREA = math.pi * 5e-3**2
RIGID = RigParameters(spring_stiffness=1e9, spring_preload=0.0, wall_friction=0.0, creep=())
HELD_APART = RigParameters(creep=())
FORCE = Pressure((("negative", 2.5e6),), 0.1e6)


class Drive:
    """A servo on a screw, without a wire: it is where it was told to be, in whole counts."""

    ROLE: ClassVar[Role] = Role.PRESSURE_RIG
    WIRE: ClassVar[Wire] = SerialWire(Lines(b"\n"), baudrate=9600)
    FEATURES: ClassVar[Features] = Features(self_locking=True)
    SIMULATOR: ClassVar[str] = ""
    EXAMPLE: ClassVar[Mapping[str, object]] = {}
    torque_range = Range(0.0, 10.0)
    continuous_torque = 10.0
    poll_period = 1.0

    def __init__(self, rig: ScrewRig, side: Side, count: float) -> None:
        self.rig, self.side = rig, side
        self.angle_resolution = count
        self.turns: list[float] = []
        self.engaged = False

    async def connect(self) -> Identity:
        return Identity("", "", "", "")

    async def safe_state(self) -> None:
        await self.freeze()

    async def engage(self, torque: float, speed: float) -> None:
        self.engaged = True

    async def turn_to(self, angle: float) -> None:
        assert self.engaged, "a frozen rig does not turn"
        counts = round(angle / self.angle_resolution)
        self.turns.append(counts * self.angle_resolution - self.rig.angle_of(self.side))
        self.rig.turn_to(counts * self.angle_resolution, self.side)

    async def read(self) -> RigReading:
        return RigReading(self.rig.angle_of(self.side), 0.0, moving=False)

    async def freeze(self) -> None:
        self.engaged = False


class Stand:
    """A rig whose forces are on a board every second, and a control for each driven side."""

    def __init__(self, parameters: RigParameters, *driven: Side, count: float = 1e-3) -> None:
        self.clock = VirtualClock(0.0)
        self.grown = 0.0
        self.told: list[tuple[str, str]] = []
        self.rig = ScrewRig(parameters, 1, lambda: (self.grown, 0.0))
        self.board = Board()
        self.board.bore_area = AREA
        self.stuck: float | None = None
        self.apart = 0.0
        for side in SIDES:
            self.board.gauge(FORCE_GAUGE[side], 5.0)
            self.board.gauge(ANGLE_GAUGE[side], 5.0)
        self.drives = {side: Drive(self.rig, side, count) for side in driven}
        self.controls = {
            side: PressureControl(side, drive, self.board, self.clock, self.tell) for side, drive in self.drives.items()
        }
        if len(driven) == 2:
            self.controls["negative"].beside = self.controls["positive"]
            self.controls["positive"].beside = self.controls["negative"]
        self.look()

    def tell(self, kind: str, message: str, severity: Severity) -> None:
        self.told.append((kind, message))

    def look(self) -> None:
        now = self.clock.now()
        self.rig.advance_to(now)
        self.rig.settle()
        for side in SIDES:
            force = self.rig.indicated(side) if self.stuck is None else self.stuck
            self.board.gauges[FORCE_GAUGE[side]].update(force, now)
            self.board.gauges[ANGLE_GAUGE[side]].update(self.rig.angle_of(side), now)
        self.apart = max(self.apart, abs(self.rig.indicated("negative") - self.rig.indicated("positive")))

    async def _poll(self) -> None:
        while True:
            await self.clock.sleep(1.0)
            self.look()

    def pressure(self, side: Side = "negative") -> float:
        return self.rig.indicated(side) / AREA

    def turned(self, side: Side = "negative") -> int:
        return len(self.drives[side].turns)

    def play(self, script: Callable[["Stand"], Coroutine[Any, Any, None]]) -> None:
        """Play a script in lab time, with the controls at work."""

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                others = [self.clock.spawn(group, self._poll(), "poller")]
                others += [self.clock.spawn(group, each.run(), "control") for each in self.controls.values()]
                await self.clock.spawn(group, script(self), "script")
                for other in others:
                    other.cancel()

        asyncio.run(work())


@pytest.mark.parametrize("stiffness", [5e4, 1e6, 1e7])
def test_a_ramp_is_followed_and_its_end_not_passed(stiffness: float) -> None:
    stand = Stand(RIGID.model_copy(update={"train_stiffness": stiffness}), "negative", count=2e-4)
    highest: list[float] = []

    async def script(stand: Stand) -> None:
        await stand.controls["negative"].go(FORCE, 2.5e6)
        for _ in range(240):
            await stand.clock.sleep(1.0)
            highest.append(stand.pressure())

    stand.play(script)
    assert highest[-1] == pytest.approx(2.5e6, rel=0.005)
    assert max(highest) < 2.5e6 * 1.005
    assert max(after - before for before, after in pairwise(highest)) < 2.2 * 0.1e6
    assert stand.told == []


def test_the_stack_is_met_softly() -> None:
    """Half a millimetre of air in a stiff frame: no poll may bring more than SOFT."""
    stand = Stand(RIGID.model_copy(update={"train_stiffness": 1e7}), "negative")
    stand.rig.turn_to(-0.25)
    stand.look()
    met: list[float] = []

    async def script(stand: Stand) -> None:
        await stand.controls["negative"].go(FORCE, 2.5e6)
        while stand.rig.indicated("negative") <= FIRST_NEWTONS:
            await stand.clock.sleep(1.0)
        met.append(stand.rig.indicated("negative"))

    stand.play(script)
    assert met[0] <= 12.0


def test_a_gap_is_locked_and_a_free_drive_lets_go_of_a_screw_that_locks_itself() -> None:
    stand = Stand(RIGID, "negative")

    async def script(stand: Stand) -> None:
        control = stand.controls["negative"]
        await control.go(FORCE, 2.5e6)
        await stand.clock.sleep(200.0)
        await control.release()
        before = stand.turned()
        stand.grown = 12e-6
        await stand.clock.sleep(4000.0)
        assert stand.turned() == before
        assert not stand.drives["negative"].engaged
        assert control.aim is None

    stand.play(script)
    assert stand.pressure() > 2.55e6, "it breathes"


def test_a_free_drive_loosens_a_screw_that_would_let_go_and_only_then_lets_go() -> None:
    class Slippery(Drive):
        FEATURES: ClassVar[Features] = Features(self_locking=False)

    stand = Stand(RIGID, "negative")
    stand.drives["negative"].__class__ = Slippery
    fell: list[float] = []

    async def script(stand: Stand) -> None:
        control = stand.controls["negative"]
        await control.go(FORCE, 2.5e6)
        await stand.clock.sleep(200.0)
        await control.release()
        while control.aim is not None:
            assert stand.drives["negative"].engaged
            before = stand.pressure()
            await stand.clock.sleep(1.0)
            fell.append(before - stand.pressure())

    stand.play(script)
    assert stand.pressure() * AREA <= FIRST_NEWTONS
    assert max(fell) < 2.2 * 0.1e6, "along the ramp"
    assert not stand.drives["negative"].engaged


def test_a_force_beyond_its_limit_stops_the_screw_at_the_first_reading() -> None:
    stand = Stand(RIGID, "negative")

    async def script(stand: Stand) -> None:
        control = stand.controls["negative"]
        control.limit(None, 3e6)
        await control.go(FORCE, 2.5e6)
        await stand.clock.sleep(10.0)
        stand.grown = 400e-6
        await stand.clock.sleep(2.0)
        assert stand.pressure() > 3e6
        before = stand.turned()
        assert not stand.drives["negative"].engaged
        await stand.clock.sleep(5.0)
        assert stand.turned() == before

    stand.play(script)


def test_a_pause_turns_nothing_and_afterwards_the_ramp_begins_where_the_force_is() -> None:
    stand = Stand(RIGID, "negative")

    async def script(stand: Stand) -> None:
        control = stand.controls["negative"]
        await control.go(FORCE, 2.5e6)
        await stand.clock.sleep(10.0)
        control.held = True
        await stand.drives["negative"].freeze()
        control.frozen()
        before, pressure = stand.turned(), stand.pressure()
        await stand.clock.sleep(600.0)
        assert stand.turned() == before
        control.held = False
        await stand.clock.sleep(2.0)
        assert stand.pressure() - pressure < 0.5e6
        await stand.clock.sleep(120.0)

    stand.play(script)
    assert stand.pressure() == pytest.approx(2.5e6, rel=0.005)


def test_a_screw_that_turns_without_an_answer_is_left_alone_and_somebody_told() -> None:
    stand = Stand(RIGID, "negative")

    async def script(stand: Stand) -> None:
        control = stand.controls["negative"]
        await control.go(FORCE, 2.5e6)
        await stand.clock.sleep(200.0)
        stand.stuck = stand.rig.indicated("negative")
        before = stand.rig.angle
        assert control.test_move()
        await stand.clock.sleep(300.0)
        assert abs(stand.rig.angle - before) < 0.06
        assert not control.moving
        turns = stand.turned()
        await stand.clock.sleep(3600.0)
        assert stand.turned() == turns
        assert not control.test_move(), "nothing is held any more"

    stand.play(script)
    ((kind, sentence),) = stand.told
    assert kind == UNANSWERED
    assert "The screw of the negative side was turned by" in sentence


def test_a_test_move_stays_in_the_band_and_counts() -> None:
    stand = Stand(RIGID, "negative")

    async def script(stand: Stand) -> None:
        control = stand.controls["negative"]
        await control.go(FORCE, 2.5e6, 0.05e6)
        await stand.clock.sleep(200.0)
        for _ in range(MOST_AN_HOUR):
            before = stand.pressure()
            assert control.test_move()
            await stand.clock.sleep(30.0)
            assert 0.01e6 < abs(stand.pressure() - before) < 0.06e6
            assert abs(stand.pressure() - 2.5e6) < 0.05e6
        assert control.test_move(), "a load cell that may be stuck does not wait for the budget"

    stand.play(script)
    assert stand.told == []


def test_two_driven_sides_go_together_and_each_gets_what_it_was_asked_for() -> None:
    stand = Stand(HELD_APART.model_copy(update={"spring_stiffness": 1e6, "spring_preload": 0.0}), *SIDES)

    async def script(stand: Stand) -> None:
        for side, pressure in zip(SIDES, (2.5e6, 2.0e6), strict=True):
            await stand.controls[side].go(FORCE, pressure)
        await stand.clock.sleep(300.0)
        settled = [stand.turned(side) for side in SIDES]
        await stand.clock.sleep(3600.0)
        assert [stand.turned(side) for side in SIDES] == settled, "neither moves the other"

    stand.play(script)
    assert stand.pressure("negative") == pytest.approx(2.5e6, rel=0.01)
    assert stand.pressure("positive") == pytest.approx(2.0e6, rel=0.01)
    assert stand.apart < 0.6e6 * AREA, "no side was far ahead of the other on the way"


def test_two_sides_that_the_wall_does_not_hold_apart_do_not_fight_for_ever() -> None:
    stand = Stand(RIGID.model_copy(update={"spring_stiffness": 1e6}), *SIDES)

    async def script(stand: Stand) -> None:
        for side, pressure in zip(SIDES, (2.5e6, 1.0e6), strict=True):
            await stand.controls[side].go(FORCE, pressure)
        await stand.clock.sleep(6.0 * 3600.0)
        turns = [stand.turned(side) for side in SIDES]
        await stand.clock.sleep(3600.0)
        assert [stand.turned(side) for side in SIDES] == turns

    stand.play(script)
    assert {kind for kind, _ in stand.told} == {UNANSWERED}


def test_a_torque_takes_the_place_of_a_pressure() -> None:
    stand = Stand(RIGID, "negative")

    async def script(stand: Stand) -> None:
        control = stand.controls["negative"]
        await control.go(FORCE, 1e6)
        await stand.clock.sleep(120.0)
        await control.turn(Torque("negative", -0.3))
        await stand.clock.sleep(2.0)
        assert control.aim is None
        assert stand.pressure() < 0.9e6
        await control.lock()

    stand.play(script)


@pytest.mark.parametrize("name", ["1e7 N/m, direct", "1e7 N/m, 5:1", "1e6 N/m, both sides driven"])
async def test_on_rough_rigs_over_simulated_wires_the_first_hour_is_held(name: str) -> None:
    """The rest of the table of docs/explanation/pressure.md comes from `python -m benchmarks.pressure`."""
    (case,) = [case for case in CASES if case.name == name]
    held = await perform(case, seed=2, hours=0.5)
    assert held.outcome.state is RunState.COMPLETED, held.outcome.reason
    assert held.worst < float(case.band.removesuffix(" %")) / 100.0
    assert held.an_hour <= MOST_AN_HOUR


async def test_a_free_pressure_is_reached_once_and_then_nothing_corrects() -> None:
    async with laboratory("A1") as lab:
        angles: list[float] = []

        async def watch(lab: Lab, run: Run) -> None:
            while True:
                await lab.clock.sleep(10.0)
                if run.progress.step is not None and run.progress.step.verb == "rest":
                    angles.append(lab.bench.rig.angle)

        step = '[[step]]\npressure = { negative = "2.5 MPa", ramp = "0.1 MPa/s", control = "free" }\n'
        outcome = await lab.run(
            f'{step}until = "stable within 5 % for 30 s"\ntimeout = "20 min"\n[[step]]\nrest = "2 h"\n', meanwhile=watch
        )
        assert outcome.state is RunState.COMPLETED, outcome.reason
        assert len(set(angles)) == 1
        assert lab.bench.rig.indicated("negative") < 0.95 * 2.5e6 * AREA, "it creeps, and nobody minds"
