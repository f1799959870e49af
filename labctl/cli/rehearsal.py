"""`labctl check --rehearse`: a rehearsal under way at the terminal, and what is told of it in the end."""

import asyncio
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from labctl.cells.mass import specific
from labctl.cli.context import console
from labctl.cli.tables import cycle_json, duration, make_table, number
from labctl.clock import host_monotonic, host_sleep
from labctl.config import Config
from labctl.literal import literal
from labctl.plan import Plan
from labctl.plot.axes import Axis
from labctl.plot.data import Series
from labctl.plot.figure import Options
from labctl.plot.text import plot_text
from labctl.record.queries import CycleRow
from labctl.rehearse import DISCLAIMER, Rehearsal, Rehearsing, rehearse
from labctl.rehearse.curves import Curves

REPAINT = 0.25
INTERRUPTED = 130
FAULT = 1
WIDEST, ROWS = 100, 13
"""Columns at most, and rows, of a plot."""
MEGA = 1e6
NAMES = {
    "voltage_volt": ("voltage", "V", 1.0, 4),
    "current_ampere": ("current", "mA", 1e-3, 4),
    "negative_pressure_pa": ("negative pressure", "MPa", 1e6, 3),
    "positive_pressure_pa": ("positive pressure", "MPa", 1e6, 3),
    "surface_temperature_celsius": ("cell temperature", "°C", 1.0, 1),
    "ambient_temperature_celsius": ("bath temperature", "°C", 1.0, 1),
}
"""Traced quantity -> words, unit, what divides the SI value, digits."""


async def perform(plan: Plan, config: Config, station: str, *, seed: int, poll: float, boundaries: bool) -> Rehearsal:
    """Rehearse, with progress on standard error where that is a terminal; Ctrl-C ends it early with what there is."""
    shown: list[Rehearsing] = []
    said = console(to_stderr=True)
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        for rehearsing in shown:
            rehearsing.run.stop()

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, interrupted)
    painter: asyncio.Task[None] | None = None
    if said.is_terminal:
        painter = asyncio.create_task(_paint(said, shown), name="progress")
    try:
        return await rehearse(plan, config, station, seed=seed, poll=poll, boundaries=boundaries, started=shown.append)
    finally:
        if painter is not None:
            painter.cancel()
            with suppress(asyncio.CancelledError):
                await painter


async def _paint(said: Console, shown: list[Rehearsing]) -> None:
    began = host_monotonic()
    with Live(console=said, auto_refresh=False, transient=True) as live:
        while True:
            await host_sleep(REPAINT)
            if shown:
                live.update(Text(_progress(shown[-1], host_monotonic() - began)), refresh=True)


def _progress(rehearsing: Rehearsing, passed: float) -> str:
    run, fraction = rehearsing.run, rehearsing.fraction
    progress = run.progress
    cycle = f"  cycle {progress.cycle}/{progress.cycles}" if progress.cycles else ""
    left = f"{duration(passed * (1.0 - fraction) / fraction)} left" if fraction > 0.0 else ""
    return f"rehearsing {100.0 * fraction:3.0f} %{cycle}  lab time {duration(progress.test_time)}  {left}"


def exit_status(rehearsal: Rehearsal) -> int:
    """Return what the command leaves with: 5 where a limit tripped, 1 where a step failed."""
    error = rehearsal.outcome.error
    if error is not None:
        return error.exit_code
    return {"completed": 0, "stopped": INTERRUPTED}.get(rehearsal.outcome.state.value, FAULT)


def tell(rehearsal: Rehearsal) -> None:
    """Print summary, cycles and plots."""
    out = console()
    plan, outcome = rehearsal.plan, rehearsal.outcome
    out.print(f"{plan.name} on {rehearsal.station}, rehearsed (seed {rehearsal.seed}). {DISCLAIMER}", soft_wrap=True)
    out.print(f"End: {outcome.state.value} after {duration(rehearsal.duration)}. {literal(outcome.reason)}")
    for event in rehearsal.trouble:
        out.print(f"  {event.severity.value} at {duration(event.test_time_second)}: {literal(event.message)}")
    out.print(_summary(rehearsal))
    done = [cycle for cycle in rehearsal.cycles if cycle.complete]
    if done:
        out.print(_cycles([done[0], *done[-1:]] if len(done) > 1 else done, plan.cell.active_mass))
    for plot in _plots(out, rehearsal, done):
        out.print(plot)
    if rehearsal.poll > 0.0:
        out.print(
            f"In a long step it looked every {rehearsal.poll:g} s: an end that is no voltage is met up to that late,"
            " and what it speaks of may pass its value by as much. `--poll 0` looks as often as a real run.",
            soft_wrap=True,
        )


def _summary(rehearsal: Rehearsal) -> Table:
    table = make_table("", "from", "to", "", left=1)
    for name in rehearsal.measured():
        words, unit, scale, digits = NAMES[name]
        extremes = rehearsal.extremes(name)
        assert extremes is not None
        table.add_row(words, number(extremes[0], digits, 1 / scale), number(extremes[1], digits, 1 / scale), unit)
    table.add_row("duration", "", duration(rehearsal.duration), "")
    table.add_row("readings", "", f"{rehearsal.readings}", "")
    table.add_row("database", "", f"{rehearsal.size / MEGA:.2f}", "MB")
    table.add_row("steps, cycles", "", f"{len(rehearsal.steps)}, {len(rehearsal.cycles)}", "")
    return table


def _cycles(cycles: Iterable[CycleRow], mass: float | None) -> Table:
    table = make_table("Cycle", "Qchg/mAh", "Qdis/mAh", "mAh/g", "CE/%")
    for cycle in cycles:
        table.add_row(
            str(cycle.cycle_count),
            number(cycle.charging_capacity_ah, 4, 1e3),
            number(cycle.discharging_capacity_ah, 4, 1e3),
            number(specific(cycle.discharging_capacity_ah, mass), 1),
            number(cycle.coulombic_efficiency, 2, 100.0),
        )
    return table


def _plots(out: Console, rehearsal: Rehearsal, done: Sequence[CycleRow]) -> Iterator[Text]:
    """Yield voltage and pressure over time, and discharge capacity over cycles."""
    curves, time, width = rehearsal.curves, Axis("t", "s"), min(out.width, WIDEST)
    pressures = [name for name in ("negative_pressure_pa", "positive_pressure_pa") if name in rehearsal.measured()]
    for title, names in (("Voltage", ["voltage_volt"]), ("Pressure", pressures)):
        if names:
            how = Options(f"{title}, rehearsed", time, Axis(title[0].lower(), NAMES[names[0]][1]))
            yield plot_text(out, [_series(curves, name) for name in names], ROWS, how, width)
    if len(done) > 1:
        counts = [float(cycle.cycle_count) for cycle in done]
        capacities = [(cycle.discharging_capacity_ah or 0.0) * 1e3 for cycle in done]
        how = Options("Discharge capacity, rehearsed", Axis("cycle"), Axis("Q", "mAh"))
        yield plot_text(out, [Series("discharge", counts, capacities, capacities)], ROWS, how, width)


def _series(curves: Curves, name: str) -> Series:
    words, _, scale, _ = NAMES[name]
    low, high = ([value / scale for value in values[name]] for values in (curves.lows, curves.highs))
    return Series(words, curves.times, low, high)


def as_json(rehearsal: Rehearsal, picture: Path | None) -> dict[str, Any]:
    """Return it as plain JSON; SI, but Ah and Wh in cycles and steps."""
    mass, outcome = rehearsal.plan.cell.active_mass, rehearsal.outcome
    return {
        "notice": DISCLAIMER,
        "simulated": True,
        "station": rehearsal.station,
        "seed": rehearsal.seed,
        "poll": rehearsal.poll,
        "state": outcome.state.value,
        "reason": outcome.reason,
        "duration": rehearsal.duration,
        "readings": rehearsal.readings,
        "bytes": rehearsal.size,
        "extremes": {name: rehearsal.extremes(name) for name in rehearsal.measured()},
        "trouble": [asdict(event) for event in rehearsal.trouble],
        "cycles": [cycle_json(cycle, mass) for cycle in rehearsal.cycles],
        "steps": [asdict(step) for step in rehearsal.steps],
        "picture": None if picture is None else str(picture),
    }
