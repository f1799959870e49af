"""The start dialog: a protocol, a station, inputs; the daemon checks them before Start can be pressed."""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from labctl.errors import LabctlError, ProtocolError
from labctl.literal import literal
from labctl.protocol.folders import entries
from labctl.tui.control import Control, facts
from labctl.tui.dialogs import ARROWS
from labctl.tui.lines import Line, Lines
from labctl.tui.shown import wrapped
from labctl.tui.table import Column, Table

COLUMNS = (Column("Protocol", 24, most=70),)
MOST = 500
"""Files that are listed."""
WIDTH = 72


class StartDialog(ModalScreen[None]):
    """Queues a protocol at a station.

    Args:
        folder: where protocols are looked for, beside the folders in which they have names.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Cancel", id="start.cancel"),
        Binding("enter", "check", "Check", id="start.check"),
        *ARROWS,
    ]
    AUTO_FOCUS = "#files"

    def __init__(self, control: Control, folder: Path) -> None:
        super().__init__()
        self._control = control
        self._files, self._trouble = choices(folder, control.lab.folders)
        self._checked: tuple[str, Path, dict[str, str]] | None = None

    def compose(self) -> ComposeResult:
        """Lay out files, station, inputs, findings and buttons."""
        with Vertical(classes="dialog tall"):
            yield Lines(id="start-title")
            yield Table(COLUMNS, lambda name: {"Protocol": (name, "plain")}, id="files")
            yield Input(placeholder="station", id="start-station", compact=True, select_on_focus=False)
            yield Input(placeholder="inputs, such as cycles=5 rate=C/10", id="start-inputs", compact=True)
            yield Lines(id="findings")
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel", compact=True)
                yield Button(Content("Check"), id="check", compact=True)
                yield Button(Content("Start"), id="act", variant="error", compact=True, disabled=True)

    def on_mount(self) -> None:
        """Fill in what is known."""
        self.query_one("#findings", Lines).can_focus = True  # what is long is scrolled
        self.query_one("#start-title", Lines).show([(("Start a protocol", "title"),)])
        seen = self._control.seen
        self.query_one("#start-station", Input).value = "" if seen is None else seen.name
        self.call_after_refresh(self._list)

    def _list(self) -> None:
        self.query_one("#files", Table).set_rows([(name, name) for name in self._files])
        if self._trouble:
            self._say([((line, "warn"),) for line in wrapped(self._trouble, WIDTH)])
        elif not self._files:
            self._say([(("There is no protocol (*.toml) here, in protocols/ or in the folders.", "warn"),)])

    def on_table_opened(self, _: Table.Opened) -> None:
        """Check the file that was double-clicked."""
        self.action_check()

    def on_table_moved(self, _: Table.Moved) -> None:
        """Another file has to be checked again."""
        self._forget()

    def on_input_changed(self, _: Input.Changed) -> None:
        """Other words have to be checked again."""
        self._forget()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Check."""
        self.action_check()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Cancel, check or start."""
        if event.button.id == "check":
            self.action_check()
        elif event.button.id == "cancel":
            self.dismiss(None)
        elif self._checked is not None:
            self._control.start(*self._checked)
            self.dismiss(None)

    def action_close(self) -> None:
        """Start nothing."""
        self.dismiss(None)

    def action_check(self) -> None:
        """Let the daemon check what was chosen."""
        self.app.run_worker(self._check())

    async def _check(self) -> None:
        chosen = self.query_one("#files", Table).key
        station = self.query_one("#start-station", Input).value.strip()
        inputs, wrong = assignments(self.query_one("#start-inputs", Input).value)
        if chosen is None or not station or wrong:
            missing = wrong or ("Choose a protocol." if chosen is None else "Name a station.")
            self._say([((literal(missing), "fault"),)])
            return
        self._say([(("The daemon checks it …", "warn"),)])
        file = self._files[chosen]
        try:
            checked = await self._control.lab.check(file, station=station, inputs=inputs)
        except LabctlError as error:
            self._say([((line, "fault"),) for line in wrapped(str(error), WIDTH)])
            return
        if not self.is_attached:
            return
        lines = finding_lines(checked.findings)
        errors = [finding for finding in checked.findings if finding.get("severity") == "error"]
        if not errors:
            self._checked = station, file, inputs
            lines += self._will_happen(station, chosen)
            self.query_one("#act", Button).disabled = False
            self.query_one("#cancel", Button).focus()
        self._say(lines)

    def _will_happen(self, station: str, chosen: str) -> list[Line]:
        seen = self._control.sight.station(station)
        queue = 0 if seen.state is None else len(seen.state.queue)
        when = f"It waits behind {queue} in the queue." if queue else "It starts when the station is free."
        paragraphs = [f"✓ {chosen} can run on {station}.", *facts(seen), when]
        return [
            ((line, "charge" if number == 0 else "plain"),)
            for number, paragraph in enumerate(paragraphs)
            for line in wrapped(paragraph, WIDTH)
        ]

    def _forget(self) -> None:
        self._checked = None
        self.query_one("#act", Button).disabled = True

    def _say(self, lines: list[Line]) -> None:
        self.query_one("#findings", Lines).show(lines)


def choices(folder: Path, folders: tuple[Path, ...]) -> tuple[dict[str, Path], str]:
    """Return the files that can be chosen, by what they are called, and what is wrong with the folders.

    Those of `folder`, and below its folder `protocols`, are called by their way from there (the configuration is none);
    any other of the search path by its name, as commands take it.
    """
    found = [*folder.glob("*.toml"), *(folder / "protocols").glob("**/*.toml")]
    here = sorted(file for file in found if file.is_file() and file.name != "config.toml")
    named = {str(file.relative_to(folder)): file for file in here}
    known, trouble = {file.resolve() for file in here}, ""
    try:
        others = {entry.name: entry.path for entry in entries(folders) if entry.path.resolve() not in known}
    except ProtocolError as error:
        others, trouble = {}, str(error)
    every = {**others, **named}
    return dict(list({name: every[name] for name in (*named, *others)}.items())[:MOST]), trouble


def assignments(text: str) -> tuple[dict[str, str], str]:
    """Read "name=value name=value"; return them and, where one is none, what is wrong."""
    inputs: dict[str, str] = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            return {}, f'"{word}" is no input: write name=value, without spaces, several with a space between.'
        inputs[name] = value
    return inputs, ""


def finding_lines(findings: Iterable[dict[str, object]]) -> list[Line]:
    """Return what the daemon found, as it says it: place, line and caret."""
    lines: list[Line] = []
    for finding in findings:
        style = "fault" if finding.get("severity") == "error" else "warn"
        for number, line in enumerate(str(finding.get("text", "")).split("\n")):
            lines.append(((literal(line), style if number == 0 else "plain"),))
    return lines
