"""Tables of runs, cycles and steps, for people and as JSON."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from labctl.record.queries import CycleRow, RunRow, StepRow

GRAM = 1e-3


def _table(*columns: str, left: int = 0, title: str | None = None) -> "Table":
    """Make a table whose first `left` columns are words and whose others are numbers."""
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=None, pad_edge=False, header_style="bold", title=Text(title) if title else None, title_justify="left"
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < left else "right", no_wrap=index >= left)
    return table


def _number(value: float | None, digits: int, scale: float = 1.0) -> str:
    return "–" if value is None else f"{value * scale:.{digits}f}"


def _active_mass(run: "RunRow") -> float | None:
    mass = (run.cell or {}).get("active_mass")
    return float(mass) if mass else None


def _specific(ah: float | None, run: "RunRow") -> float | None:
    """mAh/g of active material: derived from the cell's mass, never stored."""
    mass = _active_mass(run)
    return None if ah is None or mass is None else ah * 1e3 / (mass / GRAM)


def _when(unix: float | None) -> str:
    return "–" if unix is None else datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """Write a span as people say it: "45 s", "12 min 30 s", "3 h 05 min", "2 d 04 h"."""
    whole = round(seconds)
    for big, small, size, unit in ((86400, 3600, "d", "h"), (3600, 60, "h", "min"), (60, 1, "min", "s")):
        if whole >= big:
            return f"{whole // big} {size} {whole % big // small:02d} {unit}"
    return f"{whole} s"


def run_table(runs: "list[RunRow]") -> "Table":
    """Runs, the newest first."""
    from rich.text import Text

    table = _table("Run", "UUID", "Started (UTC)", "Station", "Protocol", "Cell", "State", "", left=8)
    for run in runs:
        words = (
            str(run.id),
            run.uuid[:8],
            _when(run.started_unix_second),
            run.station or "–",
            run.protocol_name or "–",
        )
        mark = "simulated" if run.simulated else ""
        table.add_row(*(Text(word) for word in (*words, run.cell_name or "–", run.state.value, mark)))
    return table


def cycle_table(cycles: "list[CycleRow]", run: "RunRow") -> "Table":
    """Cycles of a run: capacities Q, specific where the active mass is known, efficiencies, voltages, duration."""
    title = "Cycles (simulated)" if run.simulated else "Cycles"
    headers = ("Cycle", "Qchg/mAh", "Qdis/mAh", "mAh/g", "CE/%", "EE/%", "Vmin", "Vmax", "hours", "")
    table = _table(*headers, title=title)
    for cycle in cycles:
        span = None
        if cycle.start_test_time_second is not None and cycle.end_test_time_second is not None:
            span = (cycle.end_test_time_second - cycle.start_test_time_second) / 3600.0
        table.add_row(
            str(cycle.cycle_count),
            _number(cycle.charging_capacity_ah, 4, 1e3),
            _number(cycle.discharging_capacity_ah, 4, 1e3),
            _number(_specific(cycle.discharging_capacity_ah, run), 1),
            _number(cycle.coulombic_efficiency, 2, 100.0),
            _number(cycle.energy_efficiency, 2, 100.0),
            _number(cycle.min_voltage_volt, 3),
            _number(cycle.max_voltage_volt, 3),
            _number(span, 2),
            "" if cycle.complete else "incomplete",
        )
    return table


def step_table(steps: "list[StepRow]") -> "Table":
    """Executed steps of a run."""
    from rich.text import Text

    table = _table("Step", "Cyc", "Name", "Ended by", "Took", "Qchg/mAh", "Qdis/mAh", "V end", left=5)
    for step in steps:
        took = "–"
        if step.start_test_time_second is not None and step.end_test_time_second is not None:
            took = duration(step.end_test_time_second - step.start_test_time_second)
        table.add_row(
            *(Text(str(w if w is not None else "–")) for w in (step.step_count, step.cycle_count, step.name)),
            Text(step.end_reason or "–"),
            took,
            _number(step.charging_capacity_ah, 4, 1e3),
            _number(step.discharging_capacity_ah, 4, 1e3),
            _number(step.end_voltage_volt, 3),
        )
    return table


def run_json(run: "RunRow") -> dict[str, Any]:
    """A run without its protocol's text."""
    data = asdict(run)
    del data["protocol_text"]
    return data


def cycle_json(cycle: "CycleRow", run: "RunRow") -> dict[str, Any]:
    """A cycle with its specific discharge capacity."""
    specific = _specific(cycle.discharging_capacity_ah, run)
    return {**asdict(cycle), "specific_discharging_capacity_mah_per_gram": specific}
