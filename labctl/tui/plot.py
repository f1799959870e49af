"""A plot on the screen: lines drawn by `labctl.plot`, with zoom and a cursor; repainted when it is asked to."""

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.message import Message

from labctl.plot.axes import Axis
from labctl.plot.data import Range, Series, Values, points_of, window_of
from labctl.plot.figure import CURSOR, LABEL, TITLE, Figure, Options, Row, draw
from labctl.plot.raster import Mode
from labctl.tui.lines import Line, Lines

SERIES_STYLES = tuple(f"series-{number}" for number in range(1, 7))
"""A seventh series looks like the first; the legend tells them apart."""
_STYLES = {LABEL: "dim", TITLE: "plain", CURSOR: "strong"}
_ZOOM = 2.0
_FINEST = 1e-9
"""The narrowest span, as a part of its x: beyond it floats end."""
_PAN = 0.25
"""Part of the window that an arrow moves it by."""


class Plot(Lines):
    """Shows series over one x axis.

    It draws when series or axes are set, when it is resized and when its own keys are pressed; never by itself. Only
    rows that changed are repainted.

    Args:
        x: axis of all series.
        y: the same.
        mode: of the glyphs that the terminal has.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"lines--{name}" for name in SERIES_STYLES}
    DEFAULT_CSS = """
    Plot { height: 1fr; overflow-y: hidden; }
    Plot > .lines--series-1 { color: $primary; }
    Plot > .lines--series-2 { color: $warning; }
    Plot > .lines--series-3 { color: $success; }
    Plot > .lines--series-4 { color: $error; }
    Plot > .lines--series-5 { color: $accent; }
    Plot > .lines--series-6 { color: $secondary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("z,plus,+", "zoom_in", "Zoom", id="plot.zoom_in", show=False),
        Binding("minus,-", "zoom_out", "Zoom out", id="plot.zoom_out", show=False),
        Binding("0", "zoom_reset", "Whole", id="plot.zoom_reset", show=False),
        Binding("c", "cursor", "Cursor", id="plot.cursor", show=False),
        Binding("left,h", "move(-1)", "Left", id="plot.left", show=False),
        Binding("right,l", "move(1)", "Right", id="plot.right", show=False),
    ]
    can_focus = True

    class Zoomed(Message):
        """Another span of x is shown (None: all of it), for which finer data may be asked."""

        def __init__(self, plot: "Plot", span: Range | None) -> None:
            super().__init__()
            self.plot = plot
            self.span = span

        @property
        def control(self) -> "Plot":
            """The plot."""
            return self.plot

    def __init__(
        self,
        x: Axis,
        y: Axis,
        *,
        mode: Mode = Mode.BRAILLE,
        id: str | None = None,  # noqa: A002 - Textual's word
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._series: list[Series] = []
        self._how = Options("", x, y, mode)
        self._figure = Figure(())

    def set_axes(self, x: Axis, y: Axis, title: str = "") -> None:
        """Show something else from the next `set_series` on: whole, without a cursor."""
        self._how = Options(title, x, y, self._how.mode)

    def set_series(self, series: Iterable[tuple[str, Values, Values, Values]]) -> None:
        """Show these series: label, x, lowest and highest values, each None or NaN at a gap."""
        self._series = [Series(*each) for each in series]
        self.draw()

    def draw(self) -> None:
        """Draw what was set last; what would look the same is not repainted."""
        if self.size.width and self.size.height:
            how = replace(self._how, colour=not self.app.no_color)
            self._figure = draw(self._series, self.size.width, self.size.height, how)
            self.show([_line(row) for row in self._figure.rows])

    def on_resize(self, event: Resize) -> None:
        """Draw for the new size."""
        self.draw()
        super().on_resize(event)

    # -- keys --------------------------------------------------------------------------------------------------------

    def action_zoom_in(self) -> None:
        """Show half of the span: around the cursor, or its newest part."""
        self._zoom(1 / _ZOOM)

    def action_zoom_out(self) -> None:
        """Show twice the span."""
        self._zoom(_ZOOM)

    def action_zoom_reset(self) -> None:
        """Show everything."""
        self._look_at(None)

    def action_cursor(self) -> None:
        """Put the cursor into the middle, or take it away."""
        window = self._figure.window
        if self._how.cursor is not None or window is None:
            self._how = replace(self._how, cursor=None)
        else:
            self._how = replace(self._how, cursor=window.left / 2 + window.right / 2)
        self.draw()

    def action_move(self, way: int) -> None:
        """Move the cursor by a column, or without one what is zoomed into."""
        window, how = self._figure.window, self._how
        if window is None:
            return
        width = window.right - window.left
        if how.cursor is not None:
            moved = how.cursor + way * width / (self.size.width - self._figure.gutter)
            self._how = replace(how, cursor=min(max(moved, window.left), window.right))
            self.draw()
        elif how.span is not None:
            self._look_at((window.left + way * _PAN * width, window.right + way * _PAN * width))

    def _zoom(self, factor: float) -> None:
        window, cursor = self._figure.window, self._how.cursor
        if window is None:
            return
        width = (window.right - window.left) * factor
        share = 1.0 if cursor is None else (cursor - window.left) / (window.right - window.left)
        at = window.right if cursor is None else cursor
        span = at - share * width, at + (1 - share) * width
        if width > _FINEST * max(abs(span[0]), abs(span[1])):
            self._look_at(None if self._is_whole(span) else span)

    def _is_whole(self, span: Range) -> bool:
        whole = window_of([points_of(each) for each in self._series], None)
        return whole is None or (span[0] <= whole.left and whole.right <= span[1])

    def _look_at(self, span: Range | None) -> None:
        self._how = replace(self._how, span=span)
        self.draw()
        self.post_message(self.Zoomed(self, span))


def _line(row: Row) -> Line:
    return tuple((text, _STYLES[n] if n < 0 else SERIES_STYLES[n % len(SERIES_STYLES)]) for text, n in row)
