"""F5: every alarm with what was done about it and who knows of it; below it the log."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from labctl.api import Alarm
from labctl.errors import LabctlError
from labctl.literal import literal
from labctl.tui.control import Control
from labctl.tui.lines import Line, Lines
from labctl.tui.overview import event_lines, rule
from labctl.tui.quantities import NAMES
from labctl.tui.screen import LabScreen
from labctl.tui.shown import clock_time, fit, wrapped
from labctl.tui.sight import Seen
from labctl.tui.table import Cells, Column, Table
from labctl.tui.words import SEVERITY

COLUMNS = (
    Column("!", 1),
    Column("Since", 8),
    Column("Station", 7, most=12),
    Column("What", 10, most=14, drop=2),
    Column("Alarm", 24, most=70),
    Column("State", 6),
    Column("Known to", 8, most=14),
    Column("Action", 12, most=40, drop=3),
)
LOG = 200


class Alarms(LabScreen):
    """The alarms and the log."""

    PLACE = "alarms"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.show('overview')", "Back", id="alarms-back"),
        Binding("enter", "open", "Open station", id="alarms-open"),
    ]
    AUTO_FOCUS = "#alarms"

    def __init__(self, control: Control) -> None:
        super().__init__(control)
        self._past: list[Line] = []
        self._asked = False

    def body(self) -> ComposeResult:
        """Lay out alarms, the sentence of the chosen one, and the log."""
        yield Table(COLUMNS, _cells, id="alarms")
        yield Lines(id="detail")
        yield Lines(id="log-title")
        yield Lines(id="log")

    def repaint_body(self, _: list[Seen]) -> None:
        """Show alarms and log."""
        sight, width = self.control.sight, self.size.width
        alarms = sight.alarms()
        table = self.query_one("#alarms", Table)
        table.set_rows([(_key(alarm), alarm) for alarm in alarms])
        chosen = next((alarm for alarm in alarms if _key(alarm) == table.key), None)
        self.query_one("#detail", Lines).show(_detail(chosen, width))
        waiting = sum(alarm.acknowledged_by is None for alarm in alarms)
        self.query_one("#log-title", Lines).show(
            [rule(f"Log   (alarms: {len(alarms)}, not acknowledged: {waiting})", width)]
        )
        live = [line for each in sight.events(most=LOG) for line in event_lines(each, width)]
        self.query_one("#log", Lines).show((live + self._past)[:LOG])

    async def plot(self) -> None:
        """Fetch what happened before this screen listened, once."""
        if self._asked:
            return
        self._asked = True
        heard = {(e.run, e.event.unix_time_second, e.event.message) for e in self.control.sight.events(most=LOG)}
        try:
            page = await self.control.lab.past_events(limit=LOG)
        except LabctlError:
            self._asked = False
            return
        self._past = [
            (
                (f"{SEVERITY[e.severity].glyph} ", SEVERITY[e.severity].style),
                (f"{clock_time(e.unix_time_second)} {literal(e.station or '–')} ", "dim"),
                (literal(e.message), SEVERITY[e.severity].style),
            )
            for e in page.events
            if (e.run, e.unix_time_second, e.message) not in heard
        ]

    # -- keys --------------------------------------------------------------------------------------------------------

    def on_table_moved(self, _: Table.Moved) -> None:
        """Select the alarm's station."""
        alarm = self._chosen()
        if alarm is not None:
            self.control.selected = alarm.station
        self.repaint()

    def on_table_opened(self, _: Table.Opened) -> None:
        """Open its station."""
        self.action_open()

    def action_open(self) -> None:
        """Open its station."""
        alarm = self._chosen()
        if alarm is not None:
            self.control.selected = alarm.station
            self.app.switch_screen("station")

    def action_acknowledge(self) -> None:
        """Acknowledge the chosen alarm alone."""
        alarm = self._chosen()
        if alarm is None or alarm.acknowledged_by is not None:
            self.control.acknowledge(None, ())
        else:
            self.control.acknowledge(alarm.station, (alarm.id,))

    def _chosen(self) -> Alarm | None:
        key = self.query_one("#alarms", Table).key
        return next((alarm for alarm in self.control.sight.alarms() if _key(alarm) == key), None)


def _key(alarm: Alarm) -> str:
    return f"{alarm.station}/{alarm.id}"


def _cells(alarm: Alarm) -> Cells:
    said = SEVERITY[alarm.severity]
    style = said.style if alarm.acknowledged_by is None else "plain"
    state = "ACTIVE" if alarm.active else "over"
    return {
        "!": (said.glyph, said.style),
        "Since": (clock_time(alarm.since_unix_second), "dim"),
        "Station": (alarm.station, "strong"),
        "What": (NAMES.get(alarm.quantity, alarm.quantity), style),
        "Alarm": (alarm.sentence, style),
        "State": (state, "fault" if alarm.active else "dim"),
        "Known to": ("NOBODY" if alarm.acknowledged_by is None else alarm.acknowledged_by, style),
        "Action": (alarm.action, "plain"),
    }


def _detail(alarm: Alarm | None, width: int) -> list[Line]:
    if alarm is None:
        return [(("  There is no alarm.", "dim"),)]
    latched = " LATCHED: nothing starts here until somebody acknowledges it." if alarm.latched else ""
    known = ""
    if alarm.acknowledged_by is not None:
        known = f" Acknowledged by {alarm.acknowledged_by}: {alarm.acknowledged_reason}."
    text = f"{alarm.station}: {alarm.sentence} Action: {alarm.action or 'none'}.{latched}{known}"
    return [((fit(f"  {line}", width), "plain"),) for line in wrapped(text, width - 4)]
