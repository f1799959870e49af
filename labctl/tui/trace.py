"""Keeps one plot fed: asks the daemon again and again, but never so often that the daemon is busy with it."""

from collections.abc import Callable

from labctl.client import Lab
from labctl.errors import LabctlError
from labctl.literal import literal
from labctl.plot.data import Range
from labctl.tui.plot import Plot
from labctl.tui.plots import MOST, Draw, Wanted
from labctl.tui.sight import Seen

SHARE = 20.0
"""An answer that took a second is asked for again after so many."""
SOONEST = 1.0
"""Host seconds between two questions, at least."""


class Trace:
    """What one or two plots show of a station's run; for a station without one, of its last run.

    Args:
        plots: widgets, the upper one first.
        now: host seconds.
    """

    def __init__(self, lab: Lab, plots: list[Plot], now: Callable[[], float]) -> None:
        self.said = ""
        """Why there is no plot, as a sentence."""
        self.span: Range | None = None
        """Of x, that is zoomed into."""
        self._lab = lab
        self._plots = plots
        self._now = now
        self._shown: tuple[str, Draw] | None = None
        self._asked: Range | None = None
        self._next = float("-inf")

    async def look(self, seen: Seen | None, draw: Draw) -> None:
        """Ask for what is plotted now, where it is due."""
        state = None if seen is None else seen.state
        run = None if state is None else (state.run.run if state.run is not None else state.last_run)
        if seen is None or state is None or run is None:
            self._clear("No run yet." if seen is not None else "")
            return
        if self._shown == (run, draw) and self._asked == self.span and self._now() < self._next:
            return
        if self._shown != (run, draw):
            self._clear("")
            self.span = None
        began, self._asked = self._now(), self.span
        buckets = min(max(100, 2 * self._plots[0].size.width), MOST)
        try:
            charts = await draw(self._lab, Wanted(run, state.run, buckets, self.span))
        except LabctlError as error:
            self._next = self._now() + SHARE * SOONEST
            self._clear(literal(error.sentence))
            self._shown = run, draw
            return
        self._next = self._now() + max(SOONEST, SHARE * (self._now() - began))
        self.said = ""
        for number, plot in enumerate(self._plots):
            plot.display = number < len(charts)
            if number < len(charts):
                chart = charts[number]
                if self._shown != (run, draw):
                    plot.set_axes(chart.x, chart.y, chart.title)
                plot.set_series(chart.series)
        self._shown = run, draw

    def _clear(self, why: str) -> None:
        self.said = why
        if self._shown is not None:
            self._shown = None
            for plot in self._plots:
                plot.set_series([])
