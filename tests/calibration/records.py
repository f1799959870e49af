"""Calibrations as they are stored, for tests."""

from datetime import UTC, datetime

from labctl.calibration.certificate import Certificate
from labctl.calibration.fitting import fit_torque
from labctl.calibration.loadcell import Load, fit_load_cell
from labctl.calibration.model import Instrument, LoadCellCalibration, TorqueCalibration
from labctl.calibration.torque import DIRECTIONS, Point

DATE = datetime(2026, 1, 10, 12, tzinfo=UTC)
EXPIRES = datetime(2026, 7, 9, 12, tzinfo=UTC)
GAUGE = Instrument(driver="mark10", identity="Mark-10 M5 (serial 1, firmware 1.00)", simulated=False)
SERVO = Instrument(driver="dynamixel-x", identity="ROBOTIS XM540-W270 (serial ID 1, firmware 46)", simulated=False)


def torque(date: datetime = DATE, run: str = "11112222", **changes: object) -> TorqueCalibration:
    """Three tightenings of the negative side of A1."""
    points = tuple(
        Point(number, way, 0.01 + factor * lever * force / 200.0, force)
        for number, factor in enumerate((0.9, 1.0, 1.1), 1)
        for way, lever in zip(DIRECTIONS, (0.32, 0.22), strict=True)
        for force in (50.0, 100.0, 150.0, 200.0)
    )
    made = TorqueCalibration(
        station="A1",
        side="negative",
        date=date,
        expires=EXPIRES,
        operator="ana",
        instruments={"load_cell.negative": GAUGE, "pressure_rig.negative": SERVO},
        run=run,
        bore_area=7.854e-5,
        fit=fit_torque(points, Certificate(0.5, 0.0, "class")),
        points=points,
    )
    return made.model_copy(update=changes)


def load_cell(offset: float = 2.0, gain: float = 1.02, **changes: object) -> LoadCellCalibration:
    """The load cell of the negative side of A1 against three forces."""
    loads = tuple(
        Load(1, level, way, force, offset + gain * force)
        for way in DIRECTIONS
        for level, force in enumerate((0.0, 100.0, 200.0), 1)
    )
    made = LoadCellCalibration(
        station="A1",
        side="negative",
        date=DATE,
        expires=EXPIRES,
        operator="ana",
        instruments={"load_cell.negative": GAUGE},
        run="33334444",
        fit=fit_load_cell(loads, 0.001),
        points=loads,
    )
    return made.model_copy(update=changes)
