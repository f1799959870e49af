"""Steps and cycles: kept up to date with every batch of rows, and the same tables computed from scratch.

Capacity and energy of a step or cycle are those of its last row minus those of its first: rows carry cumulative values
that never reset, and every step begins with a row at the instant at which the one before ended.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from labctl.bus.codec import Row
from labctl.reading import COLUMNS
from labctl.record.kinds import StepEnded, StepStarted
from labctl.record.schema import SPAN_COLUMNS

_STEP = COLUMNS.index("step_count")
_STEP_ID = COLUMNS.index("step_id")
_CYCLE = COLUMNS.index("cycle_count")
_TIME = COLUMNS.index("test_time_second")
_CURRENT = COLUMNS.index("current_ampere")
_VOLTAGE = COLUMNS.index("voltage_volt")
_CUMULATIVE = tuple(
    COLUMNS.index(name)
    for name in (
        "charging_capacity_ah",
        "discharging_capacity_ah",
        "charging_energy_wh",
        "discharging_energy_wh",
    )
)
_voltage = itemgetter(_VOLTAGE)

Values = Sequence[float | int | None]
"""Of a row, in the order of COLUMNS."""


@dataclass(slots=True)
class Span:
    """The rows of one step or one cycle so far."""

    first_seq: int
    last_seq: int
    row_count: int
    first: Values
    last: Values
    min_voltage: float | None
    max_voltage: float | None

    @classmethod
    def of(cls, seq: int, row: Values) -> "Span":
        """Begin with a first row, which is still to be added."""
        return cls(seq, seq, 0, row, row, None, None)

    def add(self, seq: int, rows: Sequence[Values]) -> None:
        """Add rows in order, the last of which has this number."""
        self.last_seq, self.last = seq, rows[-1]
        self.row_count += len(rows)
        seen = [v for v in (self.min_voltage, self.max_voltage, *map(_voltage, rows)) if v is not None]
        self.min_voltage, self.max_voltage = min(seen, default=None), max(seen, default=None)

    def gains(self) -> tuple[float, ...]:
        """Return charging and discharging capacity, charging and discharging energy."""
        return tuple(_number(self.last[column]) - _number(self.first[column]) for column in _CUMULATIVE)

    def efficiencies(self) -> tuple[float | None, float | None]:
        """Return Coulombic and energy efficiency: what was discharged of what was charged; None where nothing was."""
        charge, discharge, energy_in, energy_out = self.gains()
        return (discharge / charge if charge > 0 else None, energy_out / energy_in if energy_in > 0 else None)

    def columns(self) -> tuple[float | int | None, ...]:
        """Return the values of SPAN_COLUMNS."""
        return (
            self.first_seq,
            self.last_seq,
            self.row_count,
            self.first[_TIME],
            self.last[_TIME],
            *self.gains(),
            self.min_voltage,
            self.max_voltage,
        )


class _Table:
    """The spans of one table of one (run, channel); only the newest and the changed ones are in memory."""

    def __init__(self, connection: sqlite3.Connection, owner: tuple[int, int], table: str, key: str) -> None:
        self._connection = connection
        self._owner = owner
        self._table = table
        self._key_name = key
        self._key = itemgetter(COLUMNS.index(key))
        self._spans: dict[int, Span] = {}

    def fold(self, seqs: Sequence[int], rows: Sequence[Row]) -> None:
        """Add rows in the order of their numbers."""
        end = 0
        for key, group in groupby(rows, self._key):
            stretch = list(group)
            begin, end = end, end + len(stretch)
            if key == 0:
                continue  # what comes before the first step or cycle belongs to none
            span = self._spans.get(key) or self._load(key)
            if span is None:
                span = Span.of(seqs[begin], stretch[0])
            self._spans[key] = span
            span.add(seqs[end - 1], stretch)

    def changed(self) -> list[tuple[int, Span]]:
        """Return what is to be saved, and keep only the newest: the next rows most likely belong to it."""
        spans = sorted(self._spans.items())
        self._spans = dict(spans[-1:])
        return spans

    def _load(self, key: int) -> Span | None:
        found = self._connection.execute(
            f"SELECT first_seq, last_seq, row_count, min_voltage_volt, max_voltage_volt FROM {self._table}"
            f" WHERE run_id = ? AND channel = ? AND {self._key_name} = ? AND row_count > 0",
            (*self._owner, key),
        ).fetchone()
        if found is None:
            return None
        first_seq, last_seq, row_count, low, high = found
        return Span(first_seq, last_seq, row_count, self._row(first_seq), self._row(last_seq), low, high)

    def _row(self, seq: int) -> Row:
        query = f"SELECT {', '.join(COLUMNS)} FROM readings WHERE run_id = ? AND channel = ? AND seq = ?"
        return list(self._connection.execute(query, (*self._owner, seq)).fetchone())


class Aggregates:
    """Steps and cycles of one (run, channel); every call belongs to the writer's present transaction."""

    def __init__(self, connection: sqlite3.Connection, run_id: int, channel: int) -> None:
        self._connection = connection
        self._owner = (run_id, channel)
        self._steps = _Table(connection, self._owner, "steps", "step_count")
        self._cycles = _Table(connection, self._owner, "cycles", "cycle_count")
        self._newest_cycle = -1

    def fold(self, seqs: Sequence[int], rows: Sequence[Row]) -> None:
        """Add rows that were stored."""
        self._steps.fold(seqs, rows)
        self._cycles.fold(seqs, rows)

    def step_started(self, step: StepStarted) -> None:
        """Note what a step is."""
        names = (step.step_count, step.step_id, step.name, step.verb, step.cycle_count)
        self._connection.execute(_START_STEP, (*self._owner, *names))

    def step_ended(self, step: StepEnded) -> None:
        """Note why a step ended."""
        self._connection.execute(_END_STEP, (*self._owner, step.step_count, step.reason))

    def run_completed(self) -> None:
        """Note that the last cycle is whole."""
        self.save()
        self._connection.execute("UPDATE cycles SET complete = 1 WHERE run_id = ? AND channel = ?", self._owner)

    def save(self) -> None:
        """Write what changed since the last save."""
        self._connection.executemany(
            _SAVE_STEP,
            [
                (
                    *self._owner,
                    key,
                    s.first[_STEP_ID],
                    s.first[_CYCLE],
                    *s.columns(),
                    s.last[_VOLTAGE],
                    s.last[_CURRENT],
                )
                for key, s in self._steps.changed()
            ],
        )
        cycles = self._cycles.changed()
        self._connection.executemany(
            _SAVE_CYCLE, [(*self._owner, key, *s.columns(), *s.efficiencies()) for key, s in cycles]
        )
        if cycles and cycles[-1][0] > self._newest_cycle:
            self._newest_cycle = cycles[-1][0]
            self._connection.execute(_COMPLETE, (*self._owner, self._newest_cycle))


def _number(value: float | int | None) -> float:
    """Return a value that the table does not allow to be NULL."""
    assert value is not None
    return value


def _set(columns: Sequence[str]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in columns)


_START_STEP = f"""INSERT INTO steps (run_id, channel, step_count, step_id, name, verb, cycle_count)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run_id, channel, step_count) DO UPDATE SET {_set(("step_id", "name", "verb", "cycle_count"))}"""

_END_STEP = """INSERT INTO steps (run_id, channel, step_count, end_reason) VALUES (?, ?, ?, ?)
ON CONFLICT (run_id, channel, step_count) DO UPDATE SET end_reason = excluded.end_reason"""

_STEP_ENDS = ("end_voltage_volt", "end_current_ampere")
_SAVE_STEP = f"""INSERT INTO steps
(run_id, channel, step_count, step_id, cycle_count, {", ".join(SPAN_COLUMNS + _STEP_ENDS)})
VALUES ({", ".join("?" * (5 + len(SPAN_COLUMNS) + 2))})
ON CONFLICT (run_id, channel, step_count) DO UPDATE SET {_set(SPAN_COLUMNS + _STEP_ENDS)},
step_id = COALESCE(step_id, excluded.step_id), cycle_count = COALESCE(cycle_count, excluded.cycle_count)"""

_EFFICIENCIES = ("coulombic_efficiency", "energy_efficiency")
_SAVE_CYCLE = f"""INSERT INTO cycles (run_id, channel, cycle_count, {", ".join(SPAN_COLUMNS + _EFFICIENCIES)})
VALUES ({", ".join("?" * (3 + len(SPAN_COLUMNS) + 2))})
ON CONFLICT (run_id, channel, cycle_count) DO UPDATE SET {_set(SPAN_COLUMNS + _EFFICIENCIES)}"""

_COMPLETE = """UPDATE cycles SET complete = 1
WHERE run_id = ? AND channel = ? AND cycle_count < ? AND complete = 0"""
