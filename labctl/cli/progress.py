"""Shows a run while it lasts: one line that is repainted on a terminal, a line now and then elsewhere."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from labctl.cli.tables import duration
from labctl.clock import host_monotonic, host_sleep
from labctl.engine.board import BATH, FORCE_GAUGE
from labctl.plan import SIDES

if TYPE_CHECKING:
    from labctl.lab.experiment import Running

REPAINT = 0.25
WIDE = 130
STEP_WIDTH = 26
VERB_WIDTH = 13
LINE_PERIOD = 5.0
"""Host seconds between two lines where nobody sees a repaint."""


class Progress:
    """Follows one run."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._task: asyncio.Task[None] | None = None
        self._running: Running | None = None
        self._said = -1
        """Step count of the last line that was printed."""

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
            if not self._console.is_terminal and self._said != self._running.run.progress.step_count:
                self._console.print(_line(self._running, self._console.width), soft_wrap=True)

    async def _repaint(self, running: "Running") -> None:
        with Live(
            _line(running, self._console.width), console=self._console, auto_refresh=False, transient=True
        ) as live:
            while True:
                await host_sleep(REPAINT)
                live.update(_line(running, self._console.width), refresh=True)

    async def _say(self, running: "Running") -> None:
        last = -LINE_PERIOD
        while True:
            count = running.run.progress.step_count
            if count != self._said or host_monotonic() - last >= LINE_PERIOD:
                self._said, last = count, host_monotonic()
                self._console.print(_line(running, self._console.width), soft_wrap=True)
            await host_sleep(REPAINT)


def _line(running: "Running", columns: int) -> Text:
    """Step, cycle, V, I, pressures, temperature, time passed and left, each at its place in the line.

    In fewer columns than WIDE the step is its verb, and temperature and time passed are left out.
    """
    run, board, now = running.run, running.assembly.station.board, running.clock.now()
    progress, cell, wide = run.progress, board.fresh_cell(now), columns >= WIDE
    step, width = progress.step, STEP_WIDTH if wide else VERB_WIDTH
    where = "ended" if progress.step_count else "starting"
    if step is not None:
        where = f"{step.id} {step.name if wide else step.verb}"
    parts = [f"{where[:width]:<{width}}"]
    if progress.cycles:
        digits = len(str(progress.cycles))
        parts.append(f"{'cycle ' if wide else ''}{progress.cycle:>{digits}}/{progress.cycles}")
    parts.append(f"{_shown(None if cell is None else cell.voltage, 1.0, 4, 7)} V")
    parts.append(f"{_shown(None if cell is None else cell.current, 1e-3, 4, 8, sign='+')} mA")
    if board.gauges.keys() & set(FORCE_GAUGE.values()):
        sides = (_shown(board.pressure(side, now), 1e6, 3, 6) for side in SIDES)
        parts.append(" /".join(sides) + " MPa")
    if wide and BATH in board.gauges:
        parts.append(f"{_shown(board.temperature(now), 1.0, 1, 5)} °C")
    left = run.forecast.left(progress.test_time) if step is not None or not progress.step_count else 0.0
    passed = f"{duration(progress.test_time):>11}, " if wide else ""
    parts.append(f"{passed}{duration(left)} left")
    return Text("  ".join(parts))


def _shown(value: float | None, scale: float, digits: int, width: int, sign: str = "") -> str:
    """Write a value in its width; an unknown one as a dash, never as an old number."""
    return f"{'—':>{width}}" if value is None else f"{value / scale:{sign}{width}.{digits}f}"
