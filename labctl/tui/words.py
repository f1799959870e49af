"""How the state of a station is said: a glyph, a word and a colour, of which any two may be missing."""

from typing import NamedTuple

from labctl.api import Word
from labctl.reading import Severity


class Said(NamedTuple):
    """A state on the screen."""

    glyph: str
    word: str
    style: str


SAID: dict[Word, Said] = {
    Word.CONNECTING: Said("∴", "CONNECT", "dim"),
    Word.IDLE: Said("○", "IDLE", "dim"),
    Word.READY: Said("◇", "READY", "plain"),
    Word.CHARGE: Said("▲", "CHARGE", "charge"),
    Word.DISCHARGE: Said("▼", "DISCHARGE", "discharge"),
    Word.REST: Said("·", "REST", "rest"),
    Word.WAIT: Said("◔", "WAIT", "rest"),
    Word.PAUSED: Said("‖", "PAUSED", "warn"),
    Word.DONE: Said("✓", "DONE", "plain"),
    Word.ALARM: Said("✖", "ALARM", "alarm"),
    Word.LOST: Said("?", "LOST", "lost"),
    Word.ESTOP: Said("■", "E-STOP", "alarm"),
}

RUNNING = frozenset({Word.CHARGE, Word.DISCHARGE, Word.REST, Word.WAIT})
"""Words of a station whose run goes on."""

BLIND = frozenset({Word.CONNECTING, Word.LOST})
"""Words of a station of which nothing is known: no number of it is shown."""

SEVERITY: dict[Severity, Said] = {
    Severity.INFO: Said(" ", "info", "plain"),
    Severity.WARNING: Said("!", "warning", "warn"),
    Severity.ALARM: Said("✖", "alarm", "fault"),
}
