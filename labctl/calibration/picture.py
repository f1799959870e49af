"""A calibration as a picture: its points, the fit, the 95 % prediction interval of the next use, and the residuals."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from labctl.calibration.model import AnyCalibration, LoadCellCalibration, TorqueCalibration
from labctl.calibration.torque import DIRECTIONS, Direction
from labctl.errors import StorageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (8.0, 6.0)
"""Inches."""
COLOURS: dict[Direction, str] = {"up": "tab:blue", "down": "tab:orange"}
WORDS: dict[Direction, str] = {"up": "tightening", "down": "loosening"}


def save_picture(calibration: AnyCalibration, path: Path) -> None:
    """Write a picture in the format that the name ends with, .png or .svg; raises StorageError."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    simulated = ", simulated" if any(each.simulated for each in calibration.instruments.values()) else ""
    title = f"{calibration.station}, {calibration.side} side, {calibration.date:%Y-%m-%d}{simulated}"
    figure.suptitle(title, fontsize="medium", parse_math=False)
    if isinstance(calibration, TorqueCalibration):
        _torque(upper, lower, calibration)
    else:
        _load_cell(upper, lower, calibration)
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise StorageError(f"The picture {path} cannot be written: {error}.", "Name a .png or .svg file.") from error


def _torque(upper: "Axes", lower: "Axes", calibration: TorqueCalibration) -> None:
    for direction, branch in calibration.fit.branches.items():
        colour = COLOURS[direction]
        mine = [point for point in calibration.points if point.direction == direction]
        forces = [point.force for point in mine]
        upper.plot([point.torque for point in mine], forces, ".", markersize=2, color=colour)
        torques = np.linspace(branch.free_torque, branch.torques[1], 200)[1:]
        told = [calibration.fit.force(float(torque), direction) for torque in torques]
        upper.plot(torques, [each.value for each in told], color=colour, linewidth=1.0, label=WORDS[direction])
        lows, highs = [each.low for each in told], [each.high for each in told]
        upper.fill_between(torques, lows, highs, color=colour, alpha=0.15, linewidth=0.0)
        factors = dict(zip(branch.numbers, branch.coefficients, strict=True))
        used = [point for point in mine if point.tightening in factors and point.force > branch.forces[0]]
        left = [
            point.torque
            - branch.free_torque
            - factors[point.tightening] * (point.force / branch.reference) ** branch.exponent
            for point in used
        ]
        lower.plot([point.torque for point in used], [1e3 * each for each in left], ".", markersize=2, color=colour)
    upper.set_ylabel("F / N")
    upper.legend(loc="upper left", fontsize="small", title="band: 95 % of next uses", title_fontsize="small")
    per_newton = 1e-6 / calibration.bore_area
    pressure = upper.secondary_yaxis(
        "right",
        functions=(lambda force: np.asarray(force) * per_newton, lambda mega: np.asarray(mega) / per_newton),
    )
    pressure.set_ylabel("p / MPa")
    lower.set_xlabel("T / (N m)")
    lower.set_ylabel("residual / (mN m)")


def _load_cell(upper: "Axes", lower: "Axes", calibration: LoadCellCalibration) -> None:
    fit = calibration.fit
    for direction in DIRECTIONS:
        mine = [load for load in calibration.points if load.direction == direction]
        forces, marker = [load.reference for load in mine], "^" if direction == "up" else "v"
        upper.plot(forces, [load.reading for load in mine], marker, markersize=4, color=COLOURS[direction])
        left = [load.reading - fit.offset - fit.gain * load.reference for load in mine]
        lower.plot(forces, left, marker, markersize=4, color=COLOURS[direction], label=direction)
    ends = np.array(fit.forces)
    upper.plot(ends, fit.offset + fit.gain * ends, color="tab:gray", linewidth=1.0)
    upper.set_ylabel("reading / N")
    lower.legend(loc="best", fontsize="small")
    lower.set_xlabel("reference / N")
    lower.set_ylabel("residual / N")
