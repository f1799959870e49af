"""What a rehearsal of Wang 2023 costs, against the physics of its cell alone driven through the same cycles."""

import asyncio
import resource
from argparse import Namespace
from pathlib import Path

from benchmarks.report import Figure, Goal, Report, options, ratio, run
from labctl.config import Config, load
from labctl.lab.abilities import abilities
from labctl.plan import Compare, ConstantCurrent, Loop, Plan, Quantity, Step
from labctl.protocol import bind
from labctl.protocol import load as load_protocol
from labctl.reading import RunState
from labctl.rehearse import Rehearsal, rehearse
from labctl.sim.bench import Bench
from labctl.sim.source import VoltageSource

ROOT = Path(__file__).parent.parent
PROTOCOL = ROOT / "protocols" / "wang-2023" / "cccv.toml"
HOST_DRIVEN, BY_ITSELF = "A3", "A4"
ROUNDS = 2
CYCLES = 400
"""A tenth of the paper's 4000."""
MOST_HOST_DRIVEN, MOST_BY_ITSELF = 40.0, 4.0


def measure(arguments: Namespace) -> Report:
    config, cycles = load(ROOT / "config.toml"), arguments.cycles
    plans = {station: plan(config, station, cycles) for station in (HOST_DRIVEN, BY_ITSELF)}
    alone: list[float] = []
    host_driven: list[float] = []
    by_itself: list[float] = []
    for _ in range(arguments.rounds):
        alone.append(physics(plans[HOST_DRIVEN], config))
        host_driven.append(rehearsal(plans[HOST_DRIVEN], config, HOST_DRIVEN, boundaries=False))
        by_itself.append(rehearsal(plans[BY_ITSELF], config, BY_ITSELF, boundaries=True))
    physics_alone = Figure(f"physics alone, {cycles} cycles", "s", alone)
    host = Figure("rehearsed, host-driven, 10 s poll, all rows", "s", host_driven)
    instrument = Figure("rehearsed, in the instrument, boundaries", "s", by_itself)
    return Report(
        "rehearsal",
        [physics_alone, host, instrument],
        [
            Goal(ratio("host-driven / physics alone", host, physics_alone), "at most", MOST_HOST_DRIVEN),
            Goal(ratio("in the instrument / physics alone", instrument, physics_alone), "at most", MOST_BY_ITSELF),
        ],
        ["processor time; physics alone: the cell driven from bound to bound, no instrument, no engine, no reading"],
    )


def processor_time() -> float:
    """Return seconds that this process has computed: both sides only compute, and other programs do not count."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def plan(config: Config, station: str, cycles: int) -> Plan:
    """Return the protocol bound to a station, with so many cycles."""
    protocol = load_protocol(PROTOCOL)
    return bind(protocol, abilities(config, station), None, {"cycles": str(cycles)})


def physics(plan: Plan, config: Config) -> float:
    """Drive the bare cell as the plan's loop does; return how long it took."""
    loop = next(node for node in plan.body if isinstance(node, Loop))
    cell = Bench.of(config.station(HOST_DRIVEN).simulation, seed=1).cell
    steps = [(source(step), cv_time(step)) for step in loop.body if isinstance(step, Step)]
    begin = processor_time()
    for _ in range(loop.passes):
        for driven, held in steps:
            cell.drive(driven)
            while cell.limiting != "voltage":
                cell.advance_to(cell.next_event())
            cell.advance_to(cell.time + held)
    return processor_time() - begin


def source(step: Step) -> VoltageSource:
    """Return what a constant current connects to the cell: its end voltage, with its current as limit."""
    assert isinstance(step.action, ConstantCurrent)
    return VoltageSource(step.action.voltage, abs(step.action.current))


def cv_time(step: Step) -> float:
    """Return for how many seconds a step holds its voltage."""
    conditions = [end.condition for end in step.ends]
    return sum(c.value for c in conditions if isinstance(c, Compare) and c.quantity is Quantity.CV_TIME)


def rehearsal(plan: Plan, config: Config, station: str, *, boundaries: bool) -> float:
    """Rehearse; return how long it took."""
    begin = processor_time()
    done: Rehearsal = asyncio.run(rehearse(plan, config, station, boundaries=boundaries))
    assert done.outcome.state is RunState.COMPLETED, done.outcome.reason
    return processor_time() - begin


if __name__ == "__main__":
    parser = options(__doc__, ROUNDS)
    parser.add_argument("--cycles", type=int, default=CYCLES, help=f"how many; the paper runs 4000 ({CYCLES})")
    run(parser, measure)
