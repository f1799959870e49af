"""A database in trouble: locked, read-only, full, damaged, of another version; journals keep all, and it goes on."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from labctl.bus.local import LocalBus
from labctl.bus.topics import Process
from labctl.clock import host_sleep
from labctl.errors import StorageError
from labctl.reading import Record
from labctl.record import recorder
from labctl.record.datapath import DataPath, open_data_path
from labctl.record.repair import repair
from labctl.record.schema import DamagedDatabase, connect
from labctl.record.writer import Writer
from tests.laboratory import batches, experiment, new_run, reading, started
from tests.record.evidence import assert_whole, stored

HOST = Process("lab", "pc")
PAGE = 4096


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "_PAUSE_IN_TROUBLE", 0.02)


@asynccontextmanager
async def opened(database: Path) -> AsyncIterator[DataPath]:
    async with (
        asyncio.timeout(30),
        open_data_path(LocalBus(), HOST, journals(database), database, patient=True) as path,
    ):
        yield path


def journals(database: Path) -> Path:
    return database.with_name(database.name + ".journal")


async def troubled(path: DataPath) -> str:
    while not path.trouble:
        await host_sleep(0.01)
    return path.trouble


def a_run() -> tuple[str, list[Record]]:
    return (run := new_run()), list(experiment(run, seed=12, rows=30))


async def test_a_locked_database_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has it open in another program and holds a transaction."""
    database, (run, records) = tmp_path / "lab.db", a_run()
    async with opened(database) as path:
        delivery = path.begin(run, "A1", simulated=True)
        delivery.record(records[0])
        await delivery.settled()
        path._recorder._writer._connection.execute("PRAGMA busy_timeout = 10")  # type: ignore[union-attr]
        with closing(sqlite3.connect(database, isolation_level=None)) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            for record in records[1:]:
                delivery.record(record)
            assert "database is locked" in await troubled(path)
            assert delivery.backlog == len(records) - 1
            somebody.execute("ROLLBACK")
        assert await delivery.close()
        assert path.trouble == ""
    assert_whole(database)
    assert len(stored(database)[run]) == len(records)


def test_a_disk_that_is_really_read_only_is_waited_for(tmp_path: Path) -> None:
    """The disk of the database is mounted read-only when the recorder begins, as Linux does after an error."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("nobody may mount a disk here: unshare -rm is refused")
    command = ["unshare", "-rm", sys.executable, "-m", "tests.record.read_only_disk", str(tmp_path)]
    root = Path(__file__).parents[2]
    said = subprocess.run(command, check=False, capture_output=True, text=True, cwd=root, timeout=100)
    assert said.returncode == 0, said.stderr
    trouble, count = said.stdout.splitlines()
    assert "cannot be opened for writing" in trouble
    assert count == "41"


async def test_a_read_only_database_is_waited_for(tmp_path: Path) -> None:
    """The same where no disk may be mounted: SQLite is told to refuse every write."""
    database, (run, records) = tmp_path / "lab.db", a_run()
    async with opened(database) as path:
        delivery = path.begin(run, "A1", simulated=True)
        delivery.record(records[0])
        await delivery.settled()
        connection = path._recorder._writer._connection  # type: ignore[union-attr]
        connection.execute("PRAGMA query_only = ON")
        for record in records[1:]:
            delivery.record(record)
        assert "attempt to write a readonly database" in await troubled(path)
        connection.execute("PRAGMA query_only = OFF")
        assert await delivery.close()
    assert len(stored(database)[run]) == len(records)


async def test_a_full_database_is_waited_for(tmp_path: Path) -> None:
    database, (run, records) = tmp_path / "lab.db", a_run()
    async with opened(database) as path:
        delivery = path.begin(run, "A1", simulated=True)
        delivery.record(records[0])
        await delivery.settled()
        connection = path._recorder._writer._connection  # type: ignore[union-attr]
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        for record in records[1:]:
            delivery.record(record)
        assert "database or disk is full" in await troubled(path)
        connection.execute("PRAGMA max_page_count = 1000000")
        assert await delivery.close()
    assert_whole(database)


def spoil(database: Path, how: str) -> None:
    content = bytearray(database.read_bytes())
    match how:
        case "zeros":
            content[: 2 * PAGE] = bytes(2 * PAGE)
        case "garbage":
            for page in range(2, len(content) // PAGE):
                content[page * PAGE : page * PAGE + 200] = b"\x77" * 200
        case "truncated":
            del content[3 * PAGE :]
        case _:
            content[:] = b"not a database, but somebody's notes" * 200
    database.write_bytes(content)
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


@pytest.mark.parametrize("how", ["zeros", "garbage", "truncated", "no database"])
async def test_a_damaged_database_is_left_alone_until_a_repaired_one_is_in_its_place(tmp_path: Path, how: str) -> None:
    """A run goes on into its journal; repair works while it does, and what is recorded continues in the copy."""
    database, (run, records), earlier = tmp_path / "lab.db", a_run(), new_run()
    with closing(Writer(database)) as writer:
        writer.apply(batches(earlier, list(experiment(earlier, seed=13, rows=60)), 50))
    before = len(stored(database)[earlier])
    spoil(database, how)
    async with opened(database) as path:
        delivery = path.begin(run, "A1", simulated=True)
        for record in records[:40]:
            delivery.record(record)
        said = await troubled(path)
        assert "is damaged" in said
        spoilt = database.read_bytes()
        for record in records[40:]:
            delivery.record(record)
        await delivery.durable()
        await host_sleep(0.05)
        assert database.read_bytes() == spoilt, "nothing is written into it"
        copy = tmp_path / "copy.db"
        result = await asyncio.to_thread(repair, database, copy, journals(database), lambda *_: None)
        assert result.delivered >= len(records)
        await asyncio.to_thread(replace, copy, database)
        assert await delivery.close()
        assert path.trouble == ""
    found = stored(database)
    assert len(found[run]) == len(records)
    if how in ("zeros", "garbage"):
        assert len(found.get(earlier, {})) <= before
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)


def replace(copy: Path, database: Path) -> None:
    aside = database.with_name("aside")
    aside.mkdir()
    for path in database.parent.glob("lab.db*"):
        if path.name in ("lab.db", "lab.db-wal", "lab.db-shm"):
            path.rename(aside / path.name)
    copy.rename(database)


def test_damage_that_is_met_in_the_middle_closes_the_database(tmp_path: Path) -> None:
    """Its lock is let go, no new file is begun in its place, and another file is opened."""
    database, (run, records) = tmp_path / "lab.db", a_run()
    writer = Writer(database)
    parts = batches(run, records, 50)
    writer.apply(parts[:4])
    writer._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sound = database.read_bytes()
    spoilt = bytearray(sound)
    for page in range(2, len(spoilt) // PAGE):
        spoilt[page * PAGE] = 0x77
    database.write_bytes(spoilt)
    writer._connection.execute("PRAGMA cache_size = 0")
    writer._connection.execute("PRAGMA shrink_memory")
    with pytest.raises(DamagedDatabase, match="is damaged"):
        writer.apply(parts)
    with pytest.raises(DamagedDatabase, match="Nothing is written into it"):
        writer.apply(parts)
    database.rename(tmp_path / "old.db")
    with pytest.raises(DamagedDatabase):
        writer.apply(parts)
    assert not database.exists()
    (tmp_path / "new.db").write_bytes(sound)
    (tmp_path / "new.db").rename(database)
    [watermark] = writer.apply(parts)
    assert watermark.seq == len(records)
    writer.close()
    assert_whole(database)


def test_a_newer_database_is_not_touched(tmp_path: Path) -> None:
    database = tmp_path / "lab.db"
    with closing(connect(database)) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, '')",
            ("labctl.record", "9999_later"),
        )
        connection.execute("PRAGMA journal_mode = DELETE")
    before = database.read_bytes()
    with pytest.raises(StorageError, match=r"of a newer labctl \(9999_later\)"):
        Writer(database)
    writer = Writer(database, patient=True)
    with pytest.raises(StorageError, match="of a newer labctl"):
        writer.apply(batches(run := new_run(), [started(run), reading(2)], 10))
    writer.close()
    assert database.read_bytes() == before


def test_who_is_not_patient_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "lab.db").write_bytes(os.urandom(3 * PAGE))
    with pytest.raises(DamagedDatabase, match="is damaged, or is none: file is not a database"):
        Writer(tmp_path / "lab.db")
