"""Tables of runs, cycles and steps, for people and as JSON."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from labctl.cells.mass import ActiveMass
    from labctl.record.queries import CycleRow, RunRow, StepRow


def make_table(*columns: str, left: int = 0, title: str | None = None) -> "Table":
    """Make a table whose first `left` columns are words and whose others are numbers."""
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=None, pad_edge=False, header_style="bold", title=Text(title) if title else None, title_justify="left"
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < left else "right", no_wrap=index >= left)
    return table


def number(value: float | None, digits: int, scale: float = 1.0) -> str:
    """Write a number, or a dash where there is none."""
    return "–" if value is None else f"{value * scale:.{digits}f}"


def when(unix: float | None) -> str:
    """Write a time as minutes of UTC, or a dash where there is none."""
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

    table = make_table("Run", "UUID", "Started (UTC)", "Station", "Protocol", "Cell", "State", "", left=8)
    for run in runs:
        words = (
            str(run.id),
            run.uuid[:8],
            when(run.started_unix_second),
            run.station or "–",
            run.protocol_name or "–",
        )
        mark = "simulated" if run.simulated else ""
        table.add_row(*(Text(word) for word in (*words, run.cell_name or "–", run.state.value, mark)))
    return table


def cycle_table(cycles: "list[CycleRow]", run: "RunRow", mass: float | None) -> "Table":
    """Cycles of a run: capacities Q, specific where the active mass (kg) is known, efficiencies, voltages, duration."""
    from labctl.cells.mass import specific

    title = "Cycles (simulated)" if run.simulated else "Cycles"
    headers = ("Cycle", "Qchg/mAh", "Qdis/mAh", "mAh/g", "CE/%", "EE/%", "Vmin", "Vmax", "hours", "")
    table = make_table(*headers, title=title)
    for cycle in cycles:
        span = None
        if cycle.start_test_time_second is not None and cycle.end_test_time_second is not None:
            span = (cycle.end_test_time_second - cycle.start_test_time_second) / 3600.0
        table.add_row(
            str(cycle.cycle_count),
            number(cycle.charging_capacity_ah, 4, 1e3),
            number(cycle.discharging_capacity_ah, 4, 1e3),
            number(specific(cycle.discharging_capacity_ah, mass), 1),
            number(cycle.coulombic_efficiency, 2, 100.0),
            number(cycle.energy_efficiency, 2, 100.0),
            number(cycle.min_voltage_volt, 3),
            number(cycle.max_voltage_volt, 3),
            number(span, 2),
            "" if cycle.complete else "incomplete",
        )
    return table


def step_table(steps: "list[StepRow]") -> "Table":
    """Executed steps of a run."""
    from rich.text import Text

    table = make_table("Step", "Cyc", "Name", "Ended by", "Took", "Qchg/mAh", "Qdis/mAh", "V end", left=5)
    for step in steps:
        took = "–"
        if step.start_test_time_second is not None and step.end_test_time_second is not None:
            took = duration(step.end_test_time_second - step.start_test_time_second)
        table.add_row(
            *(Text(str(w if w is not None else "–")) for w in (step.step_count, step.cycle_count, step.name)),
            Text(step.end_reason or "–"),
            took,
            number(step.charging_capacity_ah, 4, 1e3),
            number(step.discharging_capacity_ah, 4, 1e3),
            number(step.end_voltage_volt, 3),
        )
    return table


def run_json(run: "RunRow") -> dict[str, Any]:
    """A run without its protocol's text."""
    data = asdict(run)
    del data["protocol_text"]
    return data


def cycle_json(cycle: "CycleRow", mass: float | None) -> dict[str, Any]:
    """A cycle with its specific discharge capacity by an active mass in kg."""
    from labctl.cells.mass import specific

    by_mass = specific(cycle.discharging_capacity_ah, mass)
    return {**asdict(cycle), "specific_discharging_capacity_mah_per_gram": by_mass}


def mass_line(mass: "ActiveMass") -> str:
    """Say by which active mass specific values are computed, and since when that is so."""
    now = milligram(mass.kilogram)
    if mass.trouble:
        return f"Active mass: {now}, as the run began; the cell's file is not used: {mass.trouble}"
    if mass.file is None:
        return f"Active mass: {now}, as the run began"
    since = "" if mass.since is None else f" since {mass.since:%Y-%m-%d %H:%M} UTC"
    differs = "" if mass.began_with == mass.kilogram else f"; the run began with {milligram(mass.began_with)}"
    return f"Active mass: {now}, from {mass.file}{since}{differs}"


def mass_json(mass: "ActiveMass") -> dict[str, Any]:
    """The active mass in kg, and where it comes from."""
    since = None if mass.since is None else mass.since.isoformat()
    began = mass.began_with
    return {"kilogram": mass.kilogram, "run_began_with": began, "file": mass.file, "since": since}


def milligram(kilogram: float | None) -> str:
    """Write a mass as people weigh it."""
    return "unknown" if kilogram is None else f"{kilogram * 1e6:.4g} mg"
