"""Which rows of a run are points: those of a moving screw, less the zero of the load cell before."""

from labctl.calibration.points import Row, columns_of, rows_of, torque_points
from labctl.calibration.torque import Point

NAMES = {
    1: "loosen",
    2: "unloaded",
    3: "up to 1 MPa",
    4: "rest 30 s",
    5: "down to 0.5 MPa",
    6: "unloaded",
    7: "up to 1 MPa",
}


def test_points_are_the_moving_rows_and_a_tightening_begins_unloaded() -> None:
    rows = [
        Row(1, -0.05, 20.0, 0.4),
        Row(1, -0.04, 10.0, 0.3),
        Row(2, 0.0, 0.4, 0.0),
        Row(2, 0.0, 0.6, 0.0),
        Row(3, 0.0, 0.5, 0.0),
        Row(3, 0.03, 10.5, 0.1),  # moves
        Row(3, 0.05, 20.5, 0.1),  # has stalled
        Row(3, 0.0, 30.5, 0.2),  # arrived: at rest it draws no current
        Row(3, None, 30.5, 0.3),
        Row(3, 0.07, None, 0.4),
        Row(3, -0.07, 40.5, 0.5),  # a torque that loosens, while it tightens
        Row(4, 0.0, 40.5, 0.5),
        Row(5, -0.06, 40.0, 0.5),
        Row(5, -0.05, 30.5, 0.4),  # moves
        Row(6, 0.0, -1.0, 0.0),
        Row(7, 0.04, 9.0, 0.1),  # moves
    ]
    assert torque_points(rows, NAMES) == [
        Point(1, "up", 0.03, 10.0),
        Point(1, "down", 0.05, 30.0),
        Point(2, "up", 0.04, 10.0),
    ]


def test_nothing_counts_before_a_zero_is_known() -> None:
    rows = [Row(3, 0.03, 10.5, 0.1), Row(3, 0.04, 11.5, 0.2), Row(6, 0.0, None, 0.0), Row(7, 0.04, 9.0, 0.1)]
    assert torque_points(rows, NAMES) == []


def test_rows_are_those_of_the_side() -> None:
    assert columns_of("positive")[1:] == (
        "positive_torque_newton_metre",
        "positive_force_newton",
        "positive_screw_angle_radian",
    )
    assert rows_of([(3, 0.1, 10.0, 0.5), (None, None, None, None)]) == [
        Row(3, 0.1, 10.0, 0.5),
        Row(0, None, None, None),
    ]
