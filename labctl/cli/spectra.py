"""Impedance spectra of a run: a Nyquist plot of all of them, and their points."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from labctl.cli.tables import make_table
from labctl.plot.axes import Axis
from labctl.plot.data import Series
from labctl.plot.figure import Options
from labctl.plot.text import plot_text
from labctl.quantity import Dimension, QuantityError, Written
from labctl.record.queries import PointRow

if TYPE_CHECKING:
    from rich.table import Table

WIDEST, NARROWEST = 80, 40
HIGHEST, FLATTEST = 24, 8
"""Columns and rows of a plot; within them an ohm is as long on both axes, but for the room that labels take."""
_DIGITS = 5


def nyquist(out: Console, points: Sequence[PointRow], *, simulated: bool) -> Text:
    """Return a plot of -Z'' against Z', a line for each spectrum."""
    series = [
        Series(
            f"step {step}, cycle {cycle}" if cycle else f"step {step}",
            [p.real_impedance_ohm for p in each],
            upward,
            upward,
        )
        for (step, cycle), each in _spectra(points)
        for upward in [[-p.imaginary_impedance_ohm for p in each]]
    ]
    width, height = _size(points, min(out.width, WIDEST))
    how = Options("Nyquist plot (simulated)" if simulated else "Nyquist plot", Axis("Z'", "Ω"), Axis("-Z''", "Ω"))
    return plot_text(out, series, height, how, width)


def point_table(points: Sequence[PointRow]) -> "Table":
    """Return a row for each point, in the order in which they were measured."""
    table = make_table("Step", "Cyc", "f/Hz", "Z'/Ω", "Z''/Ω")
    for point in points:
        ohms = (point.real_impedance_ohm, point.imaginary_impedance_ohm)
        table.add_row(
            str(point.step_count),
            str(point.cycle_count),
            *(f"{value:.{_DIGITS}g}" for value in (point.frequency_hertz, *ohms)),
        )
    return table


def conductivity_table(
    points: Sequence[PointRow], cell: Mapping[str, Any], answered: Mapping[int, str], pressures: Mapping[int, float]
) -> "Table | None":
    """Return what spectra tell of a stack between two blocking electrodes; None: of no such cell, or nothing.

    Conductivity is thickness over resistance and area: the resistance is that of the high-frequency end, the thickness
    the last one that was typed before, else that of the cell.

    Args:
        answered: what an operator typed, by the count of the executed step.
        pressures: Pa on the negative side, by the same count.
    """
    from labctl.rehearse.keeper import Point
    from labctl.reproduce.spectra import intercept

    area = cell.get("positive_area")
    if cell.get("kind") != "blocking" or area is None:
        return None
    table = make_table("Step", "p/MPa", "d/mm", "R/Ω", "κ/(mS/cm)")
    for (step, _), each in _spectra(points):
        thickness = _thickness(answered, step) or cell.get("stack_thickness")
        ohm = intercept([Point(p.frequency_hertz, p.real_impedance_ohm, p.imaginary_impedance_ohm) for p in each])
        if thickness is not None and ohm:
            figures = (pressures.get(step, math.nan) / 1e6, 1e3 * thickness, ohm, 10.0 * thickness / (ohm * area))
            table.add_row(str(step), *("–" if math.isnan(figure) else f"{figure:.4g}" for figure in figures))
    return table if table.row_count else None


def _thickness(answered: Mapping[int, str], step: int) -> float | None:
    """Return the last length, m, that was typed before a step."""
    for count in sorted((count for count in answered if count < step), reverse=True):
        with suppress(QuantityError):
            return float(Written((Dimension.LENGTH,)).read(answered[count]))
    return None


def _spectra(points: Sequence[PointRow]) -> list[tuple[tuple[int, int], list[PointRow]]]:
    return [(key, list(each)) for key, each in groupby(points, lambda point: (point.step_count, point.cycle_count))]


def _size(points: Sequence[PointRow], widest: int) -> tuple[int, int]:
    """Return columns and rows; a cell is twice as high as it is wide."""
    real, imaginary = ([getattr(p, name) for p in points] for name in ("real_impedance_ohm", "imaginary_impedance_ohm"))
    across, up = max(real) - min(real), max(imaginary) - min(imaginary)
    slope = up / (2.0 * across) if across > 0.0 else 1.0
    height = round(max(FLATTEST, min(HIGHEST, widest * slope)))
    return round(max(NARROWEST, min(widest, height / slope if slope > 0.0 else widest))), height
