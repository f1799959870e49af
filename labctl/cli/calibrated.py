"""Shows a calibration at the terminal: its figures, what it tells at some levels, and a plot."""

from collections.abc import Iterator

import numpy as np
from rich.console import Console

from labctl.calibration.model import AnyCalibration, LoadCellCalibration, TorqueCalibration
from labctl.calibration.torque import Branch
from labctl.cli.tables import make_table
from labctl.plot.axes import Axis
from labctl.plot.data import Series
from labctl.plot.figure import Options
from labctl.plot.text import plot_text

ROWS = 6
HEIGHT = 20


def show_calibration(out: Console, made: AnyCalibration) -> None:
    """Print a calibration."""
    simulated = " SIMULATED, not measured." if any(each.simulated for each in made.instruments.values()) else ""
    until = "" if made.expires is None else f", expires {made.expires:%Y-%m-%d}"
    what = "Torque and force" if isinstance(made, TorqueCalibration) else "Load cell"
    out.print(
        f"{what}, {made.side} side of {made.station}, {made.date:%Y-%m-%d %H:%M} UTC by {made.operator}{until}."
        f"{simulated}",
        soft_wrap=True,
    )
    for name, instrument in made.instruments.items():
        out.print(f"  {name}: {instrument.identity}", soft_wrap=True)
    if isinstance(made, TorqueCalibration):
        _show_torque(out, made)
    else:
        _show_load_cell(out, made)


def _show_torque(out: Console, made: TorqueCalibration) -> None:
    fit = made.fit
    for way, branch in fit.branches.items():
        out.print(f"{way:>4}: {branch_in_words(branch)}", soft_wrap=True)
    bound = f"±{fit.certificate.offset:.3g} N"
    bound += f" and ±{100.0 * fit.certificate.gain:.3g} %" if fit.certificate.gain else ""
    out.print(f"Load cell: {bound} ({fit.certificate.source}), in every interval.", soft_wrap=True)
    if fit.hysteresis is not None:
        out.print(f"Hysteresis: {100.0 * fit.hysteresis:.3g} % of the largest torque.")
    out.print("\nForce at the next tightening, 95 % prediction interval:")
    table = make_table("T/(N m)", *(name for way in fit.branches for name in (f"{way}: F/N", "from", "to", "p/MPa")))
    for torque in _levels(fit.up):
        row = [f"{torque:.4g}"]
        for way, branch in fit.branches.items():
            told, known = fit.force(torque, way), branch.covers(torque)
            figures = (told.value, told.low, told.high, told.value / made.bore_area / 1e6)
            row += [f"{figure:.4g}" if known else "–" for figure in figures]
        table.add_row(*row)
    out.print(table)
    out.print(plot_text(out, list(_lines(made)), HEIGHT, Options("Force", Axis("torque", "N m"), Axis("force", "N"))))


def branch_in_words(branch: Branch) -> str:
    """Say what was found in one direction, in one line."""
    return (
        f"{branch.coefficient:.4g} N·m at {branch.reference:.4g} N, beyond {1e3 * branch.free_torque:.3g} mN·m free; "
        f"exponent {branch.exponent:.3g}; from one of {len(branch.coefficients)} tightenings to the next "
        f"±{100.0 * branch.repeatability:.3g} % (1 s); residual {1e3 * branch.residual:.2g} mN·m rms, "
        f"{1e3 * branch.largest_residual:.2g} mN·m at most"
    )


def _levels(branch: Branch) -> list[float]:
    return [float(torque) for torque in np.linspace(0.0, branch.torque(branch.reference), ROWS + 1)[1:]]


def _lines(made: TorqueCalibration) -> Iterator[Series]:
    """Yield the points of each direction, a line for each tightening, and the bounds of the interval."""
    for way in made.fit.branches:
        torques: list[float | None] = []
        forces: list[float | None] = []
        last = 0
        for point in (point for point in made.points if point.direction == way):
            if point.tightening != last:
                torques, forces, last = [*torques, None], [*forces, None], point.tightening
            torques.append(point.torque)
            forces.append(point.force)
        yield Series(way, torques, forces, forces)
    grid = np.linspace(*made.fit.up.torques, 60)
    told = [made.fit.force(float(torque)) for torque in grid]
    for word, bound in (("95 % from", [each.low for each in told]), ("to", [each.high for each in told])):
        yield Series(word, grid, bound, bound)


def _show_load_cell(out: Console, made: LoadCellCalibration) -> None:
    fit = made.fit
    out.print(f"force = (reading - {fit.offset:.4g} N) / {fit.gain:.6g}, from {fit.forces[0]:g} to {fit.forces[1]:g} N")
    out.print(
        f"Non-linearity {fit.non_linearity:.3g} N, hysteresis {fit.hysteresis:.3g} N, "
        f"repeatability {fit.repeatability:.3g} N (1 s), reference ±{100.0 * fit.reference:.3g} %.",
        soft_wrap=True,
    )
    width = fit.certificate.half_width(fit.forces[1])
    out.print(f"A corrected reading of {fit.forces[1]:g} N is right within ±{width:.3g} N (95 %).")
    left = [load.reading - fit.offset - fit.gain * load.reference for load in made.points]
    series = Series("reading - line", [load.reference for load in made.points], left, left)
    out.print(plot_text(out, [series], HEIGHT // 2, Options("Residual", Axis("force", "N"), Axis("", "N"))))
