"""What a guard did after a daemon had died, kept on disk for whoever asks and for the next daemon."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter

from labctl.api import Message
from labctl.lab.store import load, save


class Outcome(StrEnum):
    """How a station was left."""

    SAFE = "safe"
    """Every instrument confirmed its safe state."""
    UNCONFIRMED = "unconfirmed"
    """Somebody must go there."""
    NOTHING = "nothing there"
    """Its instruments were simulators that have gone with their daemon."""
    LEFT_ALONE = "left alone"
    """Another process has it."""


class InstrumentReport(Message):
    """An instrument: when it confirmed its safe state, or why it did not."""

    identity: str = ""
    confirmed_unix_second: float | None = None
    trouble: str = ""


class StationReport(Message):
    """A station; the sentence is what an operator is told."""

    outcome: Outcome
    sentence: str
    instruments: Mapping[str, InstrumentReport] = {}


class Report(Message):
    """What a guard did.

    Attributes:
        process: of the daemon: boot, number, and when the kernel began it.
        why: what was the matter with it.
        noticed_unix_second: when that was seen.
        ended_unix_second: when the process was certain to exist no more.
    """

    process: tuple[str, int, int]
    why: str
    noticed_unix_second: float
    ended_unix_second: float
    stations: Mapping[str, StationReport]

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be done."""
        return all(station.outcome is not Outcome.UNCONFIRMED for station in self.stations.values())


_REPORT: TypeAdapter[Report | None] = TypeAdapter(Report | None)


def _file(folder: Path) -> Path:
    return folder / "run" / "guard.json"


def write_report(folder: Path, report: Report) -> None:
    """Leave a report in a data folder; raises StorageError."""
    save(_file(folder), _REPORT, report)


def read_report(folder: Path) -> Report | None:
    """Return the report that no daemon has taken up yet; raises StorageError where it cannot be understood."""
    return load(_file(folder), _REPORT, None)


def forget_report(folder: Path) -> None:
    """Take a report away, when everything that it says is known elsewhere."""
    _file(folder).unlink(missing_ok=True)
