"""The plot on a screen: literal text, keys, repaints only when asked, and series that differ without colour."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from labctl.plot.axes import Axis
from labctl.plot.figure import Mode
from labctl.tui.plot import Plot

HOUR = [float(60 * minute) for minute in range(61)]
RISE = [3.0 + minute / 60 for minute in range(61)]


class Screen(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.plot = Plot(Axis("t", "s"), Axis("V", "V"))
        self.spans: list[tuple[float, float] | None] = []

    def compose(self) -> ComposeResult:
        yield self.plot

    def on_mount(self) -> None:
        self.plot.focus()

    def on_plot_zoomed(self, message: Plot.Zoomed) -> None:
        self.spans.append(message.span)

    def show(self, label: str = "V") -> None:
        self.plot.set_series([(label, HOUR, RISE, RISE)])


async def test_it_fills_its_size_and_follows_it_without_a_scrollbar() -> None:
    app = Screen()
    async with app.run_test(size=(80, 20)) as pilot:
        app.show()
        for size in ((80, 20), (60, 12), (100, 30)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert app.plot.virtual_size == app.plot.size == size
            assert not app.plot.show_vertical_scrollbar
            assert "3.4 ┤" in app.plot.text
            assert app.plot.text.splitlines()[-1].endswith("t / min")


async def test_only_rows_that_changed_are_repainted() -> None:
    app = Screen()
    async with app.run_test(size=(80, 20)) as pilot:
        app.show()
        await pilot.pause()
        before = app.plot.repaints
        app.show()
        assert app.plot.repaints == before
        app.show("another")
        assert app.plot.repaints == before + 1


async def test_zoom_cursor_and_reset() -> None:
    app = Screen()
    async with app.run_test(size=(80, 20)) as pilot:
        app.show()
        await pilot.press("z", "+", "minus", "c", "left", "z")
        assert "t 44." in app.plot.text.splitlines()[0]
        await pilot.press("c", "left", "0")
        await pilot.pause()
    assert app.spans[:3] == [(1800.0, 3600.0), (2700.0, 3600.0), (1800.0, 3600.0)]
    newest = app.spans[3]
    assert newest is not None
    assert newest[1] - newest[0] == pytest.approx(900.0)
    panned = app.spans[4]
    assert panned is not None
    assert panned[0] == pytest.approx(newest[0] - 225.0)
    assert app.spans[5] is None
    assert "╵0" in app.plot.text


async def test_zooming_out_ends_at_the_whole() -> None:
    app = Screen()
    async with app.run_test(size=(80, 20)) as pilot:
        app.show()
        await pilot.press("minus", "z", "minus")
        await pilot.pause()
    assert app.spans == [None, (1800.0, 3600.0), None]


async def test_keys_do_nothing_without_data() -> None:
    app = Screen()
    async with app.run_test(size=(80, 20)) as pilot:
        app.plot.set_series([])
        await pilot.press("z", "minus", "c", "left")
        assert "no data" in app.plot.text


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark", "ansi-light"])
async def test_each_series_has_a_colour_of_its_own_in_every_theme(theme: str) -> None:
    app = Screen()
    async with app.run_test(size=(80, 20)) as pilot:
        app.theme = theme
        await pilot.pause()
        app.plot.set_series([(str(n), HOUR, [v + n for v in RISE], [v + n for v in RISE]) for n in range(4)])
        styles = [app.plot.get_component_rich_style(f"lines--series-{n}", partial=True).color for n in range(1, 5)]
        assert len(set(styles)) == 4


async def test_without_colour_lines_are_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = Screen()
    async with app.run_test(size=(80, 20)) as pilot:
        app.plot.set_series([("a", HOUR, RISE, RISE), ("b", HOUR, RISE[::-1], RISE[::-1])])
        await pilot.pause()
        assert app.plot.text.splitlines()[0].endswith("1 a  2 b")


async def test_ascii() -> None:
    app = Screen()
    app.plot = Plot(Axis("t", "s"), Axis("V", "V"), mode=Mode.ASCII)
    async with app.run_test(size=(80, 20)):
        app.show()
        assert app.plot.text.isascii()


@given(st.text(max_size=30), st.text(max_size=30))
@settings(max_examples=25)
async def test_text_is_shown_literally(label: str, title: str) -> None:
    app = Screen()
    async with app.run_test(size=(200, 8)) as pilot:
        app.plot.set_axes(Axis("t", "s"), Axis("V", "V"), title)
        app.plot.set_series([(label, HOUR, RISE, RISE), ("b", HOUR, RISE, RISE)])
        await pilot.pause()
        strip = app.plot.render_line(0)
        assert strip.cell_length == 200
        assert strip.text.isprintable()


async def test_markup_is_no_markup() -> None:
    app = Screen()
    async with app.run_test(size=(100, 8)) as pilot:
        app.plot.set_axes(Axis("t", "s"), Axis("V", "V"), "p [MPa] [/b]")
        app.plot.set_series([("cell [NMC-3]", HOUR, RISE, RISE), ("[/]", HOUR, RISE, RISE)])
        await pilot.pause()
        assert app.plot.render_line(0).text.rstrip().startswith("p [MPa] [/b]  V / V")
        assert app.plot.render_line(0).text.endswith("─ cell [NMC-3]  ─ [/]")
