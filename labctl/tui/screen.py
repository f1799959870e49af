"""What every screen of the laboratory has: header, alarm, body, the last command, keys; and its size judged."""

from collections.abc import Hashable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.worker import Worker

from labctl.literal import literal
from labctl.tui.control import Control
from labctl.tui.keys import KeyLine
from labctl.tui.lines import Lines
from labctl.tui.quantities import CURRENT, NEGATIVE, POSITIVE, TEMPERATURE, VOLTAGE
from labctl.tui.sight import Seen
from labctl.tui.top import alarm_lines, header
from labctl.tui.words import SAID

LEAST = (80, 24)


class LabScreen(Screen[None]):
    """A screen that the timer repaints; keys that act on the selected station are the same on all of them."""

    PLACE: ClassVar[str]
    """Its name, as the keys F1, F2 and F5 call it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "Pause", id="pause"),
        Binding("r", "resume", "Resume", id="resume"),
        Binding("S", "skip", "Skip the step", id="skip", key_display="S", show=False),
        Binding("X", "stop", "Stop", id="stop", key_display="X"),
        Binding("R", "app.start", "Start", id="start", key_display="R"),
        Binding("m", "note", "Note", id="note", show=False),
        Binding("a", "acknowledge", "Ack", id="acknowledge"),
        Binding("A", "acknowledge_all", "Ack all", id="acknowledge-all", show=False),
        Binding("left_square_bracket", "step(-1)", "Previous station", id="previous", show=False, key_display="["),
        Binding("right_square_bracket", "step(1)", "Next station", id="next", show=False, key_display="]"),
        Binding("y", "copy", "Copy values", id="copy", show=False),
        Binding("C,c", "take_control", "Control", id="control", show=False),
        Binding("t", "app.theme", "Theme", id="theme", show=False),
        Binding("question_mark", "app.help", "Help", id="help", key_display="?"),
        Binding("q", "app.quit", "Leave (the daemon keeps running)", id="quit", show=False),
    ]

    def __init__(self, control: Control) -> None:
        super().__init__()
        self.control = control
        self._ready = False
        self._feeding: Worker[None] | None = None
        self._fed: Hashable = None

    def compose(self) -> ComposeResult:
        """Lay out what all screens share around the body."""
        yield Lines(id="top")
        yield Lines(id="alarm")
        with Vertical(id="body"):
            yield from self.body()
        yield Lines(id="small")
        yield Lines(id="order")
        yield KeyLine()

    def body(self) -> ComposeResult:
        """Lay out what is this screen's own."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Show something as soon as sizes are known, not only at the next tick."""
        self._ready = True
        self.call_after_refresh(self.repaint)

    def repaint(self) -> None:
        """Show what is true now, four times a second."""
        if not self._ready:
            return
        width, sight = self.size.width, self.control.sight
        stations = sight.stations()
        self.control.choose([seen.name for seen in self.choice(stations)])
        small = self.size.width < LEAST[0] or self.size.height < LEAST[1]
        self.set_class(small, "-small")
        self.query_one("#top", Lines).show([header(sight, stations, self.control.reason, width)])
        self.query_one("#alarm", Lines).show(alarm_lines(sight, width))
        order = self.control.orders.look()
        self.query_one("#order", Lines).show([] if order is None else [order.line])
        self.query_one(KeyLine).repaint()
        if small:
            here = f" This terminal is {self.size.width}x{self.size.height}; "
            self.query_one("#small", Lines).show([((f"{here}{LEAST[0]}x{LEAST[1]} is needed.", "plain"),)])
        else:
            self.repaint_body(stations)

    def choice(self, stations: list[Seen]) -> list[Seen]:
        """Return those that keys may act on here."""
        return stations

    def repaint_body(self, stations: list[Seen]) -> None:
        """Show what is true in this screen's own part."""
        raise NotImplementedError

    def feed(self) -> None:
        """Look after the plot, unless that is being done; what is not wanted any more is not waited for."""
        wanted = self.plotted
        if not self._ready:
            return
        if self._feeding is None or self._feeding.is_finished or wanted != self._fed:
            self._fed = wanted
            self._feeding = self.run_worker(self.plot(), group="plot", exclusive=True)

    @property
    def plotted(self) -> Hashable:
        """What is wanted in the plot: of which station."""
        return None if self.control.seen is None else self.control.selected

    async def plot(self) -> None:
        """Ask for what is plotted, and show it."""

    # -- keys --------------------------------------------------------------------------------------------------------

    def action_pause(self) -> None:
        """Pause the selected station."""
        self.control.pause()

    def action_resume(self) -> None:
        """Resume it."""
        self.control.resume()

    def action_skip(self) -> None:
        """Skip its step."""
        self.control.skip()

    def action_stop(self) -> None:
        """Stop its run."""
        self.control.stop()

    def action_note(self) -> None:
        """Write a note."""
        self.control.note()

    def action_take_control(self) -> None:
        """Take control, or give it back."""
        self.control.take()

    def action_acknowledge(self) -> None:
        """Acknowledge the alarms of the selected station; where it has none, the one in the alarm line."""
        waiting = [alarm for alarm in self.control.sight.alarms() if alarm.acknowledged_by is None]
        mine = [alarm for alarm in waiting if alarm.station == self.control.selected] or waiting[:1]
        station = mine[0].station if mine else None
        self.control.acknowledge(station, tuple(alarm.id for alarm in mine if alarm.station == station))

    def action_acknowledge_all(self) -> None:
        """Acknowledge all alarms."""
        self.control.acknowledge_all()

    def action_step(self, by: int) -> None:
        """Select the next or previous station."""
        self.control.step(by)
        self.repaint()
        self.feed()

    def action_copy(self) -> None:
        """Copy the selected station's values to the terminal's clipboard."""
        seen = self.control.seen
        if seen is None:
            return
        shown = [VOLTAGE, CURRENT, NEGATIVE, POSITIVE, TEMPERATURE]
        values = [f"{q.label} {q.written(q.reading(seen), 16)[0]} {q.unit}" for q in shown]
        text = literal(f"{seen.name} {SAID[seen.word].word}  " + "  ".join(values))
        self.app.copy_to_clipboard(text)
        self.notify(text, title="Copied", markup=False)
