"""F1: all stations in one grid, below it the selected one's voltage, its gauges and the last events."""

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from labctl.client import Happening
from labctl.literal import literal
from labctl.tui.control import Control
from labctl.tui.filter import passes
from labctl.tui.gauges import gauges
from labctl.tui.lines import Line, Lines, Piece
from labctl.tui.plot import Plot
from labctl.tui.plots import TIME, VOLTAGE, last_day
from labctl.tui.quantities import CURRENT, NEGATIVE, POSITIVE, TEMPERATURE
from labctl.tui.quantities import VOLTAGE as V
from labctl.tui.screen import LabScreen
from labctl.tui.shown import UNKNOWN, clock_time, fit, number, span, wrapped
from labctl.tui.sight import Seen
from labctl.tui.table import Cells, Column, Table
from labctl.tui.trace import Trace
from labctl.tui.trend import Trends
from labctl.tui.words import BLIND, SAID, SEVERITY

COLUMNS = (
    Column("Station", 7, most=12),
    Column("State", 11),
    Column("Cell", 11, most=32),
    Column("Doing", 14, most=28, drop=8),
    Column("Step", 5, right=True),
    Column("Cyc", 5, right=True),
    Column("V/V", 8, right=True),
    Column("I/mA", 9, right=True),
    Column("Q mAh/g", 7, drop=3, right=True),
    Column("p an", 6, drop=1, right=True),
    Column("p ca", 6, right=True),
    Column("T/C", 5, drop=2, right=True),
    Column("Progress", 10, drop=4),
    Column("Left", 6, drop=5, right=True),
    Column("V trend", 8, drop=6),
)
QUANTITIES = (("V/V", V), ("I/mA", CURRENT), ("p an", NEGATIVE), ("p ca", POSITIVE), ("T/C", TEMPERATURE))
MEASURED = {name: quantity.bdf for name, quantity in QUANTITIES if name in ("p an", "p ca", "T/C")}
"""Columns that are there where any station has one of these quantities."""
WIDTHS = {column.name: column.width for column in COLUMNS}
EIGHTHS = " ▏▎▍▌▋▊▉"
PROGRESS = 10
WIDE = 100
"""Columns below which there is no room for gauges and events."""
BAR = {"alarm": "fault", "lost": "dim"}
"""Styles of a bar where that of its word is reversed."""


class Overview(LabScreen):
    """The laboratory at a glance."""

    PLACE = "overview"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="open"),
        Binding("slash", "filter", "Filter", id="filter", key_display="/"),
    ]
    AUTO_FOCUS = "#grid"

    def __init__(self, control: Control) -> None:
        super().__init__(control)
        self._wanted = ""
        self._trends = Trends()

    def body(self) -> ComposeResult:
        """Lay out grid, filter, plot, gauges and events."""
        yield Table(COLUMNS, self._cells, id="grid")
        yield Input(placeholder="text   state:run   cell:NMC*   !done", id="filter", compact=True)
        with Horizontal(id="below"):
            with Vertical(id="left"):
                yield Lines(id="plot-title", classes="rule")
                yield Plot(TIME, VOLTAGE, mode=self.control.mode, id="plot")
            with Vertical(id="right"):
                yield Lines(id="gauges-title", classes="rule")
                yield Lines(id="gauges")
                yield Lines(id="doing")
                yield Lines(id="events-title", classes="rule")
                yield Lines(id="events")

    def on_mount(self) -> None:
        """Find the parts that are repainted."""
        self._grid = self.query_one("#grid", Table)
        self._plot = self.query_one("#plot", Plot)
        self._plot.can_focus = False
        self._trace = Trace(self.control.lab, [self._plot], lambda: self.control.sight.now)
        self.query_one("#filter", Input).display = False

    def repaint_body(self, stations: list[Seen]) -> None:
        """Show stations, gauges and events."""
        self.set_class(self.size.width < WIDE, "-narrow")
        self._trends.look(stations)
        self._grid.set_rows([(seen.name, seen) for seen in self.choice(stations)], columns_for(stations))
        seen = self.control.seen
        if seen is not None:
            self._grid.select(seen.name)
        self._title("#plot-title", "" if seen is None else f"{seen.name} {self._trace.said or _what(seen)[0]}".rstrip())
        self._title("#gauges-title", "" if seen is None else f"{seen.name} pressure, torque, temperature")
        self._title("#events-title", "Events")
        right = self.query_one("#gauges", Lines)
        right.show([] if seen is None else gauges(seen, right.size.width))
        self.query_one("#doing", Lines).show([] if seen is None else doing_lines(seen, right.size.width))
        events = self.query_one("#events", Lines)
        newest = self.control.sight.events(most=max(0, events.size.height))
        lines = [line for each in newest for line in event_lines(each, events.size.width)]
        events.show(lines[: events.size.height])

    def choice(self, stations: list[Seen]) -> list[Seen]:
        """Return those that pass the filter: what is not in the grid cannot be commanded from here."""
        return [seen for seen in stations if passes(seen, self._wanted)]

    async def plot(self) -> None:
        """Feed the plot of the selected station."""
        await self._trace.look(self.control.seen, last_day)

    def _title(self, where: str, text: str) -> None:
        lines = self.query_one(where, Lines)
        lines.show([rule(text, lines.size.width)])

    def _cells(self, seen: Seen) -> Cells:
        said = SAID[seen.word]
        cells = {"Station": (seen.name, "strong"), "State": (f"{said.glyph} {said.word}", said.style)}
        for name, quantity in QUANTITIES:
            cells[name] = quantity.written(quantity.reading(seen), WIDTHS[name])
        run = None if seen.state is None else seen.state.run
        if run is not None:
            old = "dim" if seen.word in BLIND else "plain"
            specific = run.specific_mah_per_gram if seen.word not in BLIND else None
            cells |= {
                "Cell": _what(seen) if seen.word not in BLIND else (_what(seen)[0], "dim"),
                "Doing": (run.step_name, old),
                "Step": (f"{run.step}/{run.steps}", old),
                "Cyc": (f"{run.cycle}/{run.cycles}" if run.cycles < 100 else str(run.cycle), old),
                "Q mAh/g": (UNKNOWN if specific is None else number(specific, 1, 7), old),
                "Progress": (
                    progress(run.fraction, PROGRESS),
                    old if old == "dim" else BAR.get(said.style, said.style),
                ),
                "Left": (UNKNOWN if seen.word in BLIND else span(run.left_second), old),
            }
            cells["V trend"] = (self._trends.drawn(seen), "dim")
        elif seen.state is not None and seen.state.queue:
            cells["Doing"] = (f"{len(seen.state.queue)} queued", "plain")
        return cells

    # -- keys --------------------------------------------------------------------------------------------------------

    def on_table_moved(self, _: Table.Moved) -> None:
        """Select the station under the cursor."""
        if self._grid.key is not None:
            self.control.selected = self._grid.key
            self.repaint()
            self.feed()

    def on_table_opened(self, _: Table.Opened) -> None:
        """Open the station that was double-clicked."""
        self.action_open()

    def action_open(self) -> None:
        """Open the selected station."""
        self.app.switch_screen("station")

    def action_filter(self) -> None:
        """Type a filter."""
        typed = self.query_one("#filter", Input)
        typed.display = True
        typed.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self._wanted = event.value
        self.repaint()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter; an empty one is none."""
        event.input.display = bool(event.value)
        self._grid.focus()

    def key_escape(self) -> None:
        """Take the filter away."""
        typed = self.query_one("#filter", Input)
        typed.value = ""
        typed.display = False
        self._grid.focus()


def rule(text: str, width: int) -> Line:
    """Return a heading with a line to its right."""
    head = fit(text, min(len(text), max(0, width - 4)))
    return ("── ", "dim"), (head, "title"), (" " + "─" * max(0, width - len(head) - 4), "dim")


def progress(fraction: float, width: int) -> str:
    """Draw a bar in eighths of a column."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, rest = divmod(eighths, 8)
    bar = "█" * full + (EIGHTHS[rest] if rest else "")
    return bar + "─" * (width - len(bar))


def event_lines(each: Happening, width: int) -> list[Line]:
    """Write an event: time of the laboratory, station, what happened, in as many lines as it takes."""
    said = SEVERITY[each.event.severity]
    head = literal(f"{clock_time(each.event.unix_time_second)} {each.station} ")
    first, *more = wrapped(each.event.message, max(1, width - len(head) - 2))
    indent = " " * (len(head) + 2), "plain"
    return [
        ((f"{said.glyph} ", said.style), (head, "dim"), (first, said.style)),
        *((indent, (text, said.style)) for text in more),
    ]


def doing_lines(seen: Seen, width: int) -> list[Line]:
    """Return what the station is doing, what comes next, and how long it still takes; below a blank line."""
    run = None if seen.state is None or seen.word in BLIND else seen.state.run
    if run is None:
        return [((fit(line, width), "warn"),) for line in wrapped(seen.why, width)] if seen.why else []
    facts = (
        ("now", f"{run.step}/{run.steps} {run.step_name}  {span(run.step_time_second)}"),
        ("next", run.next_step or UNKNOWN),
        ("cycle", f"{run.cycle}/{run.cycles}" if run.cycles else UNKNOWN),
        ("left", f"{span(run.left_second)}, {run.protocol}, {run.operator}"),
    )
    return [(), *(((fit(name, 8), "dim"), (fit(text, max(0, width - 8)), "plain")) for name, text in facts)]


def _what(seen: Seen) -> Piece:
    """Return the name of the cell that runs; where it has none, that of the protocol."""
    run = None if seen.state is None else seen.state.run
    if run is None:
        return "", "plain"
    return (run.cell, "plain") if run.cell else (run.protocol, "dim")


def columns_for(stations: list[Seen]) -> list[Column]:
    """Return the columns that these stations need, none of them wider than what stands in it."""
    states = [seen.state for seen in stations if seen.state is not None]
    measured = set().union(*(state.values for state in states))
    runs = [state.run for state in states if state.run is not None]
    longest = {
        "Station": max((len(seen.name) for seen in stations), default=0),
        "Cell": max((len(run.cell or run.protocol) for run in runs), default=0),
        "Doing": max((len(run.step_name) for run in runs), default=0),
    }
    return [
        replace(column, most=min(column.most, longest.get(column.name, column.most)))
        for column in COLUMNS
        if column.name not in MEASURED or not measured or measured.intersection(MEASURED[column.name])
    ]
