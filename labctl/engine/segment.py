"""A segment of a journal: the format of its lines, and what a file holds that a dying process may have left torn.

A line is a CRC-32 in hexadecimal, a space, JSON and a newline. The first line says whose segment it is; each other one
is `[number, payload]` with the payload of a reading (an array in the order of COLUMNS) or of an event (an object).
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import orjson

from labctl.errors import StorageError
from labctl.reading import CELL_COLUMNS, COLUMNS, EARLIER_NAMES, RECORD_SCHEMA, Event, Reading, Record, Severity

Entry = tuple[int, bytes]
"""A record's number and its payload, JSON."""

SHORTEST_LINE = 80
"""Bytes; no record has fewer."""
_TEST_TIME = COLUMNS.index("test_time_second")
_UNIX_TIME = COLUMNS.index("unix_time_second")


@dataclass(slots=True)
class Segment:
    """A file of consecutive records.

    Attributes:
        first: number of its first record, which also names the file.
        start: offset of its first record.
        size: how many of its bytes are known to be on disk.
    """

    path: Path
    first: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What can be read of a segment, whatever became of the rest of it.

    Attributes:
        records: its whole lines in order; the size of `segment` ends behind the last of them.
        torn_lines: how many lines follow that are not whole; their records were never published.
        damaged: whether a line before that is not as it was written.
        earlier: whether an earlier version wrote it, whose rows were put into today's columns.
    """

    segment: Segment
    records: tuple[Entry, ...]
    torn_lines: int
    damaged: bool
    earlier: bool = False

    @property
    def last(self) -> int:
        """Number of the last record; that before the first where there is none."""
        return self.records[-1][0] if self.records else self.segment.first - 1

    def last_event(self) -> Event | None:
        """Return the last record where it is an event."""
        return event_of(self.records[-1][1]) if self.records else None


def event_of(payload: bytes) -> Event | None:
    """Return a record where it is an event."""
    if not payload.startswith(b"{"):
        return None
    said = orjson.loads(payload)
    return Event(**{**said, "severity": Severity(said["severity"])})


def times_of(payload: bytes) -> tuple[float, float]:
    """Return test time and calendar time of a record."""
    event = event_of(payload)
    if event is not None:
        return event.test_time_second, event.unix_time_second
    values = orjson.loads(payload)
    return values[_TEST_TIME], values[_UNIX_TIME]


def encode(record: Record) -> bytes:
    """Return the payload of a record; raises StorageError for one that is no row or that JSON cannot say.

    A value that is not a number becomes null, which the database refuses where a value is required.
    """
    if isinstance(record, Reading):
        if len(record.values) != len(COLUMNS):
            raise StorageError(
                f"A reading needs {len(COLUMNS)} values in the order of COLUMNS, not {len(record.values)}."
            )
        return orjson.dumps(record.values)
    try:
        return orjson.dumps(record)
    except orjson.JSONEncodeError as error:
        raise StorageError(f"The event {record.kind!r} cannot be written as JSON: {error}.") from None


def record_line(number: int, payload: bytes) -> bytes:
    """Return the line of a record."""
    return _line(b"[%d,%b]" % (number, payload))


def header_line(run: str, channel: int, station: str, *, simulated: bool) -> bytes:
    """Return the first line of a segment."""
    whose = {"run": run, "channel": channel, "station": station, "simulated": simulated}
    return _line(orjson.dumps({"schema": RECORD_SCHEMA, **whose, "columns": COLUMNS}))


def parse(line: bytes) -> Entry | None:
    """Return the record of a line, or None where the line is not what was written."""
    number, comma, payload = (_body(line) or b"").partition(b",")
    return (int(number[1:]), payload[:-1]) if comma and number[1:].isdigit() else None


def owner_of(path: Path) -> tuple[str, bool] | None:
    """Return station and whether it is simulated, as the first line says; None where that is not whole."""
    with path.open("rb") as file:
        return _owner(path, file.readline())


def scan(path: Path) -> Scan:
    """Read a segment, every line of it by itself.

    Raises:
        StorageError: another version of labctl wrote it, with columns that this one does not know.
    """
    lines = path.read_bytes().split(b"\n")
    whole = [line + b"\n" for line in lines[:-1]]
    owner = _owner(path, whole[0]) if whole else None
    places = None if owner is None else _places(_columns(whole[0]))
    size = start = offset = len(whole[0]) if whole else 0
    records: list[Entry] = []
    bad, damaged = 0, owner is None
    for line in whole[1:]:
        entry = parse(line)
        offset += len(line)
        if entry is None:
            bad += _records_in(line)
            continue
        records.append(entry if places is None else _translated(entry, places))
        size, bad, damaged = offset, 0, damaged or bad > 0
    bad += _records_in(lines[-1]) if lines[-1] else 0
    if owner is None and not records:
        bad, start, size = bad + bool(whole), 0, 0
    return Scan(Segment(path, int(path.stem), start, size), tuple(records), bad, damaged, places is not None)


def _records_in(line: bytes) -> int:
    """Return how many records a line that is not whole may have been: the disk may have lost many, and left zeros."""
    return 1 + line.count(0) // SHORTEST_LINE


def _line(body: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _body(line: bytes) -> bytes | None:
    body = line[9:-1]
    return body if line == _line(body) else None


def _owner(path: Path, line: bytes) -> tuple[str, bool] | None:
    content = orjson.loads(_body(line) or b"null")
    if not isinstance(content, dict):
        return None
    known = {*CELL_COLUMNS} <= {EARLIER_NAMES.get(name, name) for name in content["columns"]} <= {*COLUMNS}
    if content["schema"] != RECORD_SCHEMA or not known:
        raise StorageError(
            f"The journal segment {path} was written by another version of labctl, with other columns.",
            "Deliver it with the version that wrote it.",
        )
    return str(content["station"]), bool(content["simulated"])


def _columns(header: bytes) -> list[str]:
    content = orjson.loads(_body(header) or b"null")
    return [EARLIER_NAMES.get(name, name) for name in content["columns"]]


def _places(written: list[str]) -> list[int | None] | None:
    """Return where each of today's columns stands in a row with these (None: nowhere); None where they are the same."""
    if tuple(written) == COLUMNS:
        return None
    return [written.index(name) if name in written else None for name in COLUMNS]


def _translated(entry: Entry, places: list[int | None]) -> Entry:
    number, payload = entry
    if payload.startswith(b"{"):
        return entry
    values = orjson.loads(payload)
    return number, orjson.dumps([None if place is None else values[place] for place in places])
