"""The line of keys at the bottom, and the check of `[tui.keys]`: which key does what here."""

import re
from collections.abc import Iterable, Mapping
from string import punctuation
from unicodedata import name

from textual.binding import ActiveBinding
from textual.events import Click
from textual.keys import KEY_NAME_REPLACEMENTS, Keys

from labctl.errors import LabctlError
from labctl.tui.lines import Line, Lines, Piece

EMERGENCY = "emergency"
"""Id of the binding that no configuration can change: hands must find it on every screen of every laboratory."""

_KEY = re.compile(r"(ctrl\+|alt\+|shift\+)*([a-z0-9]|f([1-9]|1[0-9])|[a-z]+(_[a-z]+)*|[^\w\s])", re.IGNORECASE)
_SIGNS = {name(sign).lower().replace("-", "_").replace(" ", "_") for sign in punctuation}
_NAMED = {key.value.rpartition("+")[2] for key in Keys} | {"space"} | {KEY_NAME_REPLACEMENTS.get(s, s) for s in _SIGNS}


class WrongKeys(LabctlError):
    """[tui.keys] names a binding or a key that there is not."""

    exit_code = 3


def checked(keys: Mapping[str, str], known: Iterable[str]) -> dict[str, str]:
    """Return the keys of [tui.keys] when each names a binding and a key.

    Raises:
        WrongKeys: one does not.
    """
    ids = sorted(set(known) - {EMERGENCY})
    for which, key in keys.items():
        if which == EMERGENCY:
            raise WrongKeys("[tui.keys] cannot change F12: everybody must find it.", "Remove emergency from it.")
        if which not in ids:
            raise WrongKeys(f'[tui.keys] names "{which}", which no binding is called.', f"Allowed: {', '.join(ids)}.")
        wrong = next((one for one in key.split(",") if not _is_key(one.strip())), None)
        if wrong is not None:
            raise WrongKeys(
                f'[tui.keys] {which} = "{key}": "{wrong}" is no key.',
                'Write a character, or a name such as "f6", "ctrl+x", "space"; several with commas between.',
            )
        if {one.strip() for one in key.split(",")} & {"f12", "ctrl+e"}:
            raise WrongKeys(f"[tui.keys] {which} takes F12 or Ctrl+E, which pause all stations.", "Choose another key.")
    return dict(keys)


def _is_key(key: str) -> bool:
    last = key.rpartition("+")[2] if len(key) > 1 else key
    return bool(_KEY.fullmatch(key)) and (len(last) == 1 or last in _NAMED or bool(re.fullmatch(r"f\d+", last)))


class KeyLine(Lines):
    """Shows the keys of what has the focus, as many as fit; F12 always. A click on one presses it."""

    LAST = "F12 PAUSE ALL, twice E-STOP"
    SHORT = "F12 PAUSE, 2x E-STOP"

    def __init__(self) -> None:
        super().__init__(id="keys")
        self._places: list[tuple[int, int, ActiveBinding]] = []

    def repaint(self) -> None:
        """Look which keys there are now."""
        every = [active for active in self.screen.active_bindings.values() if active.binding.show]
        here = f"app.show('{getattr(self.screen, 'PLACE', '')}')", f"show('{getattr(self.screen, 'PLACE', '')}')"
        shown = {active.binding.action: active for active in every if active.binding.action not in here}
        ordered = sorted(shown.values(), key=lambda active: not active.binding.action.startswith("show"))
        last = self.LAST if self.size.width >= 100 else self.SHORT
        room = self.size.width - len(last) - 3
        pieces: list[Piece] = [(" ", "plain")]
        self._places, at = [], 1
        for active in ordered:
            binding = active.binding
            key = self.app.get_key_display(binding)
            wide = len(key) + len(binding.description) + 3
            if at + wide > room:
                break
            self._places.append((at, at + wide - 2, active))
            pieces += [(key, "title"), (f" {binding.description}  ", "plain")]
            at += wide
        line: Line = (*pieces, (" " * (self.size.width - at - len(last) - 2), "plain"), (f" {last} ", "alarm"))
        self.show([line])

    async def on_click(self, event: Click) -> None:
        """Press the key that was clicked; F12 is pressed by hand only."""
        for left, right, active in self._places:
            if left <= event.x < right:
                await self.app.run_action(active.binding.action, active.node)
