"""Rows carved out of the pages of a SQLite file, whatever became of the tree that held them together.

The file is read as bytes and is never opened as a database, so nothing in it or beside it changes. What a commit has
put into the write-ahead log counts before what the file holds. Pages have no checksum: a value that the disk changed
within a row is read as it is. Format: https://www.sqlite.org/fileformat2.html
"""

import struct
from collections.abc import Iterator
from pathlib import Path

Value = int | float | str | bytes | None
Row = tuple[Value, ...]

USUAL_PAGE = 4096
_INTERIOR_INDEX, _LEAF_INDEX, _LEAF_TABLE = 0x02, 0x0A, 0x0D
"""First byte of a page; a table WITHOUT ROWID is an index, whose interior pages hold rows, too."""
_WAL_HEAD, _FRAME_HEAD = 32, 24
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
"""Serial type -> bytes."""


class _Broken(Exception):
    """A cell that is not as it was written."""


class Pages:
    """The pages of a database as its last commit left them.

    Attributes:
        count: how many there may be, from 1.
    """

    def __init__(self, database: Path) -> None:
        self._file = database.open("rb")
        wal = database.with_name(database.name + "-wal")
        self._log = wal.read_bytes() if wal.exists() else b""
        self.size = self._page_size()
        self._frames = self._committed_frames()
        in_file = -(-database.stat().st_size // self.size)
        self.count = max([in_file, *self._frames])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __getitem__(self, number: int) -> bytes:
        if number in self._frames:
            at = self._frames[number]
            return self._log[at : at + self.size]
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size)

    def _page_size(self) -> int:
        head = self._file.read(18)
        if head.startswith(b"SQLite format 3\0"):
            size = int.from_bytes(head[16:18], "big")
            return 65536 if size == 1 else size
        return int.from_bytes(self._log[8:12], "big") if len(self._log) >= _WAL_HEAD else USUAL_PAGE

    def _committed_frames(self) -> dict[int, int]:
        """Return page -> where its newest committed content lies in the log."""
        salt = self._log[16:24]
        committed: dict[int, int] = {}
        pending: dict[int, int] = {}
        for at in range(_WAL_HEAD, len(self._log) - _FRAME_HEAD - self.size + 1, _FRAME_HEAD + self.size):
            number, pages = struct.unpack_from(">II", self._log, at)
            if self._log[at + 8 : at + 16] != salt or number == 0:
                break
            pending[number] = at + _FRAME_HEAD
            if pages:  # a commit says how large the database is
                committed |= pending
                pending.clear()
        return committed


def rows(pages: Pages) -> Iterator[tuple[int, int | None, Row]]:
    """Yield (page, rowid, row) of everything that can be read; rowid is None in a table WITHOUT ROWID."""
    for number in range(1, pages.count + 1):
        page = pages[number]
        head = 100 if number == 1 else 0
        kind = page[head] if len(page) == pages.size else 0
        if kind not in (_INTERIOR_INDEX, _LEAF_INDEX, _LEAF_TABLE):
            continue
        (cells,) = struct.unpack_from(">H", page, head + 3)
        pointers = head + (12 if kind == _INTERIOR_INDEX else 8)
        for index in range(min(cells, (pages.size - pointers) // 2)):
            (at,) = struct.unpack_from(">H", page, pointers + 2 * index)
            try:
                rowid, payload = _cell(pages, page, kind, at)
                yield number, rowid, _record(payload)
            except (_Broken, IndexError, struct.error, UnicodeDecodeError):
                continue


def _cell(pages: Pages, page: bytes, kind: int, at: int) -> tuple[int | None, bytes]:
    at += 4 if kind == _INTERIOR_INDEX else 0
    length, at = _varint(page, at)
    rowid: int | None = None
    if kind == _LEAF_TABLE:
        rowid, at = _varint(page, at)
    usable = pages.size
    most = usable - 35 if kind == _LEAF_TABLE else (usable - 12) * 64 // 255 - 23
    if length <= most:
        return rowid, _exactly(page[at : at + length], length)
    least = (usable - 12) * 32 // 255 - 23
    local = least + (length - least) % (usable - 4)
    local = local if local <= most else least
    payload = bytearray(_exactly(page[at : at + local], local))
    following = int.from_bytes(_exactly(page[at + local : at + local + 4], 4), "big")
    while len(payload) < length:
        if not 0 < following <= pages.count:
            raise _Broken
        overflow = _exactly(pages[following], usable)
        following = int.from_bytes(overflow[:4], "big")
        payload += overflow[4 : 4 + length - len(payload)]
    return rowid, bytes(payload)


def _record(payload: bytes) -> Row:
    """Return the values of a record; its header must say exactly how long it is."""
    head, at = _varint(payload, 0)
    types = []
    while at < head:
        kind, at = _varint(payload, at)
        types.append(kind)
    if at != head:
        raise _Broken
    values: list[Value] = []
    for kind in types:
        value, at = _value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise _Broken
    return tuple(values)


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind in (0, 8, 9):
        return {0: None, 8: 0, 9: 1}[kind], at
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(_exactly(payload[at:end], end - at), "big", signed=True), end
    if kind == 7:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    if kind < 12:
        raise _Broken
    end = at + (kind - 12) // 2
    content = _exactly(payload[at:end], end - at)
    return (content.decode() if kind % 2 else content), end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = data[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    return value << 8 | data[at + 8], at + 9


def _exactly(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise _Broken
    return data
