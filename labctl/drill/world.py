"""The world: what outlives every process: sites with their witnesses, the disk, and what each journal was given."""

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labctl.config import Config
from labctl.drill.case import Case
from labctl.drill.witness import Witness
from labctl.engine.journal import Journal
from labctl.engine.segment import encode, record_line
from labctl.plan import Plan
from labctl.reading import Record
from labctl.sim.counts import Counts


@dataclass(slots=True)
class Kept:
    """What a journal was given.

    Attributes:
        told: every record by its number; after a death only what reached the disk.
        passed: what had passed the terminals of the cell when the run began, and when it ended.
        deaths: of processes while it was open.
    """

    run: str
    station: str
    plan: Plan | None = None
    told: dict[int, Record] = field(default_factory=dict)
    passed: tuple[Counts | None, Counts | None] = (None, None)
    deaths: int = 0


@dataclass(slots=True)
class World:
    """Everything that processes come into.

    Attributes:
        folder: where the disk is now; each death leaves a new one behind.
        under_way: by station, the run that a process was conducting when it died.
        died: s of lab time at which the last process died.
    """

    case: Case
    config: Config
    plans: Mapping[str, Plan]
    witnesses: Mapping[str, Witness]
    folder: Path
    kept: dict[str, Kept] = field(default_factory=dict)
    under_way: dict[str, str] = field(default_factory=dict)
    died: float = 0.0

    def new_run(self) -> str:
        """Return a UUID that the seed decides."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.case.seed}/{len(self.kept)}"))

    def survive(self, journals: Mapping[str, Journal], torn: float) -> None:
        """Leave the disk as a process leaves it that dies now: what was not flushed is lost, but for a torn part.

        Args:
            journals: that the process has open, by run.
            torn: part of what was not flushed that reaches the disk all the same, cut anywhere.
        """
        before, self.folder = self.folder, self.folder.with_name(f"{self.folder.name}+")
        shutil.copytree(before, self.folder)
        for run, journal in journals.items():
            kept = self.kept[run]
            kept.deaths += 1
            reached = journal.durable + self._tear(journal, kept, torn)
            kept.told = {number: record for number, record in kept.told.items() if number <= reached}

    def _tear(self, journal: Journal, kept: Kept, torn: float) -> int:
        """Write a part of what was not flushed; return how many whole records that are."""
        segments = sorted((self.folder / "journals" / journal.run / str(journal.channel)).glob("*.jsonl"))
        if not segments:
            return 0
        later = range(journal.durable + 1, journal.last + 1)
        lines = b"".join(record_line(number, encode(kept.told[number])) for number in later if number in kept.told)
        written = lines[: int(len(lines) * torn)]
        with segments[-1].open("ab") as file:
            file.write(written)
        return written.count(b"\n")
