"""The single writer of a database: batches go in once and in order, with their watermark in the same transaction."""

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import orjson

from labctl.bus.codec import Batch, Malformed, Row, Watermark
from labctl.errors import RefusedForSafety, StorageError
from labctl.filelock import FileLock
from labctl.reading import COLUMNS, Event, RunState
from labctl.record.aggregate import Aggregates
from labctl.record.kinds import RunEnded, StepEnded, StepStarted, read, read_header
from labctl.record.schema import DamagedDatabase, connect, failure
from labctl.record.stream import Stream

_log = logging.getLogger(__name__)

ABSENT = 0
"""In place of the number of a file that is not there."""
MOST_CHANNELS = 5000
"""What is known of more is forgotten and read from the database again: a message may name any run."""
MOST_WAITING = 200_000
"""Records that may wait for earlier ones, of all runs together; of more all are forgotten, and will be sent again."""

_REFUSALS = (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, UnicodeEncodeError)
"""What the schema says to a record that it does not take; anything else of sqlite3 is trouble with the database."""

_EVENT_COLUMNS = ("kind", "unix_time_second", "test_time_second", "message", "severity", "data")


def _insert(table: str, columns: Sequence[str]) -> str:
    """Return an INSERT that passes over numbers that are there, but, unlike OR IGNORE, not over refusals."""
    names = ("run_id", "channel", "seq", *columns)
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        " ON CONFLICT (run_id, channel, seq) DO NOTHING"
    )


_INSERT_READING = _insert("readings", COLUMNS)
_INSERT_EVENT = _insert("events", _EVENT_COLUMNS)
_SELECT_KNOWN = "SELECT seq, {} FROM {} WHERE run_id = ? AND channel = ? AND seq BETWEEN ? AND ?"
_SELECT_READINGS = _SELECT_KNOWN.format(", ".join(COLUMNS), "readings")
_SELECT_EVENTS = _SELECT_KNOWN.format(", ".join(_EVENT_COLUMNS), "events")


class _Channel:
    """What the writer knows of one (run, channel)."""

    def __init__(self, connection: sqlite3.Connection, run_id: int, number: int, watermark: int) -> None:
        self.owner = (run_id, number)
        self.stream = Stream(watermark)
        self.aggregates = Aggregates(connection, run_id, number)


class Writer:
    """Owns the database; calls come from one thread at a time.

    A database that turns out to be damaged is closed and let go at once: `labctl repair` may read it then, and what is
    put into its place is written.

    Args:
        patient: whether a database that cannot be opened now is opened by a later `apply`, when it can be.

    Attributes:
        quarantined: records that were put aside since the start, because the schema refuses them or because another
            record with their number is stored.
    """

    def __init__(self, database: Path, *, patient: bool = False) -> None:
        self.quarantined = 0
        self._database = database
        self._channels: dict[tuple[str, int], _Channel] = {}
        self._lock: FileLock | None = None
        self._open: sqlite3.Connection | None = None
        self._damaged: tuple[DamagedDatabase, int] | None = None
        try:
            self._begin()
        except StorageError as error:
            if not patient:
                raise
            _log.error("%s", error.sentence)

    def close(self) -> None:
        """Close the database and let go of it."""
        self._channels.clear()
        if self._open is not None:
            self._open.close()
            self._open = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def apply(self, batches: Iterable[Batch]) -> list[Watermark]:
        """Commit what continues the watermarks, and return them for every (run, channel) that was named.

        Raises:
            DamagedDatabase: nothing is committed until another file is in its place.
            StorageError: nothing was committed; what was in memory is forgotten and must be sent again.
        """
        if self._open is None:
            self._begin()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            named = {(batch.run, batch.channel): self._take(batch) for batch in batches}
            for channel in named.values():
                channel.aggregates.save()
                self._connection.execute(_SAVE_WATERMARK, (*channel.owner, channel.stream.watermark))
            self._connection.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            if not isinstance(error, sqlite3.Error):
                raise
            said = failure(self._database, "does not take what was measured", error)
            if isinstance(said, DamagedDatabase):
                self._damaged = said, _identity(self._database)
                self.close()
            raise said from error
        told = [Watermark(run, number, channel.stream.watermark) for (run, number), channel in named.items()]
        if len(self._channels) > MOST_CHANNELS or self._waiting() > MOST_WAITING:
            self._channels.clear()
        return told

    def _waiting(self) -> int:
        return sum(channel.stream.waiting for channel in self._channels.values())

    @property
    def _connection(self) -> sqlite3.Connection:
        assert self._open is not None
        return self._open

    def _begin(self) -> None:
        """Open the database, but not one that is known to be damaged, nor a new one in its place."""
        if self._damaged is not None and _identity(self._database) in (self._damaged[1], ABSENT):
            raise self._damaged[0]
        connection = connect(self._database)
        try:
            self._lock = FileLock(
                self._database.with_name(self._database.name + ".lock"), f"The database {self._database}"
            )
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError):
                raise failure(self._database, "cannot be opened for writing", error) from error
            if self._damaged is not None and isinstance(error, RefusedForSafety):
                raise StorageError(error.sentence, error.remedy) from None
            raise
        self._open, self._damaged = connection, None

    def _roll_back(self) -> None:
        self._channels.clear()
        with suppress(sqlite3.Error):  # of a damaged database; it is closed next
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    # -- taking batches --------------------------------------------------------------------------------------------

    def _take(self, batch: Batch) -> _Channel:
        channel = self._channel(batch.run, batch.channel)
        known, fresh = channel.stream.offer(batch)
        for part in fresh:
            if part.readings:
                self._store_readings(channel, part)
            else:
                self._store_events(channel, part)
        for part in known:  # now: a batch that waited may repeat what only became known with this one
            self._compare(channel, part)
        return channel

    def _channel(self, run: str, number: int) -> _Channel:
        known = self._channels.get((run, number))
        if known is not None:
            return known
        self._connection.execute("INSERT INTO runs (uuid) VALUES (?) ON CONFLICT (uuid) DO NOTHING", (run,))
        (run_id,) = self._connection.execute("SELECT id FROM runs WHERE uuid = ?", (run,)).fetchone()
        found = self._connection.execute(_LOAD_WATERMARK, (run_id, number)).fetchone()
        channel = _Channel(self._connection, run_id, number, found[0] if found else 0)
        self._channels[run, number] = channel
        return channel

    def _store_readings(self, channel: _Channel, batch: Batch) -> None:
        seqs: Sequence[int] = range(batch.first, batch.last + 1)
        rows = batch.readings
        try:
            self._connection.executemany(
                _INSERT_READING, [(*channel.owner, seq, *row) for seq, row in zip(seqs, rows, strict=True)]
            )
        except _REFUSALS:
            kept = [pair for pair in zip(seqs, rows, strict=True) if self._store_reading(channel, *pair)]
            seqs, rows = [seq for seq, _ in kept], [row for _, row in kept]
        channel.aggregates.fold(seqs, rows)

    def _store_reading(self, channel: _Channel, seq: int, row: Row) -> bool:
        try:
            self._connection.execute(_INSERT_READING, (*channel.owner, seq, *row))
        except _REFUSALS as error:
            self._quarantine(channel, seq, f"refused: {error}", orjson.dumps(row))
            return False
        return True

    def _store_events(self, channel: _Channel, batch: Batch) -> None:
        for seq, event in enumerate(batch.events, batch.first):
            try:
                self._connection.execute(_INSERT_EVENT, (*channel.owner, seq, *event_values(event)))
                self._act_on(channel, event)
            except (Malformed, *_REFUSALS) as error:
                self._quarantine(channel, seq, f"{event.kind} cannot be acted on: {error}", orjson.dumps(event))

    def _compare(self, channel: _Channel, batch: Batch) -> None:
        """Put aside what differs from what is stored under its number."""
        query = _SELECT_READINGS if batch.readings else _SELECT_EVENTS
        found = self._connection.execute(query, (*channel.owner, batch.first, batch.last))
        stored = {seq: values for seq, *values in found}
        records: Sequence[Sequence[object]] = batch.readings or [event_values(event) for event in batch.events]
        for seq, values in enumerate(records, batch.first):
            if stored.get(seq) != list(values) and not (
                batch.events and _names_itself(batch.events[seq - batch.first], seq)
            ):
                content = batch.readings or batch.events
                self._quarantine(
                    channel, seq, "another record has this number", orjson.dumps(content[seq - batch.first])
                )

    def _quarantine(self, channel: _Channel, seq: int, reason: str, record: bytes) -> None:
        put = self._connection.execute(_QUARANTINE, (*channel.owner, seq, reason, record.decode()))
        if put.rowcount:
            self.quarantined += 1
            _log.error("record %d of run %d, channel %d is put aside: %s", seq, *channel.owner, reason)

    # -- what events mean ------------------------------------------------------------------------------------------

    def _act_on(self, channel: _Channel, event: Event) -> None:
        match event.kind:
            case "run.started":
                start_run(self._connection, channel.owner[0], event)
            case "run.ended":
                self._end_run(channel, event)
            case "step.started":
                channel.aggregates.step_started(read(StepStarted, event))
            case "step.ended":
                channel.aggregates.step_ended(read(StepEnded, event))

    def _end_run(self, channel: _Channel, event: Event) -> None:
        if end_run(self._connection, channel.owner[0], event) is RunState.COMPLETED:
            channel.aggregates.run_completed()


def start_run(connection: sqlite3.Connection, run_id: int, event: Event) -> None:
    """Put into the row of a run what its `run.started` says; raises Malformed."""
    header = read_header(event)
    values = (
        header.station,
        header.protocol_name,
        header.protocol_title,
        header.protocol_text,
        header.protocol_hash,
        header.cell_name,
        orjson.dumps(header.cell).decode(),
        header.operator,
        orjson.dumps(header.instruments).decode(),
        orjson.dumps(header.config).decode(),
        orjson.dumps(header.inputs).decode(),
        header.software_version,
        header.simulated,
        header.seed,
        header.started_unix_second,
        header.kind,
        header.campaign,
        header.continues,
    )
    connection.execute(_START_RUN, (*values, run_id))


def end_run(connection: sqlite3.Connection, run_id: int, event: Event) -> RunState:
    """Put into the row of a run that still runs what its `run.ended` says, and return that; raises Malformed."""
    end = read(RunEnded, event)
    values = (end.state.value, end.reason, event.unix_time_second, run_id, RunState.RUNNING.value)
    connection.execute(_END_RUN, values)
    return end.state


def _names_itself(event: Event, seq: int) -> bool:
    """Whether an event is the gap of a damaged journal, whose record came before the damage, or did not."""
    return event.kind == "gap" and event.data.get("last") == seq


def _identity(path: Path) -> int:
    """Return what tells a file from another one that is put into its place."""
    return path.stat().st_ino if path.exists() else ABSENT


def event_values(event: Event) -> tuple[str | float, ...]:
    """Return what the table of events says of one, behind its number."""
    data = orjson.dumps(event.data).decode()
    return (
        event.kind,
        event.unix_time_second,
        event.test_time_second,
        event.message,
        event.severity.value,
        data,
    )


_LOAD_WATERMARK = "SELECT seq FROM watermarks WHERE run_id = ? AND channel = ?"

_SAVE_WATERMARK = """INSERT INTO watermarks (run_id, channel, seq) VALUES (?, ?, ?)
ON CONFLICT (run_id, channel) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq"""

_QUARANTINE = """INSERT INTO quarantine (run_id, channel, seq, reason, record) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (run_id, channel, seq, record) DO NOTHING"""

_START_RUN = """UPDATE runs SET station = ?, protocol_name = ?, protocol_title = ?, protocol_text = ?,
protocol_hash = ?, cell_name = ?, cell = ?, operator = ?, instruments = ?, config = ?, inputs = ?,
software_version = ?, simulated = ?, seed = ?, started_unix_second = ?,
kind = ?, campaign = ?, continues = ? WHERE id = ?"""

_END_RUN = "UPDATE runs SET state = ?, end_reason = ?, ended_unix_second = ? WHERE id = ? AND state = ?"
