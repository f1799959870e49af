"""Whether the database is whole, and what journals still hold for it."""

from collections.abc import Iterator
from pathlib import Path

from labctl.clock import host_unix
from labctl.engine.journal import Journal
from labctl.engine.segment import Scan, scan
from labctl.errors import StorageError
from labctl.lab.doctor.check import Check, error, fine, warning
from labctl.lab.recording import journals_of
from labctl.record.health import Health, examine

PATIENCE = 20.0
"""Seconds that the check of a large database may take."""
STEP_BACK = 60.0
"""Seconds that the clock may be behind the newest run without a word."""


def storage(database: Path) -> Iterator[Check]:
    """Examine the database and its journals; blocks."""
    if not database.exists():
        yield fine("database", f"{database} will be made by the first run")
    else:
        try:
            yield from _database(database, examine(database, PATIENCE))
        except StorageError as refusal:
            yield error("database", refusal.sentence, refusal.remedy)
    yield _journals(database)


def _database(database: Path, health: Health) -> Iterator[Check]:
    found = f"{database}, {health.size_byte / 1e6:.1f} MB"
    if health.damage:
        rescue = f"Stop the daemon, keep a copy, and rescue: sqlite3 {database} .recover | sqlite3 rescued.db"
        yield error("database", f"{found}, is damaged: {health.damage}", rescue)
    elif health.unknown:
        newer = f"{found}, is of a newer labctl ({health.unknown[-1]})"
        yield error("database", newer, "Install that version; this one does not write it.")
    elif health.missing:
        older = f"{found}, is of an older labctl (lacks {health.missing[-1]})"
        yield warning("database", older, "The next run or daemon brings it up to date; make a copy first.")
    elif health.journal_mode != "wal":
        yield warning(
            "database", f"{found}, has journal mode {health.journal_mode}", "A recorder sets WAL when it opens it."
        )
    elif health.damage is None:
        slow = f"{found}: the check was given up after {PATIENCE:.0f} s"
        yield warning("database", slow, f"Check it at night: sqlite3 {database} 'PRAGMA quick_check'")
    else:
        yield fine("database", f"{found}, is whole")
    if health.quarantined:
        aside = f"{health.quarantined} record(s) were put aside"
        yield warning("database", aside, "See why: SELECT reason, record FROM quarantine")
    if health.newest_unix_second is not None and health.newest_unix_second > host_unix() + STEP_BACK:
        yield error("time", "the clock is behind the newest run", "Set it right before anything is recorded.")


def _journals(database: Path) -> Check:
    folder = journals_of(database)
    left = Journal.leftovers(folder)
    if not left:
        return fine("journals", "nothing waits for the database")
    runs = ", ".join(run[:8] for run, _ in left[:5]) + (", ..." if len(left) > 5 else "")
    remedy = "labctl daemon delivers them, and so does the next run into this database."
    return warning("journals", f"{len(left)} in {folder} wait for the database ({runs})", remedy)


def unended(database: Path, station: str) -> bool:
    """Whether a process has died in a run at this station, whose instruments may still do what it began.

    A journal that cannot be read may be of any station.
    """
    folder = journals_of(database)
    for run, channel in Journal.leftovers(folder):
        segments = sorted((folder / run / str(channel)).glob("*.jsonl"))
        try:
            last = scan(segments[-1]) if segments else None
        except StorageError:
            return True
        if last is not None and last.station in (station, "") and not _ended(last):
            return True
    return False


def _ended(last: Scan) -> bool:
    event = last.last_event()
    return event is not None and event.kind == "run.ended"
