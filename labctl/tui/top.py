"""The two lines at the top of every screen: the laboratory in one line, and the alarm that matters most."""

from labctl.api import Alarm, Word
from labctl.literal import literal
from labctl.tui.lines import Line, Piece
from labctl.tui.shown import age, clock_time, fit
from labctl.tui.sight import Seen, Sight
from labctl.tui.words import RUNNING, SEVERITY

Part = tuple[int, str, str]
"""Rank (the higher, the earlier it is left out; 0 never), text, style."""

SLOW_STORAGE = 7.0
"""Days until the disk is full below which that is a warning."""


def header(sight: Sight, stations: list[Seen], control: str | None, width: int) -> Line:
    """Return the line at the top; what matters less is left out where it is narrow, alarms never."""
    return joined([*_counts(sight, stations), *_daemon(sight), *_who(sight, stations, control)], width)


def joined(parts: list[Part], width: int) -> Line:
    """Join as many parts as fit, two spaces between them; the last one stands at the right."""
    kept = fitting(parts, width)
    pieces: list[Piece] = [(" ", "plain")]
    for _, text, style in kept[:-1]:
        pieces += [(text, style), ("  ", "plain")]
    if kept:
        room = width - 1 - sum(len(text) for text, _ in pieces)
        pieces += [
            (" " * max(0, room - len(kept[-1][1])), "plain"),
            (fit(kept[-1][1], min(room, len(kept[-1][1]))), kept[-1][2]),
        ]
    return tuple(pieces)


def fitting(parts: list[Part], width: int, gap: int = 2) -> list[Part]:
    """Return as many parts as fit with a gap behind each, without those that matter least."""
    kept = list(parts)
    while sum(len(text) + gap for _, text, _ in kept) > width and any(rank for rank, _, _ in kept):
        kept.remove(max(kept, key=lambda part: part[0]))
    return kept


def _counts(sight: Sight, stations: list[Seen]) -> list[Part]:
    words = [seen.word for seen in stations]
    alarms = sum(alarm.acknowledged_by is None for alarm in sight.alarms())
    site = "" if sight.daemon is None else literal(sight.daemon.site)
    running = sum(word in RUNNING for word in words)
    counted = [
        (0, alarms, f"✖ {alarms} alarm{'s' * (alarms > 1)}", "alarm"),
        (0, words.count(Word.ESTOP), f"■ {words.count(Word.ESTOP)} e-stop", "alarm"),
        (0, words.count(Word.LOST), f"? {words.count(Word.LOST)} lost", "lost"),
        (2, words.count(Word.PAUSED), f"‖ {words.count(Word.PAUSED)} paused", "warn"),
        (1, running, f"▲▼ {running} run", "charge"),
        (7, words.count(Word.DONE), f"✓ {words.count(Word.DONE)} done", "plain"),
        (8, words.count(Word.IDLE), f"○ {words.count(Word.IDLE)} idle", "dim"),
    ]
    name: list[Part] = [(9, "labctl", "title"), (6, site, "strong"), (8, f"{len(words)} stations", "dim")]
    return name + [(rank, text, style) for rank, count, text, style in counted if count]


def _daemon(sight: Sight) -> list[Part]:
    said = sight.daemon
    if sight.trouble or said is None:
        return [(0, "NOT LIVE", "alarm")]
    if said.recorder:
        return [(0, "NOT STORED", "alarm")]
    full = said.disk_days is not None and said.disk_days < SLOW_STORAGE
    parts: list[Part] = [(5, "stored ✓", "dim"), (10, f"{said.rows_per_second:.0f} row/s", "dim")]
    if said.disk_days is not None:
        parts.append((1 if full else 4, f"disk {age(said.disk_days * 86400)}", "warn" if full else "dim"))
    return parts


def _who(sight: Sight, stations: list[Seen], control: str | None) -> list[Part]:
    simulated = any(s.state is not None and s.state.simulated for s in stations)
    marked: list[Part] = [(3, "SIMULATED", "rest")] if simulated else []
    return [
        *marked,
        (0, "READ-ONLY" if control is None else "CONTROL", "dim" if control is None else "warn"),
        (0, clock_time(sight.unix()), "strong"),
    ]


def alarm_lines(sight: Sight, width: int) -> list[Line]:
    """Return what a person must know at once: that nothing is live, or the first alarm; no line where there is none."""
    if sight.trouble:
        return [((fit(f" ✖ {sight.trouble}", width), "alarm"),)]
    if sight.daemon is not None and sight.daemon.recorder:
        return [((fit(f" ✖ Records are not stored: {sight.daemon.recorder}", width), "alarm"),)]
    waiting = [alarm for alarm in sight.alarms() if alarm.acknowledged_by is None]
    if not waiting:
        return []
    more = f"  +{len(waiting) - 1} more" if len(waiting) > 1 else ""
    tail = f"{more}   a acknowledge   F5 all "
    return [((fit(f" {sentence(waiting[0])}", width - len(tail)) + tail, "alarm"),)]


def sentence(alarm: Alarm) -> str:
    """Write an alarm in one line."""
    said = f"{SEVERITY[alarm.severity].glyph} {alarm.station}: {alarm.sentence}"
    return f"{said.removesuffix('.')}; {alarm.action}" if alarm.action else said
