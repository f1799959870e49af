"""A source that hangs its daemon where a test wants it to, and whose simulator writes down when its output was closed.

Installed for processes of a test as driver "witness", by entry points in a folder of theirs.
"""

import os
from pathlib import Path
from threading import Event
from typing import ClassVar

from drivers.keithley_2450.driver import Keithley2450
from drivers.keithley_2450.sim import Simulator
from labctl.clock import host_monotonic
from labctl.instrument import CellReading, Options
from labctl.sim.bench import Bench
from labctl.sim.source import VoltageSource

HANG, LOG = "WITNESS_HANG", "WITNESS_LOG"
"""Variables: a file whose presence blocks the event loop in the next poll; the file that the simulator writes."""


class Witness(Keithley2450):
    """The source whose poll may never return."""

    SIMULATOR: ClassVar[str] = "tests.guard.witness:Witnessed"

    async def read(self) -> CellReading:
        _hang_if_asked()
        return await super().read()


class Witnessed(Simulator):
    """The same instrument; its log has a line for each change of the output: host monotonic time, and on or off."""

    def __init__(self, bench: Bench, port: str, options: Options) -> None:
        self._written = ""
        super().__init__(bench, port, options)

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        state = "on" if isinstance(self._bench.cell.source, VoltageSource) else "off"  # a rest sources 0 A
        if state != self._written:
            self._written = state
            with Path(os.environ[LOG]).open("a") as log:
                log.write(f"{host_monotonic():.6f} {state}\n")
        return reply


def _hang_if_asked() -> None:
    if HANG in os.environ and Path(os.environ[HANG]).exists():
        Event().wait()


def install(folder: Path) -> None:
    """Make the entry point in a folder that is on the path of the processes."""
    there = folder / "witness-0.dist-info"
    there.mkdir(parents=True)
    (there / "METADATA").write_text("Metadata-Version: 2.1\nName: witness\nVersion: 0\n")
    (there / "entry_points.txt").write_text("[labctl.drivers]\nwitness = tests.guard.witness:Witness\n")


def outputs(log: Path) -> list[tuple[float, str]]:
    """Read a simulator's log."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [(float(time), state) for time, state in (line.split() for line in lines)]
