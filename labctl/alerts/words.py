"""The words of a message: a subject and a text for people, and JSON for programs. Foreign text is shown literally."""

from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from labctl.alerts.digest import Line, Message
from labctl.api import Alert
from labctl.literal import literal
from labctl.reading import RECORD_SCHEMA

LONGEST = 500
LONGEST_SUBJECT = 150

_CHANGES = {"raised": "", "cleared": "over: ", "acknowledged": "acknowledged: "}


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose alerts these are."""

    site: str
    host: str


def subject(sender: Sender, message: Message) -> str:
    """Return one line that says the most important."""
    first = message.lines[0].alert
    alarm = first.alarm
    said = f"{_CHANGES[first.change]}{alarm.station} {alarm.quantity}: {alarm.sentence}"
    others = len(message.lines) + message.more - 1
    tail = f" (and {others} more)" if others else ""
    head = f"[labctl {sender.site}/{sender.host}] {alarm.severity.value.upper()} {said}"
    return _short(head, LONGEST_SUBJECT) + tail


def text(sender: Sender, message: Message) -> str:
    """Return all that a message says, for people."""
    blocks = [_block(line) for line in message.lines]
    if message.more:
        blocks.append(f"And {message.more} more: `labctl status` shows what stands.")
    if message.lost:
        blocks.append(f"{message.lost} alerts before these could not be kept until they could be told.")
    blocks.append(f"Site {sender.site}, host {sender.host}.")
    return "\n\n".join(blocks) + "\n"


def as_json(sender: Sender, message: Message, now: float) -> bytes:
    """Return the same for programs; `text` is what chat services show."""
    return orjson.dumps(
        {
            "schema": RECORD_SCHEMA,
            "site": sender.site,
            "host": sender.host,
            "said_unix_second": now,
            "text": text(sender, message),
            "alerts": [_shown(line.alert) | {"times": line.times} for line in message.lines],
            "more": message.more,
            "lost": message.lost,
        }
    )


def _block(line: Line) -> str:
    alarm, when = line.alert.alarm, f"{line.alert.change} {_instant(line.alert.said_unix_second)}"
    lines = [
        f"{alarm.severity.value.upper()} at {_short(alarm.station)}, {_short(alarm.quantity)}, {when}",
        f"  {_short(alarm.sentence)}",
        f"  Done about it: {_short(alarm.action)}." if alarm.action else "",
        f"  Acknowledged by {_short(alarm.acknowledged_by)}: {_short(alarm.acknowledged_reason)}"
        if alarm.acknowledged_by is not None
        else "",
        "  The station starts nothing until somebody acknowledges this." if _waits(line.alert) else "",
        f"  {line.times} changes since the last message about it." if line.times > 1 else "",
    ]
    return "\n".join(filter(None, lines))


def _waits(alert: Alert) -> bool:
    return alert.alarm.latched and alert.alarm.acknowledged_by is None


def _shown(alert: Alert) -> dict[str, object]:
    """Return an alert whose foreign texts are literal and short."""
    alarm = {key: _short(value) if isinstance(value, str) else value for key, value in alert.alarm}
    return {"change": alert.change, "said_unix_second": alert.said_unix_second, "alarm": alarm}


def _short(said: str | None, most: int = LONGEST) -> str:
    plain = literal(said or "")
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def _instant(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
