"""How well the pressure of a breathing cell is held, on rigs of many stiffnesses, with all that makes it hard.

One cell of Doerrer 2021 is charged and discharged once at 0.2 mA/cm2 on each rig, in virtual time. The instruments are
simulated with their errors; friction, play and creep are drawn by the seed. Judged is the mean over a minute of what
the load cell reads, from the end of the approach to the end of the discharge; the true pressure is told apart.

    python -m benchmarks.pressure [--seeds 2] [--case NAME] [--picture FILE]
"""

import argparse
import asyncio
import math
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from labctl.clock import VirtualClock
from labctl.config import Config, load
from labctl.engine.operator import DeclaredOperator
from labctl.engine.run import Outcome, Run
from labctl.errors import ProtocolError
from labctl.lab.assemble import assemble, memory_links
from labctl.plan import Side, StationAbilities
from labctl.protocol import bind
from labctl.protocol.load import fill
from labctl.protocol.source import parse
from labctl.reading import Event, Record
from labctl.rehearse.rhythm import RehearsedStation
from labctl.sim.bench import Bench, BenchParameters

LOOK = 5.0
"""s between two looks of the witness, and between two polls of the load cells in a long step."""
MINUTE = 60.0

STATION = """
schema = "1"
[lab]
site = "benchmark"
[station.S.cycler]
driver = "keithley-2450"
address = "sim://"
[station.S.load_cell.negative]
driver = "mark10"
address = "sim://"
capacity = "500 N"
[station.S.load_cell.positive]
driver = "mark10"
address = "sim://"
capacity = "{positive}"
[station.S.pressure_rig.negative]
driver = "dynamixel-x"
address = "sim://"
direction = "clockwise"
reduction = {reduction}
torque_limit = "2 N m"
travel = "30 rad"
{far_rig}
[station.S.limits]
voltage = ["0 V", "5 V"]
current = "10 mA"
pressure.negative = ["0 MPa", "6 MPa"]
pressure.positive = ["0 MPa", "6 MPa"]
"""
FAR_RIG = """
[station.S.pressure_rig.positive]
driver = "dynamixel-x"
address = "sim://"
direction = "clockwise"
reduction = {reduction}
torque_limit = "2 N m"
travel = "30 rad"
"""
PROTOCOL = """
schema = "1"
[protocol]
name = "pressure"
[cell]
kind = "full"
bore = "10 mm"
positive = {{ active_loading = "14 mg/cm2", diameter = "10 mm", one_c = "200 mA/g" }}
negative = {{ material = "Li", potential = "0 V vs Li" }}
[limits]
voltage = ["2.0 V", "4.4 V"]
current = "3 mA"
capacity = "400 mAh/g"
pressure.negative = ["0 MPa", "5.5 MPa"]
pressure.positive = ["0 MPa", "5.5 MPa"]
[record]
interval = "60 s"
[[step]]
pressure = {{ negative = "2.5 MPa", positive = "{positive}", ramp = "0.1 MPa/s", control = "{control}" }}
until = "stable within {within} for 60 s"
timeout = "60 min"
[[step]]
charge = "0.2 mA/cm2"
until = {charged}
timeout = "40 h"
[[step]]
discharge = "0.2 mA/cm2"
until = {discharged}
timeout = "40 h"
"""


@dataclass(frozen=True)
class Case:
    """One rig and what is asked of it.

    Attributes:
        stiffness: N/m of the train.
        reduction: turns of the servo for one of the screw.
        band: asked of the pressure, and promised of its mean over a minute.
        springs: N/m of disc springs in series.
        both: whether both sides are driven, to the same pressure.
        rough: whether screws stick and pistons rub; drawn by the seed.
    """

    name: str
    stiffness: float
    reduction: float = 1.0
    band: str = "2 %"
    control: str = "force"
    springs: float | None = None
    both: bool = False
    rough: bool = True
    spring_side: bool = True


CASES = (
    Case("5e4 N/m", 5e4),
    Case("1e5 N/m", 1e5),
    Case("3e5 N/m", 3e5),
    Case("1e6 N/m", 1e6),
    Case("1e7 N/m, direct", 1e7, band="5 %"),
    Case("1e7 N/m, 5:1", 1e7, reduction=5.0),
    Case("1e7 N/m, disc springs of 5e5 N/m", 1e7, springs=5e5),
    Case("1e6 N/m, both sides driven", 1e6, both=True),
    Case("1e7 N/m, both sides driven, 5:1", 1e7, reduction=5.0, both=True),
)


@dataclass
class Curve:
    """What the witness saw: lab time (h), indicated and true pressure (MPa) of a side."""

    time: list[float] = field(default_factory=list)
    indicated: list[float] = field(default_factory=list)
    true: list[float] = field(default_factory=list)


@dataclass
class Held:
    """What a rig did.

    Attributes:
        worst, worst_true: largest errors of means over a minute in the hold, relative to 2.5 MPa: of what is indicated,
            and of what is true.
        corrections: in the hold; `an_hour`: the most in any hour.
        far: largest error of the positive side's mean, Pa; `far_true` of what is true.
    """

    outcome: Outcome
    worst: float = 0.0
    worst_true: float = 0.0
    corrections: int = 0
    an_hour: int = 0
    far: float = 0.0
    far_true: float = 0.0
    hours: float = 0.0
    events: list[Event] = field(default_factory=list)
    curves: dict[Side, Curve] = field(default_factory=dict)


def parameters(case: Case, seed: int) -> dict[str, object]:
    """Draw the rig of a case."""
    random = Random(f"{case.name}/{seed}")
    rig: dict[str, object] = {
        "train_stiffness": f"{case.stiffness} N/m",
        "torque_coefficient": random.uniform(0.14, 0.25),
        "creep": (
            (random.uniform(0.02, 0.06), random.uniform(300.0, 1200.0)),
            (random.uniform(0.03, 0.10), random.uniform(3600.0, 14400.0)),
        ),
    }
    if case.springs is not None:
        rig["disc_springs"] = f"{case.springs} N/m"
    if case.rough:
        rig["static_friction"] = random.uniform(1.3, 1.5)
        rig["piston_friction"] = f"{random.uniform(5.0, 20.0)} N"
        rig["backlash"] = f"{math.radians(random.uniform(0.0, 0.25))} rad"
    if case.both:
        rig |= {"spring_stiffness": f"{case.stiffness} N/m", "spring_preload": "0 N"}
        rig["residual_stress"] = f"{random.uniform(0.0, 20.0)} MPa"
    return rig


def configuration(case: Case, seed: int) -> Config:
    """Return the laboratory of a case."""
    far_rig = FAR_RIG.format(reduction=case.reduction) if case.both else ""
    text = STATION.format(reduction=case.reduction, far_rig=far_rig, positive="500 N" if case.both else "50 N")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(text)
        config = load(path)
    simulation = BenchParameters.model_validate({"cell": {"preset": "nmc83-li"}, "rig": parameters(case, seed)})
    return config.simulating("S", simulation)


def protocol(case: Case, able: StationAbilities, hours: float | None) -> object:
    """Bind the protocol of a case; `hours` of charge and of discharge, or None: a full cycle."""
    ends = ('"4.3 V"', '"2.5 V"') if hours is None else (f'["4.3 V", "{hours} h"]', f'["2.5 V", "{hours} h"]')
    text = PROTOCOL.format(
        positive="2.5 MPa" if case.both else "0.2 MPa",
        control=case.control,
        within=case.band,
        charged=ends[0],
        discharged=ends[1],
    )
    return bind(fill(parse("pressure.toml", text, ProtocolError), {}), able)


class Witness:
    """Looks at the bench beside the run, and counts the moves of the screws in the hold."""

    def __init__(self, bench: Bench, station: RehearsedStation, sides: tuple[Side, ...], run: Run) -> None:
        self.curves: dict[Side, Curve] = {side: Curve() for side in ("negative", "positive")}
        self._bench, self._station, self._sides, self._run = bench, station, sides, run
        self._moves: dict[Side, list[float]] = {side: [] for side in sides}
        self._angles: dict[Side, float] = {}
        self._last: dict[Side, float] = dict.fromkeys(sides, -math.inf)

    async def watch(self) -> None:
        """Look for ever."""
        clock, began = self._station.clock, self._station.clock.now()
        while True:
            await clock.sleep(LOOK)
            step = self._run.progress.step
            if step is None or step.verb == "pressure":
                continue
            now = clock.now()
            self._bench.advance_to(now)
            for side, curve in self.curves.items():
                force = self._station.board.force(side, now)
                if force is not None:
                    curve.time.append((now - began) / 3600.0)
                    curve.indicated.append(force / self._bench.rig.area / 1e6)
                    curve.true.append(self._bench.rig.force(side) / self._bench.rig.area / 1e6)
            for side in self._sides:
                self._count(side, now)

    def _count(self, side: Side, now: float) -> None:
        """A turn that follows another within a minute belongs to the same correction."""
        angle = self._bench.rig.angle_of(side)
        if side in self._angles and angle != self._angles[side]:
            if now - self._last[side] > 2.0 * MINUTE:
                self._moves[side].append(now)
            self._last[side] = now
        self._angles[side] = angle

    def corrections(self) -> tuple[int, int]:
        """Return how many there were on the side that had most, and the most in any hour."""
        each = [(len(moves), most_in_an_hour(moves)) for moves in self._moves.values()]
        return max(count for count, _ in each), max(most for _, most in each)


def most_in_an_hour(moves: list[float]) -> int:
    """Return the most instants that lie within any hour."""
    return max((sum(1 for other in moves if 0.0 <= other - move < 3600.0) for move in moves), default=0)


def means(values: list[float]) -> Iterator[float]:
    """Yield the means over a minute."""
    count = round(MINUTE / LOOK)
    window: deque[float] = deque(maxlen=count)
    for value in values:
        window.append(value)
        if len(window) == count:
            yield sum(window) / count


def worst(values: list[float], target: float) -> float:
    """Return the largest difference of a mean over a minute from a target."""
    return max((abs(mean - target) for mean in means(values)), default=math.nan)


async def perform(case: Case, seed: int, hours: float | None = None) -> Held:
    """Run one case.

    Args:
        hours: of charge and of discharge; None: a full cycle.
    """
    config = configuration(case, seed)
    clock = VirtualClock(0.0)
    make, bench = memory_links(config, "S", clock, seed)
    assembly = assemble(config, "S", clock, make)
    plan = protocol(case, assembly.abilities, hours)
    station = RehearsedStation("S", assembly.station.instruments, clock, LOOK, bench.cell.next_switch)
    records: list[Record] = []
    await station.connect()
    run = Run(plan, station, DeclaredOperator(), records.append)  # type: ignore[arg-type]
    witness = Witness(bench, station, ("negative", "positive") if case.both else ("negative",), run)
    async with asyncio.TaskGroup() as group:
        station.start(group)
        beside = clock.spawn(group, witness.watch(), "witness")
        outcome = await run.execute()
        beside.cancel()
        station.stop()
    negative, positive = witness.curves["negative"], witness.curves["positive"]
    corrections, an_hour = witness.corrections()
    far = 2.5 if case.both else 0.2
    return Held(
        outcome,
        worst(negative.indicated, 2.5) / 2.5,
        worst(negative.true, 2.5) / 2.5,
        corrections,
        an_hour,
        worst(positive.indicated, far) * 1e6,
        worst(positive.true, far) * 1e6,
        negative.time[-1] - negative.time[0] if negative.time else 0.0,
        [record for record in records if isinstance(record, Event)],
        witness.curves,
    )


BREATHING = (
    Case("gap locked, stiff frame (1e7 N/m)", 1e7, band="5 %", control="gap"),
    Case("gap locked, disc springs of 5e5 N/m", 1e7, springs=5e5, control="gap"),
    Case("force held, direct drive (±5 %)", 1e7, band="5 %"),
    Case("force held, gear of 5:1 (±2 %)", 1e7, reduction=5.0),
)
"""What the picture shows: one cycle each, on the same cell."""


def row(case: Case, seed: int, held: Held) -> str:
    """Return a row of the table."""
    return (
        f"| {case.name} | {case.band} | {seed} | {100 * held.worst:.2f} % | {100 * held.worst_true:.2f} % | "
        f"{held.corrections} in {held.hours:.0f} h | {held.an_hour} | {held.far / 1e3:.1f} kPa | "
        f"{held.far_true / 1e3:.1f} kPa | {held.outcome.state} |"
    )


def draw(curves: Sequence[Curve], path: Path) -> None:
    """Draw what a cell's breathing makes of the pressure under each way of keeping it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 6.0), layout="constrained")
    panels = figure.subplots(len(BREATHING), 1, sharex=True)
    for panel, case, curve in zip(panels, BREATHING, curves, strict=True):
        panel.plot(curve.time, curve.true, color="0.7", linewidth=1.0, label="on the cell")
        panel.plot(curve.time, curve.indicated, color="tab:blue", linewidth=0.8, label="indicated")
        panel.axhline(2.5, color="black", linewidth=0.5, linestyle=":")
        panel.set_title(case.name, fontsize=9, loc="left")
        panel.set_ylabel("MPa")
    panels[0].legend(fontsize=8, loc="upper right", frameon=False)
    panels[-1].set_xlabel("time / h")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--case", default="", help="only rigs with this in their name")
    parser.add_argument("--hours", type=float)
    parser.add_argument("--events", action="store_true")
    parser.add_argument("--picture", type=Path, help="draw breathing under force, gap and springs into this file")
    asked = parser.parse_args()
    print("| rig | asked | seed | worst minute | true | corrections | most in an hour | other side | true | end |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    if asked.picture is not None:
        curves = []
        for case in BREATHING:
            held = asyncio.run(perform(case, asked.first))
            print(row(case, asked.first, held), flush=True)
            curves.append(held.curves["negative"])
        draw(curves, asked.picture)
        return
    for case in CASES:
        if asked.case not in case.name:
            continue
        for seed in range(asked.first, asked.first + asked.seeds):
            held = asyncio.run(perform(case, seed, asked.hours))
            print(row(case, seed, held), flush=True)
            if asked.events:
                for event in held.events:
                    if event.severity != "info":
                        print("   ", event.test_time_second, event.kind, event.message)
                print("   ", held.outcome.reason)


if __name__ == "__main__":
    main()
