"""The dashboard: one timer repaints what the client's dictionaries say; F12 works wherever one is."""

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from labctl.client import Lab
from labctl.clock import host_monotonic, host_unix
from labctl.literal import literal
from labctl.plot.raster import Mode
from labctl.plot.text import mode_for
from labctl.tui.alarms import Alarms
from labctl.tui.control import Control
from labctl.tui.dialogs import Help
from labctl.tui.emergency import EmergencyScreen
from labctl.tui.keys import EMERGENCY, checked
from labctl.tui.orders import Orders
from labctl.tui.overview import Overview
from labctl.tui.screen import LabScreen
from labctl.tui.sight import Sight
from labctl.tui.start import StartDialog
from labctl.tui.station import Station
from labctl.tui.table import Table
from labctl.tui.theme import NAMES, THEMES, first_theme

REPAINT = 0.25
"""Host seconds between two repaints of numbers; plots are looked at every fourth time."""
PLOT_EVERY = 4
STAYING = "Leaving the dashboard ends nothing: the daemon and its runs go on."
LEAVING = "The dashboard is gone; the daemon and its runs go on."


class Dashboard(App[None]):
    """Shows a laboratory and commands it.

    Args:
        lab: a client that listens; whoever opened it closes it.
        reason: why control is taken; None: read-only.
        keys: [tui.keys] of the configuration, by id of the binding.
        folder: where the start dialog looks for protocols.
        mode: what plots are drawn in; None: what this terminal can.
        monotonic, unix: host time.

    Raises:
        WrongKeys: a key or an id in `keys` does not exist.
    """

    TITLE = "labctl"
    CSS_PATH = "dashboard.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f12,ctrl+e", "emergency", "Pause all; twice: E-STOP", show=False, priority=True, id=EMERGENCY),
        Binding("f1", "show('overview')", "Overview", id="overview"),
        Binding("f2", "show('station')", "Station", id="station"),
        Binding("f5", "show('alarms')", "Alarms", id="alarms"),
    ]

    def __init__(
        self,
        lab: Lab,
        *,
        reason: str | None = None,
        keys: Mapping[str, str] | None = None,
        folder: Path = Path(),
        mode: Mode | None = None,
        monotonic: Callable[[], float] = host_monotonic,
        unix: Callable[[], float] = host_unix,
    ) -> None:
        # Textual chooses what takes colours away before it knows the theme: grey on grey would be black on black here.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        glyphs = mode or mode_for(sys.stdout.encoding, os.environ)
        self.control = Control(self, lab, Sight(lab, monotonic, unix), Orders(monotonic, unix), reason, glyphs)
        self.repaints = 0
        """How often the timer has repainted."""
        self._folder = folder
        self.set_keymap(checked(keys or {}, binding_ids()))
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = first_theme(os.environ, no_color=self.no_color)

    def on_mount(self) -> None:
        """Put up the screens and start the one timer."""
        for name, screen in (("overview", Overview), ("station", Station), ("alarms", Alarms)):
            self.install_screen(screen(self.control), name)
        self.push_screen("overview")
        self.set_interval(REPAINT, self.tick)

    def tick(self) -> None:
        """Repaint the screen; every fourth time feed its plots."""
        self.repaints += 1
        screen = self._lab_screen()
        screen.repaint()
        if isinstance(self.screen, EmergencyScreen):
            self.screen.repaint()
        if self.repaints % PLOT_EVERY == 1:
            screen.feed()

    async def show_now(self) -> None:
        """Show all that is known at this instant, plots too."""
        screen = self._lab_screen()
        screen.repaint()
        await screen.plot()

    def _lab_screen(self) -> LabScreen:
        return next(screen for screen in reversed(self.screen_stack) if isinstance(screen, LabScreen))

    # -- keys --------------------------------------------------------------------------------------------------------

    def action_emergency(self) -> None:
        """Pause all stations; the second time within two seconds stop them, and say what came of it."""
        if self.control.press_emergency() and not isinstance(self.screen, EmergencyScreen):
            self.push_screen(EmergencyScreen(self.control))

    def action_show(self, name: str) -> None:
        """Go to a screen."""
        self.switch_screen(name)

    def get_key_display(self, binding: Binding) -> str:
        """Write keys as they stand on a keyboard."""
        key = super().get_key_display(binding)
        return key.upper() if re.fullmatch(r"f\d+", key) else key

    def action_theme(self) -> None:
        """Take the next of the dashboard's themes."""
        self.theme = NAMES[(NAMES.index(self.theme) + 1) % len(NAMES)] if self.theme in NAMES else NAMES[0]

    def action_start(self) -> None:
        """Open the start dialog."""
        if self.control.may():
            self.push_screen(StartDialog(self.control, self._folder))

    def action_help(self) -> None:
        """List the keys that work here."""
        keys: dict[str, tuple[list[str], str]] = {}
        every = [active for active in self.screen.active_bindings.values() if active.binding.id is not None]
        for active in sorted(every, key=lambda active: not active.binding.priority):
            shown, _ = keys.setdefault(active.binding.action, ([], active.binding.description))
            shown.append(self.get_key_display(active.binding))
        self.push_screen(Help([(literal(" ".join(shown)), said) for shown, said in keys.values()], [STAYING]))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer every station and every action in the palette."""
        for name in self.control.sight.names:
            if name.replace("-", "").replace("_", "").isalnum():
                yield SystemCommand(f"Open {name}", "Show this station", lambda name=name: self._open(name))
        for active in screen.active_bindings.values():
            if active.binding.description and isinstance(active.node, LabScreen | App):
                action, node = active.binding.action, active.node
                yield SystemCommand(
                    active.binding.description,
                    f"Key {self.get_key_display(active.binding)}",
                    lambda action=action, node=node: self.run_worker(self.run_action(action, node)),
                )

    def _open(self, station: str) -> None:
        self.control.selected = station
        self.switch_screen("station")


def binding_ids() -> list[str]:
    """Return the ids of all bindings that [tui.keys] may name."""
    classes = (Dashboard, LabScreen, Overview, Station, Alarms, Table)
    return [each.id for one in classes for each in one.BINDINGS if isinstance(each, Binding) and each.id is not None]
