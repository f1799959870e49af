"""Beats of processes that are there, and of such that are not."""

import os
import subprocess
import sys
from pathlib import Path

from labctl.lab.heartbeat import Beat, StationBeat, beat_file, boot_id, process_start, write


def beat_of(pid: int, *stations: str, monotonic: float = 0.0, **more: object) -> Beat:
    """Return a beat of a process that exists."""
    start = process_start(pid)
    assert start is not None
    said: dict[str, object] = {
        "pid": pid,
        "process_start": start,
        "boot": boot_id(),
        "monotonic_second": monotonic,
        "unix_second": 0.0,
        "simulate": False,
        "ended": False,
        "stations": {name: StationBeat(connected=True, addresses={}) for name in stations},
    }
    return Beat.model_validate(said | more)


def sleeper() -> subprocess.Popen[bytes]:
    """Start a process that lives until it is killed."""
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def dead(*stations: str, **more: object) -> Beat:
    """Return a beat of a process that has died."""
    process = sleeper()
    beat = beat_of(process.pid, *stations, **more)
    process.kill()
    process.communicate()
    return beat


def leave(folder: Path, beat: Beat) -> None:
    """Leave a beat in a data folder."""
    beat_file(folder).parent.mkdir(parents=True, exist_ok=True)
    write(beat_file(folder), beat)


def mine(*stations: str, **more: object) -> Beat:
    """Return a beat of this very process."""
    return beat_of(os.getpid(), *stations, **more)
