"""Answers about the past: as their models promise, and never longer than a message may be."""

import sqlite3
from pathlib import Path

import pytest

from labctl.api import Bucketed, CyclePage, Cycles, EventPage, Events, History, Reply, RunPage, Runs
from labctl.bus.codec import PAYLOAD_LIMIT
from labctl.daemon import answers
from labctl.errors import StorageError
from labctl.reading import Event, RunState
from labctl.record.writer import Writer
from tests.laboratory import batches, experiment, reading, started

FIRST = "11111111-d9cb-469f-a165-70867728950e"
SECOND = "22222222-d9cb-469f-a165-70867728950e"


NO_CELLS = Path("there is no such folder")


def answer(database: Path, question: History | Cycles | Events | Runs, cells: Path = NO_CELLS) -> dict[str, object]:
    return answers.answer(database, cells, question)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    writer = Writer(tmp_path / "lab.db")
    writer.apply(batches(FIRST, list(experiment(FIRST, seed=3)), 50))
    writer.apply(batches(SECOND, [started(SECOND), reading(2)], 50))
    writer.close()
    return tmp_path / "lab.db"


def test_the_history_of_a_run(database: Path) -> None:
    asked = History(run=FIRST[:8], columns=("voltage_volt", "negative_force_newton"), buckets=5)
    told = Bucketed.model_validate(answer(database, asked))
    assert len(told.x) == 5
    assert None not in told.low[0]
    assert told.low[1] == told.high[1] == [None] * 5


def test_cycles_come_in_pages(database: Path) -> None:
    every = CyclePage.model_validate(answer(database, Cycles(run=FIRST)))
    assert (every.more, every.active_mass) == (False, 1.1e-5)
    assert every.cycles[0].discharging_capacity_ah is not None
    first = CyclePage.model_validate(answer(database, Cycles(run=FIRST, limit=2)))
    assert first.more
    rest = CyclePage.model_validate(answer(database, Cycles(run=FIRST, after=first.cycles[-1].cycle_count)))
    assert first.cycles + rest.cycles == every.cycles


def test_the_mass_of_a_cell_is_the_one_that_its_file_gives_now(database: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "cells"
    shelf.mkdir()
    file = shelf / "cell.toml"
    file.write_text('schema = "1"\n[cell]\nname = "cell"\n[cell.positive]\nactive_mass = "13.2 mg"\n')
    assert answer(database, Cycles(run=FIRST), shelf)["active_mass"] == pytest.approx(1.32e-5)
    file.write_text("this is no cell")
    assert answer(database, Cycles(run=FIRST), shelf)["active_mass"] == 1.1e-5


def test_the_newest_events_of_a_run_and_of_all(database: Path) -> None:
    told = EventPage.model_validate(answer(database, Events(run=FIRST, limit=3))).events
    assert [event.kind for event in told] == ["run.ended", "step.ended", "step.started"]
    assert {event.run for event in told} == {FIRST}
    every = EventPage.model_validate(answer(database, Events(limit=500))).events
    assert {event.run for event in every} == {FIRST, SECOND}
    assert [event.unix_time_second for event in every] == sorted((e.unix_time_second for e in every), reverse=True)


def test_the_newest_runs(database: Path) -> None:
    told = RunPage.model_validate(answer(database, Runs())).runs
    assert [(run.run, run.state) for run in told] == [(SECOND, RunState.RUNNING), (FIRST, RunState.COMPLETED)]
    assert (told[1].protocol, told[1].cell, told[1].simulated) == ("doerrer-2021", "cell", True)
    assert len(RunPage.model_validate(answer(database, Runs(limit=1))).runs) == 1


@pytest.mark.parametrize(
    "asked", [History(run="ffff", columns=("voltage_volt",)), Cycles(run="ffff"), Events(run="ffff")]
)
def test_a_run_that_is_not_stored_is_told(database: Path, asked: History | Cycles | Events) -> None:
    with pytest.raises(StorageError, match=r"No run in .* is called 'ffff'"):
        answer(database, asked)


def test_an_unknown_column_is_told(database: Path) -> None:
    with pytest.raises(StorageError, match="no column volts"):
        answer(database, History(run=FIRST, columns=("volts",)))


def test_before_the_first_run_there_is_nothing(tmp_path: Path) -> None:
    absent = tmp_path / "lab.db"
    assert answer(absent, Runs()) == {"runs": []}
    assert answer(absent, Events()) == {"events": []}
    with pytest.raises(StorageError, match="There is no database"):
        answer(absent, Cycles(run=FIRST))


def test_an_answer_fits_into_a_message_however_much_was_said(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "lab.db")
    long = "\N{SNOWMAN}" * 9000
    events = [Event("note", float(number), float(number), long) for number in range(200)]
    writer.apply(batches(FIRST, [started(FIRST), *events], 50))
    writer.close()
    with sqlite3.connect(tmp_path / "lab.db") as connection:
        connection.execute("UPDATE runs SET protocol_title = ?", (long,))
    connection.close()
    told = answer(tmp_path / "lab.db", Events(limit=500))
    assert len(Reply(schema=1, id="x" * 200, data=told).model_dump_json().encode()) < PAYLOAD_LIMIT
    kept = EventPage.model_validate(told).events
    assert 100 < len(kept) < 201
    assert kept[0].unix_time_second == started(FIRST).unix_time_second, "what is left out is the oldest"
    assert len(RunPage.model_validate(answer(tmp_path / "lab.db", Runs())).runs[0].title or "") == 2000


def test_the_longest_history_fits_into_a_message() -> None:
    value = -1.2345678901234567e-300
    told = Bucketed(x=[value] * 2000, low=[[value] * 2000] * 8, high=[[value] * 2000] * 8, rows=1)
    reply = Reply(schema=1, id="x", data=told.model_dump(mode="json"))
    assert len(reply.model_dump_json().encode()) < PAYLOAD_LIMIT
