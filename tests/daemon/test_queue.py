"""Queues across restarts, and a waiting run that is named by the beginning of its UUID."""

from pathlib import Path
from uuid import uuid4

import pytest

from labctl.api import Start
from labctl.config import load
from labctl.daemon.queue import Entry, Queue, remove
from labctl.errors import RefusedForSafety
from labctl.reading import RunState
from tests.daemon.lab import living
from tests.stations import CONFIG, HEAD

FIRST, SECOND, THIRD = "aa11", "aa22", "bb33"


PLAIN = Start(file="p.toml", protocol="x")


def entry(run: str, start: Start = PLAIN) -> Entry:
    return Entry(run=run, user="anna", protocol="p", cell="c", queued_unix_second=0.0, start=start)


@pytest.fixture
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the daemon of a test data of its own."""
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))


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


@pytest.mark.usefixtures("own_data")
async def test_a_run_whose_daemon_died_before_it_began_waits_for_a_person(tmp_path: Path) -> None:
    queue = Queue(load(CONFIG).storage.folder / "queue" / "A3.json")
    for run, rest in ((str(uuid4()), "1 min"), (str(uuid4()), "2 min")):
        start = Start(file="p.toml", protocol=HEAD + f'[[step]]\nrest = "{rest}"\n')
        queue.add(entry(run, start))
    current = queue.take()
    async with living(tmp_path) as here:
        state = await here.until("A3", lambda state: len(state.queue) == 2)
        assert state.queue[0].run == current.run
        assert "the daemon died before it had begun" in state.why
        assert [(alarm.latched, alarm.active) for alarm in state.alarms] == [(False, False)], "told, and nothing lost"
        await here.lab.resume("A3")
        assert (await here.stored(current.run)).state is RunState.COMPLETED


@pytest.mark.usefixtures("own_data")
async def test_a_run_that_is_known_is_lost_with_its_daemon(tmp_path: Path) -> None:
    async with living(tmp_path) as here:
        done = await here.lab.start(here.protocol('[[step]]\nrest = "1 min"\n'), station="A3")
        await here.stored(done.run)
        await here.idle("A3")
    queue = Queue(load(CONFIG).storage.folder / "queue" / "A3.json")
    queue.add(entry(done.run))
    queue.take()
    async with living(tmp_path) as here:
        state = await here.until("A3", lambda state: "is lost" in state.why)
        assert not state.queue
