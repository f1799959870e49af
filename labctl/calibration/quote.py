"""What the header of a run quotes of the calibrations that stand for its instruments."""

from collections.abc import Mapping
from typing import Any

from labctl.calibration.model import RECORD, AnyCalibration, LoadCellCalibration, TorqueCalibration
from labctl.plan import Side

KEY = "calibration"
"""In the header's entry of an instrument: that of a screw at what turns it, that of a load cell at itself."""
SHOWS = "shows"
"""In that of a tool in a hand: what its scale is worth, torque or force."""


def quote(calibration: AnyCalibration) -> dict[str, Any]:
    """Return a calibration without its points as plain JSON; every interval can be computed from it."""
    quoted: dict[str, Any] = RECORD.dump_python(calibration, mode="json", by_alias=True, exclude={"points"})
    return quoted


def quoted_load_cell(instrument: Mapping[str, Any]) -> LoadCellCalibration | None:
    """Return the calibration that the header quotes of a load cell, or None."""
    found = quoted_at(instrument)
    return found if isinstance(found, LoadCellCalibration) else None


def screw_of(instruments: Mapping[str, Any], side: Side) -> str | None:
    """Return which instrument of a header turns the screw of a side, its rig or a wrench in a hand; None: neither."""
    rig, tool = f"pressure_rig.{side}", f"hand_tool.{side}"
    if rig in instruments:
        return rig
    return tool if instruments.get(tool, {}).get(SHOWS) == "torque" else None


def quoted_torque(instruments: Mapping[str, Any], side: Side) -> TorqueCalibration | None:
    """Return the calibration that a header quotes of what turns the screw of a side, or None."""
    name = screw_of(instruments, side)
    found = None if name is None else quoted_at(instruments[name])
    return found if isinstance(found, TorqueCalibration) else None


def in_words(calibration: AnyCalibration) -> str:
    """Say a calibration as the experimental part of a paper does."""
    date, run = f"{calibration.date:%Y-%m-%d}", calibration.run[:8]
    if isinstance(calibration, LoadCellCalibration):
        width = calibration.fit.certificate.half_width(calibration.fit.forces[1])
        return (
            f"the load cell of the {calibration.side} side on {date} against known forces up to "
            f"{calibration.fit.forces[1]:.4g} N, right within ±{width:.3g} N there (95 %; run {run})"
        )
    up = calibration.fit.up
    told = calibration.fit.force(up.torque(up.reference))
    return (
        f"torque and force of the screw of the {calibration.side} side on {date} from {len(up.coefficients)} "
        f"tightenings to {up.reference:.4g} N, where the 95 % prediction interval of the next was {told.low:.3g} to "
        f"{told.high:.3g} N (run {run})"
    )


def quoted_at(instrument: Mapping[str, Any]) -> AnyCalibration | None:
    """Return the calibration that the header quotes of an instrument, or None."""
    said = instrument.get(KEY)
    return None if said is None else RECORD.validate_python({**said, "points": ()}, strict=False)
