"""The points of a torque calibration, from the rows of its run: torque while the screw moves, and the force then."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from labctl.calibration.procedure import DOWN, UNLOADED, UP
from labctl.calibration.torque import Direction, Point
from labctl.plan import Side

STILL = 1e-4
"""rad: a screw that has turned by less since the row before has not moved."""
DIRECTION: Mapping[str, Direction] = {UP: "up", DOWN: "down"}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the run: which executed step it belongs to, and what was measured on the side."""

    step_count: int
    torque: float | None
    force: float | None
    angle: float | None


def columns_of(side: Side) -> tuple[str, str, str, str]:
    """Return the columns of a Row in its order."""
    return "step_count", f"{side}_torque_newton_metre", f"{side}_force_newton", f"{side}_screw_angle_radian"


def torque_points(rows: Iterable[Row], names: Mapping[int, str]) -> list[Point]:
    """Return the points of a run.

    A tightening begins where the screw stands unloaded, and what the load cell reads there is its zero until the next:
    an offset is no force. A row counts where the screw has moved since the row before, the way that its step turns it.

    Args:
        names: of the executed steps by their count.
    """
    points: list[Point] = []
    zeros: list[float] = []
    tightening, before = 0, Row(0, None, None, None)
    for row in rows:
        name = names.get(row.step_count, "")
        if name == UNLOADED:
            if row.step_count != before.step_count:
                tightening, zeros = tightening + 1, []
            zeros += [] if row.force is None else [row.force]
        direction = DIRECTION.get(name.partition(" ")[0])
        if direction is not None and zeros and _moved(before, row, direction):
            assert row.torque is not None
            assert row.force is not None
            points.append(Point(tightening, direction, abs(row.torque), row.force - fmean(zeros)))
        before = row
    return points


def _moved(before: Row, row: Row, direction: Direction) -> bool:
    if row.torque is None or row.force is None or row.angle is None or before.angle is None:
        return False
    sign = 1 if direction == "up" else -1
    return sign * (row.angle - before.angle) > STILL and sign * row.torque > 0.0


def rows_of(readings: Sequence[Sequence[float | int | None]]) -> list[Row]:
    """Return rows from values in the order of `columns_of`."""
    return [Row(int(count or 0), torque, force, angle) for count, torque, force, angle in readings]
