"""Where a run is, as its journal says it: the newest position, moved on by what stands behind it, torn or not."""

from dataclasses import asdict, replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.engine import position
from labctl.engine.journal import SEGMENT_RECORDS, Journal
from labctl.engine.ledger import Counts
from labctl.engine.position import (
    KIND,
    Ending,
    Following,
    Hosted,
    Position,
    StepEnded,
    Surroundings,
    newest,
)
from labctl.plan import Then
from labctl.reading import COLUMNS, Event, Reading, Record, RunState
from tests.laboratory import EPOCH, new_run, reading, started

HERE = Position(
    path=(2, 5, 0),
    fired=(7,),
    cycle=4,
    step_count=10,
    counts=Counts(0.1, 0.3, 1.0 / 3.0, 1e-17),
    surroundings=Surroundings(30.0, (("negative", 2.5e6, 1e5),)),
    following=Following("token", 123, 100.0, EPOCH + 100.0, 4, Counts(), started=10, ended=10),
)


def told(where: Position) -> Event:
    return Event(KIND, EPOCH, 0.0, "", data=asdict(where))


def begins(count: int) -> Event:
    return Event("step.started", EPOCH, 0.0, "", data={"step_count": count, "verb": "charge"})


def ends(count: int) -> Event:
    return Event("step.ended", EPOCH, 0.0, "", data={"step_count": count, "reason": "4.3 V"})


def step(count: int, first: int, samples: int) -> list[Record]:
    """A step with its first row, some between and its last."""
    rows = [reading(first + n, step=count) for n in range(samples + 2)]
    return [begins(count), *rows, ends(count)]


def found(records: list[Record], root: Path) -> Position | None:
    run = new_run()
    journal = Journal.create(root, run, "A4", simulated=True)
    for record in records:
        journal.append(record)
    journal.close()
    again = Journal.open(root, run)
    try:
        return newest(again.read)
    finally:
        again.remove()


def test_a_journal_without_a_position_has_none(tmp_path: Path) -> None:
    assert found([started("x"), *step(1, 1, 5)], tmp_path) is None


def test_a_position_comes_back_as_it_was_to_the_last_bit(tmp_path: Path) -> None:
    assert found([told(HERE)], tmp_path) == HERE


def test_rows_behind_the_position_are_records_of_the_program(tmp_path: Path) -> None:
    old = replace(HERE, path=(0,), following=replace(HERE.following, records=50))
    where = found([told(old), *step(9, 1, 3), told(HERE), *step(11, 20, 4), *step(12, 30, 0)], tmp_path)
    assert where is not None
    assert where.following is not None
    assert (where.following.records, where.following.started, where.following.ended) == (8, 12, 12)
    charge = reading(30).values[COLUMNS.index("charging_capacity_ah")]
    assert where.following.step_counts is not None
    assert where.following.step_counts.charge_in == charge * 3600.0
    assert replace(where, following=HERE.following) == HERE


def test_rows_of_a_pause_are_the_hosts_own(tmp_path: Path) -> None:
    paused = replace(HERE, following=replace(HERE.following, records=3, paused=True, started=11, ended=10))
    where = found([told(paused), ends(11), *step(12, 20, 4)], tmp_path)
    assert where is not None
    assert where.following is not None
    assert (where.following.records, where.following.started, where.following.ended) == (3, 12, 12)


def test_rows_of_a_step_of_the_host_are_what_it_has_counted(tmp_path: Path) -> None:
    host = replace(HERE, following=None, hosted=Hosted(3, started=12, closed=12, holding=True))
    where = found(
        [told(HERE), *step(11, 1, 2), told(host), begins(13), reading(9, step=13), reading(10, step=13)], tmp_path
    )
    assert where is not None
    assert where.hosted is not None
    last, first = reading(10).values, reading(9).values
    assert where.counts.charge_in == last[COLUMNS.index("charging_capacity_ah")] * 3600.0
    assert where.hosted.carried.time == last[COLUMNS.index("step_time_second")]
    assert where.hosted.seen is not None
    assert where.hosted.seen.unix == last[COLUMNS.index("unix_time_second")]
    assert (where.hosted.started, where.hosted.closed) == (13, 12)
    assert first != last


def test_where_an_end_leads_is_known(tmp_path: Path) -> None:
    host = replace(HERE, following=None, hosted=Hosted(3, started=12, closed=12))
    over = Event("step.ended", EPOCH, 0.0, "", data={"step_count": 13, "reason": "x", "then": "goto", "label": "l"})
    where = found([told(host), begins(13), over], tmp_path)
    assert where is not None
    assert where.hosted is not None
    assert where.hosted.ended == StepEnded(Then.GOTO, "l")


@pytest.mark.parametrize(
    ("kind", "data", "state"),
    [("run.stopping", {"who": "ana"}, RunState.STOPPED), ("guard.tripped", {}, RunState.TRIPPED)],
)
def test_a_run_that_was_ending_is_known_to(tmp_path: Path, kind: str, data: dict[str, str], state: RunState) -> None:
    host = replace(HERE, following=None, hosted=Hosted(3))
    where = found([told(host), Event(kind, EPOCH, 0.0, "Why.", data=data), *step(13, 9, 2)], tmp_path)
    assert where is not None
    assert where.ending == Ending(state, "Why.", data.get("who", ""))


@given(data=st.data())
def test_a_torn_tail_neither_doubles_nor_loses_a_record(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root, run = tmp_path_factory.mktemp("journals"), new_run()
    records = [told(HERE), *step(11, 1, 2), *step(12, 8, 1), *step(13, 12, 0)]
    journal = Journal.create(root, run, "A4", simulated=True)
    for record in records:
        journal.append(record)
    journal.close()
    path = root / run / "0" / "000000000001.jsonl"
    content = path.read_bytes()
    lines = content.split(b"\n")
    first_line_behind = len(lines[0]) + len(lines[1]) + 2
    cut = data.draw(st.integers(first_line_behind, len(content)))
    path.write_bytes(content[:cut])
    kept = records[: content[:cut].count(b"\n") - 1]
    again = Journal.open(root, run)
    where = newest(again.read)
    again.flush()
    again.append(reading(99))
    again.flush()
    assert newest(again.read) != where, "what is written behind the gap counts on"
    again.remove()
    assert where is not None
    assert where.following is not None
    assert where.following.records == sum(isinstance(record, Reading) for record in kept)
    begun = [
        record.data["step_count"] for record in kept if isinstance(record, Event) and record.kind == "step.started"
    ]
    assert where.following.started == max([10, *begun])


def test_a_journal_keeps_what_is_behind_its_newest_position_on_disk(tmp_path: Path) -> None:
    run = new_run()
    journal = Journal.create(tmp_path, run, "A4", simulated=True)
    numbers = []
    for _ in range(3):
        journal.append(told(HERE))
        numbers.append(journal.last)
        for number in range(SEGMENT_RECORDS):
            journal.append(reading(number))
            if journal.buffered == 512:
                journal.flush()
    journal.flush()
    journal.append(told(HERE))
    journal.forget(journal.durable)
    first = journal.read(0, 1)[0][0]
    assert numbers[1] < first <= numbers[2], "one that is not on disk yet counts for nothing"
    assert orjson.loads(journal.read(numbers[2] - 1, 1)[0][1])["kind"] == KIND
    journal.flush()
    journal.forget(journal.durable)
    assert journal.read(0, 1)[0][0] > first
    journal.remove()


def test_positions_are_told_often_enough_for_one_segment_of_the_journal() -> None:
    assert position.EVERY < SEGMENT_RECORDS
