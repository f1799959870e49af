"""Bath and cell temperature in closed form, with a heater that has limits and may fail."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.sim.room import Room, RoomParameters

ROOM = RoomParameters()


def test_the_bath_heats_with_all_power_then_settles_and_the_cell_follows() -> None:
    room = Room(ROOM)
    room.regulate(45.0)
    assert room.heater_power == 1000.0
    room.advance_to(60.0)
    assert room.bath == pytest.approx(23.0 + 200.0 * (1 - math.exp(-60.0 / 2000.0)), abs=1e-9)
    assert 23.0 < room.cell < room.bath
    room.advance_to(7200.0)
    assert room.bath == pytest.approx(45.0, abs=1e-6)
    assert room.cell == pytest.approx(45.0, abs=1e-4)
    assert room.heater_power == pytest.approx(5.0 * 22.0, rel=1e-6)


def test_off_means_back_to_ambient() -> None:
    room = Room(ROOM)
    room.regulate(45.0)
    room.advance_to(7200.0)
    room.regulate(None)
    assert room.heater_power == 0.0
    room.advance_to(7200.0 + 2000.0)
    assert room.bath == pytest.approx(23.0 + 22.0 * math.exp(-1.0), abs=1e-6)


def test_a_failed_heater_lets_the_bath_cool_however_often_it_is_asked() -> None:
    room = Room(ROOM)
    room.regulate(45.0)
    room.advance_to(7200.0)
    room.fail_heater()
    room.regulate(45.0)
    room.advance_to(7200.0 + 20_000.0)
    assert room.heater_power == 0.0
    assert room.bath == pytest.approx(23.0, abs=0.01)


def test_a_set_point_beyond_the_power_is_not_reached() -> None:
    room = Room(RoomParameters(cooling_power=50.0))
    room.regulate(5.0)
    room.advance_to(1e5)
    assert room.bath == pytest.approx(13.0, abs=1e-6)
    assert room.heater_power == -50.0


SETTINGS = st.one_of(st.none(), st.floats(-20.0, 250.0))


@given(st.lists(st.tuples(SETTINGS, st.floats(0.0, 5000.0)), max_size=6), st.lists(st.floats(0.0, 1.0), max_size=5))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_room_advanced_in_pieces_is_the_room_advanced_at_once(
    history: list[tuple[float | None, float]], cuts: list[float]
) -> None:
    whole, pieces = Room(ROOM), Room(ROOM)
    time = 0.0
    for k, (setpoint, span) in enumerate(history):
        for room in (whole, pieces):
            room.regulate(setpoint)
            if k == 3:
                room.fail_heater()
        for cut in sorted(cuts):
            pieces.advance_to(time + span * cut)
        time += span
        whole.advance_to(time)
        pieces.advance_to(time)
        assert (pieces.bath, pieces.cell, pieces.heater_power) == (whole.bath, whole.cell, whole.heater_power)
        assert -300.0 <= whole.heater_power <= 1000.0


@pytest.mark.parametrize("cell_time", [60.0, 2000.0])
def test_equal_time_constants_are_refused(cell_time: float) -> None:
    with pytest.raises(ValueError, match="change it by a second"):
        Room(RoomParameters(cell_time=cell_time))


def test_a_regulator_slower_than_the_bath_is_refused() -> None:
    with pytest.raises(ValueError, match="must be shorter than that of the unregulated bath"):
        Room(RoomParameters(response_time=3000.0))
