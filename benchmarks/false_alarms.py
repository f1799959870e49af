"""How often the rig watch alarms where nothing is wrong: healthy rigs, a thousand hours, in virtual time.

Each rig is drawn by its seed (stiffness, friction of thread, wall and pistons, play, creep, load cells with their
noise, digits, drift and temperature) and lives twenty hours: it is pressed, held, locked, re-torqued and pressed
elsewhere, while its cell breathes with half-cycles of one to twelve hours and its room changes by up to 20 K. Real are
the guard, the pressure control and the simulated rig; left out are wires, cycler and electrochemistry.

    python -m benchmarks.false_alarms [--hours 1000] [--seed 1]
"""

import argparse
import math
import sys
import types
from collections import Counter
from collections.abc import Coroutine, Generator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from drivers.mark10.driver import ACCURACY
from drivers.mark10.sim import DIVISIONS, DRIFT_PER_DAY, GAIN_ERROR, NOISE, OFFSET
from labctl.engine.board import ANGLE_GAUGE, CELL_TEMPERATURE, FORCE_GAUGE, TORQUE_GAUGE, Board
from labctl.engine.guard import Guard
from labctl.engine.ledger import Ledger
from labctl.engine.pressure import PressureControl
from labctl.engine.rigwatch import Rigwatch
from labctl.instrument import CellReading, Features, Limiting, Range, RigReading
from labctl.plan import SIDES, Bound, Disagreement, Limits, Pressure, Torque
from labctl.sim.rig import RigParameters, ScrewRig
from labctl.sim.sensor import Sensor
from labctl.sim.servo import Servo

LIFE = 20.0
"""Hours of one rig."""
SHARES = ((1.0, 0.98), (0.1, 0.02))
"""Poll period (s) of load cells and screw, and the share of the hours."""
COUNTS = 4096
AREA = math.pi * 0.005**2
EXPANSION = 1.2e-6
"""m/K: 0.1 m of steel."""
ROOM_TIME = 600.0
PER_KELVIN = 2e-4
"""Of the capacity, of a load cell's zero."""
SETTLING = 10.0


class Beat:
    """Lab time that somebody else moves on; who sleeps is woken at the next beat."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        """Return lab time."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Wait for the next beat."""
        await _beat()


@types.coroutine
def _beat() -> Generator[None, None, None]:
    yield


class DirectRig:
    """A servo on the simulated screw, without a wire."""

    FEATURES = Features(self_locking=True)

    def __init__(self, servo: Servo, beat: Beat, period: float, reduction: float) -> None:
        self.poll_period = period
        self.torque_range = Range(6.4e-3 * reduction, 2.0 * reduction)
        self.angle_resolution = math.tau / COUNTS / reduction
        self.turns = 0
        self._servo, self._beat, self._reduction = servo, beat, reduction
        self._limits = (0.0, 0.0)

    async def engage(self, torque: float, speed: float) -> None:
        """Take limits."""
        self._limits = torque / self._reduction, speed * self._servo.counts_per_radian

    async def turn_to(self, angle: float) -> None:
        """Go to an angle."""
        torque, speed = self._limits
        self.turns += 1
        self._servo.drive(self._beat.time, round(angle * self._servo.counts_per_radian), speed, torque)

    async def freeze(self) -> None:
        """Stop."""
        self._servo.stop()

    def read(self) -> RigReading:
        """Read angle, torque and motion."""
        servo = self._servo
        load = servo.load * self._reduction * servo.direction if servo.velocity else 0.0
        return RigReading(servo.position / servo.counts_per_radian, load, servo.velocity != 0)


class Gauge:
    """A load cell with its errors, its digits, and a zero that follows the temperature."""

    def __init__(self, name: str, capacity: float, random: Random, beat: Beat, seed: int) -> None:
        self.capacity = capacity
        self.FEATURES = Features(accuracy=ACCURACY)
        self.stuck: float | None = None
        self.gain = 1.0
        self.quiet = random.random() < 0.2
        self._step = capacity / DIVISIONS
        self.per_kelvin = random.uniform(-PER_KELVIN, PER_KELVIN) * capacity
        self._sensor = Sensor(
            beat.now,
            seed,
            name,
            offset=random.uniform(-OFFSET, OFFSET) * capacity,
            gain_error=random.uniform(-GAIN_ERROR, GAIN_ERROR),
            drift_per_day=random.uniform(-DRIFT_PER_DAY, DRIFT_PER_DAY) * capacity,
            noise=NOISE * capacity * (0.02 if self.quiet else random.uniform(0.3, 3.0)),
        )

    def read(self, force: float, kelvin: float) -> float:
        """Return the reading of a force, so many kelvin from where it was zeroed."""
        if self.stuck is not None:
            return self.stuck
        return round((self._sensor.read(self.gain * force) + self.per_kelvin * kelvin) / self._step) * self._step


class Room:
    """A temperature that goes somewhere else every few hours."""

    def __init__(self, random: Random) -> None:
        self.kelvin = self.goal = 0.0
        self.due, self._random = 0.0, random

    def advance_to(self, time: float, passed: float) -> None:
        """Let time pass."""
        if time >= self.due:
            self.due = time + 3600.0 * self._random.uniform(1.0, 6.0)
            self.goal = self._random.uniform(-10.0, 10.0)
        self.kelvin += (self.goal - self.kelvin) * passed / ROOM_TIME


class Breathing:
    """A cell that is cycled: lithium on one side, and a cathode that shrinks."""

    def __init__(self, random: Random) -> None:
        self._half = 3600.0 * math.exp(random.uniform(0.0, math.log(12.0)))
        self._rest = 3600.0
        self.most = random.uniform(0.0, 12.3e-6)
        self.state, self.flows = 0.0, 0

    def advance_to(self, time: float) -> None:
        """Let time pass."""
        span = 2.0 * (self._half + self._rest)
        phase = time % span
        if phase < self._half:
            self.state, self.flows = phase / self._half, 1
        elif phase < self._half + self._rest:
            self.state, self.flows = 1.0, 0
        elif phase < span - self._rest:
            self.state, self.flows = 1.0 - (phase - self._half - self._rest) / self._half, -1
        else:
            self.state, self.flows = 0.0, 0

    @property
    def growth(self) -> tuple[float, float]:
        """Return how much thicker either electrode is, m."""
        return self.most * self.state, -0.13 * self.most * self.state


@dataclass(frozen=True)
class Alarm:
    """What the guard said, and at which s of the rig's life."""

    time: float
    quantity: str
    sentence: str


class Life:
    """One rig and what watches it.

    Args:
        given: parameters of the rig that are not drawn, SI.
    """

    def __init__(self, seed: int, period: float, **given: float) -> None:
        self.seed, self.period = seed, period
        self.random = random = Random(f"healthy/{seed}")
        self.beat, self.room, self.breathing = Beat(), Room(random), Breathing(random)
        stiffness = math.exp(random.uniform(math.log(5e4), math.log(1e7)))
        drawn: dict[str, Any] = {
            "train_stiffness": stiffness,
            "torque_coefficient": random.uniform(0.14, 0.25),
            "torque_scatter": random.uniform(0.0, 0.125),
            "static_friction": random.uniform(1.0, 1.5),
            "backlash": math.radians(random.uniform(0.0, 0.25)),
            "piston_friction": random.uniform(0.0, 20.0),
            "wall_friction": random.uniform(0.1, 0.4),
            "spring_stiffness": math.exp(random.uniform(math.log(2e4), math.log(2e5))),
            "spring_travel": 0.02,
            "creep": (
                (random.uniform(0.02, 0.06), random.uniform(300.0, 1200.0)),
                (random.uniform(0.03, 0.10), random.uniform(3600.0, 14400.0)),
            ),
        }
        self.parameters = RigParameters.model_validate(drawn | given)
        stiffness = self.parameters.train_stiffness
        self.rig = ScrewRig(self.parameters, seed, self._growth)
        reduction = random.choice((1.0, 5.0)) if stiffness < 3e6 else 5.0
        self.servo = Servo(self.rig, COUNTS, reduction, play=3.0)
        self.drive = DirectRig(self.servo, self.beat, period, reduction)
        self.gauges = {
            "negative": Gauge("negative", random.choice((500.0, 1000.0)), random, self.beat, seed),
            "positive": Gauge("positive", random.choice((100.0, 500.0)), random, self.beat, seed),
        }
        self.board = Board()
        self.board.bore_area = AREA
        for name in (*FORCE_GAUGE.values(), TORQUE_GAUGE["negative"], ANGLE_GAUGE["negative"], CELL_TEMPERATURE):
            self.board.gauge(name, math.inf).update(0.0, 0.0)
        self.station = types.SimpleNamespace(
            board=self.board,
            instruments=types.SimpleNamespace(load_cells=self.gauges, rigs={"negative": self.drive}, gases={}),
            forces_of_torque={},
            stiffness=random.choice((None, stiffness * self.parameters.lead / math.tau)),
            springs={"positive": self.parameters.spring_stiffness * self.parameters.lead / math.tau},
        )
        tell = self.told = []
        self.control = PressureControl(
            "negative", self.drive, self.board, self.beat, lambda kind, sentence, severity: tell.append(kind)
        )
        self.control.limit(2.0, None)
        capacity = self.gauges["negative"].capacity
        follows = PER_KELVIN * capacity + EXPANSION * self.parameters.stiffness + 0.2 * EXPANSION * stiffness
        wall = self.parameters.wall_friction_force + 2.0 * self.parameters.piston_friction
        self.limits = Limits(
            voltage=Bound(),
            current=1e-3,
            capacity=math.inf,
            disagreement=Disagreement(screw=8e-3, wall=wall, drift=follows / 100.0),
        )
        self.guard = self.new_guard()
        self.alarms: list[Alarm] = []
        self.polls = self.asked = 0
        self._settled = 0.0
        self.orders = self._drawn_orders()
        self._running = self.control.run()
        self._running.send(None)

    def _growth(self) -> tuple[float, float]:
        negative, positive = self.breathing.growth
        return negative + EXPANSION * self.room.kelvin, positive

    def new_guard(self) -> Guard:
        """Return a guard that knows nothing of this rig yet."""
        watch = Rigwatch(self.station, {"negative": self.control})
        return Guard(self.limits, self.board, Ledger(0.0), (), self.beat.time, rig=watch)

    def _drawn_orders(self) -> list[tuple[float, float | None]]:
        """Draw when a pressure (Pa) is asked for; None: the gap is locked."""
        orders, time = [], 60.0
        while time < LIFE * 3600.0:
            asked = self.random.uniform(1.0, 5.0) * 1e6 if self.random.random() < 0.7 else None
            orders.append((time, asked if orders else 2.5e6))
            time += 3600.0 * self.random.uniform(0.3, 6.0)
        return orders

    def advance(self) -> None:
        """Let one poll pass."""
        self.polls += 1
        self.beat.time = time = self.polls * self.period
        self.room.advance_to(time, self.period)
        self.breathing.advance_to(time)
        self.rig.advance_to(time)
        self.servo.advance_to(time)
        if time - self._settled >= SETTLING:
            self._settled = time
            self.rig.settle()
        self._measure(time)
        if self.orders and time >= self.orders[0][0]:
            self.order(self.orders.pop(0)[1])
        self._running.send(None)

    def live(self, until: float) -> None:
        """Live until a lab time (s)."""
        while self.beat.time < until:
            self.advance()

    def order(self, pressure: float | None) -> None:
        """Ask for a pressure, Pa, at 0.1 MPa/s; None: lock the gap."""
        self.asked += 1
        if pressure is None:
            _at_once(self.control.lock())
        else:
            _at_once(self.control.go(Pressure((("negative", pressure),), 0.1e6), pressure))

    def turn(self, torque: float, speed: float) -> None:
        """Turn the screw with at most a torque, N·m, at rad/s, whatever the force."""
        _at_once(self.control.turn(Torque("negative", torque, speed)))

    def _measure(self, time: float) -> None:
        board, kelvin = self.board, self.room.kelvin
        board.see_cell(CellReading(3.7, 4e-4 * self.breathing.flows, True, Limiting.CURRENT), time)
        board.gauges[CELL_TEMPERATURE].update(25.0 + kelvin, time)
        for side in SIDES:
            board.gauges[FORCE_GAUGE[side]].update(self.gauges[side].read(self.rig.indicated(side), kelvin), time)
            self._check(f"load_cell.{side}", time)
        reading = self.drive.read()
        board.gauges[ANGLE_GAUGE["negative"]].update(reading.angle, time)
        board.gauges[TORQUE_GAUGE["negative"]].update(reading.torque, time)
        board.moving["negative"] = reading.moving
        self._check("pressure_rig.negative", time)

    def _check(self, instrument: str, time: float) -> None:
        said = self.guard.check(instrument, time) or self.guard.warning
        if said is not None:
            self.alarms.append(Alarm(time, said.quantity, said.sentence))
            print(f"seed {self.seed}, {time:.1f} s: {said.sentence}", file=sys.stderr, flush=True)
            self.guard = self.new_guard()


def _at_once(work: Coroutine[Any, Any, None]) -> None:
    """Carry out what never waits."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise RuntimeError("it waits")


@dataclass
class Soak:
    """What became of healthy hours."""

    hours: float = 0.0
    rigs: int = 0
    polls: int = 0
    turns: int = 0
    asked: int = 0
    left_alone: int = 0
    """How often pressure control gave a screw up, which it tells as a warning."""
    alarms: Counter[str] = field(default_factory=Counter)
    sentences: list[str] = field(default_factory=list)


def soak(hours: float, period: float, seed: int) -> Soak:
    """Let so many hours of rigs pass, the first with this seed."""
    done = Soak()
    while done.hours < hours - 1e-9:
        life, lasts = Life(seed + done.rigs, period), min(LIFE, hours - done.hours)
        life.live(3600.0 * lasts)
        done.hours += lasts
        done.rigs += 1
        done.polls += 3 * life.polls
        done.turns += life.drive.turns
        done.asked += life.asked
        done.left_alone += len(life.told)
        done.alarms.update(alarm.quantity for alarm in life.alarms)
        done.sentences += [f"seed {life.seed}, {each.time / 3600.0:.2f} h: {each.sentence}" for each in life.alarms]
    return done


def main() -> None:
    """Run and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--hours", type=float, default=1000.0)
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    print(
        "| polls | hours | rigs | seeds | polls judged | pressures asked | turns of the screw | left alone | alarms |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    seed, sentences = asked.seed, list[str]()
    for period, share in SHARES:
        done = soak(share * asked.hours, period, seed)
        told = ", ".join(f"{kind}: {count}" for kind, count in done.alarms.items()) or "none"
        seeds, counts = (
            f"{seed} to {seed + done.rigs - 1}",
            f"{done.polls:.3g} | {done.asked} | {done.turns} | {done.left_alone}",
        )
        print(f"| {period:g} s | {done.hours:g} | {done.rigs} | {seeds} | {counts} | {told} |", flush=True)
        sentences += done.sentences
        seed += done.rigs
    print("", *sentences, sep="\n", flush=True)


if __name__ == "__main__":
    main()
