"""The audit: the database at the end of a case against what its journals were given, and against the truth."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from typing import cast

import orjson

from labctl.drill.site import Site
from labctl.drill.witness import Breach
from labctl.drill.world import Kept, World
from labctl.quantity import Dimension, QuantityError, parse
from labctl.reading import COLUMNS, Event, Reading, RunState
from labctl.record.recompute import recompute
from labctl.record.schema import CYCLE_COLUMNS, STEP_COLUMNS
from labctl.sim.counts import Counts

_OF_THE_JOURNAL = ("gap", "run.ended")
"""Events that a journal gets from who takes it over."""
_AH = 3600.0
_TIME, _STEP, _VOLTAGE = (COLUMNS.index(name) for name in ("test_time_second", "step_count", "voltage_volt"))
SHORTEST = 1.0
"""s that a step of a program lasts whose voltage is held against its cut-off: a shorter one may have no such row."""
END_BAND = 0.5
"""s by which the last row of a step may be older than its end."""
CUT_OFF_BAND = 0.02
"""V by which the last row of a step may miss its cut-off."""
LEDGER_BAND = 0.03
"""Of the charge that passed the terminals."""
SIMULTANEOUS = 0.1
"""s by which the clocks of an instrument and of its host may differ at one instant."""
EDGE = 2.0
"""s of the largest current that a ledger may miss at each beginning and end of a step."""


def audit(world: World) -> Iterator[Breach]:
    """Yield every promise that the database shows to be broken."""
    database = world.folder / "lab.db"
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        for number, record in connection.execute("SELECT seq, record FROM quarantine"):
            yield Breach("nothing is put aside", "database", 0.0, f"record {number}: {record[:200]}")
        for kept in world.kept.values():
            yield from _Run(connection, kept, world).breaches()


class _Run:
    """One run or watch in the database."""

    def __init__(self, connection: sqlite3.Connection, kept: Kept, world: World) -> None:
        self._connection = connection
        self._kept = kept
        self._site: Site = world.witnesses[kept.station].site
        self._programmable = world.witnesses[kept.station].programmable
        self._id: int | None = None

    def breaches(self) -> Iterator[Breach]:
        """Yield what is wrong with it."""
        found = self._connection.execute(
            "SELECT id, state, ended_unix_second FROM runs WHERE uuid = ?", (self._kept.run,)
        ).fetchone()
        if found is None:
            if self._kept.told:
                yield self._breach("no row is lost", f"the run with its {len(self._kept.told)} records is not there")
            return
        self._id, state, ended = found
        if state not in set(RunState) - {RunState.RUNNING} or ended is None:
            yield self._breach("every run has a named end", f'its state is "{state}"')
        yield from self._of_records()
        yield from self._of_tables()
        yield from self._of_ends()
        yield from self._of_ledger()

    def _breach(self, promise: str, seen: str) -> Breach:
        return Breach(promise, self._kept.station, 0.0, f"{seen} (run {self._kept.run[:8]})")

    # -- records -----------------------------------------------------------------------------------------------------

    def _of_records(self) -> Iterator[Breach]:
        columns = ", ".join(COLUMNS)
        rows: dict[int, object] = {
            seq: tuple(values)
            for seq, *values in self._connection.execute(
                f"SELECT seq, {columns} FROM readings WHERE run_id = ? ORDER BY seq", (self._id,)
            )
        }
        events = {
            seq: (kind, time, message, orjson.loads(data))
            for seq, kind, time, message, data in self._connection.execute(
                "SELECT seq, kind, test_time_second, message, data FROM events WHERE run_id = ?", (self._id,)
            )
        }
        burnt = {
            number
            for kind, _, _, data in events.values()
            if kind == "gap"
            for number in range(data["first"], data["last"] + 1)
        }
        for number, record in self._kept.told.items():
            if isinstance(record, Reading):
                stored, wanted = rows.pop(number, None), cast("object", record.values)
            else:
                data = orjson.loads(orjson.dumps(record.data))
                stored = events.pop(number, None)
                wanted = (record.kind, record.test_time_second, record.message, data)
            if stored != wanted:
                yield self._breach("no row is lost", f"record {number} is stored as {stored!r}, and was {wanted!r}")
                return
        extra = [*rows, *(number for number, (kind, *_) in events.items() if kind not in _OF_THE_JOURNAL)]
        if extra:
            yield self._breach("no row is doubled", f"records {extra[:10]} are stored, and nobody told them")
        stored_numbers = {*self._kept.told, *events, *burnt}
        missing = set(range(1, max(stored_numbers) + 1)) - stored_numbers
        if missing:
            yield self._breach("gaps are marked", f"numbers {sorted(missing)[:10]} are neither stored nor in a gap")

    def _of_tables(self) -> Iterator[Breach]:
        assert self._id is not None
        times = [
            time
            for (time,) in self._connection.execute(
                "SELECT test_time_second FROM readings WHERE run_id = ? ORDER BY seq", (self._id,)
            )
        ]
        back = next((pair for pair in pairwise(times) if pair[1] < pair[0] - SIMULTANEOUS), None)
        if back is not None:
            yield self._breach("rows are in order", f"test time goes back from {back[0]} to {back[1]} s")
        steps, cycles = recompute(self._connection, self._id, 0)
        for name, columns, wanted in (("steps", STEP_COLUMNS, steps), ("cycles", CYCLE_COLUMNS, cycles)):
            key = columns[0]
            query = f"SELECT {', '.join(columns)} FROM {name} WHERE run_id = ? ORDER BY {key}"
            stored = [dict(zip(columns, row, strict=True)) for row in self._connection.execute(query, (self._id,))]
            if stored != wanted:
                wrong = next((pair for pair in zip(stored, wanted, strict=False) if pair[0] != pair[1]), None)
                yield self._breach(f"{name} equal their rows", f"{wrong or (len(stored), len(wanted))!r}")

    # -- what rows mean ----------------------------------------------------------------------------------------------

    def _well(self) -> bool:
        """Whether nothing befell the cycler or the cell: what rows say can then be held against the truth."""
        return not self._kept.deaths and all(fault.instrument not in ("cycler", "cell") for fault in self._site.faults)

    def _of_ends(self) -> Iterator[Breach]:
        """A step ends with a row; where it ended at a voltage or after a time, that row shows it."""
        verbs: dict[int, str] = {}
        begins: dict[int, float] = {}
        row: tuple[float | int | None, ...] | None = None
        for record in self._kept.told.values():
            if isinstance(record, Reading):
                row = record.values
                begins.setdefault(int(row[_STEP] or 0), row[_TIME] or 0.0)
            elif record.kind == "step.started":
                verbs[record.data["step_count"]] = record.data["verb"]
            elif record.kind == "step.ended" and row is not None and not self._kept.deaths:
                count, reason = int(record.data["step_count"]), str(record.data["reason"])
                if row[_STEP] != count:
                    yield self._breach("a step ends with a row", f"step {count} has none behind its last event")
                elif self._well():
                    yield from self._of_end(count, verbs.get(count, ""), reason, row, begins.get(count, 0.0))

    def _of_end(
        self, count: int, verb: str, reason: str, row: tuple[float | int | None, ...], began: float
    ) -> Iterator[Breach]:
        value, seconds, voltage = _read(reason, Dimension.VOLTAGE), _read(reason, Dimension.TIME), row[_VOLTAGE]
        lasted = (row[_TIME] or 0.0) - began
        shown = lasted > SHORTEST or not self._programmable
        if value is not None and voltage is not None and verb in ("charge", "discharge") and shown:
            missed = value - voltage if verb == "charge" else voltage - value
            if missed > CUT_OFF_BAND:
                yield self._breach("a step ends where it says", f"step {count}: {voltage} V for {reason}")
        if seconds is not None and not self._site.faults and lasted < seconds - END_BAND and not self._paused():
            yield self._breach("a step ends when it says", f"step {count}: {lasted:.1f} s for {reason}")
        if (row[_TIME] or 0.0) < self._ended_at(count) - END_BAND:
            yield self._breach("a step ends with a row", f"step {count}: its last one is older than its end")

    def _paused(self) -> bool:
        return any(isinstance(each, Event) and each.kind == "run.paused" for each in self._kept.told.values())

    def _ended_at(self, count: int) -> float:
        return next(
            record.test_time_second
            for record in self._kept.told.values()
            if isinstance(record, Event) and record.kind == "step.ended" and record.data["step_count"] == count
        )

    def _of_ledger(self) -> Iterator[Breach]:
        """What was counted is what passed the terminals."""
        before, after = self._kept.passed
        if self._kept.plan is None or before is None or after is None or not self._well():
            return
        rows = [record.values for record in self._kept.told.values() if isinstance(record, Reading)]
        steps = sum(isinstance(r, Event) and r.kind == "step.started" for r in self._kept.told.values())
        if not rows:
            return
        slack = (steps + 1) * EDGE * self._kept.plan.limits.current
        for column, way in (("charging_capacity_ah", "charge_in"), ("discharging_capacity_ah", "charge_out")):
            counted = float(rows[-1][COLUMNS.index(column)] or 0.0) * _AH
            passed = _between(before, after, way)
            if abs(counted - passed) > LEDGER_BAND * passed + slack:
                yield self._breach("the ledger counts what passed", f"{column}: {counted:.4g} C of {passed:.4g} C")


def _between(before: Counts, after: Counts, name: str) -> float:
    return float(getattr(after, name) - getattr(before, name))


def _read(reason: str, dimension: Dimension) -> float | None:
    if not re.fullmatch(r"[0-9.]+ \w+", reason):
        return None
    try:
        return float(parse(reason, dimension))
    except QuantityError:
        return None
