"""Extremes of readings in buckets, for plots: however long a run is, a spike stays visible in a few hundred points."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

RISING = frozenset({"unix_time_second", "test_time_second", "cycle_count", "step_count"})
"""Columns that never fall along a run: their buckets are stretches of consecutive rows, which need no sorting."""

Whose = tuple[int, int]
"""Run and channel."""
Bucket = tuple[float | int | None, ...]
"""Its rows' number, their least x, then minimum and maximum of each column."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """Every bucket that holds rows: the x of its first row, and for each column its extremes, None without a value."""

    x: list[float]
    low: list[list[float | None]]
    high: list[list[float | None]]
    rows: int


def buckets(
    connection: sqlite3.Connection,
    whose: Whose,
    columns: Sequence[str],
    x: str,
    span: tuple[float | None, float | None],
    count: int,
) -> Buckets:
    """Return the extremes of columns in at most `count` equal stretches of `x`.

    Args:
        columns: names of columns of `readings`, as is `x`; they become part of the query.
        span: from and to which x, both included; None is the first or the last one that there is.
    """
    low, high = _ends(connection, whose, x)
    start, end = (low if span[0] is None else span[0]), (high if span[1] is None else span[1])
    if low is None or start is None or end is None or end < start:
        return Buckets([], [[] for _ in columns], [[] for _ in columns], 0)
    wanted = ", ".join(["count(*)", f"min({x})", *(f"min({name}), max({name})" for name in columns)])
    find = _stretches if x in RISING else _groups
    found = [bucket for bucket in find(connection, whose, wanted, x, (start, end), count) if bucket[0]]
    of_columns = range(len(columns))
    return Buckets(
        [float(bucket[1] or 0.0) for bucket in found],
        [[bucket[2 + 2 * index] for bucket in found] for index in of_columns],
        [[bucket[3 + 2 * index] for bucket in found] for index in of_columns],
        sum(int(bucket[0] or 0) for bucket in found),
    )


def _ends(connection: sqlite3.Connection, whose: Whose, x: str) -> tuple[float | None, float | None]:
    """Return the least and the greatest x."""
    ours = "FROM readings WHERE run_id = ? AND channel = ?"
    if x not in RISING:
        least, greatest = connection.execute(f"SELECT min({x}), max({x}) {ours}", whose).fetchone()
        return least, greatest
    ends = [connection.execute(f"SELECT {x} {ours} ORDER BY seq {to} LIMIT 1", whose).fetchone() for to in ("", "DESC")]
    first, last = (None if end is None else end[0] for end in ends)
    return first, last


def _groups(
    connection: sqlite3.Connection, whose: Whose, wanted: str, x: str, span: tuple[float, float], count: int
) -> Iterator[Bucket]:
    """Yield buckets of an x that falls now and then; SQLite sorts all rows by their bucket."""
    width = (span[1] - span[0]) / count or 1.0
    yield from connection.execute(
        f"SELECT {wanted} FROM readings WHERE run_id = ? AND channel = ? AND {x} BETWEEN ? AND ?"
        f" GROUP BY min(CAST(({x} - ?) / ? AS INTEGER), ?) ORDER BY 2",
        (*whose, *span, span[0], width, count - 1),
    )


def _stretches(
    connection: sqlite3.Connection, whose: Whose, wanted: str, x: str, span: tuple[float, float], count: int
) -> Iterator[Bucket]:
    """Yield buckets of an x that only rises: half the time of sorting a million rows."""
    edges = [span[0] + (span[1] - span[0]) * index / count for index in range(count)]
    query = f"SELECT {wanted} FROM readings WHERE run_id = ? AND channel = ? AND seq >= ? AND seq < ?"
    (last,) = connection.execute("SELECT max(seq) FROM readings WHERE run_id = ? AND channel = ?", whose).fetchone()
    begin = _first_at(connection, whose, f"{x} >= ?", edges[0], 0, last + 1)
    stop = _first_at(connection, whose, f"{x} > ?", span[1], begin, last + 1)
    for edge in edges[1:]:
        border = _first_at(connection, whose, f"{x} >= ?", edge, begin, stop)
        if border > begin:
            yield connection.execute(query, (*whose, begin, border)).fetchone()
        begin = border
    yield connection.execute(query, (*whose, begin, stop)).fetchone()


def _first_at(connection: sqlite3.Connection, whose: Whose, condition: str, value: float, low: int, high: int) -> int:
    """Return the number at or below which no row meets a condition that all later ones meet, by halving."""
    query = f"SELECT seq, {condition} FROM readings WHERE run_id = ? AND channel = ? AND seq >= ? ORDER BY seq LIMIT 1"
    while low < high:
        middle = (low + high) // 2
        found = connection.execute(query, (value, *whose, middle)).fetchone()
        if found is None or found[0] >= high or found[1]:
            high = middle
        else:
            low = found[0] + 1
    return low
