"""Whether the database is whole, and what journals still hold for it."""

from collections.abc import Iterator
from pathlib import Path

from labctl.clock import host_unix
from labctl.engine.journal import Journal
from labctl.engine.segment import owner_of, scan
from labctl.errors import StorageError
from labctl.lab.doctor.check import Check, error, fine, warning
from labctl.lab.recording import journals_of
from labctl.record.health import Health, examine

PATIENCE = 20.0
"""Seconds that the check of a large database may take."""
STEP_BACK = 60.0
"""Seconds that the clock may be behind the newest run without a word."""


def storage(database: Path, *, thorough: bool = False) -> Iterator[Check]:
    """Examine the database and its journals; blocks, with `thorough` for as long as it takes."""
    if not database.exists():
        yield fine("database", f"{database} will be made by the first run")
    else:
        try:
            yield from _database(database, examine(database, PATIENCE, thorough=thorough))
        except StorageError as refusal:
            yield error("database", refusal.sentence, refusal.remedy)
    yield from _damaged(journals_of(database))
    yield _journals(database)


def _database(database: Path, health: Health) -> Iterator[Check]:
    found = f"{database}, {health.size_byte / 1e6:.1f} MB"
    if health.damage:
        rescue = f"Rescue what can be read into a copy: labctl repair {database}"
        yield error("database", f"{found}, is damaged: {health.damage}", rescue)
    elif health.untrue:
        untrue = f"{found}: {' and '.join(health.untrue)} of the newest run are not what its rows give"
        yield error("database", untrue, f"Have them computed anew in a copy: labctl repair {database}")
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
    elif health.damage is None or health.untrue is None:
        slow = f"{found}: the check was given up after {PATIENCE:.0f} s"
        yield warning("database", slow, "Check it at night: labctl doctor --thorough")
    else:
        yield fine("database", f"{found}, is whole")
    if health.quarantined:
        aside = f"{health.quarantined} record(s) were put aside"
        yield warning("database", aside, "See why: SELECT reason, record FROM quarantine")
    if health.newest_unix_second is not None and health.newest_unix_second > host_unix() + STEP_BACK:
        yield error("time", "the clock is behind the newest run", "Set it right before anything is recorded.")


def _damaged(journals: Path) -> Iterator[Check]:
    """Read every journal, also those whose owner lives."""
    for path in sorted(journals.glob("*/*/*.jsonl")):
        try:
            damaged = scan(path).damaged
        except FileNotFoundError:  # its owner lives, and has forgotten it meanwhile
            continue
        except (OSError, StorageError) as refusal:
            yield error("journals", f"{path} cannot be read: {refusal}", "Look into it; the others are delivered.")
            continue
        if damaged:
            remedy = "What can be read is delivered, and the rest marked as lost, by the next daemon or run."
            yield error("journals", f"{path} is damaged", remedy)
    aside = sorted(journals.glob("*.damaged"))
    if aside:
        found = f"{len(aside)} damaged segment(s) were kept aside: {aside[0]}{', ...' if len(aside) > 1 else ''}"
        yield warning("journals", found, "Find out why the disk changes what is on it; then delete them.")


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
            if segments and _concerns(segments[-1], station):
                return True
        except StorageError:
            return True
    return False


def _concerns(newest: Path, station: str) -> bool:
    """Whether a journal with this newest segment may be of a run at a station, which has not ended."""
    event, owner = scan(newest).last_event(), owner_of(newest)
    return (owner is None or owner[0] == station) and (event is None or event.kind != "run.ended")
