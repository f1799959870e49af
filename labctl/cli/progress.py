"""Shows a run while it lasts: one line that is repainted on a terminal, a line now and then elsewhere."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from labctl.cli.tables import duration
from labctl.clock import host_monotonic, host_sleep

if TYPE_CHECKING:
    from labctl.lab.experiment import Running

REPAINT = 0.25
LINE_PERIOD = 5.0
"""Host seconds between two lines where nobody sees a repaint."""


class Progress:
    """Follows one run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._task: asyncio.Task[None] | None = None
        self._running: Running | None = None

    def follow(self, running: "Running") -> None:
        """Begin to show a run."""
        self._running = running
        marked = ", simulated" if running.assembly.simulated else ""
        name, station = running.run.plan.name, running.assembly.station.name
        self._console.print(f"{name} on {station}{marked}. Bus: {running.bus}", soft_wrap=True)
        show = self._repaint if self._console.is_terminal else self._say
        self._task = asyncio.create_task(show(running), name="progress")

    async def close(self) -> None:
        """Stop showing; where nobody saw a repaint, say where it ended."""
        if self._task is not None and self._running is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            if not self._console.is_terminal:
                self._console.print(_line(self._running), soft_wrap=True)

    async def _repaint(self, running: "Running") -> None:
        with Live(_line(running), console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                await host_sleep(REPAINT)
                live.update(_line(running), refresh=True)

    async def _say(self, running: "Running") -> None:
        said, last = -1, -LINE_PERIOD
        while True:
            count = running.run.progress.step_count
            if count != said or host_monotonic() - last >= LINE_PERIOD:
                said, last = count, host_monotonic()
                self._console.print(_line(running), soft_wrap=True)
            await host_sleep(REPAINT)


def _line(running: "Running") -> Text:
    """Step, cycle, V, I, pressures, temperature, time left."""
    run, board, now = running.run, running.assembly.station.board, running.clock.now()
    progress, cell = run.progress, board.fresh_cell(now)
    step = progress.step
    parts = [f"step {step.id} {step.name}" if step is not None else "ended" if progress.step_count else "starting"]
    if progress.cycles:
        parts.append(f"cycle {progress.cycle}/{progress.cycles}")
    if cell is not None:
        parts.append("—     V" if cell.voltage is None else f"{cell.voltage:.4f} V")
        parts.append(f"{cell.current * 1e3:+.4f} mA")
    pressures = [board.pressure(side, now) for side in ("negative", "positive")]
    if any(pressure is not None for pressure in pressures):
        parts.append(" / ".join("—" if p is None else f"{p / 1e6:.3f}" for p in pressures) + " MPa")
    temperature = board.temperature(now)
    if temperature is not None:
        parts.append(f"{temperature:.1f} °C")
    parts.append(f"{duration(progress.test_time)}, {duration(run.forecast.left(progress.test_time))} left")
    return Text("  ".join(parts))
