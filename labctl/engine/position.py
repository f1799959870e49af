"""The position: where a run is, as JSON in its own journal, so that a new process can go on with it.

It is an event of kind `run.position`, written before each step of the host and each program, and wherever what is
counted would not be known from the rows. The newest position, moved on by the records behind it, says where the run
was, also where a dying process tore its journal. While a program is followed and not paused, every row is one record of
the instrument and every record one row.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson
from pydantic import TypeAdapter

from labctl.engine.cycles import NO_CYCLES, Cycles
from labctl.engine.ledger import NOTHING, Carried, Counts
from labctl.plan import SIDES, Side, Then
from labctl.reading import COLUMNS, RunState

KIND = "run.position"
PAUSE = "pause"
"""Verb of an executed step in which the cell stands at open circuit."""
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
_UNIX, _TEST_TIME, _STEP_TIME, _STEP_COUNT, _VOLTAGE, _CURRENT, _CELL_CELSIUS, _BATH_CELSIUS = (
    COLUMNS.index(name)
    for name in (
        "unix_time_second",
        "test_time_second",
        "step_time_second",
        "step_count",
        "voltage_volt",
        "current_ampere",
        "surface_temperature_celsius",
        "ambient_temperature_celsius",
    )
)
_PRESSURES = {side: COLUMNS.index(f"{side}_pressure_pa") for side in SIDES}
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
        test_time: s of test time of the last row; None until the first one.
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
    test_time: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What was measured at an instant: V (None: an open relay hid it), A, °C and Pa; None where nothing measures it."""

    unix: float
    test_time: float
    voltage: float | None
    current: float
    celsius: float | None
    pressures: tuple[tuple[Side, float], ...] = ()


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A step that has met its end, and where that leads."""

    then: Then
    label: str = ""


@dataclass(frozen=True, slots=True)
class Hosted:
    """How far the host has got with the step at the position's path.

    Attributes:
        step: its id; 0 before the first one.
        carried: what it had counted by the last row.
        holding: whether its voltage was being held then, so that time counts as CV time.
        rested: V of the cell at rest before its current began; None where it was not at rest.
        resistance: Ω, by which the voltage jumped then; None: not known.
        seen: the last row.
        started: the highest step_count whose beginning was told; `closed` whose end was told.
        standing: whether that is a pause.
        paused_by: whose pause it is in, or comes; empty: none.
        ended: set when the step is over, and the next one has not begun.
    """

    step: int = 0
    carried: Carried = NOTHING
    holding: bool = False
    rested: float | None = None
    resistance: float | None = None
    seen: Seen | None = None
    started: int = 0
    closed: int = 0
    standing: bool = False
    paused_by: str = ""
    ended: StepEnded | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a run was ending when its process died: what its `run.ended` would have said."""

    state: RunState
    reason: str
    who: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the host keeps around the cell: °C of the thermostat; sides, pressures (Pa) and ramps (Pa/s) in control.

    `base` is what the plan had asked of each side (Pa) when the present step began: its changes are relative to that.
    `bands` is within how many Pa each side in control is held.
    """

    celsius: float | None = None
    pressures: tuple[tuple[Side, float, float], ...] = ()
    base: tuple[tuple[Side, float], ...] = ()
    bands: tuple[tuple[Side, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run is: before the node at `path`, or in the program that begins there.

    Attributes:
        path: the way through the tree, see `Walk.path`.
        fired: ids of branches that fire once and have.
        cycle: cycles begun; `step_count` executed steps; `counts` what went in and out.
        surroundings: what is kept around the cell while its program runs.
        following: how far a program has been followed; None where the host executes the step: `hosted` says how far.
        identities: by instrument, the digest of what it said it is.
        cycles: what conditions ask of them.
        answer: the operator's last one.
        ending: set where the run was ending already: it is not gone on with.
    """

    path: tuple[int, ...]
    fired: tuple[int, ...]
    cycle: int
    step_count: int
    counts: Counts
    surroundings: Surroundings = Surroundings()
    following: Following | None = None
    hosted: Hosted | None = None
    identities: tuple[tuple[str, str], ...] = ()
    cycles: Cycles = NO_CYCLES
    answer: str | None = None
    ending: Ending | None = None


_POSITION = TypeAdapter(Position)


def data_of(position: Position) -> dict[str, Any]:
    """Return the data of the event that tells a position; what is as it is by default is left out."""
    data: dict[str, Any] = _POSITION.dump_python(position, exclude_defaults=True)
    return data


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
    if position is None:
        return None
    ending = _ending(record)
    if ending is not None:
        return replace(position, ending=position.ending or ending)
    if position.following is not None:
        return replace(position, following=_followed(position.following, record))
    hosted = position.hosted or Hosted()
    if isinstance(record, list):
        counts = _counts(record)
        return replace(position, counts=counts, hosted=_executed(hosted, record, counts, position.counts))
    return replace(position, hosted=_told(hosted, record))


def _ending(record: object) -> Ending | None:
    match record:
        case {"kind": "run.stopping", "data": {"who": str(who)}, "message": str(sentence)}:
            return Ending(RunState.STOPPED, sentence, who)
        case {"kind": "guard.tripped", "message": str(sentence)}:
            return Ending(RunState.TRIPPED, sentence)
    return None


def _followed(following: Following, record: object) -> Following:
    """Move a program on by one record."""
    match record:
        case {"kind": "step.started", "data": {"step_count": int(count)}}:
            return replace(following, started=count, step_counts=None)
        case {"kind": "step.ended", "data": {"step_count": int(count)}}:
            return replace(following, ended=count)
        case list():
            counts = _counts(record)
            began = counts if following.step_counts is None else following.step_counts
            records, cycle = following.records + (not following.paused), record[_CYCLE]
            test_time = record[_TEST_TIME]
            return replace(
                following, records=records, cycle=cycle, counts=counts, step_counts=began, test_time=test_time
            )
    return following


def _told(hosted: Hosted, record: Any) -> Hosted:
    """Move a step of the host on by one event."""
    match record:
        case {"kind": "step.started", "data": {"step_count": int(count), "verb": str(verb)} as data}:
            rested, was = data.get("rest_voltage"), hosted.carried
            carried = replace(was, rested=rested) if was.rested is None else was
            return replace(hosted, started=count, standing=verb == PAUSE, rested=rested, carried=carried)
        case {"kind": "step.ended", "data": {"step_count": int(count), "then": str(then), "label": str(label)}}:
            return replace(hosted, closed=count, ended=StepEnded(Then(then), label))
        case {"kind": "step.ended", "data": {"step_count": int(count)}}:
            return replace(hosted, closed=count)
        case {"kind": "run.paused" | "run.found", "data": {"who": str(who)}}:
            return replace(hosted, paused_by=who)
        case {"kind": "run.resumed"}:
            return replace(hosted, paused_by="")
    return hosted


def _executed(hosted: Hosted, row: list[float], counts: Counts, before: Counts) -> Hosted:
    """Move a step of the host on by one row; the rows of a pause, and one of a step not yet told, are not its own."""
    seen = _seen(row)
    if hosted.standing or row[_STEP_COUNT] != hosted.started:
        return replace(hosted, seen=seen)
    was = hosted.carried
    time = row[_STEP_TIME]
    carried = Carried(
        time,
        was.charge + counts.charge_in - before.charge_in - (counts.charge_out - before.charge_out),
        was.energy + counts.energy_in - before.energy_in - (counts.energy_out - before.energy_out),
        was.cv_time + max(0.0, time - was.time) * hosted.holding,
        was.rested,
    )
    resistance = hosted.resistance or jump(hosted.rested, seen.voltage, seen.current)
    return replace(hosted, carried=carried, resistance=resistance, seen=seen)


def jump(rested: float | None, voltage: float | None, current: float) -> float | None:
    """Return the resistance (Ω) by which a voltage at rest has jumped with a current; None where it is not known."""
    if rested is None or voltage is None or current == 0.0:
        return None
    return (voltage - rested) / current


def _seen(row: list[float]) -> Seen:
    celsius = row[_CELL_CELSIUS] if row[_CELL_CELSIUS] is not None else row[_BATH_CELSIUS]
    pressures = tuple((side, row[column]) for side, column in _PRESSURES.items() if row[column] is not None)
    return Seen(row[_UNIX], row[_TEST_TIME], row[_VOLTAGE], row[_CURRENT], celsius, pressures)


def _counts(row: list[float]) -> Counts:
    values = (row[column] * _PER_HOUR for column in (_CHARGE_IN, _CHARGE_OUT, _ENERGY_IN, _ENERGY_OUT))
    return Counts(*values)
