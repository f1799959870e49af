"""A household: the processes of a simulated laboratory, each apart from the others, in a folder of their own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from labctl.clock import host_monotonic, host_sleep
from labctl.errors import LabctlError
from labctl.lab.recording import journals_of
from labctl.lab.simulators import runtime_file

PATIENCE = 60.0
"""Host seconds in which a process must have done what is waited for."""
GLANCE = 0.02
SITE = "drill"
OF_THE_USER = ("LABCTL_CONFIG", "LABCTL_DATA")
"""Variables that would lead the processes to another laboratory."""
LAST_WORDS = 2000
"""Characters of what a process said last that are told where it fails."""


class NotInTime(LabctlError):
    """Something that was waited for has not come."""


async def until(true: Callable[[], bool], what: str, patience: float = PATIENCE) -> float:
    """Wait until something is so; return the host seconds that it took. Raises NotInTime."""
    begin = host_monotonic()
    while not true():
        if host_monotonic() - begin > patience:
            raise NotInTime(f"Not within {patience:g} s: {what}.")
        await host_sleep(GLANCE)
    return host_monotonic() - begin


class Household:
    """Broker, recorder, simulators and daemon, each by its name; whoever leaves the block leaves none behind.

    Each is the leader of a session of its own: Ctrl-C reaches none of them, they end when this block does.

    Args:
        folder: for the configuration, the data and what the processes say.
        stations: the text of the [station] tables.
        bus: the address of a broker that somebody else keeps; None: one of its own, on a free port.
    """

    def __init__(self, folder: Path, stations: str, bus: str | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.config = folder / "config.toml"
        self.bus = bus or str(folder / "broker" / "broker.json")
        self.database = self.data / "labctl.db"
        self.journals = journals_of(self.database)
        self.config.write_text(
            f'schema = "1"\n[lab]\nsite = "{SITE}"\n[bus]\nbroker = {json.dumps(self.bus)}\n'
            f'[storage]\ndata = {json.dumps(str(self.data))}\nrecorder = "separate"\n{stations}',
            "utf-8",
        )
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ending: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- beginning -----------------------------------------------------------------------------------------------------

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a module of Python; what it says goes into a file under its name."""
        log = (self.folder / f"{name}.log").open("ab")
        self._logs.append(log)
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
            start_new_session=True,
        )
        self.processes[name] = process
        return process

    def start_broker(self) -> None:
        """Start the embedded broker; it comes back at the address that it had."""
        self.start("broker", "labctl.bus", "--directory", str(Path(self.bus).parent))

    def start_recorder(self) -> None:
        """Start the recorder; the broker must have been there once."""
        self.start("recorder", "labctl.record", "--database", str(self.database), "--bus", self.bus, "--site", SITE)

    def start_daemon(self, *options: str) -> None:
        """Start the daemon; the broker must have been there once."""
        self.start("daemon", "labctl", "--config", str(self.config), "daemon", *options)

    async def start_simulators(self, *stations: str, options: Sequence[str] = ()) -> None:
        """Serve stations in one process that outlives the daemon; wait until all of them are served."""
        name = f"sim {' '.join(stations)}"
        named = (word for station in stations for word in ("--station", station))
        self.start(name, "labctl", "--config", str(self.config), "sim", *named, *options)
        files = [runtime_file(self.data, station) for station in stations]
        await self.until(lambda: all(file.exists() for file in files), f"simulators of {', '.join(stations)}")

    async def broker_was_there(self) -> None:
        """Wait until the embedded broker has left its address for the others."""
        await self.until(Path(self.bus).exists, "the address of the broker")

    async def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until something is so; raises NotInTime also where a process has ended that nobody killed or ended."""
        await until(lambda: bool(self.fallen) or true(), f"{what}. {self._last_words(self.processes)}")
        if self.fallen:
            raise NotInTime(f"Processes ended by themselves. {self._last_words(self.fallen)}")

    @property
    def fallen(self) -> list[str]:
        """Processes that have ended by themselves."""
        return [name for name, process in self.processes.items() if process.poll() is not None]

    # -- end -----------------------------------------------------------------------------------------------------------

    def kill(self, *names: str) -> None:
        """End processes as a power cut would: all of them get the signal before the first is looked after."""
        killed = [self.processes.pop(name) for name in names]
        for process in killed:
            process.kill()
        for process in killed:
            process.wait()

    async def end(self, name: str) -> None:
        """Ask a process to end and wait until it has; raises NotInTime where it does not, or not in order."""
        process = self.processes.pop(name)
        self._ending.append(process)
        process.send_signal(signal.SIGTERM)
        await until(lambda: process.poll() is not None, f"the end of the {name}. {self._last_words([name])}")
        if process.returncode != 0:
            raise NotInTime(f"The {name} ended with status {process.returncode}. {self._last_words([name])}")

    def said(self, name: str) -> str:
        """Return all that processes of this name have said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _last_words(self, names: Iterable[str]) -> str:
        return "\n".join(f"The {name} said last: {self.said(name)[-LAST_WORDS:]}" for name in names)

    def close(self) -> None:
        """End every process at once."""
        self.kill(*self.processes)
        for process in self._ending:
            process.kill()
            process.wait()
        for log in self._logs:
            log.close()


def environment() -> Mapping[str, str]:
    """Return the environment of a household's processes: this one's, but for what leads to another laboratory."""
    import labctl

    inherited = {name: value for name, value in os.environ.items() if name not in OF_THE_USER}
    here = str(Path(labctl.__file__).parent.parent)
    paths = [here, *filter(None, [inherited.get("PYTHONPATH")])]
    return {**inherited, "PYTHONPATH": os.pathsep.join(paths)}
