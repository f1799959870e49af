"""Lays out a plot: title and legend on one line, y labels left, x labels below, no frame; rows of styled runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from rich.cells import cell_len, set_cell_size

from labctl.literal import literal
from labctl.plot.axes import Axis, Ticks, ticks
from labctl.plot.data import Range, Series, nearest, points_of, window_of
from labctl.plot.raster import MARKERS, NOBODY, Cells, Mode, Points, Window, raster

__all__ = ["CURSOR", "LABEL", "TITLE", "Axis", "Figure", "Mode", "Options", "Series", "draw"]

LABEL, TITLE, CURSOR = NOBODY, -2, -3
"""Styles of what belongs to no series; a series has its number, from 0."""

Run = tuple[str, int]
"""Text and its style."""
Row = tuple[Run, ...]

_LEAST = (20, 3)
"""Columns and rows below which there is a title line at most."""
_ROWS_PER_TICK = 2
_COLUMNS_PER_TICK = 8
_GAP = 2
"""Columns between two texts on a line, at least."""
_MARKS = 3
"""How often a line without colour carries its number."""
_Y_TICK, _X_TICK, _CURSOR_LINE, _LINE = "┤", "╵", "│", "─"
_IN_ASCII = str.maketrans({_Y_TICK: "|", _X_TICK: "'", _CURSOR_LINE: "|", "µ": "u", "Ω": "Ohm", "°": "deg"})


@dataclass(frozen=True, slots=True)
class Options:
    """How a figure is drawn.

    Attributes:
        colour: without it, lines carry the numbers of the legend.
        span: of x that is shown; None shows all.
        cursor: x whose values stand in place of the legend.
    """

    title: str
    x: Axis
    y: Axis
    mode: Mode = Mode.BRAILLE
    colour: bool = True
    span: Range | None = None
    cursor: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """What was drawn: as many rows as asked for, each as wide as asked for.

    Attributes:
        window: what the grid shows; None where there is no value, or no room.
        gutter: columns left of the grid.
    """

    rows: tuple[Row, ...]
    window: Window | None = None
    gutter: int = 0

    @property
    def lines(self) -> list[str]:
        """The rows without their styles."""
        return ["".join(text for text, _ in row) for row in self.rows]


def draw(series: Sequence[Series], width: int, height: int, how: Options) -> Figure:
    """Draw series into so many columns and rows. Raises ValueError where lengths within a series differ."""
    points = [points_of(each) for each in series]
    window = window_of(points, how.span)
    down = height - 2
    if window is None or width < _LEAST[0] or height < _LEAST[1]:
        head = _head(how, _caption(how.y.label, how.y.unit, how.mode), _legend(series, how), width)
        return Figure((head, *_blank("no data" if window is None else "", width, height - 1))[: max(height, 0)])

    y = ticks(how.y, window.bottom, window.top, max(1, down // _ROWS_PER_TICK))
    gutter = min(max(map(len, y.labels), default=0), width // 3) + 2
    columns = width - gutter
    x = _fitting_ticks(how, window, columns)
    cells = raster(points, window, columns, down, how.mode)
    if _is_numbered(series, how):
        _number_lines(cells, len(series))
    legend = _legend(series, how)
    if how.cursor is not None:
        column = _cell(how.cursor, window.left, window.right, columns, how.mode.dots[0])
        _draw_cursor(cells, column, how.mode)
        legend = _read_out(series, points, how, how.cursor, (x, y))

    head = _head(how, _caption(how.y.label, y.unit, how.mode), legend, width)
    labels = _left(y, window, gutter, down, how.mode)
    rows = [((label, LABEL), *_runs(cells, number)) for number, label in enumerate(labels)]
    below = " " * gutter + _below(x, window, columns, how)
    return Figure((head, *rows, ((below, LABEL),)), window, gutter)


# -- words -----------------------------------------------------------------------------------------------------------


def _words(text: str, mode: Mode) -> str:
    """Return a text literally, in the characters that the mode's terminal has."""
    text = literal(text)
    return text.translate(_IN_ASCII).encode("ascii", "replace").decode() if mode is Mode.ASCII else text


def _caption(label: str, unit: str, mode: Mode) -> str:
    return _words(" / ".join(filter(None, (label, unit))), mode)


def _head(how: Options, caption: str, right: Sequence[Run], width: int) -> Row:
    """Return the title line; what stands on its right gives up its last parts first, then the title its end."""
    title = "  ".join(filter(None, (_words(how.title, how.mode), caption)))
    room = width - min(cell_len(title), width // 2)
    parts: list[Run] = []
    for text, style in right:
        if room < _GAP + cell_len(text):
            break
        parts.append((" " * _GAP + text, style))
        room -= _GAP + cell_len(text)
    used = sum(cell_len(text) for text, _ in parts)
    return (set_cell_size(title, width - used), TITLE), *parts


def _is_numbered(series: Sequence[Series], how: Options) -> bool:
    return len(series) > 1 and not how.colour and how.mode is not Mode.ASCII


def _legend(series: Sequence[Series], how: Options) -> list[Run]:
    """Return how each series is to be recognised; a lone one is told by the title where there is one."""
    if len(series) == 1 and how.title:
        return []
    return [(f"{_mark(series, number, how)} {_words(s.label, how.mode)}", number) for number, s in enumerate(series)]


def _mark(series: Sequence[Series], number: int, how: Options) -> str:
    if how.mode is Mode.ASCII:
        return MARKERS[number % len(MARKERS)]
    return _digit(number) if _is_numbered(series, how) else _LINE


def _digit(number: int) -> str:
    return str((number + 1) % 10)


def _read_out(
    series: Sequence[Series], points: Sequence[Points], how: Options, cursor: float, axes: tuple[Ticks, Ticks]
) -> list[Run]:
    """Return x at the cursor and, of each series, what is nearest to it: both extremes where they differ."""
    x, y = axes
    runs = [(_words(f"{how.x.label} {x.say(cursor)} {x.unit}".strip(), how.mode), CURSOR)]
    for number, (each, (_, low, high)) in enumerate(zip(series, points, strict=True)):
        at = nearest(points[number], cursor)
        extremes = [] if at is None else list(dict.fromkeys((y.say(float(low[at])), y.say(float(high[at])))))
        value = " to ".join(extremes) or "-"
        runs.append((_words(f"{each.label} {value} {y.unit}".strip(), how.mode), number))
    return runs


# -- places ----------------------------------------------------------------------------------------------------------


def _cell(value: float, low: float, high: float, cells: int, dots: int) -> int:
    """Return the cell, from the low end, in which the raster draws a value; outside where the value is."""
    return round((value - low) / (high - low) * (cells * dots - 1)) // dots


def _left(y: Ticks, window: Window, gutter: int, rows: int, mode: Mode) -> list[str]:
    """Return what stands left of each row; a number that has no room is left out, for its part would be a lie."""
    labels = [" " * gutter] * rows
    tick = _words(_Y_TICK, mode)
    for place, label in zip(y.places, y.labels, strict=True):
        row = rows - 1 - _cell(place, window.bottom, window.top, rows, mode.dots[1])
        labels[row] = (label if len(label) <= gutter - 2 else "").rjust(gutter - 2) + " " + tick
    return labels


def _fitting_ticks(how: Options, window: Window, columns: int) -> Ticks:
    """Return as many ticks as have room for their labels."""
    most = max(1, columns // _COLUMNS_PER_TICK)
    while True:
        x = ticks(how.x, window.left, window.right, most)
        starts = [_cell(place, window.left, window.right, columns, how.mode.dots[0]) for place in x.places]
        ends = [start + 1 + len(label) for start, label in zip(starts, x.labels, strict=True)]
        if most == 1 or all(end + _GAP <= start for end, (_, start) in zip(ends, pairwise(starts), strict=False)):
            return x
        most -= 1


def _below(x: Ticks, window: Window, columns: int, how: Options) -> str:
    """Return the line below: each label right of its tick, what the axis is at the end."""
    caption = _caption(how.x.label, x.unit, how.mode)
    room = columns - (_GAP + cell_len(caption) if caption else 0)
    if room < columns // 2:
        caption, room = "", columns
    line = ""
    for place, label in zip(x.places, x.labels, strict=True):
        start = _cell(place, window.left, window.right, columns, how.mode.dots[0])
        if start + 1 + len(label) <= room:
            line = line.ljust(start) + _words(_X_TICK, how.mode) + label
    return set_cell_size(line, columns - cell_len(caption)) + caption


# -- cells -----------------------------------------------------------------------------------------------------------


def _draw_cursor(cells: Cells, column: int, mode: Mode) -> None:
    """Draw a line through what is empty in a column."""
    if 0 <= column < cells.owners.shape[1]:
        empty = cells.owners[:, column] == NOBODY
        cells.glyphs[empty, column] = ord(_words(_CURSOR_LINE, mode))
        cells.owners[empty, column] = CURSOR


def _number_lines(cells: Cells, count: int) -> None:
    """Put the number of each series into its line, at different columns."""
    for number in range(count):
        columns = np.flatnonzero((cells.owners == number).any(axis=0))
        for mark in range(_MARKS if columns.size else 0):
            column = columns[int((mark + (number + 0.5) / count) / _MARKS * columns.size)]
            rows = np.flatnonzero(cells.owners[:, column] == number)
            cells.glyphs[rows[rows.size // 2], column] = ord(_digit(number))


def _runs(cells: Cells, row: int) -> Row:
    """Return a row of cells as runs of one style."""
    owners = cells.owners[row]
    text = cells.glyphs[row].astype("<u4").tobytes().decode("utf-32-le")
    edges = [0, *(np.flatnonzero(owners[1:] != owners[:-1]) + 1).tolist(), owners.size]
    return tuple((text[begin:end], int(owners[begin])) for begin, end in pairwise(edges))


def _blank(words: str, width: int, rows: int) -> list[Row]:
    """Return empty rows with words in their middle."""
    return [(((words if n == rows // 2 else "").center(width)[: max(width, 0)], LABEL),) for n in range(rows)]
