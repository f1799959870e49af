"""A dashboard under a pilot: frozen clocks, no timer of its own, UTC, a terminal of many colours."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from textual.pilot import Pilot

from labctl.api import StationState
from labctl.client import Lab
from labctl.tui import app as application
from labctl.tui.app import Dashboard
from labctl.tui.lines import Lines

from .laboratory import NOW, Daemon, laboratory


@dataclass
class Stage:
    """A dashboard, whoever drives it, the daemon at its other end, and the time of all of them."""

    app: Dashboard
    pilot: Pilot[None]
    lab: Lab
    daemon: Daemon
    time: list[float] = field(default_factory=list)

    async def press(self, *keys: str) -> None:
        """Press keys and repaint, so that what they did is on the screen."""
        await self.pilot.press(*keys)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(2):  # what was shown may change sizes, and these what is shown
            await self.pilot.pause()
            self.app.tick()
        await self.pilot.pause()

    async def until(self, text: str) -> None:
        """Wait until something is on the screen that a thread or another task has a part in."""
        for _ in range(100):
            if text in self.text:
                return
            await self.pilot.pause(0.01)
            self.app.tick()
        raise AssertionError(f"{text!r} never came:\n{self.text}")

    def later(self, seconds: float) -> None:
        """Let host time pass."""
        self.time[0] += seconds

    @property
    def lines(self) -> list[str]:
        """What is on the screen, without styles."""
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def shown(self, where: str) -> str:
        """What a widget of the laboratory's screen shows."""
        return self.app._lab_screen().query_one(where, Lines).text

    @property
    def order(self) -> str:
        return self.shown("#order")


Staged = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Staged:
    """`async with staged(states, size=..., reason=..., keys=...) as stage`."""

    @asynccontextmanager
    async def stage(
        *states: StationState,
        size: tuple[int, int] = (120, 40),
        reason: str | None = "test",
        keys: Mapping[str, str] | None = None,
        theme: str = "",
    ) -> AsyncIterator[Stage]:
        clock = [1000.0]
        monkeypatch.setattr("labctl.client.view.host_monotonic", lambda: clock[0])
        monkeypatch.setattr(application, "REPAINT", 1e6)
        async with laboratory(*states) as (lab, daemon):
            app = Dashboard(
                lab, reason=reason, keys=keys, folder=tmp_path, monotonic=lambda: clock[0], unix=lambda: NOW
            )
            async with app.run_test(size=size) as pilot:
                if theme:
                    app.theme = theme
                staged = Stage(app, pilot, lab, daemon, clock)
                await staged.settle()
                yield staged

    return stage
