"""Every point lands in its cell, extremes stay visible, lines are joined, and nothing falls outside of the grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.plot.raster import MARKERS, NOBODY, Mode, Points, Window, dots, raster

UNIT = Window(0.0, 1.0, 0.0, 1.0)
COLUMNS, ROWS = 12, 5

anything = st.floats(allow_nan=True, allow_infinity=True)
shown = st.floats(-0.5, 1.5)


def points(*triples: tuple[float, float, float]) -> Points:
    x, low, high = (np.array([triple[part] for triple in triples], dtype=np.float64) for part in range(3))
    return x, np.fmin(low, high), np.fmax(low, high)


def dot_of(value: float, count: int) -> int:
    return round(value * (count - 1))


@given(st.lists(st.tuples(shown, shown, shown), min_size=1, max_size=40), st.sampled_from(Mode))
def test_both_extremes_of_every_point_in_the_window_light_their_cells(
    values: list[tuple[float, float, float]], mode: Mode
) -> None:
    across, down = mode.dots
    cells = raster([points(*values)], UNIT, COLUMNS, ROWS, mode)
    for x, *extremes in values:
        column = dot_of(x, COLUMNS * across) // across
        for value in extremes:
            row = ROWS - 1 - dot_of(value, ROWS * down) // down
            if dot_of(x, COLUMNS * across) >= 0 and column < COLUMNS and 0 <= row < ROWS and value >= 0:
                assert cells.owners[row, column] == 0


@given(st.lists(st.tuples(anything, anything, anything), max_size=30), st.sampled_from(Mode))
def test_whatever_the_values_the_grid_keeps_its_shape(values: list[tuple[float, float, float]], mode: Mode) -> None:
    cells = raster([points(*values)] if values else [], UNIT, COLUMNS, ROWS, mode)
    assert cells.glyphs.shape == cells.owners.shape == (ROWS, COLUMNS)
    assert np.all((cells.owners == NOBODY) == (cells.glyphs == ord(" ")))


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=20))
def test_a_line_without_gaps_is_connected(values: list[tuple[float, float]]) -> None:
    grid = dots(points(*((x, y, y) for x, y in values)), UNIT, 24, 20)
    reached = {next(zip(*map(np.ndarray.tolist, np.nonzero(grid)), strict=True))}
    border = set(reached)
    while border:
        near = {(r + dr, c + dc) for r, c in border for dr in (-1, 0, 1) for dc in (-1, 0, 1)}
        border = {(r, c) for r, c in near if 0 <= r < 20 and 0 <= c < 24 and grid[r, c]} - reached
        reached |= border
    assert len(reached) == int(grid.sum())


@given(st.integers(1, 30), st.integers(1, 30))
def test_a_straight_line_is_one_dot_thick(width: int, height: int) -> None:
    window = Window(0.0, max(width - 1.0, 1.0), 0.0, max(height - 1.0, 1.0))
    grid = dots(points((0, 0, 0), (width - 1, height - 1, height - 1)), window, width, height)
    assert int(grid.sum()) == max(width, height)


@given(st.integers(2, 5000), st.data())
def test_a_spike_of_one_point_stays_visible(count: int, data: st.DataObject) -> None:
    where = data.draw(st.integers(0, count - 1))
    x, y = np.linspace(0, 1, count), np.zeros(count)
    high = y.copy()
    high[where] = 1.0
    assert dots((x, y, high), UNIT, 24, 20)[0].any()


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_a_reversed_series_looks_the_same(values: list[tuple[float, float]]) -> None:
    forth = points(*((x, y, y) for x, y in values))
    back = (forth[0][::-1], forth[1][::-1], forth[2][::-1])
    assert np.array_equal(dots(forth, UNIT, 24, 20), dots(back, UNIT, 24, 20))


@given(st.integers(2, 60))
def test_a_smooth_rise_in_wide_buckets_is_no_saw(count: int) -> None:
    edges = np.linspace(0, 1, count + 1)
    grid = dots((edges[:-1], edges[:-1], edges[1:]), UNIT, 200, 80)[::-1]
    seen = np.flatnonzero(grid.any(axis=0))
    lowest, highest = grid.argmax(axis=0)[seen], 79 - grid[::-1].argmax(axis=0)[seen]
    assert np.all(np.diff(lowest) >= 0)
    assert np.all(np.diff(highest) >= 0)
    assert np.array_equal(grid.sum(axis=0)[seen], highest - lowest + 1)
    assert np.all(np.abs(lowest - seen * 79 / 199) <= 80 / count + 2)


def test_nothing_is_drawn_across_a_gap() -> None:
    x = np.linspace(0, 1, 5)
    y = np.array([0.5, 0.5, np.nan, 0.5, 0.5])
    assert dots((x, y, y), UNIT, 9, 3)[1].tolist() == [True] * 3 + [False] * 3 + [True] * 3


def test_a_line_between_two_points_outside_crosses_the_window_where_it_should() -> None:
    grid = dots(points((-1, -1, -1), (2, 2, 2)), UNIT, 5, 5)
    assert np.array_equal(grid[::-1], np.eye(5, dtype=bool))


def test_a_loop_stays_a_loop() -> None:
    circle = np.linspace(0, 2 * np.pi, 200)
    x, y = 0.5 + 0.5 * np.cos(circle), 0.5 + 0.5 * np.sin(circle)
    grid = dots((x, y, y), UNIT, 21, 21)
    assert not grid[5:16, 5:16].any()
    assert np.array_equal(grid, grid[::-1])


def test_a_cloud_of_many_points_is_drawn_without_lines() -> None:
    x = np.tile([0.0, 1.0], 50_000)
    grid = dots((x, x, x), UNIT, 200, 100)
    assert int(grid.sum()) == 2


@pytest.mark.parametrize("mode", Mode)
def test_the_last_series_is_on_top(mode: Mode) -> None:
    flat = points((0, 0.5, 0.5), (1, 0.5, 0.5))
    steep = points((0.5, 0, 1))
    cells = raster([flat, steep], UNIT, COLUMNS, ROWS, mode)
    assert set(cells.owners[ROWS // 2].tolist()) == {0, 1}
    if mode is Mode.ASCII:
        assert "".join(map(chr, cells.glyphs[ROWS // 2])).replace(" ", "") == "******+*****"[:COLUMNS]
        assert MARKERS.startswith("*+")


def test_braille_unites_the_dots_of_two_series_in_a_cell() -> None:
    corners = [points((0, 0, 0)), points((1, 1, 1))]
    assert raster(corners, UNIT, 1, 1, Mode.BRAILLE).glyphs[0, 0] == ord("⡈")
    assert raster(corners, UNIT, 1, 1, Mode.QUADRANT).glyphs[0, 0] == ord("▞")
