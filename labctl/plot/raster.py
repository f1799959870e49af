"""Draws series into a grid of character cells: every point in its cell, extremes visible, nothing outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Points = tuple[Array, Array, Array]
"""x, low and high of a series, equally long, low <= high; joined in their order, so that a loop stays a loop."""

Bars = tuple[NDArray[np.int32], Array, Array]
"""Column, lowest and highest row, counted from the bottom, of vertical bars on a grid of dots."""

NOBODY = -1
"""Owner of an empty cell."""
MARKERS = "*+ox#@%&"
"""What stands for each series in ASCII."""
_MOST_JOINTS = 500_000
"""Dots of joining lines, more of which are a cloud anyway: its points are drawn alone, in bounded time."""
_FAR = 1e9
"""Dots; whatever lies farther off the grid lies there."""
_BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint32)
_QUADRANT = np.array([[1, 2], [4, 8]], dtype=np.uint32)
_QUADRANTS = np.array([ord(glyph) for glyph in " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"], dtype=np.uint32)


class Mode(StrEnum):
    """The glyphs that cells are made of: 2 x 4, 2 x 2 and 1 x 1 dots in each."""

    BRAILLE = "braille"
    QUADRANT = "quadrant"
    ASCII = "ascii"

    @property
    def dots(self) -> tuple[int, int]:
        """Dots of a cell, across and down."""
        return {Mode.BRAILLE: (2, 4), Mode.QUADRANT: (2, 2), Mode.ASCII: (1, 1)}[self]


@dataclass(frozen=True, slots=True)
class Window:
    """What a grid shows, in the units of the data; its edges are the middles of the outermost dots."""

    left: float
    right: float
    bottom: float
    top: float


@dataclass(frozen=True, slots=True)
class Cells:
    """A drawn grid, its top row first: a code point for each cell, and the number of the series that it belongs to."""

    glyphs: NDArray[np.uint32]
    owners: NDArray[np.int16]


def raster(series: Sequence[Points], window: Window, columns: int, rows: int, mode: Mode) -> Cells:
    """Draw series over each other, the last one on top; a value that is not finite is a gap."""
    across, down = mode.dots
    union = np.zeros((rows, columns), dtype=np.uint32)
    owners = np.full((rows, columns), NOBODY, dtype=np.int16)
    for number, points in enumerate(series):
        grid = dots(points, window, columns * across, rows * down)
        tiles = grid.reshape(rows, down, columns, across)
        touched = tiles.any(axis=(1, 3))
        owners[touched] = number
        if mode is Mode.ASCII:
            union[touched] = ord(MARKERS[number % len(MARKERS)])
        else:
            weights = _BRAILLE if mode is Mode.BRAILLE else _QUADRANT
            union |= np.einsum("rdca,da->rc", tiles, weights, dtype=np.uint32)
    glyphs = union
    if mode is Mode.BRAILLE:
        glyphs = union + np.uint32(0x2800)
    elif mode is Mode.QUADRANT:
        glyphs = _QUADRANTS[union]
    return Cells(np.where(owners == NOBODY, np.uint32(ord(" ")), glyphs), owners)


def dots(points: Points, window: Window, width: int, height: int) -> NDArray[np.bool_]:
    """Draw one series on a grid of dots, its top row first.

    Everything is a vertical bar: the extremes of consecutive points in one column, and the part in each column of what
    joins them to the next: a line, or where points have extremes the band between these. So a million points cost a few
    passes over them, a spike stays visible, and a smooth rise in wide buckets is no saw.
    """
    x, low, high = points
    known = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
    broken = np.zeros(0, dtype=np.bool_)
    if not known.all():
        kept = np.flatnonzero(known)
        x, low, high = x[kept], low[kept], high[kept]
        broken = np.diff(kept) > 1
    if x.size == 0:
        return np.zeros((height, width), dtype=np.bool_)

    place = _dot(x, window.left, window.right, width)
    column = np.clip(place, -1, width).astype(np.int32)
    changes = column[1:] != column[:-1]
    if broken.size:
        changes |= broken
    begins = np.concatenate(([0], np.flatnonzero(changes) + 1))
    ends = np.concatenate((begins[1:], [x.size])) - 1

    def row(values: Array) -> Array:
        return _dot(values, window.bottom, window.top, height)

    bars = (column[begins], row(np.minimum.reduceat(low, begins)), row(np.maximum.reduceat(high, begins)))
    leave, enter = ends[:-1], begins[1:]
    if broken.size:
        joined = ~broken[leave]
        leave, enter = leave[joined], enter[joined]
    lower, upper = (
        _joints(place[leave], row(edge[leave]), place[enter], row(edge[enter]), width) for edge in (low, high)
    )
    band = lower[0], lower[1], np.maximum(lower[2], upper[2])
    return _fill([bars, band], width, height)[::-1]


def _dot(values: Array, low: float, high: float, count: int) -> Array:
    """Return the nearest dots of values, counted from the low end; beyond 0 and count - 1 for those outside."""
    with np.errstate(over="ignore"):
        place = (values - low) * ((count - 1) / (high - low))
    return np.clip(np.rint(place, out=place), -_FAR, _FAR, out=place)


def _joints(x0: Array, y0: Array, x1: Array, y1: Array, width: int) -> Bars:
    """Return the parts of straight lines in each column that they cross: no thicker than a dot."""
    backwards = x1 < x0
    x0, x1 = np.where(backwards, x1, x0), np.where(backwards, x0, x1)
    y0, y1 = np.where(backwards, y1, y0), np.where(backwards, y0, y1)
    first = np.clip(np.ceil(x0), 0, width).astype(np.int64)
    last = np.clip(np.floor(x1), -1, width - 1).astype(np.int64)
    count = np.maximum(last - first + 1, 0)
    total = int(count.sum())
    if total == 0 or total > _MOST_JOINTS:
        nothing = np.zeros(0)
        return nothing.astype(np.int32), nothing, nothing
    line = np.repeat(np.arange(count.size), count)
    column = np.arange(total) - np.repeat(np.cumsum(count) - count, count) + first[line]

    slope = ((y1 - y0) / (x1 - x0))[line]
    x0, y0, y1 = x0[line], y0[line], y1[line]
    enters, leaves = y0 + slope * (column - 0.5 - x0), y0 + slope * (column + 0.5 - x0)
    at = np.rint(y0 + slope * (column - x0))
    steep = np.abs(slope) > 1
    low = np.where(steep, np.ceil(np.maximum(np.minimum(enters, leaves), np.minimum(y0, y1))), at)
    high = np.where(steep, np.ceil(np.minimum(np.maximum(enters, leaves), np.maximum(y0, y1))) - 1, at)
    return column.astype(np.int32), low, high


def _fill(every: Sequence[Bars], width: int, height: int) -> NDArray[np.bool_]:
    """Fill vertical bars, whose edges are counted in and out from the bottom up."""
    size = (height + 1) * width
    edges = np.zeros(size, dtype=np.int64)
    for column, low, high in every:
        seen = (column >= 0) & (column < width) & (low <= high) & (high >= 0) & (low < height)
        begin = np.clip(low[seen], 0, None).astype(np.int64)
        end = np.clip(high[seen], None, height - 1).astype(np.int64) + 1
        edges += np.bincount(begin * width + column[seen], minlength=size)
        edges -= np.bincount(end * width + column[seen], minlength=size)
    filled: NDArray[np.bool_] = edges.reshape(height + 1, width).cumsum(axis=0)[:height] > 0
    return filled
