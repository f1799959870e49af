"""Repair: whatever was done to a database, what can be read is in the copy and the rest is a gap."""

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import orjson
import pytest

from labctl.engine.journal import Journal
from labctl.errors import RefusedForSafety, StorageError
from labctl.reading import Event, Record
from labctl.record.queries import Queries
from labctl.record.recompute import recompute
from labctl.record.repair import Repaired, repair
from labctl.record.schema import CYCLE_COLUMNS, STEP_COLUMNS
from labctl.record.writer import Writer
from tests.laboratory import batches, experiment, new_run, reading, started
from tests.record.evidence import Payloads, rows, stored

PAGE = 4096


def nobody(what: str, done: int, of: int) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two completed runs, some 100 pages; one record is put aside, one event is longer than a page."""
    database = tmp_path_factory.mktemp("sound") / "lab.db"
    writer = Writer(database)
    for seed in (3, 4):
        run = new_run()
        records = list(experiment(run, seed, steps=16, rows=120))
        records.insert(5, Event("note", 1.0, 0.0, "long " * 3000))
        writer.apply(batches(run, records, 50))
    writer.apply(batches(run, [started(run), reading(9)], 50))
    writer.close()
    return database


@pytest.fixture
def database(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "lab.db"))


def write(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("lab.db*") if path.is_file()
    }


def named(payloads: Payloads) -> set[int]:
    """Numbers that gaps name."""
    gaps = [
        data["data"]
        for payload in payloads.values()
        if isinstance(data := orjson.loads(payload), dict) and data["kind"] == "gap"
    ]
    return {number for gap in gaps for number in range(gap["first"], gap["last"] + 1)}


def assert_consistent(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as connection, Queries(copy) as queries:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        for run in queries.runs(watches=True):
            steps, cycles = recompute(connection, run.id, 0)
            assert rows(connection, "steps", STEP_COLUMNS, run.id) == steps
            assert rows(connection, "cycles", CYCLE_COLUMNS, run.id) == cycles
            payloads = stored(copy)[run.uuid]
            assert set(payloads) | named(payloads) == set(range(1, queries.watermark(run.id) + 1))


def repaired(database: Path, sound: Path) -> tuple[Repaired, Path]:
    """Repair, and see that the original is as it was and that everything in the copy is true."""
    copy = database.with_name("copy.db")
    before = hashes(database.parent)
    result = repair(database, copy, database.with_name("lab.db.journal"), nobody)
    assert {**hashes(database.parent), "lab.db.lock": ""} == {**before, "lab.db.lock": ""}
    assert_consistent(copy)
    was, now = stored(sound), stored(copy)
    for run, payloads in now.items():
        true = {n: payload for n, payload in payloads.items() if b"the database was damaged" not in payload}
        assert true.items() <= was[run].items()
    lost = sum(len(was[run].keys() - now.get(run, {}).keys()) for run in was)
    lost += sum(b"the database was damaged" in payload for payloads in now.values() for payload in payloads.values())
    for run in was:  # whose watermark was on a page that is gone: what came behind the last record, nobody knows
        if any(run in told and "is not known" in told for told in result.told):
            lost -= sum(number > max(now[run]) for number in was[run])
    assert result.lost == lost
    assert list(copy.parent.glob("*.partial*")) == []
    return result, copy


def tables(database: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(database)) as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table}").fetchall()
            for table in ("runs", "readings", "events", "steps", "cycles", "watermarks", "quarantine")
        }


def test_a_sound_database_is_copied_as_it_is(database: Path, sound: Path) -> None:
    result, copy = repaired(database, sound)
    assert (result.lost, result.told) == (0, [])
    assert tables(copy) == tables(sound)
    assert result.rows["quarantine"] == 1


def test_without_its_first_page_nothing_is_lost_but_what_was_on_it(database: Path, sound: Path) -> None:
    """The header and the schema are on the first page: no SQLite opens such a file."""
    write(database, 0, bytes(PAGE))
    result, copy = repaired(database, sound)
    assert result.lost == 0
    assert tables(copy) == tables(sound)


@pytest.mark.parametrize("seed", range(8))
def test_pages_of_zeros_and_of_garbage_become_gaps(database: Path, sound: Path, seed: int) -> None:
    random = Random(seed)
    pages = database.stat().st_size // PAGE
    for page in random.sample(range(pages), 6):
        write(database, page * PAGE, bytes(PAGE) if random.random() < 0.5 else random.randbytes(PAGE))
    result, _ = repaired(database, sound)
    assert 0 < result.lost < 2000


@pytest.mark.parametrize("part", [0.3, 0.7])
def test_of_a_truncated_file_the_rest_is_kept(database: Path, sound: Path, part: float) -> None:
    with database.open("r+b") as file:
        file.truncate(int(database.stat().st_size * part))
    result, _ = repaired(database, sound)
    assert result.rows["readings"] > 100
    assert result.lost > 0 or any("not known" in told for told in result.told)


def test_every_page_may_be_lost(database: Path, sound: Path) -> None:
    """Also the roots of the trees, and the pages with the names of the runs."""
    content = database.read_bytes()
    for page in range(0, len(content) // PAGE, 9):
        write(database, page * PAGE, bytes(PAGE))
        _, copy = repaired(database, sound)
        copy.unlink()
        database.write_bytes(content)


def test_what_only_the_log_has_is_read_too(tmp_path: Path) -> None:
    database = tmp_path / "lab.db"
    writer = Writer(database)
    run = new_run()
    records: list[Record] = list(experiment(run, 5))
    writer.apply(batches(run, records[:30], 50))
    writer._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for batch in batches(run, records[30:], 40, first=31):
        writer.apply([batch])
    writer._connection.execute("BEGIN IMMEDIATE")
    writer._connection.execute("UPDATE runs SET operator = 'nobody'")
    twin = tmp_path / "killed"
    twin.mkdir()
    for path in tmp_path.glob("lab.db*"):
        shutil.copy(path, twin)
    writer._connection.execute("ROLLBACK")
    result, copy = repaired(twin / "lab.db", database)
    assert result.lost == 0
    assert tables(copy) == tables(database)
    writer.close()


def test_journals_go_on_behind_what_is_lost(tmp_path: Path) -> None:
    """The end of the database is lost, and the journal has forgotten what was there."""
    database, run = tmp_path / "lab.db", new_run()
    journals = tmp_path / "lab.db.journal"
    records: list[Record] = list(experiment(run, 6, steps=14, rows=60))
    journal = Journal.create(journals, run, "A1", simulated=True)
    for record in records[:300]:
        journal.append(record)
    journal.flush()
    journal._abandon_file()
    for record in records[300:]:
        journal.append(record)
    journal.flush()
    journal.forget(300)
    journal.close()
    writer = Writer(database)
    writer.apply(batches(run, records[:300], 50))
    writer.close()
    size = database.stat().st_size
    for page in range(size // PAGE // 2, size // PAGE):
        write(database, page * PAGE, bytes(PAGE))
    copy = tmp_path / "copy.db"
    result = repair(database, copy, journals, nobody)
    assert result.delivered == len(records) - 300
    assert_consistent(copy)
    with Queries(copy) as queries:
        row = queries.run(run)
        assert queries.watermark(row.id) == len(records)
        assert row.state == "completed"
    assert Journal.leftovers(journals) == [(run, 0)], "journals stay where they are"
    writer = Writer(copy)
    found = Journal.open(journals, run)
    parts = batches(run, records[300:], 50, first=301)
    assert [mark.seq for mark in writer.apply(parts)] == [len(records)]
    assert writer.quarantined == 0
    found.close()
    writer.close()


def test_a_living_recorder_and_a_file_that_is_there_refuse(database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    writer = Writer(database)
    with pytest.raises(RefusedForSafety, match="in use by another process"):
        repair(database, copy, tmp_path / "none", nobody)
    writer.close()
    copy.write_text("precious")
    with pytest.raises(RefusedForSafety, match="already"):
        repair(database, copy, tmp_path / "none", nobody)
    assert copy.read_text() == "precious"
    with pytest.raises(StorageError, match="There is no database"):
        repair(tmp_path / "absent.db", tmp_path / "new.db", tmp_path / "none", nobody)
