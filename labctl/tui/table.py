"""A table with a cursor: columns of fixed width, one separator column, the less important ones dropped first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from labctl.tui.lines import Line, Lines, Piece
from labctl.tui.shown import fit


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        width: columns of the terminal.
        most: width that it may grow to where there is room.
        drop: the higher, the earlier it is left out; 0 stays.
    """

    name: str
    width: int
    most: int = 0
    drop: int = 0
    right: bool = False


T = TypeVar("T")
Cells = dict[str, Piece]
"""By column, text and style."""


def layout(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """Choose the columns that fit, in their order, and how wide each is."""
    kept = list(columns)
    while sum(c.width + 1 for c in kept) - 1 > width and any(c.drop for c in kept):
        kept.remove(max(kept, key=lambda c: c.drop))
    spare = max(0, width - sum(c.width + 1 for c in kept) + 1)
    chosen = []
    for column in kept:
        more = min(spare, max(0, column.most - column.width))
        spare -= more
        chosen.append((column, column.width + more))
    return chosen


class Table(Lines, Generic[T]):
    """Rows under a heading; the cursor stays with its row's key when rows come and go.

    Only rows in view are written, and each only when what it is about is another object than before.

    Args:
        cells: writes what a row is about.
    """

    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="table.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="table.down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="table.page-up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="table.page-down"),
        Binding("home,g", "move(-1000000)", "First", show=False, id="table.first"),
        Binding("end,G", "move(1000000)", "Last", show=False, id="table.last"),
    ]

    class Moved(Message):
        """The cursor stands on another row."""

    class Opened(Message):
        """A row was double-clicked."""

    def __init__(
        self,
        columns: Sequence[Column],
        cells: Callable[[T], Cells],
        *,
        id: str | None = None,  # noqa: A002 - Textual's word
    ) -> None:
        super().__init__(id=id)
        self._columns = columns
        self._cells = cells
        self._chosen: list[tuple[Column, int]] = []
        self._keys: list[str] = []
        self._rows: list[T] = []
        self._written: dict[int, tuple[T, Line]] = {}
        self._cursor = 0

    @property
    def key(self) -> str | None:
        """Key of the row under the cursor."""
        return self._keys[self._cursor] if self._keys else None

    def select(self, key: str) -> None:
        """Put the cursor on a row."""
        if key in self._keys and key != self.key:
            self._go(self._keys.index(key))

    def set_rows(self, rows: Sequence[tuple[str, T]], columns: Sequence[Column] | None = None) -> None:
        """Show these rows, each with its key; from now on in these columns, where any are given."""
        key, count = self.key, len(self._rows)
        self._keys, self._rows = [name for name, _ in rows], [row for _, row in rows]
        self._columns = self._columns if columns is None else columns
        chosen = layout(self._columns, self.room - 2)
        if len(rows) != count:
            self.fit()
        if chosen != self._chosen or len(rows) != count:
            self._chosen = chosen
            self._written.clear()
            self.refresh(layout=len(rows) != count)
        else:
            self._rewrite()
        if key in self._keys:
            self._go(self._keys.index(key))
        elif self._cursor >= len(self._keys):
            self._go(len(self._keys) - 1)

    def _rewrite(self) -> None:
        """Repaint rows in view that look otherwise than before."""
        top = self.scroll_offset.y
        for y in range(top + 1, min(top + self.size.height, self.count)):
            before = self._written.get(y)
            if before is None or (before[0] is not self._rows[y - 1] and before[1] != self.pieces(y)):
                self.redraw(y)

    @property
    def count(self) -> int:
        """Heading and rows."""
        return len(self._rows) + 1

    def pieces(self, y: int) -> Line:
        """Return the pieces of the heading, or of a row."""
        if y == 0:
            return self._heading()
        if y >= self.count:
            return ()
        row, kept = self._rows[y - 1], self._written.get(y)
        if kept is None or kept[0] is not row:
            kept = self._written[y] = row, self._line(self._cells(row))
        return kept[1]

    def on_resize(self, event: Resize) -> None:
        """Forget lines of another width; the next repaint brings new ones."""
        super().on_resize(event)
        self.call_after_refresh(self.scroll_cursor)

    def render_line(self, y: int) -> Strip:
        """Draw the heading at the top, whatever was scrolled, and the rows below it."""
        if y == 0:
            return self._strip(self.pieces(0), "dim")
        index = y + self.scroll_offset.y
        here = bool(self._keys) and index == self._cursor + 1
        mark = ("▶ ", "title") if here else ("  ", "plain")
        return self._strip((mark, *self.pieces(index)[1:]), "cursor" if here else "plain")

    def _heading(self) -> Line:
        names = (fit(column.name, width, right=column.right) for column, width in self._chosen)
        return (("  ", "dim"), (" ".join(names), "dim"))

    def _line(self, cells: Cells) -> Line:
        line: list[Piece] = []
        for column, width in self._chosen:
            text, style = cells.get(column.name, ("", "plain"))
            text = fit(text, width, right=column.right)
            if line and line[-1][1] == style:
                line[-1] = f"{line[-1][0]} {text}", style
            else:
                line += [(" ", "plain"), (text, style)]
        return (("  ", "plain"), *line[1:])

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._go(self._cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by a page."""
        self._go(self._cursor + by * max(1, self.size.height - 2))

    def on_click(self, event: Click) -> None:
        """Select the row that was clicked; open it on a double click."""
        row = event.y + self.scroll_offset.y - 1
        if event.y > 0 and 0 <= row < len(self._keys):
            self._go(row)
            if event.chain == 2:
                self.post_message(self.Opened())

    def _go(self, row: int) -> None:
        before, self._cursor = self._cursor, max(0, min(row, len(self._keys) - 1))
        if before != self._cursor:
            self.redraw(before + 1)
            self.redraw(self._cursor + 1)
            self.scroll_cursor()
            self.post_message(self.Moved())

    def scroll_cursor(self) -> None:
        """Bring the cursor into view, below the heading."""
        self.scroll_to_region(
            Region(0, self._cursor, 1, 2), animate=False, force=True, immediate=True, x_axis=False, origin_visible=False
        )
