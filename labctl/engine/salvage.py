"""Salvage: a damaged segment written anew with all that can be read of it, and with gaps that name what cannot.

A line that the disk has changed takes no other with it: each has its own checksum and number. A gap takes the last of
the numbers that it names, so that every number still has its record.
"""

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import orjson

from labctl.engine.segment import Entry, Segment, event_of, record_line, times_of
from labctl.reading import Event, Severity

_log = logging.getLogger(__name__)


def gap(first: int, last: int, times: tuple[float, float], why: str) -> Event:
    """Return the event that says that records are lost.

    Args:
        times: (test time, calendar time) of a record beside them.
        why: goes on with "Records 3 to 5 were lost: ".
    """
    words = f"Records {first} to {last} were lost: {why}."
    return Event("gap", times[1], times[0], words, Severity.WARNING, {"first": first, "last": last})


def filled(records: Sequence[Entry], first: int, last: int, behind: Entry | None) -> list[Entry]:
    """Return the records of a segment from number `first` to `last`, with a gap wherever some are missing.

    Args:
        behind: the record that follows `last`; where it is a gap itself, it may name numbers before it.
    """
    complete: list[Entry] = []
    within = [entry for entry in records if first <= entry[0] <= last]
    for number, payload in [*within, behind or (last + 1, b"[]")]:
        missing = min(number, _named_from(payload, number)) - 1
        if first <= missing:
            beside = complete[-1][1] if complete else payload if payload != b"[]" else None
            times = (0.0, 0.0) if beside is None else times_of(beside)
            event = gap(first, missing, times, "the journal was damaged on the disk")
            complete.append((missing, orjson.dumps(event)))
        if first <= number <= last:
            complete.append((number, payload))
        first = max(first, number + 1)
    return complete


DAMAGED, EARLIER = "damaged", "earlier"
"""What is wrong with a segment: it is not as it was written, or an earlier version wrote it, with other columns."""


def rewrite(path: Path, header: bytes, records: Sequence[Entry], aside: Path) -> Segment:
    """Put a whole segment into the place of another, in one step, and keep that aside.

    Args:
        aside: where to; what was kept there before stays. Its suffix says what is wrong: DAMAGED or EARLIER.
    """
    what = aside.suffix.removeprefix(".")
    lines = [record_line(number, payload) for number, payload in records]
    draft = path.with_suffix(".new")
    with draft.open("wb") as file:
        file.write(header + b"".join(lines))
        file.flush()
        os.fsync(file.fileno())
    kept, number = aside, 1
    while kept.exists():
        number += 1
        kept = aside.with_suffix(f".{number}{aside.suffix}")
    if path.exists():
        shutil.copyfile(path, kept)
        if what == EARLIER:
            _log.info("the journal segment %s is of an earlier version: it is kept as %s, and goes on anew", path, kept)
        else:
            _log.error("the journal segment %s is damaged: it is kept as %s, and what can be read goes on", path, kept)
    else:
        _log.error("the journal segment %s is gone: what it held is marked as lost", path)
    draft.replace(path)
    fsync_folder(path.parent)
    return Segment(path, records[0][0], len(header), len(header) + sum(map(len, lines)))


def fsync_folder(folder: Path) -> None:
    """Have the disk confirm which files a folder has."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named_from(payload: bytes, number: int) -> int:
    """Return the first number that a record accounts for: its own, but for a gap."""
    event = event_of(payload)
    return int(event.data["first"]) if event is not None and event.kind == "gap" else number
