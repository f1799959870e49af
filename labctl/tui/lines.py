"""The one widget that all text goes through: styled pieces, literally; only lines that changed are repainted."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.events import Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

Piece = tuple[str, str]
"""Text, and the name of its style: one of STYLES."""

Line = tuple[Piece, ...]

STYLES = (
    "plain",
    "dim",
    "strong",
    "title",
    "charge",
    "discharge",
    "rest",
    "warn",
    "lost",
    "fault",
    "alarm",
    "cursor",
)


class Lines(ScrollView):
    """Shows lines of pieces. Whoever gives foreign text makes it literal first (`labctl.tui.shown`)."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"lines--{name}" for name in STYLES}
    DEFAULT_CSS = """
    Lines { height: auto; width: 1fr; background: transparent; scrollbar-size-vertical: 1; overflow-x: hidden; }
    Lines > .lines--plain { }
    Lines > .lines--dim { text-style: dim; }
    Lines > .lines--strong { text-style: bold; }
    Lines > .lines--title { color: $accent; text-style: bold; }
    Lines > .lines--charge { color: $success; text-style: bold; }
    Lines > .lines--discharge { color: $primary; text-style: bold; }
    Lines > .lines--rest { color: $secondary; }
    Lines > .lines--warn { color: $warning; text-style: bold; }
    Lines > .lines--lost { color: $warning; text-style: bold reverse; }
    Lines > .lines--fault { color: $error; text-style: bold; }
    Lines > .lines--alarm { color: $error; text-style: bold reverse; }
    Lines > .lines--cursor { background: $boost; text-style: bold; }
    """
    can_focus = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id, classes=classes)
        self._lines: list[Line] = []
        self.repaints = 0
        """Lines that were repainted, for tests and benchmarks."""

    @property
    def room(self) -> int:
        """Columns left of the scrollbar, where there is one."""
        return self.scrollable_content_region.width

    @property
    def text(self) -> str:
        """What is shown, without styles."""
        lines = (self.pieces(y) for y in range(self.count))
        return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)

    @property
    def count(self) -> int:
        """Lines that there are, in view or not."""
        return len(self._lines)

    def show(self, lines: Sequence[Line]) -> None:
        """Show these lines."""
        before, self._lines = self._lines, list(lines)
        if len(before) != len(lines):
            self.fit()
            self.refresh(layout=self.styles.height is not None and self.styles.height.is_auto)
            return
        for y, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self.redraw(y)

    def redraw(self, y: int) -> None:
        """Repaint one line, where it is in view."""
        if 0 <= y - self.scroll_offset.y < self.size.height:
            self.repaints += 1
            self.refresh_line(y)

    def on_resize(self, _: Resize) -> None:
        """Follow the viewport: a wider virtual size would bring a scrollbar."""
        self.fit()

    def fit(self) -> None:
        """Make as much room as there are lines."""
        self.virtual_size = Size(self.room, self.count)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One row a line."""
        return self.count

    def pieces(self, y: int) -> Line:
        """Return the pieces of a line."""
        return self._lines[y] if y < len(self._lines) else ()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the viewport."""
        return self._strip(self.pieces(y + self.scroll_offset.y))

    def _strip(self, line: Line, under: str = "plain") -> Strip:
        base = self.rich_style + self.get_component_rich_style(f"lines--{under}", partial=True)
        segments = [
            Segment(text, base + self.get_component_rich_style(f"lines--{style}", partial=True)) for text, style in line
        ]
        return Strip(segments).simplify().crop_extend(0, self.room, base)
