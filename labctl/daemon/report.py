"""What a daemon confirms to who made it safe by signal, because the bus was dead: one small file."""

from pathlib import Path

from pydantic import TypeAdapter

from labctl.api import Message
from labctl.lab.store import load, save


class SafeReport(Message):
    """For each station the sentences of instruments that did not confirm their safe state."""

    stations: dict[str, list[str]]


_REPORT = TypeAdapter(SafeReport | None)


def report_file(folder: Path) -> Path:
    """Return where the report is left."""
    return folder / "run" / "safe.json"


def write_report(file: Path, report: SafeReport) -> None:
    """Leave a report."""
    save(file, _REPORT, report)


def read_report(file: Path) -> SafeReport | None:
    """Return the report, or None while there is none."""
    return load(file, _REPORT, None)
