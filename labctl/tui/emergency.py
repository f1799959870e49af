"""The screen after an emergency stop: what each station has confirmed, and what has not been."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from labctl.literal import literal
from labctl.tui.control import Control
from labctl.tui.lines import Line, Lines
from labctl.tui.shown import wrapped
from labctl.tui.words import SAID

NO_SAFETY_FUNCTION = (
    "This software stop is NOT a safety function. Where a person or a cell is in danger, use the hardware emergency "
    "stop first."
)
WIDTH = 80


class EmergencyScreen(ModalScreen[None]):
    """States what is known of every station; stays until somebody leaves it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="emergency.close"),
        Binding("R", "reset", "Reset", id="emergency.reset"),
        Binding("c,C", "take_control", "Take control", id="emergency.control"),
    ]

    def __init__(self, control: Control) -> None:
        super().__init__()
        self._control = control

    def compose(self) -> ComposeResult:
        """Lay out one list."""
        with Vertical(classes="emergency"):
            yield Lines()

    def on_mount(self) -> None:
        """Say at once what is known."""
        self.repaint()

    def repaint(self) -> None:
        """Say what is known by now."""
        lines = self.query_one(Lines)
        lines.show(emergency_lines(self._control, min(WIDTH, self.size.width - 8)))

    def action_close(self) -> None:
        """Go back to the laboratory."""
        self.dismiss(None)

    def action_take_control(self) -> None:
        """Take control: a reset needs it."""
        self._control.take()

    def action_reset(self) -> None:
        """Release the stop, after a typed word."""
        self._control.reset()


def emergency_lines(control: Control, width: int) -> list[Line]:
    """Return what is known of every station since the stop was asked for."""
    sight, confirmed = control.sight, control.emergency.confirmed
    latched = sight.daemon is not None and sight.daemon.estop
    lines: list[Line] = [((" ■ EMERGENCY STOP ", "alarm"),), ()]
    lines += [((line, "fault"),) for line in wrapped(NO_SAFETY_FUNCTION, width)]
    order = control.orders.look()
    lines += [(), *([order.line] if order is not None else []), ()]
    names = [*sight.names, *sorted(set(() if confirmed is None else confirmed.stations) - set(sight.names))]
    for name in names:
        seen, head = sight.station(name), literal(name)
        said = SAID[seen.word]
        if confirmed is None or name not in confirmed.stations:
            state: Line = ((f" … {head}  has NOT confirmed anything yet", "warn"),)
        elif confirmed.stations[name]:
            state = ((f" ✖ {head}  NOT CONFIRMED SAFE", "alarm"),)
        else:
            state = ((f" ✓ {head}  confirmed: outputs open, actuators stopped", "charge"),)
        lines.append((*state, (f"   now {said.glyph} {said.word}", "dim")))
        for sentence in () if confirmed is None else confirmed.stations.get(name, ()):
            lines += [((f"     {line}", "fault"),) for line in wrapped(sentence, width - 6)]
    held = "Latched: nothing starts until it is reset." if latched else "The daemon does not say that it is latched."
    who = "" if control.reason is not None else "c take control   "
    return [*lines, (), ((held, "strong"),), ((f"{who}R reset (a typed word)   Esc back   F12 again", "dim"),)]
