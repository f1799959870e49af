"""What processes say of themselves: stable event names and facts, a line each, for people or for journald.

On a terminal `10:41:07 warning broker.down reason="connection refused" host=127.0.0.1`; under journald, or with
LABCTL_LOG=json, one JSON object a line. Credentials and control characters reach no line, whoever logs them.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from labctl.literal import literal

Fact = str | int | float | bool | None

HIDDEN = "***"
_SECRET_NAMES = re.compile(r"pass(word|wd)?|secret|token|credential|api_?key", re.IGNORECASE)
_IN_URLS = re.compile(r"(?<=://)([^\s/:@]*):\S*@")
_IN_WORDS = re.compile(
    r"""((?:password|passwd|secret|token)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;}]+)""", re.IGNORECASE
)
_BARE = re.compile(r"[\w.:/@+*%-]+")
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""Levels and what syslog calls them; everything below is 7."""


class Log:
    """Says what happens in one module: an event's stable dotted name, a sentence, and facts.

    Args:
        module: its `__name__`.
    """

    def __init__(self, module: str) -> None:
        self._logger = logging.getLogger(module)

    def info(self, event: str, sentence: str, **facts: Fact) -> None:
        """Say something that goes as it should."""
        self._say(logging.INFO, event, sentence, facts)

    def warning(self, event: str, sentence: str, **facts: Fact) -> None:
        """Say something that a person should look at."""
        self._say(logging.WARNING, event, sentence, facts)

    def error(self, event: str, sentence: str, **facts: Fact) -> None:
        """Say something that has gone wrong."""
        self._say(logging.ERROR, event, sentence, facts)

    def bug(self, event: str, sentence: str, error: BaseException, **facts: Fact) -> None:
        """Say something that no user has caused, with its traceback."""
        self._say(logging.ERROR, event, sentence, facts, error)

    def _say(
        self, level: int, event: str, sentence: str, facts: Mapping[str, Fact], error: BaseException | None = None
    ) -> None:
        self._logger.log(level, "%s", sentence, extra={"event": event, "facts": facts}, exc_info=error)


class Words(logging.Formatter):
    """A line of key=value for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback follows, indented."""
        head = [f"{_instant(record):%H:%M:%S}", record.levelname.lower(), _event(record), _clean(record.getMessage())]
        facts = [f"{name}={_value(value)}" for name, value in _facts(record).items()]
        trace = [f"  {_clean(line)}" for line in self._trace(record).splitlines()]
        return "\n".join([" ".join(head + facts), *trace])

    def _trace(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""


class Json(Words):
    """One JSON object a line: time, level, event, message, facts, logger, and a traceback where there is one.

    Args:
        prioritised: whether journald reads the line and takes its syslog priority from the front of it.
    """

    def __init__(self, *, prioritised: bool) -> None:
        super().__init__()
        self._prioritised = prioritised

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        said: dict[str, object] = {
            "time": _instant(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": _event(record),
            "message": _clean(record.getMessage()),
            "facts": _facts(record),
            "logger": record.name,
        }
        trace = [_clean(line) for line in self._trace(record).splitlines()]
        line = json.dumps(said | ({"trace": "\n".join(trace)} if trace else {}), ensure_ascii=False)
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        return f"<{priority}>{line}" if self._prioritised else line


class _Handler(logging.StreamHandler[TextIO]):
    """The one that `configure` has installed, to be known again."""


def configure(stream: TextIO = sys.stderr, environment: Mapping[str, str] = os.environ) -> None:
    """Let this process log to a stream, in the form that its reader needs; again changes the stream."""
    journald = _is_journal(stream, environment.get("JOURNAL_STREAM", ""))
    as_json = journald or environment.get("LABCTL_LOG") == "json"
    handler = _Handler(stream)
    handler.setFormatter(Json(prioritised=journald) if as_json else Words())
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)


def _is_journal(stream: TextIO, told: str) -> bool:
    """Whether a stream is the one that systemd has connected to its journal: JOURNAL_STREAM is device:inode."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return told == f"{status.st_dev}:{status.st_ino}"


def _instant(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _event(record: logging.LogRecord) -> str:
    """Name the event; what is logged without a name has that of its module."""
    return str(getattr(record, "event", record.name.removeprefix("labctl.")))


def _facts(record: logging.LogRecord) -> dict[str, Fact]:
    facts: Mapping[str, Fact] = getattr(record, "facts", {})
    return {
        name: HIDDEN if _SECRET_NAMES.search(name) else _clean(value) if isinstance(value, str) else value
        for name, value in facts.items()
    }


def _clean(text: str) -> str:
    """Hide credentials, and write control characters as escapes."""
    return literal(without_secrets(text))


def without_secrets(text: str) -> str:
    """Return a text in which credentials in addresses and assignments are hidden."""
    return _IN_WORDS.sub(rf"\1{HIDDEN}", _IN_URLS.sub(rf"\1:{HIDDEN}@", text))


def _value(value: Fact) -> str:
    """Write a fact so that a space or a quote in it does not look like the next one."""
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
