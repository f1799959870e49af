"""The dashboard as a benchmark starts it: on a speaker's bus, with a long history, and noting when it repaints.

python -m benchmarks.screen BROKER_FILE TICKS_FILE --points 100000 --repaint 0.1
"""

import asyncio
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np

from benchmarks.speaker import DAEMON
from labctl.api import Bucketed
from labctl.bus.address import Address
from labctl.bus.client import MqttBus
from labctl.client import Lab
from labctl.clock import host_monotonic
from labctl.tui import app as dashboard
from labctl.tui import trace


class LongMemory(Lab):
    """Answers every question for a history itself, with as many points as it was told, each time others."""

    points = 0
    asked = 0

    async def history(self, run: str, columns: Sequence[str], **_: Any) -> Bucketed:
        """Return a wave that has moved on."""
        self.asked += 1
        x = np.arange(self.points, dtype=np.float64)
        y = 3.6 + 0.5 * np.sin(x / max(self.points, 1) * 20 + self.asked)
        values = [cast("list[float | None]", y)] * len(columns)  # arrays serve a plot as well, and cost no copy
        return Bucketed.model_construct(x=cast("list[float]", x), low=values, high=values, rows=self.points)


class Watched(dashboard.Dashboard):
    """Notes the instant of each repaint."""

    CSS_PATH = str(Path(dashboard.__file__).with_name("dashboard.tcss"))
    ticks: TextIO

    def tick(self) -> None:
        """Repaint."""
        self.ticks.write(f"{host_monotonic()}\n")
        self.ticks.flush()
        super().tick()


async def show(broker: Path, ticks: Path, points: int) -> None:
    bus = MqttBus(Address.read(broker))
    lab = LongMemory(bus, DAEMON.site)
    lab.points = points
    await lab.subscribe()
    service = asyncio.create_task(bus.serve())
    with ticks.open("w") as file:
        app = Watched(lab)
        app.ticks = file
        await app.run_async()
    service.cancel()
    await asyncio.wait([service])


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("broker", type=Path)
    parser.add_argument("ticks", type=Path)
    parser.add_argument("--points", type=int, default=240)
    parser.add_argument("--repaint", type=float, help="host seconds, for numbers and plot alike")
    arguments = parser.parse_args()
    if arguments.repaint is not None:
        dashboard.REPAINT = trace.SOONEST = arguments.repaint
        dashboard.PLOT_EVERY = 1
    asyncio.run(show(arguments.broker, arguments.ticks, arguments.points))
