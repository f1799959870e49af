"""Backup: a folder with a database, its journals and what else is named, all of one instant, while writing goes on.

The database is copied out of one read transaction, which keeps no writer waiting: what is committed meanwhile goes into
the write-ahead log. The journals are copied behind the beginning of that transaction, and hold whatever it does not.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from labctl.clock import host_unix
from labctl.engine.salvage import fsync_folder
from labctl.engine.segment import scan
from labctl.errors import RefusedForSafety, StorageError
from labctl.filelock import make_folder
from labctl.reading import RunState
from labctl.record.schema import failure

Progress = Callable[[str, int, int], None]
"""Told of what is done, how far it is, and of how much."""

PAGES_AT_ONCE = 500
ATTEMPTS = 20
"""How often the beginning is tried again, because a journal was forgotten just then."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What was copied, and verified when it was.

    Attributes:
        folder: where it is.
        runs: how many the database has; `readings` and `events` likewise.
        journals: runs whose journals hold what the database does not.
        files: what else was copied, by name.
    """

    folder: str
    taken_unix_second: float
    size_byte: int
    runs: int
    readings: int
    events: int
    journals: tuple[str, ...]
    files: tuple[str, ...]


def back_up(database: Path, journals: Path, others: Sequence[Path], into: Path, progress: Progress) -> Backup:
    """Make a backup in a new folder within `into`, named by the time, and verify it; blocks.

    Args:
        others: files and folders that are copied, too, where they are there.

    Raises:
        RefusedForSafety: there is one of this second already.
        StorageError: the database cannot be read, the backup cannot be written, or is not what was copied.
    """
    now = host_unix()
    folder = into / f"labctl-{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H%M%SZ}"
    if not database.is_file():
        raise StorageError(f"There is no database {database}.", "Give the path of one, or record a run first.")
    if folder.exists():
        raise RefusedForSafety(f"There is {folder} already.", "Wait for a second.")
    make_folder(into)
    draft = folder.with_name(folder.name + ".partial")
    try:
        draft.mkdir(mode=0o700)
        taken = _take(database, journals, draft, progress)
        for other in others:
            _copy_other(other, draft)
        files = tuple(other.name for other in others if other.exists())
        made = Backup(str(folder), now, (draft / database.name).stat().st_size, *taken, files)
        _verify(draft / database.name, made, progress)
        (draft / "backup.json").write_bytes(orjson.dumps(asdict(made), option=orjson.OPT_INDENT_2))
        _fsync(draft)
        draft.rename(folder)
        fsync_folder(into)
    except sqlite3.Error as error:
        raise failure(database, "cannot be backed up", error) from error
    except OSError as error:
        raise StorageError(
            f"The backup {folder} cannot be written: {error}.", "Make room, or name another one."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return made


def _take(database: Path, journals: Path, draft: Path, progress: Progress) -> tuple[int, int, int, tuple[str, ...]]:
    """Copy database and journals; return numbers of runs, readings and events, and whose journals there are."""
    uri = f"{database.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)) as source:
        kept = draft / journals.name
        for _ in range(ATTEMPTS):
            before = _runs_in(journals)
            source.execute("BEGIN")
            watermarks = _watermarks(source)
            shutil.rmtree(kept, ignore_errors=True)
            _copy_journals(journals, kept)
            if _joins(watermarks, before, kept):
                break
            source.execute("ROLLBACK")
        else:
            raise StorageError(f"The journals in {journals} do not join their database.", "See `labctl doctor`.")
        counts = [
            int(source.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            for table in ("runs", "readings", "events")
        ]
        with closing(sqlite3.connect(draft / database.name)) as target:
            source.backup(
                target,
                pages=PAGES_AT_ONCE,
                progress=lambda _, left, of: progress("database", of - left, of),
            )
        runs, readings, events = counts
        return runs, readings, events, tuple(sorted(_runs_in(kept)))


def _watermarks(source: sqlite3.Connection) -> dict[str, tuple[int, bool]]:
    """Return run -> watermark of its channel 0, and whether it has no end yet."""
    query = "SELECT uuid, COALESCE(seq, 0), state FROM runs LEFT JOIN watermarks ON run_id = id AND channel = 0"
    return {uuid: (seq, state == RunState.RUNNING.value) for uuid, seq, state in source.execute(query)}


def _copy_journals(journals: Path, kept: Path) -> None:
    """Copy the whole lines of every segment; one that is forgotten meanwhile is not needed, or the join will tell."""
    for path in sorted(journals.glob("*/*/*.jsonl")):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        target = kept / path.relative_to(journals)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        (target.parent / "lock").touch()
        target.write_bytes(content[: content.rfind(b"\n") + 1])
    for path in sorted(journals.glob("*.damaged")):
        kept.mkdir(exist_ok=True)
        shutil.copyfile(path, kept / path.name)


def _runs_in(journals: Path) -> set[str]:
    return {folder.parent.name for folder in journals.glob("*/0/")}


def _joins(watermarks: dict[str, tuple[int, bool]], before: set[str], kept: Path) -> bool:
    """Whether the journals go on where the database ends: none of those that were there was forgotten meanwhile.

    A run that goes on may have its journal on another machine.
    """
    for folder in kept.glob("*/0/"):
        watermark, _ = watermarks.get(folder.parent.name, (0, True))
        if min(int(path.stem) for path in folder.glob("*.jsonl")) > watermark + 1:
            return False
    running = {run for run, (_, goes_on) in watermarks.items() if goes_on}
    return running & before <= _runs_in(kept)


def _copy_other(other: Path, draft: Path) -> None:
    if other.is_dir():
        shutil.copytree(other, draft / other.name)
    elif other.exists():
        shutil.copy2(other, draft / other.name)


def _verify(database: Path, made: Backup, progress: Progress) -> None:
    """Read all of it back."""
    progress("verified", 0, 1)
    with closing(sqlite3.connect(database)) as copy:
        said = [text for (text,) in copy.execute("PRAGMA integrity_check(5)")]
        found = [
            int(copy.execute(f"SELECT count(*) FROM {name}").fetchone()[0]) for name in ("runs", "readings", "events")
        ]
    segments = database.parent.glob("*.journal/*/*/*.jsonl")
    said += [f"{path.name} cannot be read back" for path in segments if scan(path).damaged]
    if said != ["ok"] or found != [made.runs, made.readings, made.events]:
        why = "; ".join(said)
        raise StorageError(f"The backup is not what was copied: {why}.", "See `labctl doctor` for both disks.")
    progress("verified", 1, 1)


def _fsync(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            fsync_folder(path)
    fsync_folder(folder)
