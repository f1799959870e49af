"""Backup: whole while a writer writes, verified, and what is restored from it goes on."""

import threading
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from labctl.bus.local import LocalBus
from labctl.bus.topics import Process
from labctl.clock import host_monotonic
from labctl.engine.journal import Journal
from labctl.errors import RefusedForSafety, StorageError
from labctl.reading import Record
from labctl.record import backup as module
from labctl.record.backup import Backup, back_up
from labctl.record.datapath import open_data_path
from labctl.record.writer import Writer
from tests.laboratory import batches, experiment, new_run, reading, started
from tests.record.evidence import assert_whole, stored

HOST = Process("lab", "pc")


def nobody(what: str, done: int, of: int) -> None:
    """Nobody watches."""


def test_a_backup_is_whole_while_a_recorder_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal's owner and the writer go on in a thread; nobody waits for the backup, which has one instant."""
    monkeypatch.setattr(module, "PAGES_AT_ONCE", 5)
    database, journals, run = tmp_path / "lab.db", tmp_path / "lab.db.journal", new_run()
    journal, writer = Journal.create(journals, run, "A1", simulated=True), Writer(database)
    enough, begun = threading.Event(), threading.Event()
    longest = [0.0]

    def measure() -> None:
        number = 1
        while not enough.is_set():
            records: list[Record] = [started(run)] if number == 1 else [reading(n) for n in range(number, number + 20)]
            for record in records:
                journal.append(record)
            journal.flush()
            begin = host_monotonic()
            for batch in batches(run, records, 50, first=number):
                writer.apply([batch])
            longest[0] = max(longest[0], host_monotonic() - begin)
            number += len(records)
            journal.forget(number - 1)
            if number > 400:
                begun.set()

    thread = threading.Thread(target=measure)
    thread.start()
    try:
        assert begun.wait(20)
        steps: list[int] = []
        made = back_up(database, journals, [], tmp_path / "kept", lambda what, done, of: steps.append(done))
    finally:
        enough.set()
        thread.join()
    later = stored(database)[run]
    journal.close()
    writer.close()
    folder = Path(made.folder)
    copied = stored(folder / "lab.db")[run]
    assert made.readings == len(copied) - 1 < len(later) - 1, "it was written meanwhile"
    assert copied == {number: later[number] for number in range(1, len(copied) + 1)}
    assert made.journals == (run,)
    assert len(steps) > 5
    assert longest[0] < 2.0
    assert list(folder.parent.iterdir()) == [folder]


def assert_private(folder: Path) -> None:
    assert folder.stat().st_mode & 0o077 == 0


async def test_what_is_restored_goes_on_and_ends(tmp_path: Path) -> None:
    database, journals, run = tmp_path / "lab.db", tmp_path / "lab.db.journal", new_run()
    records = list(experiment(run, 3))
    journal, writer = Journal.create(journals, run, "A1", simulated=True), Writer(database)
    for record in records[:-1]:
        journal.append(record)
    journal.flush()
    writer.apply(batches(run, records[:100], 50))
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "CD-031.toml").write_text("schema = '1'\n")
    (tmp_path / "config.toml").write_text("schema = '1'\n")
    others = [tmp_path / "config.toml", tmp_path / "cells", tmp_path / "absent"]
    made = back_up(database, journals, others, tmp_path / "kept", nobody)
    journal.close()
    writer.close()
    folder = Path(made.folder)
    assert_private(folder)
    assert orjson.loads((folder / "backup.json").read_bytes())["readings"] == made.readings
    assert (folder / "cells" / "CD-031.toml").read_text() == "schema = '1'\n"
    assert made.files == ("config.toml", "cells")
    async with open_data_path(LocalBus(), HOST, folder / "lab.db.journal", folder / "lab.db") as path:
        for delivery in path.recover():
            assert await delivery.close()
    assert_whole(folder / "lab.db")
    assert len(stored(folder / "lab.db")[run]) == len(records)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    with closing(Writer(tmp_path / "lab.db")) as writer:
        run = new_run()
        writer.apply(batches(run, list(experiment(run, 1)), 50))
    return tmp_path / "lab.db"


def taken(database: Path) -> Backup:
    return back_up(database, database.with_name("lab.db.journal"), [], database.parent / "kept", nobody)


def test_a_backup_that_cannot_be_read_back_is_none(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page under a tree goes bad between writing and reading back."""
    verify = module._verify

    def spoilt(database: Path, made: Backup, progress: module.Progress) -> None:
        with database.open("r+b") as file:
            file.seek(3 * 4096)
            file.write(bytes(4096))
        verify(database, made, progress)

    monkeypatch.setattr(module, "_verify", spoilt)
    with pytest.raises(StorageError):
        taken(recorded)
    assert list((recorded.parent / "kept").iterdir()) == []


def test_a_journal_that_was_forgotten_in_between_is_noticed(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, journals = new_run(), recorded.with_name("lab.db.journal")
    with closing(Writer(recorded)) as writer:
        writer.apply(batches(run, [started(run)], 50))
    assert taken(recorded).journals == (), "its journal is on another machine"
    monkeypatch.setattr(module, "host_unix", lambda: 1_800_000_001.0)
    journal = Journal.create(journals, run, "A1", simulated=True)
    journal.append(started(run))
    journal.close()
    copy, left = module._copy_journals, [3]

    def late(source: Path, kept: Path) -> None:
        left[0] -= 1
        if left[0] <= 0:
            copy(source, kept)

    monkeypatch.setattr(module, "_copy_journals", late)
    assert taken(recorded).journals == (run,)
    assert left[0] == 0
    monkeypatch.setattr(module, "_copy_journals", lambda source, kept: None)
    monkeypatch.setattr(module, "host_unix", lambda: 1_800_000_002.0)
    with pytest.raises(StorageError, match="do not join"):
        taken(recorded)


def test_what_is_there_is_not_overwritten(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "host_unix", lambda: 1_800_000_000.0)
    assert taken(recorded).folder.endswith("labctl-2027-01-15T080000Z")
    with pytest.raises(RefusedForSafety, match="already"):
        taken(recorded)
    with pytest.raises(StorageError, match="There is no database"):
        taken(recorded.with_name("absent.db"))
