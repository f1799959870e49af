"""A segment of a journal: the format of its lines, and what a file holds that a dying process may have left torn.

A line is a CRC-32 in hexadecimal, a space, JSON and a newline. The first line says whose segment it is; each other one
is `[number, payload]` with the payload of a reading (an array in the order of COLUMNS) or of an event (an object).
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import orjson

from labctl.errors import StorageError
from labctl.reading import COLUMNS, RECORD_SCHEMA, Event, Reading, Record

Entry = tuple[int, bytes]
"""A record's number and its payload, JSON."""

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
    """What a segment holds up to the first byte that is not as it was written.

    Attributes:
        records: how many whole ones; `last` is the number of the last, `payload` what it says.
        torn_lines: how many lines follow that are not whole; their records were never published.
    """

    segment: Segment
    station: str
    simulated: bool
    records: int
    last: int
    payload: bytes
    torn_lines: int

    def last_event(self) -> Event | None:
        """Return the last record where it is an event."""
        return Event(**orjson.loads(self.payload)) if self.payload.startswith(b"{") else None

    def last_times(self) -> tuple[float, float]:
        """Return test time and calendar time of the last record."""
        event = self.last_event()
        if event is not None:
            return event.test_time_second, event.unix_time_second
        values = orjson.loads(self.payload)
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
    body = _body(line)
    if body is None:
        return None
    comma = body.index(b",")
    return int(body[1:comma]), body[comma + 1 : -1]


def scan(path: Path) -> Scan:
    """Read a segment from its start to the first line that is not whole.

    Raises:
        StorageError: another version of labctl wrote it, with other columns.
    """
    first = int(path.stem)
    lines = path.read_bytes().split(b"\n")
    whole, rest = [line + b"\n" for line in lines[:-1]], lines[-1:] if lines[-1] else []
    header = _body(whole[0]) if whole else None
    if header is None:
        return Scan(Segment(path, first, 0, 0), "", False, 0, first - 1, b"", len(whole) + len(rest))
    size = start = len(whole[0])
    records, last, payload = 0, first - 1, b""
    for line in whole[1:]:
        entry = parse(line)
        if entry is None:
            break
        last, payload = entry
        records += 1
        size += len(line)
    torn = len(whole) - 1 - records + len(rest)
    station, simulated = _owner(path, header)
    return Scan(Segment(path, first, start, size), station, simulated, records, last, payload, torn)


def _line(body: bytes) -> bytes:
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _body(line: bytes) -> bytes | None:
    body = line[9:-1]
    return body if line == _line(body) else None


def _owner(path: Path, header: bytes) -> tuple[str, bool]:
    content = orjson.loads(header)
    if content["schema"] != RECORD_SCHEMA or tuple(content["columns"]) != COLUMNS:
        raise StorageError(
            f"The journal segment {path} was written by another version of labctl, with other columns.",
            "Deliver it with the version that wrote it.",
        )
    return str(content["station"]), bool(content["simulated"])
