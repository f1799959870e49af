"""The journal: numbers, durability, torn tails, other owners, and disks that refuse."""

import errno
import os
import zlib
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.engine import journal as journal_module
from labctl.engine.journal import Journal
from labctl.engine.segment import parse, record_line
from labctl.errors import RefusedForSafety, StorageError
from labctl.reading import COLUMNS, EARLIER_NAMES, Event, Reading
from tests.laboratory import ended, new_run, reading, started


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_RECORDS", 10)


def filled(root: Path, run: str, count: int) -> Journal:
    journal = Journal.create(root, run, "A1", simulated=True)
    journal.append(started(run))
    for number in range(2, count + 1):
        assert journal.append(reading(number)) == number
        if number % 7 == 0:
            journal.flush()
    journal.flush()
    return journal


def test_only_what_was_flushed_can_be_read(tmp_path: Path) -> None:
    run = new_run()
    journal = Journal.create(tmp_path, run, "A1", simulated=True)
    assert journal.append(started(run)) == 1
    assert (journal.last, journal.durable, journal.read(0, 10)) == (1, 0, [])
    journal.flush()
    assert journal.durable == 1
    [(number, payload)] = journal.read(0, 10)
    assert number == 1
    assert Event(**orjson.loads(payload)).data["run"] == run
    journal.close()


def test_a_line_is_a_checksum_and_json(tmp_path: Path) -> None:
    run = new_run()
    journal = Journal.create(tmp_path, run, "A1", simulated=True)
    journal.append(reading(5))
    journal.close()
    header, line = (tmp_path / run / "0" / "000000000001.jsonl").read_bytes().splitlines(keepends=True)
    assert orjson.loads(header[9:]) == {
        "schema": 1,
        "run": run,
        "simulated": True,
        "channel": 0,
        "station": "A1",
        "columns": list(COLUMNS),
    }
    assert line == record_line(1, orjson.dumps(reading(5).values))
    assert record_line(1, b"[2]") == b"5685c333 [1,[2]]\n"


def test_reading_goes_on_across_segments_and_begins_again_anywhere(tmp_path: Path, small_segments: None) -> None:
    journal = filled(tmp_path, new_run(), 64)
    assert [n for n, _ in journal.read(0, 1000)] == list(range(1, 65))
    for after in (0, 9, 10, 37, 63, 64):
        assert [n for n, _ in journal.read(after, 13)] == list(range(after + 1, min(after + 13, 64) + 1))
    journal.close()


def test_forgetting_deletes_whole_segments_and_keeps_the_sequence(tmp_path: Path, small_segments: None) -> None:
    run = new_run()
    journal = filled(tmp_path, run, 64)
    files = len(list((tmp_path / run / "0").glob("*.jsonl")))
    journal.forget(30)
    assert 1 < len(list((tmp_path / run / "0").glob("*.jsonl"))) < files
    assert [n for n, _ in journal.read(30, 1000)] == list(range(31, 65))
    journal.forget(64)
    journal.close()
    again = Journal.open(tmp_path, run)
    assert again.append(reading(65)) == 65
    again.close()


def test_nothing_behind_the_forgotten_number_is_forgotten(tmp_path: Path, small_segments: None) -> None:
    journal = filled(tmp_path, new_run(), 40)
    for upto in range(41):
        journal.forget(upto)
        assert [n for n, _ in journal.read(upto, 100)] == list(range(upto + 1, 41))
    journal.close()


def test_a_living_owner_keeps_others_out(tmp_path: Path) -> None:
    run = new_run()
    journal = filled(tmp_path, run, 3)
    assert Journal.leftovers(tmp_path) == []
    with pytest.raises(RefusedForSafety, match="in use by another process"):
        Journal.open(tmp_path, run)
    journal.close()
    assert Journal.leftovers(tmp_path) == [(run, 0)]


def test_a_taken_over_journal_knows_its_station_its_times_and_its_end(tmp_path: Path) -> None:
    run = new_run()
    journal = filled(tmp_path, run, 9)
    journal.close()
    again = Journal.open(tmp_path, run)
    assert (again.station, again.last, again.durable, again.ended) == ("A1", 9, 9, False)
    assert again.last_times == (9.0, reading(9).values[0])
    again.append(ended(10.0))
    again.close()
    third = Journal.open(tmp_path, run)
    assert third.ended
    assert third.last == 10
    third.remove()
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_torn_tail_never_reuses_a_number(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("journals")
    run = new_run()
    journal = Journal.create(root, run, "A1", simulated=True)
    for number in range(1, 9):
        journal.append(reading(number))
    journal.close()
    path = root / run / "0" / "000000000001.jsonl"
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    garbage = data.draw(st.sampled_from([b"", b"\0" * 50, b"deadbeef [9,[1]]\n", b"\n\n"]))
    path.write_bytes(content[:cut] + garbage)
    whole = content[:cut].count(b"\n") - 1
    whole += garbage[:1] == content[cut : cut + 1] == b"\n"  # what is appended happens to end the line
    header_is_whole = whole >= 0
    torn = not (content[:cut] + garbage).endswith(b"\n") or bool(garbage)
    torn = torn and (cut > 0 or bool(garbage))

    again = Journal.open(root, run)
    again.flush()
    entries = [(n, orjson.loads(payload)) for n, payload in again.read(0, 100)]
    kept = [n for n, record in entries if isinstance(record, list)]
    assert kept == list(range(1, max(whole, 0) + 1))
    gaps = [(n, record["data"]) for n, record in entries if isinstance(record, dict)]
    if torn:
        [(number, gap)] = gaps
        assert gap["first"] == max(whole, 0) + 1
        assert gap["last"] >= gap["first"]
        assert number == gap["last"] + 1
        assert again.append(reading(50)) == number + 1
    else:
        assert gaps == []
        assert again.append(reading(50)) == max(whole, 0) + 1
    assert header_is_whole or not kept
    again.remove()


def test_numbers_burnt_by_one_torn_tail_stay_burnt_when_the_gap_is_torn_too(tmp_path: Path) -> None:
    run = new_run()
    filled(tmp_path, run, 5).close()
    folder = tmp_path / run / "0"
    first = folder / "000000000001.jsonl"
    first.write_bytes(first.read_bytes()[:-3])
    Journal.open(tmp_path, run).close()
    second = folder / "000000000006.jsonl"
    assert b'"gap"' in second.read_bytes()
    second.write_bytes(second.read_bytes()[:-20])
    journal = Journal.open(tmp_path, run)
    journal.flush()
    entries = journal.read(0, 10)
    assert [n for n, _ in entries] == [1, 2, 3, 4, 7]
    assert orjson.loads(entries[-1][1])["data"] == {"first": 5, "last": 6}
    journal.close()


def test_a_full_disk_keeps_records_in_memory_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run()
    journal = filled(tmp_path, run, 4)
    journal.append(reading(5))

    def no_room(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_room)
        for _ in range(2):
            with pytest.raises(StorageError, match="No space left on device"):
                journal.flush()
    assert (journal.durable, journal.buffered) == (4, 1)
    assert [n for n, _ in journal.read(0, 10)] == [1, 2, 3, 4]
    journal.append(reading(6))
    journal.flush()
    assert [n for n, _ in journal.read(0, 10)] == [1, 2, 3, 4, 5, 6]
    journal.close()
    again = Journal.open(tmp_path, run)
    again.flush()
    assert [n for n, _ in again.read(0, 10)] == [1, 2, 3, 4, 5, 6]
    again.close()


def flip(path: Path, number: int) -> None:
    """Change one bit in the line of a record."""
    lines = path.read_bytes().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if (entry := parse(line)) is not None and entry[0] == number)
    lines[at] = lines[at][:30] + bytes([lines[at][30] ^ 4]) + lines[at][31:]
    path.write_bytes(b"".join(lines))


def contents(journal: Journal) -> tuple[list[int], list[dict[str, int]]]:
    """Numbers of all records, and what the gaps among them name."""
    entries = [(number, orjson.loads(payload)) for number, payload in journal.read(0, 1000)]
    return [n for n, _ in entries], [r["data"] for _, r in entries if isinstance(r, dict) and r["kind"] == "gap"]


def aside(root: Path) -> list[str]:
    return sorted(path.name.split(".", 1)[1] for path in root.glob("*.damaged"))


@pytest.mark.parametrize("lives", [True, False], ids=["its owner lives", "its owner is dead"])
@pytest.mark.parametrize("number", [1, 2, 9, 13, 14, 15, 20, 25])
def test_a_flipped_bit_costs_one_record_and_is_marked(
    tmp_path: Path, small_segments: None, lives: bool, number: int
) -> None:
    run = new_run()
    journal = filled(tmp_path, run, 25)
    paths = sorted((tmp_path / run / "0").glob("*.jsonl"))
    path = next(path for path in reversed(paths) if int(path.stem) <= number)
    before = path.read_bytes()
    if not lives:
        journal.close()
    flip(path, number)
    damaged = path.read_bytes()
    if not lives:
        journal = Journal.open(tmp_path, run)
        journal.flush()
    numbers, gaps = contents(journal)
    if number == 25 and not lives:  # nobody can tell it from a torn tail
        assert (numbers, gaps) == ([*range(1, 25), 26], [{"first": 25, "last": 25}])
        assert aside(tmp_path) == []
    else:
        assert (numbers, gaps) == (list(range(1, 26)), [{"first": number, "last": number}])
        assert aside(tmp_path) == [f"0.{path.stem}.damaged"]
        assert next(tmp_path.glob("*.damaged")).read_bytes() == damaged != before
    assert journal.append(reading(30)) == numbers[-1] + 1
    journal.flush()
    journal.close()
    again = Journal.open(tmp_path, run)
    assert contents(again)[0] == [*numbers, numbers[-1] + 1]
    assert again.simulated
    again.remove()
    assert aside(tmp_path) == ([] if number == 25 and not lives else [f"0.{path.stem}.damaged"])


@pytest.mark.parametrize("lives", [True, False], ids=["its owner lives", "its owner is dead"])
@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("how", ["gone", "zeros", "empty", "half"])
def test_a_segment_that_is_lost_blocks_nothing(
    tmp_path: Path, small_segments: None, lives: bool, index: int, how: str
) -> None:
    run = new_run()
    journal = filled(tmp_path, run, 40)
    if not lives:
        journal.close()
    paths = sorted((tmp_path / run / "0").glob("*.jsonl"))
    first, last = int(paths[index].stem), int(paths[index + 1].stem) - 1
    content = paths[index].read_bytes()
    match how:
        case "gone":
            paths[index].unlink()
        case "zeros":
            paths[index].write_bytes(bytes(len(content)))
        case "empty":
            paths[index].write_bytes(b"")
        case _:
            paths[index].write_bytes(content[: len(content) // 2])
    if not lives:
        journal = Journal.open(tmp_path, run)
        journal.flush()
    numbers, gaps = contents(journal)
    if how == "gone" and index == 0 and not lives:  # nobody can tell it from what was delivered and forgotten
        assert (numbers, gaps) == (list(range(last + 1, 41)), [])
        journal.remove()
        return
    [gap] = gaps
    if how == "half":
        assert gap["first"] > first
        assert numbers == [*range(1, gap["first"]), *range(last, 41)]
    else:
        assert gap["first"] == first
        assert numbers == [*range(1, first), *range(last, 41)]
    assert gap["last"] == last
    journal.remove()


def test_a_damaged_first_line_is_known_from_another_or_from_the_beginning(tmp_path: Path) -> None:
    run = new_run()
    filled(tmp_path, run, 5).close()
    path = tmp_path / run / "0" / "000000000001.jsonl"
    path.write_bytes(b"x" + path.read_bytes()[1:])
    journal = Journal.open(tmp_path, run)
    assert (journal.station, journal.simulated) == ("A1", True)
    assert contents(journal) == ([1, 2, 3, 4, 5], [])
    journal.close()
    _, _, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(rest))
    with pytest.raises(StorageError, match="nothing in it says any more whose it is"):
        Journal.open(tmp_path, run)
    assert path.read_bytes() == b"".join(rest)


def test_a_disk_that_takes_half_a_line_and_lets_nobody_know_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk may take a part of a write without an error; the rest of what follows must not be lost with it."""
    from labctl.engine import journal as module

    journal = filled(tmp_path, new_run(), 4)
    journal._abandon_file()
    journal.append(reading(5))
    real, budget = module._write_whole, [30]

    class Short:
        def __init__(self, file: object) -> None:
            self.file = file

        def write(self, data: bytes) -> int:
            taken, budget[0] = data[: budget[0]], 0
            return int(self.file.write(taken))  # type: ignore[attr-defined]

    with monkeypatch.context() as patch:
        patch.setattr(module, "_write_whole", lambda file, data: real(Short(file), data))  # type: ignore[arg-type]
        with pytest.raises(StorageError, match="only 30 of"):
            journal.flush()
    assert len(list(journal.folder.glob("*.jsonl"))) == 1, "a segment that holds nothing is not left behind"
    journal.flush()
    assert [n for n, _ in journal.read(0, 10)] == [1, 2, 3, 4, 5]
    journal.close()


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    run = new_run()
    filled(tmp_path, run, 2).close()
    path = tmp_path / run / "0" / "000000000001.jsonl"
    _, *records = path.read_bytes().splitlines(keepends=True)
    body = orjson.dumps({"schema": 1, "run": run, "channel": 0, "station": "A1", "columns": ["voltage_volt"]})
    header = b"%08x %b\n" % (zlib.crc32(body), body)
    path.write_bytes(header + b"".join(records))
    with pytest.raises(StorageError, match="another version"):
        Journal.open(tmp_path, run)
    assert Journal.leftovers(tmp_path) == [(run, 0)]


def test_the_rows_of_an_earlier_version_are_put_into_today_s_columns(tmp_path: Path) -> None:
    run = new_run()
    filled(tmp_path, run, 2).close()
    path = tmp_path / run / "0" / "000000000001.jsonl"
    earlier = [name for name in COLUMNS if not name.startswith(("positive_torque", "positive_screw"))]
    names = {today: name for name, today in EARLIER_NAMES.items()}
    body = orjson.dumps(
        {"schema": 1, "run": run, "channel": 0, "station": "A1", "simulated": True}
        | {"columns": [names.get(name, name) for name in earlier]}
    )
    rows = [[100 * number + place for place in range(len(earlier))] for number in (1, 2)]
    lines = [body, *(b"[%d,%b]" % (number, orjson.dumps(row)) for number, row in enumerate(rows, 1))]
    path.write_bytes(b"".join(b"%08x %b\n" % (zlib.crc32(line), line) for line in lines))
    journal = Journal.open(tmp_path, run)
    journal.append(reading(3))
    journal.flush()
    found = [orjson.loads(payload) for _, payload in journal.read(0, 10)]
    journal.close()
    for row, stored in zip(rows, found, strict=False):
        said = dict(zip(COLUMNS, stored, strict=True))
        assert {name: said[name] for name in earlier} == dict(zip(earlier, row, strict=True))
        assert said["positive_torque_newton_metre"] is None
    assert len(found) == 3
    assert list(tmp_path.glob("*.earlier")), "what was there is kept"


def test_a_record_that_is_none_is_refused_and_takes_no_number(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, new_run(), "A1", simulated=True)
    with pytest.raises(StorageError, match=f"needs {len(COLUMNS)} values"):
        journal.append(Reading((1.0, 2.0)))
    with pytest.raises(StorageError, match=r"'note' cannot be written as JSON"):
        journal.append(Event("note", 0.0, 0.0, "", data={"who": object()}))
    assert journal.append(reading(1)) == 1
    journal.close()


@given(st.binary(max_size=80))
def test_no_garbage_is_taken_for_a_record(line: bytes) -> None:
    assert parse(line) is None


def test_a_second_run_of_the_same_name_is_refused(tmp_path: Path) -> None:
    run = new_run()
    filled(tmp_path, run, 2).close()
    with pytest.raises(StorageError, match="File exists"):
        Journal.create(tmp_path, run, "A1", simulated=True)
