"""The position: where a run is, as JSON in its own journal, so that a new process can go on while a program runs.

It is an event of kind `run.position`, written before a program begins and wherever its numbering changes. While a
program is followed and not paused, every row is one record of the instrument and every record one row; so the newest
position and the rows behind it say which record is the last that the journal has, also where a dying process tore it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import orjson
from pydantic import TypeAdapter

from labctl.engine.ledger import Counts
from labctl.plan import Side
from labctl.reading import COLUMNS

KIND = "run.position"
EVERY = 2000
"""Rows of a program after which the position is written anew: as much of a journal stays for it, and is read again."""
_ENTRIES = 1000
_CHARGE_IN, _CHARGE_OUT, _ENERGY_IN, _ENERGY_OUT = (
    COLUMNS.index(name)
    for name in (
        "charging_capacity_ah",
        "discharging_capacity_ah",
        "charging_energy_wh",
        "discharging_energy_wh",
    )
)
_CYCLE = COLUMNS.index("cycle_count")
_PER_HOUR = 3600.0

Read = Callable[[int, int], list[tuple[int, bytes]]]
"""Records behind a number, at most so many: `Journal.read`."""


@dataclass(frozen=True, slots=True)
class Following:
    """How far a program has been followed; the counts of `Position` are those at its beginning.

    Attributes:
        token: of this execution of the program.
        checksum: CRC-32 of its text: a plan that compiles to another one is not the plan that runs.
        began: s of test time; `began_unix` the same instant.
        cycle: in the life of the cell, that of the last row; `counts` what the run had counted by then.
        records: number of the last record whose row is in the journal.
        inserted: executed steps that pauses have added to those of the program.
        paused: whether a pause is under way: the rows behind this position are the host's own.
        not_before: s since the program began, at which the last pause ended by the clock of the host: the instrument's
            may be a moment behind.
        started: the highest step_count whose beginning was told; `ended` whose end was told.
        step_counts: what the run had counted when the step told last began; None until its first row.
    """

    token: str
    checksum: int
    began: float
    began_unix: float
    cycle: int
    counts: Counts
    records: int = 0
    inserted: int = 0
    paused: bool = False
    not_before: float = 0.0
    started: int = 0
    ended: int = 0
    step_counts: Counts | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the host keeps around the cell: °C of the thermostat; sides, pressures (Pa) and ramps (Pa/s) in control."""

    celsius: float | None = None
    pressures: tuple[tuple[Side, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run is: before the node at `path`, or in the program that begins there.

    Attributes:
        path: the way through the tree, see `Walk.path`.
        fired: ids of branches that fire once and have.
        cycle: cycles begun; `step_count` executed steps; `counts` what went in and out.
        surroundings: what is kept around the cell while its program runs.
        following: None where the host executes the steps: such a run cannot be gone on with yet.
    """

    path: tuple[int, ...]
    fired: tuple[int, ...]
    cycle: int
    step_count: int
    counts: Counts
    surroundings: Surroundings = Surroundings()
    following: Following | None = None


_POSITION = TypeAdapter(Position)


def newest(read: Read) -> Position | None:
    """Return where the run of a journal is: its newest position, moved on by the records behind it."""
    position: Position | None = None
    after = 0
    while entries := read(after, _ENTRIES):
        after = entries[-1][0]
        for _, payload in entries:
            position = _moved_on(position, orjson.loads(payload))
    return position


def _moved_on(position: Position | None, record: object) -> Position | None:
    if isinstance(record, dict) and record["kind"] == KIND:
        return _POSITION.validate_python(record["data"])
    if position is None or position.following is None:
        return position
    following = position.following
    match record:
        case {"kind": "step.started", "data": {"step_count": int(count)}}:
            following = replace(following, started=count, step_counts=None)
        case {"kind": "step.ended", "data": {"step_count": int(count)}}:
            following = replace(following, ended=count)
        case list():
            counts = _counts(record)
            began = counts if following.step_counts is None else following.step_counts
            records, cycle = following.records + (not following.paused), record[_CYCLE]
            following = replace(following, records=records, cycle=cycle, counts=counts, step_counts=began)
    return replace(position, following=following)


def _counts(row: list[float]) -> Counts:
    values = (row[column] * _PER_HOUR for column in (_CHARGE_IN, _CHARGE_OUT, _ENERGY_IN, _ENERGY_OUT))
    return Counts(*values)
