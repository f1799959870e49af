"""The heartbeat of a daemon on disk: which process it is, when it last moved, and which instruments it has.

The file is written over in place and keeps its length: a full disk must not look like a dead daemon. A checksum tells
a reader that met the writer. It is not fsynced: after a power cut it may be some seconds older than the last beat.
"""

import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from labctl.api import State
from labctl.clock import host_monotonic, host_unix

PERIOD = 0.5
"""Host seconds between two beats of a daemon that moves."""
READS = 5
"""Attempts to read a file that is being written."""


class StationBeat(State):
    """A station of the daemon.

    Attributes:
        connected: whether its instruments answered.
        addresses: where each instrument is; for one that is not connected, as the configuration has it.
        program: token of the program that its cycler executes by itself; empty: none.
    """

    connected: bool
    addresses: Mapping[str, str]
    program: str = ""


class Beat(State):
    """What a daemon last said of itself.

    Attributes:
        process_start: when the kernel began the process, in its own ticks: a number of a process is used again.
        boot: the kernel's name for the time between two starts of the machine.
        monotonic_second: of the host's monotonic clock, which all processes of one boot share.
        simulate: whether the instruments were simulated in the daemon's own memory.
        ended: whether it has ended in order, with every station made safe.
    """

    pid: int
    process_start: int
    boot: str
    monotonic_second: float
    unix_second: float
    simulate: bool
    ended: bool
    stations: Mapping[str, StationBeat]

    @property
    def process(self) -> tuple[str, int, int]:
        """What no other process ever has in common with this one."""
        return self.boot, self.pid, self.process_start

    def exists(self) -> bool:
        """Whether the kernel still knows the process that said this, be it only what is left of it."""
        return self.boot == boot_id() and process_start(self.pid) == self.process_start

    def lives(self) -> bool:
        """Whether the process that said this still executes, or could."""
        return self.exists() and _stat(self.pid)[0] not in "ZX"


def beat_file(folder: Path) -> Path:
    """Return where the daemon of a data folder leaves its beats."""
    return folder / "run" / "heartbeat"


def write(file: Path, beat: Beat) -> None:
    """Write a beat over the one before; raises OSError."""
    content = beat.model_dump_json().encode()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(descriptor, b"%08x %s\n" % (zlib.crc32(content), content), 0)
    finally:
        os.close(descriptor)


def read(folder: Path) -> Beat | None:
    """Return the last beat of the daemon that has, or had, a data folder; None where none can be read."""
    for _ in range(READS):
        try:
            line = beat_file(folder).read_bytes().partition(b"\n")[0]
        except OSError:
            return None
        checksum, _, content = line.partition(b" ")
        if checksum == b"%08x" % zlib.crc32(content):
            return _beat(content)
    return None


def _beat(content: bytes) -> Beat | None:
    try:
        return Beat.model_validate_json(content)
    except ValidationError:  # of another version
        return None


def silent_for(beat: Beat | None) -> float | None:
    """Return the s since a beat; None where nobody knows: there is none, or a clock was set back over a restart."""
    if beat is None:
        return None
    if beat.boot == boot_id():
        return host_monotonic() - beat.monotonic_second
    passed = host_unix() - beat.unix_second
    return passed if passed >= 0.0 else None


def process_start(pid: int) -> int | None:
    """Return when the kernel began a process, in its own ticks since the boot; None where there is none."""
    start = _stat(pid)[1]
    return int(start) if start else None


def _stat(pid: int) -> tuple[str, str]:
    """Return state and start of a process as proc(5) has them; of none, that it is dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return "X", ""
    return fields[0], fields[19]


def boot_id() -> str:
    """Return the kernel's name for the time since the machine was started."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
