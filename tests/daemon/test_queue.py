"""Queues across restarts, and a waiting run that is named by the beginning of its UUID."""

from pathlib import Path

import pytest

from labctl.api import Start
from labctl.daemon.queue import Entry, Queue, remove
from labctl.errors import RefusedForSafety

FIRST, SECOND, THIRD = "aa11", "aa22", "bb33"


def entry(run: str) -> Entry:
    start = Start(file="p.toml", protocol="x")
    return Entry(run=run, user="anna", protocol="p", cell="c", queued_unix_second=0.0, start=start)


@pytest.fixture
def queues(tmp_path: Path) -> list[Queue]:
    one, other = Queue(tmp_path / "A1.json"), Queue(tmp_path / "A2.json")
    for queue, runs in ((one, (FIRST, SECOND)), (other, (THIRD,))):
        for run in runs:
            queue.add(entry(run))
    return [one, other]


def waiting(queues: list[Queue]) -> list[str]:
    return [queued.run for queue in queues for queued in queue.shown()]


@pytest.mark.parametrize("named", ["aa2", SECOND])
def test_a_run_is_taken_out_by_the_beginning_of_its_uuid(queues: list[Queue], tmp_path: Path, named: str) -> None:
    remove(queues, named)
    assert waiting(queues) == [FIRST, THIRD]
    assert waiting([Queue(tmp_path / "A1.json")]) == [FIRST]


def test_a_beginning_that_several_have_takes_none_out(queues: list[Queue]) -> None:
    with pytest.raises(RefusedForSafety, match="Several runs that wait begin with aa: aa11, aa22"):
        remove(queues, "aa")
    assert waiting(queues) == [FIRST, SECOND, THIRD]


def test_the_runs_of_several_queues_are_told_apart(queues: list[Queue]) -> None:
    queues[1].add(entry("aa44"))
    with pytest.raises(RefusedForSafety, match="begin with aa: aa11, aa22, aa44"):
        remove(queues, "aa")


def test_a_run_that_does_not_wait_is_refused(queues: list[Queue]) -> None:
    with pytest.raises(RefusedForSafety, match="No run cc waits in a queue"):
        remove(queues, "cc")
