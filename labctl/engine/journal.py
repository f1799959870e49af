"""The journal: every record of a run on disk, numbered, before anybody else is told of it.

A journal is the folder `<root>/<run>/<channel>/` with a lock and segments. Numbers count from 1 and never repeat. A
tail that a dying process left torn is cut, its numbers are burnt, and the next record is an event of kind `gap` that
names them. A segment that the disk has damaged is kept as `<root>/<run>.<channel>.<number>.damaged`; see `salvage`.
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
from labctl.engine.salvage import DAMAGED, EARLIER, filled, fsync_folder, gap, rewrite
from labctl.engine.segment import (
    Entry,
    Scan,
    Segment,
    encode,
    event_of,
    header_line,
    owner_of,
    parse,
    record_line,
    scan,
    times_of,
)
from labctl.errors import StorageError
from labctl.filelock import FileLock, is_locked
from labctl.reading import Event, Record

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
        """Return up to `limit` durable records in order, beginning behind number `after`.

        What the disk has damaged is replaced by a gap before this returns. Raises StorageError where it cannot be.
        """
        for _ in range(len(self._segments) + 1):
            with self._index, _told(self.folder):
                try:
                    return self._read(after, limit)
                except _Damaged as damaged:
                    segment = damaged.segment
            self._mend(segment)
        raise StorageError(f"The disk changes the journal in {self.folder} again and again.", "Replace the disk.")

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
                self._segments[0].path.unlink(missing_ok=True)
                del self._segments[0]

    def close(self) -> None:
        """Flush and let go; the records stay on disk for the next owner.

        Raises:
            StorageError: the disk does not take the last ones, and they are lost.
        """
        try:
            self.flush()
        except StorageError as error:
            words = f"The last {self.buffered} records of run {self.run} are lost: {error.sentence}"
            raise StorageError(words, "Check that the disk has room and may be written.") from error
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
        _write_whole(self._file, data)
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
        _write_whole(file, header)
        fsync_folder(self.folder)
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
                with suppress(OSError):
                    self._segments.pop().path.unlink()

    # -- reading ---------------------------------------------------------------------------------------------------

    def _read(self, after: int, limit: int) -> list[Entry]:
        entries: list[Entry] = []
        for index in range(self._segment_of(after + 1), len(self._segments)):
            entries += self._read_segment(self._segments[index], after, limit - len(entries))
            if len(entries) == limit:
                break
            after = entries[-1][0] if entries else after
        return entries

    def _segment_of(self, number: int) -> int:
        for index in range(len(self._segments) - 1, 0, -1):
            if self._segments[index].first <= number:
                return index
        return 0

    def _read_segment(self, segment: Segment, after: int, limit: int) -> list[Entry]:
        at, path, offset = self._cursor
        if at != after or path != segment.path:
            offset = segment.start
        entries: list[Entry] = []
        try:
            with segment.path.open("rb") as file:
                file.seek(offset)
                while len(entries) < limit and offset < segment.size:
                    line = file.readline()
                    entry = parse(line)
                    if entry is None:
                        raise _Damaged(segment)
                    offset += len(line)
                    if entry[0] > after:
                        entries.append(entry)
        except FileNotFoundError:
            raise _Damaged(segment) from None
        self._cursor = (entries[-1][0] if entries else after, segment.path, offset)
        return entries

    def _mend(self, segment: Segment) -> None:
        """Write a damaged segment anew; nothing is appended to it any more."""
        with self._flushing:
            if self._segments[-1] is segment:
                self._abandon_file()
            with self._index, _told(self.folder):
                index = self._segments.index(segment)
                newest = index == len(self._segments) - 1
                last = self.durable if newest else self._segments[index + 1].first - 1
                records = scan(segment.path).records if segment.path.exists() else ()
                self._segments[index] = self._rewrite(segment, filled(records, segment.first, last, None), DAMAGED)
                self._cursor = (-1, self.folder, 0)

    def _rewrite(self, segment: Segment, records: list[Entry], what: str) -> Segment:
        header = header_line(self.run, self.channel, self.station, simulated=self.simulated)
        aside = self.folder.parent.parent / f"{self.run}.{self.channel}.{segment.path.stem}.{what}"
        return rewrite(segment.path, header, records, aside)

    # -- taking over -----------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        paths = sorted(self.folder.glob("*.jsonl"))
        self.station, self.simulated = _owner_among(paths)
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
        self.last = newest.last
        self.last_times = times_of(newest.records[-1][1])
        event = newest.last_event()
        self.ended = event is not None and event.kind == "run.ended"
        last, behind = newest.last, None
        for path in reversed(paths):
            found = newest if behind is None else scan(path)
            first = found.segment.first
            records = filled(found.records, first, last, behind)
            whole = not found.damaged and not found.earlier and len(records) == len(found.records)
            what = EARLIER if found.earlier and not found.damaged else DAMAGED
            self._segments.insert(0, found.segment if whole else self._rewrite(found.segment, records, what))
            last, behind = first - 1, records[0]

    def _record_gap(self, burnt_to: int) -> None:
        first = self.last + 1
        self.last = self.durable = burnt_to
        self.append(gap(first, burnt_to, self.last_times, "the process died while it wrote them"))


class _Damaged(Exception):
    """A segment that is not as it was written."""

    def __init__(self, segment: Segment) -> None:
        super().__init__(str(segment.path))
        self.segment = segment


def _owner_among(paths: list[Path]) -> tuple[str, bool]:
    """Return station and whether it is simulated, as any segment or the run's beginning says."""
    for path in paths:
        if (owner := owner_of(path)) is not None:
            return owner
    records = scan(paths[0]).records if paths else ()
    if not records:
        return "", False
    event = event_of(records[0][1])
    if event is not None and event.kind == "run.started":
        return str(event.data["station"]), bool(event.data["simulated"])
    raise StorageError(
        f"The journal in {paths[0].parent} is damaged, and nothing in it says any more whose it is.",
        "It is left as it is; its records are in its lines all the same.",
    )


def _write_whole(file: BinaryIO, data: bytes) -> None:
    """Write all of it: a disk that fills up may take a part without a word."""
    written = file.write(data)
    if written != len(data):
        raise OSError(f"only {written} of {len(data)} bytes were written, the disk may be full")


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
