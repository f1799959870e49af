"""A calibration from the record of its run: instruments, points and fit, all from the database."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from labctl.calibration.certificate import Certificate
from labctl.calibration.fitting import fit_torque
from labctl.calibration.loadcell import fit_load_cell
from labctl.calibration.loads import LOAD_CELL_NAMES, load_points
from labctl.calibration.model import AnyCalibration, LoadCellCalibration, TorqueCalibration, at, instruments_of
from labctl.calibration.points import columns_of, rows_of, torque_points
from labctl.calibration.procedure import NAMES
from labctl.calibration.quote import quoted_load_cell, screw_of
from labctl.calibration.torque import Point
from labctl.calibration.wrench import Shown, wrench_points
from labctl.errors import CalibrationFailed
from labctl.plan import SIDES, Side
from labctl.record.queries import Queries, RunRow


def calibration_of(queries: Queries, run: RunRow, operator: str, lasts: float) -> AnyCalibration:
    """Return the calibration that a run was made for.

    Args:
        operator: who answers for it; empty: who started the run.
        lasts: s from the run's beginning until it expires.

    Raises:
        CalibrationFailed: the run was made for something else, or its points make no calibration.
    """
    if run.protocol_name in LOAD_CELL_NAMES.values():
        return _load_cell(queries, run, operator, lasts)
    if run.protocol_name in NAMES.values():
        return _torque(queries, run, operator, lasts)
    raise CalibrationFailed(
        f"Run {run.id} is no calibration.", "`labctl runs` lists all; `labctl calibrate torque` makes one."
    )


def _torque(queries: Queries, run: RunRow, operator: str, lasts: float) -> TorqueCalibration:
    side = next(side for side in SIDES if run.protocol_name == NAMES[side])
    area, header = (run.cell or {}).get("bore_area"), run.instruments or {}
    if area is None:
        raise CalibrationFailed(f"Run {run.id} does not say in which bore it was made.", "Repeat it.")
    names = {step.step_count: step.name or "" for step in queries.steps(run.id)}
    screw = screw_of(header, side) or ""
    if screw.startswith("hand_tool"):
        points = _typed_points(queries, run.id, side, names)
    else:
        points = torque_points(rows_of(list(queries.rows(run.id, columns_of(side)))), names)
    return TorqueCalibration(
        **_common(run, side, operator, lasts, (f"load_cell.{side}", screw)),
        bore_area=float(area),
        fit=fit_torque(points, certificate_of(header, side)),
        points=tuple(points),
    )


def _typed_points(queries: Queries, run_id: int, side: Side, names: Mapping[int, str]) -> list[Point]:
    shown = {
        int(event.data["step_count"]): Shown(event.test_time_second, float(event.data["shown"]))
        for event in queries.events(run_id)
        if event.kind == "hand.applied"
    }
    rows = queries.rows(run_id, ("step_count", "test_time_second", f"{side}_force_newton"))
    return wrench_points(((int(count or 0), float(time or 0.0), force) for count, time, force in rows), names, shown)


def _load_cell(queries: Queries, run: RunRow, operator: str, lasts: float) -> LoadCellCalibration:
    side = next(side for side in SIDES if run.protocol_name == LOAD_CELL_NAMES[side])
    names = {step.step_count: step.name or "" for step in queries.steps(run.id)}
    answers = {
        int(event.data["step_count"]): float(event.data["value"])
        for event in queries.events(run.id)
        if event.kind == "operator.answered" and "value" in event.data
    }
    own = quoted_load_cell((run.instruments or {}).get(f"load_cell.{side}", {}))
    readings: dict[int, list[float]] = {}
    for count, force in queries.rows(run.id, ("step_count", f"{side}_force_newton")):
        if force is not None and count is not None:
            raw = force if own is None else own.fit.offset + own.fit.gain * force
            readings.setdefault(int(count), []).append(raw)
    loads = load_points(names, answers, readings)
    reference = float((run.inputs or {}).get("uncertainty", "0 %").split()[0]) / 100.0
    return LoadCellCalibration(
        **_common(run, side, operator, lasts, (f"load_cell.{side}",)),
        fit=fit_load_cell(loads, reference),
        points=tuple(loads),
    )


def _common(run: RunRow, side: Side, operator: str, lasts: float, names: Sequence[str]) -> dict[str, Any]:
    """Return what every record says of its run."""
    began = at(run.started_unix_second or 0.0)
    return {
        "station": run.station or "",
        "side": side,
        "date": began,
        "expires": began + timedelta(seconds=lasts),
        "operator": operator or run.operator or "",
        "instruments": instruments_of(run.instruments or {}, names),
        "run": run.uuid,
    }


def certificate_of(header: Mapping[str, Any], side: Side) -> Certificate:
    """Return what the load cell of a side may be wrong: by its calibration where the header quotes one, else its class.

    Raises:
        CalibrationFailed: neither is known.
    """
    said = header.get(f"load_cell.{side}", {})
    own = quoted_load_cell(said)
    if own is not None:
        return own.fit.certificate
    accuracy = said.get("accuracy_newton")
    if accuracy is None:
        raise CalibrationFailed(
            f"Nobody says how far the load cell of the {side} side may be wrong: its driver declares no accuracy.",
            f"Calibrate it first: labctl calibrate loadcell STATION --side {side}; then repeat the run.",
        )
    return Certificate(float(accuracy), 0.0, "accuracy that its driver declares")
