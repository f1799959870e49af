"""What a plot asks of the daemon: enough buckets of what is shown, and finer ones of what is zoomed into."""

from collections.abc import Mapping
from typing import Any

from labctl.api import Action, History, Word
from labctl.tui.plot import Plot
from labctl.tui.plots import DAY

from .conftest import Stage, Staged
from .laboratory import curve, running, station

HOUR = 3600.0


def ramp(action: Action) -> Mapping[str, Any]:
    """Answer with an hour that rises by 1 V, in as many buckets as asked for; a spike shows only in narrow ones."""
    assert isinstance(action, History)
    start, end = action.start or 0.0, action.end or HOUR
    width = (end - start) / action.buckets
    x = [start + n * width for n in range(action.buckets)]
    low = [3.0 + at / HOUR for at in x]
    high = [3.0 + (at + width) / HOUR for at in x]
    if width < HOUR / 400:
        high[len(x) // 2] += 0.2
    return {"x": x, "low": [low], "high": [high], "rows": 3600}


def asked(stage: Stage) -> list[History]:
    return [request.action for request in stage.daemon.asked if isinstance(request.action, History)]


async def test_a_run_younger_than_a_day_is_asked_for_from_its_beginning(staged: Staged) -> None:
    young = station("A1", run=running("A1", test_time_second=HOUR))
    async with staged(young) as stage:
        question = asked(stage)[-1]
        plot = stage.app.screen.query_one(Plot)
        assert question.start is None
        assert question.buckets >= 2 * (plot.size.width - plot._figure.gutter), "a bucket is no wider than a dot"
    async with staged(station("A1", run=running("A1", test_time_second=3 * DAY))) as stage:
        assert asked(stage)[-1].start == 2 * DAY


async def test_of_a_run_that_has_ended_its_last_day_is_shown(staged: Staged) -> None:
    days = {"x": [DAY * n for n in range(5)], "low": [[3.7] * 5], "high": [[3.7] * 5], "rows": 5}
    async with staged(station("A1", Word.DONE, last_run=running("A1").run)) as stage:
        stage.daemon.answers["history"] = lambda _: days
        stage.later(30.0)
        await stage.daemon.say(station("A1", Word.DONE, last_run=running("A1").run))
        await stage.app.show_now()
        assert [question.start for question in asked(stage)[-2:]] == [None, 3 * DAY]


async def test_a_zoom_asks_at_once_for_the_finer_stretch_and_keeps_the_whole(staged: Staged) -> None:
    async with staged(station("A1", run=running("A1", test_time_second=HOUR))) as stage:
        stage.daemon.answers["history"] = ramp
        await stage.press("f2")
        await stage.app.show_now()
        await stage.press("z", "z")
        whole, fine = asked(stage)[-2:]
        assert (whole.start, whole.end) == (None, None)
        assert fine.start is not None
        assert fine.end is not None
        assert fine.end - fine.start < HOUR / 3
        plot = stage.app.screen.query_one(Plot)
        (series,) = plot._series
        assert list(series.x) == sorted(series.x)
        assert series.x[0] == 0.0
        assert max(value for value in series.high if value is not None) > 4.0, "the spike is seen"
        await stage.press("0")
        assert asked(stage)[-1].start is None
        assert max(value for value in plot._series[0].high if value is not None) <= 4.01


async def test_another_plot_is_whole_again(staged: Staged) -> None:
    async with staged(station("A1"), station("A2")) as stage:
        await stage.press("f2")
        await stage.app.show_now()
        await stage.press("z")
        assert asked(stage)[-1].start is not None
        stage.daemon.answers["history"] = curve
        await stage.press("right_square_bracket")
        assert asked(stage)[-1].start is None
