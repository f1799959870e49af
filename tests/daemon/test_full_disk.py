"""A disk that refuses pauses what runs, says so, and lets it go on when there is room; no other pause is undone."""

import errno
import os
from pathlib import Path

import pytest

from labctl.api import Word
from labctl.clock import host_sleep
from labctl.reading import RunState
from labctl.record import datapath
from tests.daemon.lab import Laboratory, living

LONG = '[[step]]\nname = "wait"\nrest = "300 d"\n'


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(datapath, "RETRY", 0.02)


class Disk:
    """Refuses what a full one refuses, while it is full."""

    def __init__(self) -> None:
        self.full = False
        self._fsync = os.fsync

    def fsync(self, descriptor: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._fsync(descriptor)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(os, "fsync", disk.fsync)
    return disk


async def fill(disk: Disk, here: Laboratory) -> None:
    """Fill the disk, and wait until the run stands still and somebody has been told."""
    disk.full = True
    await here.lab.note("A1", "something to write")
    state = await here.until(
        "A1", lambda state: state.word is Word.PAUSED and any(alarm.quantity == "disk" for alarm in state.alarms)
    )
    [alarm] = [alarm for alarm in state.alarms if alarm.quantity == "disk"]
    assert "No space left on device" in alarm.sentence
    assert not alarm.latched


async def test_a_run_pauses_for_a_full_disk_and_goes_on_by_itself(tmp_path: Path, disk: Disk) -> None:
    async with living(tmp_path, speed=600.0) as here:
        run = (await here.lab.start(here.protocol(LONG), station="A1")).run
        await here.until("A1", lambda state: state.word is Word.REST)
        await fill(disk, here)
        await here.lab.resume("A1")
        await here.until("A1", lambda state: state.word is Word.REST)
        await here.until("A1", lambda state: state.word is Word.PAUSED)  # the disk is full still
        disk.full = False
        state = await here.until("A1", lambda state: state.word is Word.REST)
        assert not [alarm for alarm in state.alarms if alarm.quantity == "disk" and alarm.active]
        await here.lab.stop("A1", "enough")
        stored = await here.stored(run)
        assert stored.state is RunState.STOPPED
        told = [
            (event.kind, event.data["who"])
            for event in here.events(stored)
            if event.kind.startswith("run.") and event.kind in ("run.paused", "run.resumed")
        ]
        assert told[0] == ("run.paused", "the disk")
        assert told[-1] == ("run.resumed", "the disk")


async def test_who_pauses_meanwhile_is_not_resumed(tmp_path: Path, disk: Disk) -> None:
    async with living(tmp_path, speed=600.0) as here:
        run = (await here.lab.start(here.protocol(LONG), station="A1")).run
        await here.until("A1", lambda state: state.word is Word.REST)
        await fill(disk, here)
        await here.lab.pause("A1", "I want to look at it")
        disk.full = False
        await here.until("A1", lambda state: not [a for a in state.alarms if a.quantity == "disk" and a.active])
        await host_sleep(0.05)
        assert here.lab.stations["A1"].word is Word.PAUSED
        await here.lab.resume("A1")
        await here.until("A1", lambda state: state.word is Word.REST)
        await here.lab.stop("A1", "enough")
        assert (await here.stored(run)).state is RunState.STOPPED
