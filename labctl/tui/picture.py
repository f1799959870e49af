"""Pictures of the dashboard from given states, as SVG: for documents, without a laboratory."""

from collections.abc import Mapping, Sequence
from typing import Literal

from labctl.api import Bucketed, EventPage, LabState, StationState
from labctl.bus.local import LocalBus
from labctl.bus.topics import Process, Station
from labctl.client import Happening, Lab
from labctl.plot.raster import Mode
from labctl.tui.app import Dashboard
from labctl.tui.theme import DARK
from labctl.tui.trend import BARS, SPAN


class _Still(Lab):
    """A laboratory in which nothing happens any more."""

    def __init__(self, daemon: LabState, curves: Mapping[str, Bucketed], events: Sequence[Happening]) -> None:
        self.bus = LocalBus()
        super().__init__(self.bus, daemon.site, user="picture")
        self._curves = curves
        self.newest.extend(events)

    async def history(
        self,
        run: str,
        columns: Sequence[str],
        *,
        x: Literal["test_time_second", "step_time_second", "cycle_count"] = "test_time_second",
        start: float | None = None,
        end: float | None = None,
        buckets: int = 400,
    ) -> Bucketed:
        """Return the one curve that was given, whatever is asked of it."""
        del x, start, end, buckets
        nothing: list[list[float | None]] = [[] for _ in columns]
        return self._curves.get(run, Bucketed(x=[], low=nothing, high=nothing, rows=0))

    async def past_events(self, run: str | None = None, limit: int = 100) -> EventPage:
        """Return nothing that was before."""
        del run, limit
        return EventPage(events=())


async def picture(
    states: Sequence[StationState],
    daemon: LabState,
    curves: Mapping[str, Bucketed],
    events: Sequence[Happening] = (),
    *,
    screen: Literal["overview", "station", "alarms"] = "overview",
    size: tuple[int, int] = (120, 40),
    theme: str = DARK.name,
) -> str:
    """Return a screen of the dashboard as SVG.

    Args:
        curves: voltage of each run, by its UUID.
        events: the newest last.
    """
    lab = _Still(daemon, curves, events)
    process = Process(daemon.site, daemon.host)
    await lab.bus.retain(process.alive, b'{"schema":1,"alive":true}')
    await lab.bus.retain(process.state, daemon.model_dump_json(by_alias=True).encode())
    await lab.subscribe()
    app = Dashboard(  # host time stands still: nothing grows old, however long the drawing takes
        lab, mode=Mode.BRAILLE, monotonic=lambda: 0.0, unix=lambda: daemon.said_unix_second
    )
    async with app.run_test(size=size) as pilot:
        app.theme = theme
        if screen != "overview":
            await pilot.press({"station": "f2", "alarms": "f5"}[screen])
        for back in reversed(range(BARS)):  # the trend is made of what was seen
            for state in states:
                said = _earlier(state, back, curves).model_dump_json(by_alias=True).encode()
                await lab.bus.retain(Station(process, state.station).state, said)
            await app.show_now()
            await pilot.pause()
        await app.show_now()
        return app.export_screenshot(title="labctl tui")


def _earlier(state: StationState, bars: int, curves: Mapping[str, Bucketed]) -> StationState:
    """Return the state as it was so many bars of the trend ago, the last voltages being those of its curve."""
    voltage = state.values.get("voltage_volt")
    curve = None if state.run is None else curves.get(state.run.run)
    if not bars or voltage is None or curve is None or len(curve.x) < bars:
        return state
    past = voltage.model_copy(update={"value": curve.low[0][-bars]})
    values = {**state.values, "voltage_volt": past}
    return state.model_copy(update={"values": values, "lab_unix_second": state.lab_unix_second - bars * SPAN / BARS})
