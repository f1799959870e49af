"""A rehearsal as a picture: voltage, current and pressure over time, spectra, capacity and efficiency over cycles."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.errors import StorageError
from labctl.rehearse.keeper import Point
from labctl.rehearse.rehearsal import DISCLAIMER, Rehearsal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from labctl.rehearse.curves import Curves

HOUR, DAY = 3600.0, 86400.0
PANEL = (9.0, 2.6)
"""Inches of one panel."""
LABELS = {"negative_pressure_pa": "negative side", "positive_pressure_pa": "positive side"}


def save_picture(rehearsal: Rehearsal, path: Path) -> None:
    """Write a PNG.

    Raises:
        StorageError: the file cannot be written.
    """
    # A third of a second to import, and for nobody else's command; its object interface opens no window.
    from matplotlib.figure import Figure

    pressures = [name for name in LABELS if name in rehearsal.measured()]
    spectra = [step.spectrum for step in rehearsal.kept if step.spectrum]
    panels = 2 + bool(pressures) + bool(spectra) + bool(rehearsal.cycles)
    figure = Figure(figsize=(PANEL[0], PANEL[1] * panels), layout="constrained")
    axes = list(figure.subplots(panels, squeeze=False)[:, 0])
    plan = rehearsal.plan
    figure.suptitle(f"{plan.name} on {rehearsal.station}, rehearsed. {DISCLAIMER}", fontsize="medium", parse_math=False)

    _over_time(axes[0], rehearsal.curves, {"voltage_volt": ""}, 1.0, "V / V")
    _over_time(axes[1], rehearsal.curves, {"current_ampere": ""}, 1e-3, "I / mA")
    if pressures:
        _over_time(axes[2], rehearsal.curves, {name: LABELS[name] for name in pressures}, 1e6, "p / MPa")
    if spectra:
        _nyquist(axes[2 + bool(pressures)], spectra)
    if rehearsal.cycles:
        _over_cycles(axes[-1], rehearsal)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise StorageError(f"The picture {path} cannot be written: {error.strerror}.", "Give another path.") from error


def _over_time(axes: "Axes", curves: "Curves", labels: dict[str, str], scale: float, ylabel: str) -> None:
    days = bool(curves.times) and curves.times[-1] > 3 * DAY
    unit = DAY if days else HOUR
    times = [time / unit for time in curves.times]
    for name, label in labels.items():
        both = [value / scale for pair in zip(curves.lows[name], curves.highs[name], strict=True) for value in pair]
        axes.plot([time for time in times for _ in range(2)], both, linewidth=0.8, label=label)
    if any(labels.values()):
        axes.legend(loc="best", fontsize="small")
    axes.set_xlabel("t / d" if days else "t / h")
    axes.set_ylabel(ylabel)


def _nyquist(axes: "Axes", spectra: Sequence[Sequence[Point]]) -> None:
    """Draw spectra as far up as they reach to the right: what rises further is a capacitance."""
    for spectrum in spectra:
        axes.plot([point.real for point in spectrum], [-point.imaginary for point in spectrum], ".-", markersize=3)
    top = max(point.real for spectrum in spectra for point in spectrum)
    axes.set_xlim(0.0, 1.1 * top)
    axes.set_ylim(-0.1 * top, 0.6 * top)
    axes.set_xlabel("Z' / Ω")
    axes.set_ylabel("-Z'' / Ω")


def _over_cycles(axes: "Axes", rehearsal: Rehearsal) -> None:
    from matplotlib.ticker import MaxNLocator

    done = [cycle for cycle in rehearsal.cycles if cycle.complete]
    counts = [cycle.cycle_count for cycle in done]
    mass = rehearsal.plan.cell.active_mass
    scale, unit = (1.0, "mAh/g") if mass else (1e-3, "mAh")
    for label, values, marker in (
        ("charge", [cycle.charging_capacity_ah for cycle in done], "^"),
        ("discharge", [cycle.discharging_capacity_ah for cycle in done], "v"),
    ):
        capacities = [(value or 0.0) / (mass or 1.0) / scale for value in values]
        axes.plot(counts, capacities, marker, markersize=3, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("cycle")
    axes.set_ylabel(f"Q / ({unit})")
    axes.legend(loc="lower left", fontsize="small")
    efficiency = axes.twinx()
    percent = [float("nan") if c.coulombic_efficiency is None else 100.0 * c.coulombic_efficiency for c in done]
    efficiency.plot(counts, percent, ".", color="tab:gray", markersize=3)
    efficiency.set_ylabel("CE / %")
