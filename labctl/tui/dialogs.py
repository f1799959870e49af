"""Dialogs: what will happen, what must be typed, and two buttons, of which Cancel has the focus."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from labctl.tui.lines import Lines
from labctl.tui.shown import wrapped

WIDTH = 66
ARROWS: tuple[BindingType, ...] = (
    Binding("left", "app.focus_previous", "Previous", show=False, id="dialog.previous"),
    Binding("right", "app.focus_next", "Next", show=False, id="dialog.next"),
)
"""From button to button, also with gloves on."""


@dataclass(frozen=True, slots=True)
class Field:
    """Something to be typed.

    Attributes:
        word: that must be typed exactly; None: any text that is not empty.
        empty: whether nothing is an answer, too.
    """

    name: str
    hint: str
    word: str | None = None
    empty: bool = False

    def accepts(self, text: str) -> bool:
        """Whether this may be sent."""
        return text == self.word if self.word is not None else self.empty or bool(text.strip())


class Ask(ModalScreen[dict[str, str] | None]):
    """Asks before something is done; answers what was typed, or None where it was cancelled.

    Args:
        title: what will be done, as a question.
        says: the facts, a paragraph each.
        act: the word on the button that does it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="dialog.cancel"),
        *ARROWS,
    ]
    AUTO_FOCUS = None

    def __init__(self, title: str, says: Sequence[str], act: str, fields: Sequence[Field] = ()) -> None:
        super().__init__()
        self._title = title
        self._says = says
        self._act = act
        self._fields = fields

    def compose(self) -> ComposeResult:
        """Lay out title, facts, fields and buttons."""
        with Vertical(classes="dialog"):
            yield Lines(classes="says")
            for number, field in enumerate(self._fields):
                yield Input(placeholder=field.hint, id=f"field-{number}", compact=True, select_on_focus=False)
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel", compact=True)
                yield Button(Content(self._act), id="act", variant="error", compact=True)

    def on_mount(self) -> None:
        """Say the facts; Cancel has the focus, or what must be typed first."""
        lines = [((line, "title"),) for line in wrapped(self._title, WIDTH)]
        for paragraph in self._says:
            lines += [((line, "plain"),) for line in wrapped(paragraph, WIDTH)]
        self.query_one(Lines).show(lines)
        self.query_one("#field-0" if self._fields else "#cancel").focus()
        self._judge()

    def on_input_changed(self, _: Input.Changed) -> None:
        """See whether enough was typed."""
        self._judge()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on to the next field; behind the last one do it, or where a word had to be typed go on to Cancel."""
        index = int((event.input.id or "field-0").removeprefix("field-"))
        if not self._fields[index].accepts(event.value):
            return
        if index + 1 < len(self._fields) or any(field.word is not None for field in self._fields):
            self.app.action_focus_next()
        elif self._complete:
            self.dismiss(self._typed)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do it, or not."""
        if event.button.id == "act" and self._complete:
            self.dismiss(self._typed)
        elif event.button.id == "cancel":
            self.dismiss(None)

    def action_cancel(self) -> None:
        """Do nothing."""
        self.dismiss(None)

    @property
    def _typed(self) -> dict[str, str]:
        return {f.name: self.query_one(f"#field-{i}", Input).value for i, f in enumerate(self._fields)}

    @property
    def _complete(self) -> bool:
        typed = self._typed
        return all(field.accepts(typed[field.name]) for field in self._fields)

    def _judge(self) -> None:
        self.query_one("#act", Button).disabled = not self._complete


class Help(ModalScreen[None]):
    """Lists every key of the screen below."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "close", "Close", id="help.close")]

    def __init__(self, keys: Sequence[tuple[str, str]], says: Sequence[str]) -> None:
        super().__init__()
        self._keys = keys
        self._says = says

    def compose(self) -> ComposeResult:
        """Lay out the list."""
        with Vertical(classes="dialog tall"):
            yield Lines(classes="says")

    def on_mount(self) -> None:
        """Show the list."""
        lines = self.query_one(Lines)
        said = [((line, "strong"),) for each in self._says for line in (*wrapped(each, WIDTH), "")]
        lines.show([*said, *(((f"{key:>14}  ", "title"), (what, "plain")) for key, what in self._keys)])
        lines.can_focus = True
        lines.focus()

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)
