"""What is plotted of a run, asked of the daemon in buckets: V-t, V-Q, capacity and efficiency, pressures."""

from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import nan
from typing import TypeVar

from labctl.api import Bucketed, CycleLine, RunStatus
from labctl.client import Lab
from labctl.literal import literal
from labctl.plot.axes import Axis
from labctl.plot.data import Range, Series

T = TypeVar("T")

DAY = 86400.0
CURVES = 3
"""Cycles whose curves are drawn over one another."""
PAGE = 1000
MOST = 2000
"""Buckets that a question may ask for."""

TIME = Axis("t", "s")
VOLTAGE = Axis("V", "V")


@dataclass(frozen=True, slots=True)
class Chart:
    """One plot."""

    title: str
    x: Axis
    y: Axis
    series: list[Series]


Charts = list[Chart]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plot shall show.

    Attributes:
        run: its UUID.
        status: while it lasts.
        buckets: of which there must be no fewer than columns of dots: a wider one would be drawn as a stroke.
        span: of x that is zoomed into; None: all.
    """

    run: str
    status: RunStatus | None
    buckets: int
    span: Range | None = None


Draw = Callable[[Lab, Wanted], Awaitable[Charts]]
"""Returns the upper chart first."""


async def last_day(lab: Lab, wanted: Wanted) -> Charts:
    """V over the last day of test time; of a run that is younger, from its beginning."""

    async def since(start: float | None) -> Bucketed:
        return await lab.history(wanted.run, ["voltage_volt"], start=start, buckets=wanted.buckets)

    if wanted.status is not None:
        age = wanted.status.test_time_second
        found = await since(age - DAY if age > DAY else None)
    else:
        found = await since(None)
        if found.x and found.x[-1] - found.x[0] > DAY:
            found = await since(found.x[-1] - DAY)
    return [Chart("V(t) 24 h", TIME, VOLTAGE, [_line("V", found, 0)])]


async def voltage_time(lab: Lab, wanted: Wanted) -> Charts:
    """V over the whole run."""
    found = await _over_time(lab, wanted, ["voltage_volt"])
    return [Chart("V(t)", TIME, VOLTAGE, [_line("V", found, 0)])]


async def voltage_capacity(lab: Lab, wanted: Wanted) -> Charts:
    """V over the charge that went in, and over that which came out, of the last cycles."""
    run, behind = wanted.run, -1 if wanted.status is None else max(-1, wanted.status.cycle - CURVES)
    page = await lab.cycles(run, after=behind)
    buckets = min(2 * wanted.buckets, MOST)  # either curve is half of the cycle, and as wide as the plot
    series: list[Series] = []
    columns = ["voltage_volt", "charging_capacity_ah", "discharging_capacity_ah"]
    unit, per = _capacity_unit(page.active_mass)
    for cycle in [c for c in page.cycles if c.start_test_time_second is not None][-CURVES:]:
        end = cycle.end_test_time_second if cycle.complete else None
        found = await lab.history(run, columns, start=cycle.start_test_time_second, end=end, buckets=buckets)
        series += [_curve(f"{cycle.cycle_count} {way}", found, column, per) for column, way in ((1, "in"), (2, "out"))]
    return [Chart("V(Q) by cycle", Axis("Q", unit), VOLTAGE, series)]


async def capacity_cycle(lab: Lab, wanted: Wanted) -> Charts:
    """Discharge capacity and coulombic efficiency of every complete cycle."""
    cycles: list[CycleLine] = []
    more, mass = True, None
    while more:
        page = await lab.cycles(wanted.run, after=cycles[-1].cycle_count if cycles else -1, limit=PAGE)
        cycles += page.cycles
        more, mass = page.more and bool(page.cycles), page.active_mass
    whole = [c for c in cycles if c.complete]
    unit, per = _capacity_unit(mass)
    axis = Axis("cycle", "")
    out = [c.discharging_capacity_ah for c in whole]
    capacity = [nan if value is None else value * per for value in out]
    efficiency = [nan if c.coulombic_efficiency is None else c.coulombic_efficiency * 100 for c in whole]
    numbers = [float(c.cycle_count) for c in whole]
    return [
        Chart("discharge capacity", axis, Axis("Q", unit), [Series("Q", numbers, capacity, capacity)]),
        Chart("coulombic efficiency", axis, Axis("CE", "%"), [Series("CE", numbers, efficiency, efficiency)]),
    ]


async def pressure_time(lab: Lab, wanted: Wanted) -> Charts:
    """Both pressures over the whole run, with the extremes between two rows."""
    columns = [f"{side}_pressure_pa_{end}" for side in ("negative", "positive") for end in ("min", "max")]
    found = await _over_time(lab, wanted, columns)
    sides = [
        Series(label, found.x, found.low[index], found.high[index + 1])
        for label, index in (("anode", 0), ("cathode", 2))
    ]
    return [Chart("p(t)", TIME, Axis("p", "Pa"), sides)]


KINDS: dict[str, Draw] = {
    "V-t": voltage_time,
    "V-Q": voltage_capacity,
    "capacity": capacity_cycle,
    "p-t": pressure_time,
}


async def _over_time(lab: Lab, wanted: Wanted, columns: Sequence[str]) -> Bucketed:
    """Return the history of a whole run, in as many buckets again where it is zoomed into."""
    whole = await lab.history(wanted.run, columns, buckets=wanted.buckets)
    if wanted.span is None:
        return whole
    start, end = wanted.span
    fine = await lab.history(wanted.run, columns, start=start, end=end, buckets=wanted.buckets)
    before, behind = bisect_left(whole.x, start), bisect_right(whole.x, end)

    def spliced(outside: list[T], inside: list[T]) -> list[T]:
        return [*outside[:before], *inside, *outside[behind:]]

    return Bucketed(
        x=spliced(whole.x, fine.x),
        low=[spliced(*both) for both in zip(whole.low, fine.low, strict=True)],
        high=[spliced(*both) for both in zip(whole.high, fine.high, strict=True)],
        rows=whole.rows,
    )


def _line(label: str, found: Bucketed, column: int) -> Series:
    return Series(literal(label), found.x, found.low[column], found.high[column])


def _capacity_unit(active_mass: float | None) -> tuple[str, float]:
    """Return the unit of a capacity axis, and the factor from Ah to it."""
    return ("Ah", 1.0) if active_mass is None else ("mAh/g", 1.0 / active_mass)


def _curve(label: str, found: Bucketed, column: int, per: float) -> Series:
    """Return V over one capacity, where it grows; from 0 at the cycle's beginning."""
    charge = found.high[column]
    first = next((value for value in found.low[column] if value is not None), 0.0)
    grows = [a is not None and b is not None and b > a for a, b in pairwise([*charge[:1], *charge])]
    kept = [index for index, yes in enumerate(grows) if yes]
    x = [((charge[index] or 0.0) - first) * per for index in kept]
    return Series(label, x, [found.low[0][i] for i in kept], [found.high[0][i] for i in kept])
