"""Impedance spectra of a run: a Nyquist plot of all of them, and their points."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from labctl.cli.tables import make_table
from labctl.plot.axes import Axis
from labctl.plot.data import Series
from labctl.plot.figure import Options
from labctl.plot.text import plot_text
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


def _spectra(points: Sequence[PointRow]) -> list[tuple[tuple[int, int], list[PointRow]]]:
    return [(key, list(each)) for key, each in groupby(points, lambda point: (point.step_count, point.cycle_count))]


def _size(points: Sequence[PointRow], widest: int) -> tuple[int, int]:
    """Return columns and rows; a cell is twice as high as it is wide."""
    real, imaginary = ([getattr(p, name) for p in points] for name in ("real_impedance_ohm", "imaginary_impedance_ohm"))
    across, up = max(real) - min(real), max(imaginary) - min(imaginary)
    slope = up / (2.0 * across) if across > 0.0 else 1.0
    height = round(max(FLATTEST, min(HIGHEST, widest * slope)))
    return round(max(NARROWEST, min(widest, height / slope if slope > 0.0 else widest))), height
