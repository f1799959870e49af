"""The beat on disk, the watch over it, and the fence: each can tell a daemon from what has its number."""

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.guard.fence import NotFenced, fence
from labctl.guard.watch import LONGEST, LOOK, Verdict, Watch
from labctl.lab.heartbeat import beat_file, read, write
from tests.guard.beats import beat_of, dead, leave, mine, sleeper

PATIENCE = 1.0


def test_what_is_written_is_read_back_also_when_it_becomes_shorter(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    for stations in (("A1", "A2", "A3"), ("A1",), ()):
        leave(tmp_path, mine(*stations))
        assert read(tmp_path) == mine(*stations)


def test_a_beat_is_written_over_in_place(tmp_path: Path) -> None:
    leave(tmp_path, mine("A1"))
    before = beat_file(tmp_path).stat()
    leave(tmp_path, mine("A1", monotonic=1.0))
    after = beat_file(tmp_path).stat()
    assert (before.st_ino, before.st_size) == (after.st_ino, after.st_size)  # a full disk takes it, too


@given(at=st.integers(0, 200), byte=st.integers(0, 255))
def test_a_reader_that_meets_the_writer_never_believes_half_a_beat(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    leave(folder, mine("A1"))
    content = bytearray(beat_file(folder).read_bytes())
    content[at] = byte
    beat_file(folder).write_bytes(content)
    assert read(folder) in (None, mine("A1"))


def test_a_beat_of_a_version_that_is_not_understood_is_none(tmp_path: Path) -> None:
    leave(tmp_path, mine())
    beat_file(tmp_path).write_bytes(b"00000000 \n")
    assert read(tmp_path) is None


def test_a_guard_that_comes_first_waits(tmp_path: Path) -> None:
    watch = Watch(tmp_path, PATIENCE)
    assert watch.look(LOOK).verdict is Verdict.ABSENT
    leave(tmp_path, mine("A1"))
    assert watch.look(LOOK).verdict is Verdict.UNSURE
    leave(tmp_path, mine("A1", monotonic=0.5))
    assert watch.look(LOOK).verdict is Verdict.ALIVE


def test_a_daemon_that_stands_still_is_silent_after_the_patience_and_not_before(tmp_path: Path) -> None:
    watch = Watch(tmp_path, PATIENCE)
    leave(tmp_path, mine("A1"))
    verdicts = [watch.look(LOOK).verdict for _ in range(13)]
    assert verdicts[:10] == [Verdict.UNSURE] * 10
    assert verdicts[-1] is Verdict.SILENT
    leave(tmp_path, mine("A1", monotonic=0.5))
    assert watch.look(LOOK).verdict is Verdict.ALIVE


def test_what_the_guard_itself_slept_through_is_not_held_against_the_daemon(tmp_path: Path) -> None:
    watch = Watch(tmp_path, PATIENCE)
    leave(tmp_path, mine("A1"))
    watch.look(LOOK)
    assert watch.look(3600.0).verdict is Verdict.UNSURE
    assert LONGEST < PATIENCE


def test_a_daemon_that_ended_in_order_is_not_guarded_and_a_dead_one_is_found_at_once(tmp_path: Path) -> None:
    watch = Watch(tmp_path, PATIENCE)
    leave(tmp_path, dead("A1", ended=True))
    assert watch.look(LOOK).verdict is Verdict.ENDED
    leave(tmp_path, dead("A1"))
    found = watch.look(LOOK)
    assert found.verdict is Verdict.DEAD
    assert "is gone" in found.why


def test_another_process_of_the_same_number_is_not_the_daemon(tmp_path: Path) -> None:
    other = mine("A1", process_start=1)
    leave(tmp_path, other)
    assert Watch(tmp_path, PATIENCE).look(LOOK).verdict is Verdict.DEAD
    fence(other)  # this process lives on
    fence(mine("A1", boot="another"))


def test_a_stopped_process_is_ended(tmp_path: Path) -> None:
    process = sleeper()
    beat = beat_of(process.pid)
    process.send_signal(signal.SIGSTOP)
    assert beat.lives()
    fence(beat)
    assert not beat.lives()  # what its parent has not collected yet counts as dead
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    fence(beat)


def test_a_process_of_another_user_is_not_taken_for_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, number: int) -> None:
        raise PermissionError

    process = sleeper()
    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    with pytest.raises(NotFenced, match="another user"):
        fence(beat_of(process.pid))
    process.kill()
    process.communicate()


def test_a_disk_that_takes_nothing_is_an_error_of_the_writer(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        write(Path("/dev/full"), mine())
