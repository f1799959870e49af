"""Questions to the database, over connections that can only read."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self, TypeVar

import orjson

from labctl.errors import StorageError
from labctl.reading import COLUMNS, NOT_FOR_PEOPLE, RunState, Severity
from labctl.record.buckets import Buckets, buckets


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run; the header's fields are None where `run.started` was lost."""

    id: int
    uuid: str
    station: str | None
    protocol_name: str | None
    protocol_title: str | None
    protocol_text: str | None
    protocol_hash: str | None
    cell_name: str | None
    cell: dict[str, Any] | None
    operator: str | None
    instruments: dict[str, Any] | None
    config: dict[str, Any] | None
    inputs: dict[str, str] | None
    software_version: str | None
    simulated: bool | None
    seed: int | None
    started_unix_second: float | None
    ended_unix_second: float | None
    state: RunState
    end_reason: str | None
    kind: str
    campaign: str | None
    continues: str | None


@dataclass(frozen=True, slots=True)
class SpanRow:
    """What steps and cycles have in common; None where no row was recorded. Ah and Wh, positive in both directions."""

    channel: int
    first_seq: int | None
    last_seq: int | None
    row_count: int
    start_test_time_second: float | None
    end_test_time_second: float | None
    charging_capacity_ah: float | None
    discharging_capacity_ah: float | None
    charging_energy_wh: float | None
    discharging_energy_wh: float | None
    min_voltage_volt: float | None
    max_voltage_volt: float | None


@dataclass(frozen=True, slots=True)
class StepRow(SpanRow):
    """An executed step."""

    step_count: int
    step_id: int | None
    name: str | None
    verb: str | None
    cycle_count: int | None
    end_voltage_volt: float | None
    end_current_ampere: float | None
    end_reason: str | None


@dataclass(frozen=True, slots=True)
class CycleRow(SpanRow):
    """A cycle; an efficiency is what was discharged of what was charged, None where nothing was charged."""

    cycle_count: int
    coulombic_efficiency: float | None
    energy_efficiency: float | None
    complete: bool


@dataclass(frozen=True, slots=True)
class CycleEnd:
    """How many cycles a run has, and its last complete one, None where none is: the cell now."""

    cycles: int
    last_complete: int | None
    discharging_capacity_ah: float | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event."""

    channel: int
    seq: int
    kind: str
    unix_time_second: float
    test_time_second: float
    message: str
    severity: Severity
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PointRow:
    """A point of an impedance spectrum; those of one execution of a step are one spectrum. A capacitor is negative."""

    step_count: int
    cycle_count: int
    test_time_second: float
    frequency_hertz: float
    real_impedance_ohm: float
    imaginary_impedance_ohm: float


Row = TypeVar("Row", RunRow, StepRow, CycleRow, EventRow, PointRow)

_MEANINGS = {
    "cell": orjson.loads,
    "instruments": orjson.loads,
    "config": orjson.loads,
    "inputs": orjson.loads,
    "data": orjson.loads,
    "simulated": bool,
    "complete": bool,
    "state": RunState,
    "severity": Severity,
}


class Queries:
    """Reads a database; a context manager. Writing goes on meanwhile."""

    def __init__(self, database: Path) -> None:
        self._database = database
        if not database.is_file():
            raise StorageError(f"There is no database {database}.", "Give the path of one, or record a run first.")
        with self._told():
            uri = f"{database.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(uri, uri=True, timeout=5.0, check_same_thread=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def runs(self, *, watches: bool = False, limit: int = -1) -> list[RunRow]:
        """Return all runs, or the newest, first; with `watches` also what was recorded while nothing ran."""
        kinds = ("protocol", "watch") if watches else ("protocol",)
        where = f"kind IN ({', '.join('?' * len(kinds))}) ORDER BY started_unix_second DESC, id DESC LIMIT ?"
        return self._select(RunRow, "runs", where, (*kinds, limit))

    def run(self, which: str) -> RunRow:
        """Return the run with this number, UUID or unambiguous beginning of a UUID; raises StorageError."""
        if which.isdecimal() and (numbered := self._select(RunRow, "runs", "id = ?", (int(which),))):
            return numbered[0]
        found = self._select(RunRow, "runs", "substr(uuid, 1, ?) = ?", (len(which), which.lower())) if which else []
        if len(found) != 1:
            count = "No run" if not found else f"More than one run ({len(found)})"
            raise StorageError(f"{count} in {self._database} is called {which!r}.", "`labctl runs` lists them.")
        return found[0]

    def has(self, uuid: str) -> bool:
        """Whether the database has anything of a run."""
        return bool(self._select(RunRow, "runs", "uuid = ?", (uuid,)))

    def steps(self, run_id: int) -> list[StepRow]:
        """Return the executed steps of a run in order."""
        return self._select(StepRow, "steps", "run_id = ? ORDER BY channel, step_count", (run_id,))

    def cycles(self, run_id: int, *, after: int = -1, limit: int = -1) -> list[CycleRow]:
        """Return the cycles of a run in order, or so many of those `after` one."""
        where = "run_id = ? AND cycle_count > ? ORDER BY channel, cycle_count LIMIT ?"
        return self._select(CycleRow, "cycles", where, (run_id, after, limit))

    def cycle_ends(self) -> dict[int, CycleEnd]:
        """Return the end of every run that has cycles, by the run's number."""
        # beside a single max(), SQLite takes other columns from the row that has it
        query = (
            "SELECT run_id, count(*), max(CASE WHEN complete THEN cycle_count END), discharging_capacity_ah"
            " FROM cycles GROUP BY run_id"
        )
        with self._told():
            found = self._connection.execute(query).fetchall()
        return {run: CycleEnd(count, last, None if last is None else ah) for run, count, last, ah in found}

    def events(self, run_id: int) -> list[EventRow]:
        """Return the events of a run in order."""
        return self._select(EventRow, "events", "run_id = ? ORDER BY channel, seq", (run_id,))

    def spectra(self, run_id: int) -> list[PointRow]:
        """Return the points of all impedance spectra of a run in order."""
        return self._select(PointRow, "spectra", "run_id = ? ORDER BY channel, seq", (run_id,))

    def newest_events(self, run_id: int | None, limit: int) -> list[tuple[int, EventRow]]:
        """Return the newest events for people with the number of their run, of one run or of all, the newest first."""
        names = ", ".join(field.name for field in fields(EventRow))
        whose, parameters = ("", ()) if run_id is None else (" AND run_id = ?", (run_id,))
        kinds = ", ".join(f"'{kind}'" for kind in sorted(NOT_FOR_PEOPLE))
        query = (
            f"SELECT run_id, {names} FROM events WHERE kind NOT IN ({kinds}){whose}"
            " ORDER BY unix_time_second DESC, seq DESC LIMIT ?"
        )
        with self._told():
            found = self._connection.execute(query, (*parameters, limit)).fetchall()
        return [(run, _row(EventRow, values)) for run, *values in found]

    def readings(
        self,
        run_id: int,
        columns: Sequence[str] = COLUMNS,
        *,
        channel: int = 0,
        after: int = 0,
        limit: int = 100_000,
    ) -> list[tuple[int | float | None, ...]]:
        """Return readings in order as `(seq, *columns)`; the next page begins `after` the last seq of this one."""
        self._know(columns)
        query = (
            f"SELECT {', '.join(('seq', *columns))} FROM readings"
            " WHERE run_id = ? AND channel = ? AND seq > ? ORDER BY seq LIMIT ?"
        )
        with self._told():
            return self._connection.execute(query, (run_id, channel, after, limit)).fetchall()

    def measured(self, run_id: int) -> frozenset[str]:
        """Return the columns of readings in which a run has a value."""
        query = f"SELECT {', '.join(f'count({name})' for name in COLUMNS)} FROM readings WHERE run_id = ?"
        with self._told():
            counts = self._connection.execute(query, (run_id,)).fetchone()
        return frozenset(name for name, count in zip(COLUMNS, counts, strict=True) if count)

    def rows(
        self, run_id: int, columns: Sequence[str] = COLUMNS, *, channel: int = 0, page: int = 10_000
    ) -> Iterator[tuple[int | float | None, ...]]:
        """Yield all readings in order as `columns`; so many are read at a time."""
        after = 0
        while found := self.readings(run_id, columns, channel=channel, after=after, limit=page):
            yield from (row[1:] for row in found)
            after = int(found[-1][0] or 0)

    def buckets(
        self,
        run_id: int,
        columns: Sequence[str],
        x: str = "test_time_second",
        *,
        start: float | None = None,
        end: float | None = None,
        count: int = 400,
        channel: int = 0,
    ) -> Buckets:
        """Return minimum and maximum of columns in at most `count` equal stretches of `x`, from `start` to `end`."""
        self._know((x, *columns))
        with self._told():
            return buckets(self._connection, (run_id, channel), columns, x, (start, end), count)

    def watermark(self, run_id: int, channel: int = 0) -> int:
        """Return the number up to which everything of a run is stored."""
        query = "SELECT seq FROM watermarks WHERE run_id = ? AND channel = ?"
        with self._told():
            found = self._connection.execute(query, (run_id, channel)).fetchone()
        return int(found[0]) if found else 0

    def _select(self, row: type[Row], table: str, where: str, parameters: tuple[object, ...]) -> list[Row]:
        names = ", ".join(field.name for field in fields(row))
        with self._told():
            found = self._connection.execute(f"SELECT {names} FROM {table} WHERE {where}", parameters)
            return [_row(row, values) for values in found]

    def _know(self, columns: Sequence[str]) -> None:
        unknown = sorted(set(columns) - set(COLUMNS))
        if unknown:
            raise StorageError(f"Readings have no column {', '.join(unknown)}.", f"They have {', '.join(COLUMNS)}.")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(
                f"The database {self._database} cannot be read: {error}.",
                "Check that it is a labctl database; a recorder that opens it brings an older one up to date.",
            ) from error


def _row(row: type[Row], values: Sequence[Any]) -> Row:
    return row(*(_meaning(field.name, value) for field, value in zip(fields(row), values, strict=True)))


def _meaning(name: str, value: Any) -> Any:
    """Turn a stored value into what its field holds."""
    return _MEANINGS[name](value) if value is not None and name in _MEANINGS else value
