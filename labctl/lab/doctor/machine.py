"""Whether the machine can keep a laboratory: permissions, time, disk, and the terminal of whoever asks."""

import getpass
import os
import shutil
import stat
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from labctl.clock import host_monotonic, host_unix
from labctl.config import Config
from labctl.lab.doctor.check import Check, error, fine, warning
from labctl.record.health import BYTES_PER_ROW

EARLIEST = 1_767_225_600.0
"""2026-01-01T00:00Z: before this labctl existed, so a clock that says so is wrong."""
FEWEST_DAYS = 30.0
FEWEST_BYTES = 200e6
SLOW_FSYNC = 0.05
"""Seconds; the journals of a laboratory are flushed every tenth of a second."""
DAY = 86400.0


def permissions(config: Config | None, config_path: Path, data: Path) -> Iterator[Check]:
    """Look at the data folder, at serial devices, and at files that hold a password."""
    yield _folder(data)
    addresses = sorted(
        {
            instrument.address
            for station in (config.stations.values() if config else ())
            for _, _, instrument in station.instruments()
            if instrument.address.startswith("/dev/")
        }
    )
    for address in addresses:
        yield _device(Path(address))
    secret = [*data.glob("run/broker*/broker.json")]
    if config is not None:
        secret += config.bus.secret_files(config_path.parent)
    for file in secret:
        if not file.exists():
            yield error("permissions", f"there is no {file}", "Correct [bus] in config.toml, or put the file there.")
            continue
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            yield error("permissions", f"{file} holds a password and has mode {mode:04o}", f"chmod 600 {file}")
        else:
            yield fine("permissions", f"{file} can be read by its owner alone")


def _folder(data: Path) -> Check:
    if not data.exists():
        nearest = next(parent for parent in data.absolute().parents if parent.exists())
        if os.access(nearest, os.W_OK):
            return fine("permissions", f"data folder {data} will be made")
        return error("permissions", f"data folder {data} cannot be made in {nearest}", _WHERE)
    if data.is_dir() and os.access(data, os.W_OK | os.X_OK):
        return fine("permissions", f"data folder {data} can be written")
    return error("permissions", f"data folder {data} cannot be written by {getpass.getuser()}", _WHERE)


_WHERE = "Choose another one: [storage] data in config.toml, or LABCTL_DATA; or change its owner."


def _device(device: Path) -> Check:
    if not device.exists():
        return error("permissions", f"there is no {device}", "Connect it, or correct its address: ls /dev/serial/by-id")
    if os.access(device, os.R_OK | os.W_OK):
        return fine("permissions", f"{device} can be opened")
    group, user = device.group(), getpass.getuser()
    return error("permissions", f"{user} may not open {device}", f"sudo usermod -aG {group} {user}, and log in again")


def time() -> Check:
    """Look whether the clock is sane, and kept right by NTP."""
    if host_unix() < EARLIEST:
        return error("time", "the clock is years behind", "Set it, and switch NTP on: timedatectl set-ntp true")
    try:
        said = subprocess.run(
            ["timedatectl", "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=5.0,
            check=False,
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        said = ""
    if said == "yes":
        return fine("time", "the clock is kept right by NTP")
    found = "the clock is not synchronised" if said == "no" else "nobody here says whether the clock is synchronised"
    return warning("time", found, "timedatectl set-ntp true; records of several machines are compared by it")


def disk(data: Path, stations: int) -> Iterator[Check]:
    """Look how much room there is, and how long the disk takes to confirm that something is on it."""
    nearest = next(folder for folder in (data, *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(nearest).free
    days = free / (max(1, stations) * BYTES_PER_ROW * DAY)
    found = f"{free / 1e9:.1f} GB free: {days:.0f} days of a row a second at {max(1, stations)} station(s)"
    if free < FEWEST_BYTES:
        yield error("disk", found, "Make room: what cannot be recorded stops a run.")
    elif days < FEWEST_DAYS:
        yield warning("disk", found, "Make room, or record fewer rows: [record] interval of the protocols.")
    else:
        yield fine("disk", found)
    if data.is_dir() and os.access(data, os.W_OK | os.X_OK):
        yield _fsync(data)


def _fsync(data: Path) -> Check:
    took = []
    with tempfile.TemporaryFile(dir=data) as file:
        for _ in range(10):
            file.write(bytes(4096))
            file.flush()
            begin = host_monotonic()
            os.fsync(file.fileno())
            took.append(host_monotonic() - begin)
    found = f"fsync takes {statistics.median(took) * 1e3:.1f} ms, at most {max(took) * 1e3:.1f} ms"
    if statistics.median(took) > SLOW_FSYNC:
        return warning("disk", found, "Use a disk of this machine, an SSD: records wait for every fsync.")
    return fine("disk", found)


def terminal() -> Check:
    """Look what the terminal of this command can show."""
    if not sys.stdout.isatty():
        return fine("terminal", "standard output is no terminal")
    columns, lines = shutil.get_terminal_size()
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    kind = os.environ.get("TERM", "dumb")
    colours = (
        "no" if "NO_COLOR" in os.environ or kind == "dumb" else "16 million" if "COLORTERM" in os.environ else "some"
    )
    found = f"{columns} x {lines}, {encoding}, {colours} colours ({kind})"
    if encoding != "utf8":
        return warning("terminal", found, "export LC_ALL=C.UTF-8, or choose UTF-8 in the terminal's settings.")
    if columns < 80 or lines < 24:
        return warning("terminal", found, "Make it at least 80 x 24, or the dashboard leaves things out.")
    return fine("terminal", found)
