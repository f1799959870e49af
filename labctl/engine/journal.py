"""The journal: every record of a run on disk, numbered, before anybody else is told of it.

A journal is the folder `<root>/<run>/<channel>/` with a lock and segments. Numbers count from 1 and never repeat. A
tail that a dying process left torn is cut, its numbers are burnt, and the next record is an event of kind `gap` that
names them.
"""

import os
import shutil
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from labctl.clock import host_unix
from labctl.engine import position
from labctl.engine.segment import Entry, Scan, Segment, encode, header_line, parse, record_line, scan
from labctl.errors import StorageError
from labctl.filelock import FileLock, is_locked
from labctl.reading import Event, Record, Severity

SEGMENT_RECORDS = 4096
"""A segment is closed when it has so many: the unit of forgetting, and the most that a resend has to skip."""


class Journal:
    """One (run, channel) on disk, owned by one process at a time; made by `create` or `open`.

    `append` belongs to the event loop and never waits for the disk; `flush`, `read` and `forget` may run in any thread.

    Attributes:
        station: where the run is, for the topic under which it is delivered.
        simulated: whether its readings come from a simulator, which every message says.
        last: the highest number given; `durable` the highest that is fsynced and may be published.
        last_times: (test time, calendar time) of the last record that an opened journal held.
        ended: whether the journal that was opened ends with `run.ended`.
        folder: where it is; what else is put there goes with it.
    """

    def __init__(self, folder: Path, run: str, channel: int, station: str, *, simulated: bool) -> None:
        self.run = run
        self.channel = channel
        self.station = station
        self.simulated = simulated
        self.last = 0
        self.durable = 0
        self.last_times = (0.0, host_unix())
        self.ended = False
        self.folder = folder
        self._buffer: deque[bytes] = deque()
        self._flushing = threading.Lock()
        self._index = threading.Lock()  # held for short: a reader does not wait for an fsync
        self._segments: list[Segment] = []
        self._positions: deque[int] = deque()
        self._file: BinaryIO | None = None
        self._records_in_file = 0
        self._cursor: tuple[int, Path, int] = (-1, folder, 0)
        self._lock = FileLock(folder / "lock", f"The journal of run {run}")

    @classmethod
    def create(cls, root: Path, run: str, station: str, channel: int = 0, *, simulated: bool) -> Self:
        """Begin the journal of a new run; raises StorageError where there is one."""
        folder = root / run / str(channel)
        with _told(folder):
            folder.mkdir(parents=True)
            return cls(folder, run, channel, station, simulated=simulated)

    @classmethod
    def open(cls, root: Path, run: str, channel: int = 0) -> Self:
        """Take over the journal that another process left: cut a torn tail and record the gap."""
        folder = root / run / str(channel)
        with _told(folder):
            journal = cls(folder, run, channel, "", simulated=False)
            try:
                journal._recover()
            except BaseException:
                journal._lock.release()
                raise
        return journal

    @staticmethod
    def leftovers(root: Path) -> list[tuple[str, int]]:
        """Return runs and channels on disk that no living process owns."""
        return sorted(
            (lock.parent.parent.name, int(lock.parent.name))
            for lock in root.glob("*/*/lock")
            if lock.parent.name.isdecimal() and not is_locked(lock)
        )

    @property
    def buffered(self) -> int:
        """Records that are not yet written."""
        return len(self._buffer)

    def append(self, record: Record) -> int:
        """Number a record and put it into the buffer; raises StorageError for one that cannot be encoded."""
        payload = encode(record)
        self.last += 1
        self._buffer.append(record_line(self.last, payload))
        if isinstance(record, Event) and record.kind == position.KIND:
            self._positions.append(self.last)
        return self.last

    def flush(self) -> None:
        """Write and fsync what is buffered; where the disk refuses, it stays buffered and may be flushed again."""
        with self._flushing:
            lines = [self._buffer.popleft() for _ in range(len(self._buffer))]
            if not lines:
                return
            try:
                with _told(self.folder):
                    self._write(lines)
            except StorageError:
                self._buffer.extendleft(reversed(lines))
                self._abandon_file()
                raise
            self.durable += len(lines)

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` durable records in order, beginning behind number `after`."""
        with self._index, _told(self.folder):
            entries: list[Entry] = []
            for index in range(self._segment_of(after + 1), len(self._segments)):
                entries += self._read_segment(index, after, limit - len(entries))
                if len(entries) == limit:
                    break
                after = entries[-1][0] if entries else after
            return entries

    def forget(self, upto: int) -> None:
        """Delete the segments whose every record has a number of at most `upto`; the newest one stays.

        So does the newest position that is on disk, and everything behind it.
        """
        while len(self._positions) > 1 and self._positions[1] <= self.durable:
            self._positions.popleft()
        if self._positions:
            upto = min(upto, self._positions[0] - 1)
        with self._index, _told(self.folder):
            while len(self._segments) > 1 and self._segments[1].first <= upto + 1:
                self._segments.pop(0).path.unlink()

    def close(self) -> None:
        """Flush and let go; the records stay on disk for the next owner."""
        try:
            self.flush()
        finally:
            self._abandon_file()
            self._lock.release()

    def remove(self) -> None:
        """Delete the journal: everything in it is in the database."""
        self._abandon_file()
        with _told(self.folder):
            shutil.rmtree(self.folder)
            with suppress(OSError):
                self.folder.parent.rmdir()
        self._lock.release()

    # -- writing ---------------------------------------------------------------------------------------------------

    def _write(self, lines: list[bytes]) -> None:
        if self._file is None or self._records_in_file >= SEGMENT_RECORDS:
            self._file = self._begin_segment()
        data = b"".join(lines)
        written = self._file.write(data)
        if written != len(data):
            raise OSError(f"only {written} of {len(data)} bytes were written")
        os.fsync(self._file.fileno())
        self._segments[-1].size += len(data)
        self._records_in_file += len(lines)

    def _begin_segment(self) -> BinaryIO:
        if self._file is not None:
            self._file.close()
        first = self.durable + 1
        path = self.folder / f"{first:012d}.jsonl"
        header = header_line(self.run, self.channel, self.station, simulated=self.simulated)
        file = path.open("wb", buffering=0)
        self._file, self._records_in_file = file, 0
        with self._index:
            self._segments.append(Segment(path, first, len(header), len(header)))
        file.write(header)
        _fsync_folder(self.folder)
        return file

    def _abandon_file(self) -> None:
        """Leave the present segment as it was after its last good fsync; the next flush begins a new one.

        A file whose write or fsync failed is not trusted again: the kernel may have dropped what it could not write.
        """
        if self._file is None:
            return
        with suppress(OSError):
            self._file.truncate(self._segments[-1].size)
        self._file.close()
        self._file = None
        with self._index:
            if self._segments[-1].first > self.durable:
                self._segments.pop()

    # -- reading ---------------------------------------------------------------------------------------------------

    def _segment_of(self, number: int) -> int:
        for index in range(len(self._segments) - 1, 0, -1):
            if self._segments[index].first <= number:
                return index
        return 0

    def _read_segment(self, index: int, after: int, limit: int) -> list[Entry]:
        segment = self._segments[index]
        at, path, offset = self._cursor
        if at != after or path != segment.path:
            offset = segment.start
        entries: list[Entry] = []
        with segment.path.open("rb") as file:
            file.seek(offset)
            while len(entries) < limit and offset < segment.size:
                line = file.readline()
                entry = parse(line)
                if entry is None:
                    raise StorageError(
                        f"The journal is damaged: {segment.path} at byte {offset}.",
                        "Keep a copy of the folder; move it away to let the other runs be delivered.",
                    )
                offset += len(line)
                if entry[0] > after:
                    entries.append(entry)
        self._cursor = (entries[-1][0] if entries else after, segment.path, offset)
        return entries

    # -- taking over -----------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        paths = sorted(self.folder.glob("*.jsonl"))
        lost, begun, newest = 0, 0, None
        while paths:
            found = scan(paths[-1])
            lost += found.torn_lines
            if found.records:
                newest = found
                break
            begun = max(begun, found.segment.first - 1)
            paths.pop().unlink()
        if newest is not None:
            self._adopt(newest, paths)
        self.durable = self.last
        burnt_to = max(self.last, begun) + lost
        if burnt_to > self.last:
            self._record_gap(burnt_to)

    def _adopt(self, newest: Scan, paths: list[Path]) -> None:
        with newest.segment.path.open("r+b") as file:
            file.truncate(newest.segment.size)
            os.fsync(file.fileno())  # what a killed process had written but not yet fsynced is published from now on
        older = [scan(path).segment for path in paths[:-1]]
        self._segments = [*older, newest.segment]
        self.station, self.simulated = newest.station, newest.simulated
        self.last = newest.last
        self.last_times = newest.last_times()
        event = newest.last_event()
        self.ended = event is not None and event.kind == "run.ended"

    def _record_gap(self, burnt_to: int) -> None:
        first = self.last + 1
        self.last = self.durable = burnt_to
        test_time, unix = self.last_times
        words = f"Records {first} to {burnt_to} were lost: the process died while it wrote them."
        self.append(Event("gap", unix, test_time, words, Severity.WARNING, {"first": first, "last": burnt_to}))


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turn an error of the disk into a sentence."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The journal in {folder} cannot be kept: {error.strerror or error}.",
            "Check that the disk has room and may be written. Records that are not yet written stay in memory.",
        ) from error
