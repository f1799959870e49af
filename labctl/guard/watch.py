"""The watch over a heartbeat: whether there is a daemon, and whether it moves."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from labctl.lab.heartbeat import Beat, read

LOOK = 0.1
"""Host seconds between two looks."""
LONGEST = 2 * LOOK
"""The most that one look counts for: what this process did not watch, being held up itself, it does not hold against
the daemon."""


class Verdict(StrEnum):
    """How a daemon is."""

    ABSENT = "absent"
    """None has ever said anything here, or what it said cannot be read."""
    ENDED = "ended"
    """In order: there is nothing to guard."""
    ALIVE = "alive"
    """Its heart has beaten since the first look."""
    UNSURE = "unsure"
    """It has not beaten again yet, within the patience."""
    DEAD = "dead"
    SILENT = "silent"
    """It exists, and has not moved for longer than the patience."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict on the daemon that said this last, and what is the matter with it."""

    verdict: Verdict
    beat: Beat | None = None
    why: str = ""


class Watch:
    """Looks at the heartbeat of one data folder.

    Args:
        patience: host seconds without a beat after which a daemon that exists counts as hung.
    """

    def __init__(self, folder: Path, patience: float) -> None:
        self._folder = folder
        self._patience = patience
        self._last: Beat | None = None
        self._beaten = False
        self._silence = 0.0

    def look(self, elapsed: float) -> Finding:
        """Judge the daemon now, `elapsed` host seconds after the last look."""
        beat = read(self._folder)
        if beat is None or beat.ended:
            self._last = beat
            return Finding(Verdict.ABSENT if beat is None else Verdict.ENDED, beat)
        last, self._last = self._last, beat
        if beat != last:
            self._beaten = last is not None and beat.process == last.process
            self._silence = 0.0
        else:
            self._silence += min(elapsed, LONGEST)
        if not beat.lives():
            return Finding(
                Verdict.DEAD, beat, f"The daemon (process {beat.pid}) is gone and did not leave every station safe."
            )
        if self._silence > self._patience:
            why = f"The daemon (process {beat.pid}) has not moved for {self._silence:.1f} s."
            return Finding(Verdict.SILENT, beat, why)
        return Finding(Verdict.ALIVE if self._beaten else Verdict.UNSURE, beat)
