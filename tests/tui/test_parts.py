"""Parts without a screen: columns, filter, bars, trend, keys of the configuration, files of the start dialog."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.binding import Binding

from labctl.api import Value, Word
from labctl.tui.alarms import Alarms
from labctl.tui.app import Dashboard, binding_ids
from labctl.tui.filter import passes
from labctl.tui.gauges import bar
from labctl.tui.keys import WrongKeys, checked
from labctl.tui.overview import COLUMNS, Overview, columns_for, progress
from labctl.tui.screen import LabScreen
from labctl.tui.sight import Reading, Seen
from labctl.tui.start import assignments, choices
from labctl.tui.station import Station
from labctl.tui.table import Cells, Column, Table, layout
from labctl.tui.theme import first_theme
from labctl.tui.trend import Trends
from labctl.tui.words import SAID
from tests.docs.pages import DOCS, quoted, tables

from .conftest import Staged
from .laboratory import running, station, values


def seen(word: Word = Word.CHARGE, name: str = "A1") -> Seen:
    return Seen(name, word, station(name, word), 0.1, "")


@given(st.integers(78, 300))
def test_the_columns_fit_and_those_that_matter_stay(width: int) -> None:
    chosen = layout(COLUMNS, width)
    assert sum(wide + 1 for _, wide in chosen) - 1 <= width
    names = [column.name for column, _ in chosen]
    assert {"Station", "State", "Cell", "Step", "Cyc", "V/V", "I/mA", "p ca"} <= set(names)
    assert names == [column.name for column in COLUMNS if column.name in names]


def test_columns_are_dropped_in_the_order_of_the_design() -> None:
    dropped = []
    for width in range(300, 60, -1):
        names = {column.name for column, _ in layout(COLUMNS, width)}
        dropped += [c.name for c in COLUMNS if c.name not in names and c.name not in dropped]
    assert dropped == ["Doing", "V trend", "Left", "Progress", "Q mAh/g", "T/C", "p an"]


def test_columns_are_there_for_what_is_measured_and_as_wide_as_what_stands_in_them() -> None:
    bare = {name: value for name, value in values().items() if "pressure" not in name}
    without = [Seen("A1", Word.CHARGE, station("A1", values=bare, run=running("A1", cell="x" * 20)), 0.0, "")]
    columns = {column.name: wide for column, wide in layout(columns_for(without), 117)}
    assert not {"p an", "p ca"} & columns.keys()
    assert (columns["Station"], columns["Cell"]) == (7, 20)
    assert [column.name for column in columns_for([seen()])] == [column.name for column in COLUMNS]
    assert [column.name for column in columns_for([])] == [column.name for column in COLUMNS]


async def test_a_table_writes_rows_in_view_and_only_new_ones() -> None:
    written: list[float] = []

    def cells(row: float) -> Cells:
        written.append(row)
        return {"n": (str(row), "plain")}

    class Screen(App[None]):
        CSS = "Table { height: 10; }"

        def compose(self) -> ComposeResult:
            yield Table((Column("n", 6),), cells, id="table")

    app = Screen()
    async with app.run_test(size=(40, 10)) as pilot:
        table, rows = app.query_one(Table), [(str(n), float(n)) for n in range(200)]
        table.set_rows(rows)
        await pilot.pause()
        assert sorted(set(written)) == [float(n) for n in range(9)]
        written.clear()
        table.set_rows(rows)
        await pilot.pause()
        assert written == []
        rows[3], rows[150] = ("3", 3.5), ("150", 150.5)
        table.set_rows(rows)
        await pilot.pause()
        assert written == [3.5]
        table.action_move(1000)
        await pilot.pause()
        assert "199.0" in table.render_line(9).text
        assert table.text.splitlines()[151].strip() == "150.5"


async def test_a_terminal_without_braille_gets_plots_in_ascii(staged: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(station("A1")) as stage:
        assert not stage.shown("#plot").isascii()
    monkeypatch.setenv("TERM", "linux")
    async with staged(station("A1")) as stage:
        assert "*" in stage.shown("#plot")
        assert stage.shown("#plot").isascii()


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("", set(Word)),
        ("state:run", {Word.CHARGE, Word.DISCHARGE, Word.REST, Word.WAIT}),
        ("state:dis", {Word.DISCHARGE}),
        ("!done !idle !ready", set(Word) - {Word.DONE, Word.IDLE, Word.READY}),
        ("E-STOP", {Word.ESTOP}),
        ("cell:nmc* state:alarm", {Word.ALARM}),
        ("!cell:NMC83-*", {Word.IDLE, Word.READY, Word.DONE, Word.CONNECTING}),
        ("asymm !state:run", {Word.ALARM, Word.PAUSED, Word.LOST, Word.ESTOP}),
    ],
)
def test_the_filter_leaves_what_it_names(wanted: str, words: set[Word]) -> None:
    assert {word for word in Word if passes(seen(word), wanted)} == words


@given(st.text(max_size=30))
def test_no_filter_breaks(wanted: str) -> None:
    passes(seen(), wanted)


def test_every_state_has_a_glyph_and_a_word_of_its_own() -> None:
    assert set(SAID) == set(Word)
    assert len({said.glyph for said in SAID.values()}) == len(Word)
    assert len({said.word for said in SAID.values()}) == len(Word)
    assert all(len(said.word) <= 9 for said in SAID.values())


@given(st.floats(-1, 2), st.integers(1, 20))
def test_a_progress_bar_has_its_width_and_no_more_than_all(fraction: float, width: int) -> None:
    assert len(progress(fraction, width)) == width
    assert progress(0.0, 4) == "────"
    assert progress(1.0, 4) == "████"
    assert progress(0.5, 3) == "█▌─"


@given(
    st.none() | st.floats(-1e7, 1e7),
    st.none() | st.floats(-1e7, 1e7),
    st.none() | st.floats(-1e7, 1e7),
    st.none() | st.floats(-1e7, 1e7),
    st.integers(0, 40),
)
def test_a_bar_has_its_width_whatever_it_shows(
    value: float | None, target: float | None, low: float | None, high: float | None, width: int
) -> None:
    pieces = bar(Reading(value, None, target, low, high), width)
    assert sum(len(text) for text, _ in pieces) == width


def test_a_bar_shows_value_set_point_and_nothing_unknown() -> None:
    def text(reading: Reading) -> str:
        return "".join(piece for piece, _ in bar(reading, 17))

    assert text(Reading(5.0, None, 10.0, 0.0, 16.0)) == "━━━━━━────┃───── "
    assert text(Reading(None, None, 10.0, 0.0, 16.0)) == "──────────┃───── "
    assert text(Reading(5.0, 30.0, 10.0, 0.0, 16.0)) == "──────────┃───── "


def test_a_trend_keeps_the_last_of_each_stretch_and_does_not_dramatise_noise() -> None:
    trends = Trends()
    for minute, voltage in enumerate([3.0, 3.1, 3.2, 3.3, 3.35, 3.4]):
        state = station("A1", values=values(voltage), lab_unix_second=1e9 + 75.0 * minute)
        trends.look([Seen("A1", state.word, state, 0.1, "")])
    assert trends.drawn(seen()) == "▁▃▅▆▇█"
    quiet = Trends()
    for minute in range(9):
        state = station("A1", values=values(3.7 + 1e-4 * (minute % 2)), lab_unix_second=1e9 + 75.0 * minute)
        quiet.look([Seen("A1", state.word, state, 0.1, "")])
    assert quiet.drawn(seen()) == "▁" * 8
    old = {"voltage_volt": Value(value=3.7, age=60.0, period=1.0)}
    blind = Trends()
    blind.look([Seen("A1", Word.REST, station("A1", values=old, run=running("A1")), 0.1, "")])
    assert blind.drawn(seen()) == ""


def test_every_binding_has_an_id_of_its_own() -> None:
    ids = binding_ids()
    assert len(ids) == len(set(ids))
    assert {"pause", "stop", "emergency", "table.down", "plot-voltage"} <= set(ids)


def test_the_page_of_the_terminal_names_every_binding_with_its_keys() -> None:
    (table,) = [t for t in tables(DOCS / "design" / "terminal.md") if t.heading == "Keys"]
    documented = {name: set(quoted(row[1])) for row in table.rows for name in quoted(row[0])}
    classes = (Dashboard, LabScreen, Overview, Station, Alarms, Table)
    bound = {b.id: set(b.key.split(",")) for one in classes for b in one.BINDINGS if isinstance(b, Binding)}
    assert documented.keys() == bound.keys()
    assert all(keys <= documented[name] for name, keys in bound.items() if name is not None)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"pausse": "f6"}, '"pausse"'),
        ({"emergency": "f6"}, "F12"),
        ({"pause": "f12"}, "F12"),
        ({"pause": "x,ctrl+e"}, "F12"),
        ({"pause": "the big one"}, "no key"),
        ({"pause": ""}, "no key"),
        ({"pause": "f99"}, "no key"),
    ],
)
def test_keys_that_cannot_be_are_refused(keys: dict[str, str], says: str) -> None:
    with pytest.raises(WrongKeys, match=says):
        checked(keys, binding_ids())


def test_keys_that_can_be_are_taken() -> None:
    wanted = {"pause": "f6", "next": "space,n", "filter": "ctrl+f", "note": "question_mark", "copy": "?"}
    assert checked(wanted, binding_ids()) == wanted


def test_protocols_are_found_beside_below_and_by_name_in_the_folders(tmp_path: Path) -> None:
    for name in ("config.toml", "mine.toml", "notes.txt", "protocols/paper/one.toml", "other/ma/two.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    named, trouble = choices(tmp_path, (tmp_path / "protocols", tmp_path / "other"))
    assert [(name, file.relative_to(tmp_path).as_posix()) for name, file in named.items()] == [
        ("mine.toml", "mine.toml"),
        ("protocols/paper/one.toml", "protocols/paper/one.toml"),
        ("ma/two", "other/ma/two.toml"),
    ]
    assert trouble == ""
    left, trouble = choices(tmp_path, (tmp_path / "gone",))
    assert list(left) == list(named)[:2]
    assert "there is no such folder of protocols" in trouble


def test_inputs_are_read_or_said_to_be_none() -> None:
    assert assignments(" cycles=5  rate=C/10 ") == ({"cycles": "5", "rate": "C/10"}, "")
    assert assignments("cycles 5")[1].startswith('"cycles" is no input')
    assert assignments("=5")[0] == {}


@pytest.mark.parametrize(
    ("environment", "no_color", "theme"),
    [
        ({"TERM": "xterm-256color"}, False, "labctl-dark"),
        ({"TERM": "linux"}, False, "ansi-dark"),
        ({"TERM": "linux", "COLORTERM": "truecolor"}, False, "labctl-dark"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, True, "ansi-dark"),
        ({}, False, "ansi-dark"),
    ],
)
def test_the_theme_is_one_that_the_terminal_can_show(environment: dict[str, str], no_color: bool, theme: str) -> None:
    assert first_theme(environment, no_color=no_color) == theme
