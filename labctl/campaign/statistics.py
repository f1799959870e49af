"""What came of a campaign: n, mean and sample standard deviation of each cycle's capacity and efficiency."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from labctl.campaign.file import Values
from labctl.cells.mass import active_mass, specific
from labctl.cells.shelf import Shelf
from labctl.record.queries import CycleRow, Queries, RunRow


@dataclass(frozen=True, slots=True)
class Spread:
    """A quantity over n cells; the sample standard deviation needs two, the mean one."""

    n: int
    mean: float | None
    standard_deviation: float | None


@dataclass(frozen=True, slots=True)
class CycleSpread:
    """A cycle over the cells with the same values: discharge capacity in Ah and mAh/g, coulombic efficiency."""

    cycle: int
    capacity_ah: Spread
    specific_mah_per_gram: Spread
    coulombic_efficiency: Spread


@dataclass(frozen=True, slots=True)
class Group:
    """The cells with the same values; `cycles` only those that at least one of them has completed."""

    values: Values
    cells: tuple[str, ...]
    simulated: bool
    cycles: tuple[CycleSpread, ...]


def groups(queries: Queries, campaign: str, varied: Iterable[str], shelf: Shelf) -> list[Group]:
    """Return the cells of a campaign, grouped by the values of the inputs that are varied, in the order of first runs.

    Simulated runs form groups of their own: they are never averaged with real ones.
    """
    names = tuple(varied)
    found: dict[tuple[Values, bool], list[RunRow]] = {}
    for run in reversed([run for run in queries.runs() if run.campaign == campaign]):
        values = tuple((name, (run.inputs or {}).get(name, "")) for name in names)
        found.setdefault((values, bool(run.simulated)), []).append(run)
    return [_group(queries, values, runs, shelf, simulated=simulated) for (values, simulated), runs in found.items()]


def spread(values: Iterable[float | None]) -> Spread:
    """Return n, mean and sample standard deviation of the values that are known."""
    known = [value for value in values if value is not None]
    deviation = statistics.stdev(known) if len(known) > 1 else None
    return Spread(len(known), statistics.fmean(known) if known else None, deviation)


def _group(queries: Queries, values: Values, runs: list[RunRow], shelf: Shelf, *, simulated: bool) -> Group:
    """Put the cycles of each cell together, over the runs that continued it, and then those of all cells."""
    lives: dict[str, dict[int, tuple[CycleRow, float | None]]] = {}
    for run in runs:
        mass = active_mass(run, shelf).kilogram
        life = lives.setdefault(run.cell_name or run.uuid, {})
        life.update({cycle.cycle_count: (cycle, mass) for cycle in queries.cycles(run.id) if cycle.complete})
    numbers = sorted({number for life in lives.values() for number in life})
    cycles = tuple(_cycle(number, [life[number] for life in lives.values() if number in life]) for number in numbers)
    return Group(values, tuple(lives), simulated, cycles)


def _cycle(number: int, cells: list[tuple[CycleRow, float | None]]) -> CycleSpread:
    return CycleSpread(
        number,
        spread(cycle.discharging_capacity_ah for cycle, _ in cells),
        spread(specific(cycle.discharging_capacity_ah, mass) for cycle, mass in cells),
        spread(cycle.coulombic_efficiency for cycle, _ in cells),
    )
