"""A figure fills its rectangle whatever it is given, and a voltage curve looks exactly as it is kept in pictures/."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from labctl.plot.axes import Axis
from labctl.plot.data import Values
from labctl.plot.figure import CURSOR, LABEL, TITLE, Mode, Options, Series, draw

PICTURES = Path(__file__).parent / "pictures"
TIME, VOLTAGE = Axis("t", "s"), Axis("V", "V")
PLAIN = Options("V(t)", TIME, VOLTAGE)


def options(mode: Mode = Mode.BRAILLE, **more: object) -> Options:
    return Options("V(t)", TIME, VOLTAGE, mode, **more)  # type: ignore[arg-type]


def line(label: str, x: Values, y: Values) -> Series:
    return Series(label, x, y, y)


def charge_and_discharge() -> list[Series]:
    """Two cycles of 10 h of a cell between 3.0 and 4.2 V; the second has a gap of an hour and a spike."""
    t = np.linspace(0, 36_000, 400)
    phase = np.where(t < 18_000, t / 18_000, 2 - t / 18_000)
    v = 3.0 + 0.45 * phase**0.2 + 0.75 * phase**2
    second = v - 0.15
    second[200:240] = np.nan
    second[320] = 4.2
    return [line("154", t, v), line("155", t, second)]


def test_a_voltage_curve_looks_as_it_is_kept() -> None:
    for mode in Mode:
        for colour in (True, False):
            drawn = draw(charge_and_discharge(), 72, 14, options(mode, colour=colour))
            kept = PICTURES / f"{mode}{'' if colour else '-plain'}.txt"
            assert "".join(f"{each.rstrip()}\n" for each in drawn.lines) == kept.read_text("utf-8"), kept.name


nothing: list[float | None] = []


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ([], ["no data"]),
        ([line("V", nothing, nothing)], ["no data"]),
        ([line("V", [1.0, 2.0], [None, None])], ["no data"]),
        ([line("V", [1.0, 2.0], [np.nan, np.inf])], ["no data"]),
        ([line("V", [1.0], [3.7])], ["3.70 ┤", "╵1.000", "⡀"]),
        ([line("V", [1.0, 2.0, 3.0], [3.7, 3.7, 3.7])], ["3.70 ┤⣀⣀⣀⣀⣀⣀"]),
        ([line("V", [1.0, 2.0], [0.0, 0.0])], [" 0.0 ┤⣀⣀⣀⣀⣀⣀"]),
        ([line("V", [0.0, 1.0], [-1.7e308, 1.7e308])], ["1e300 V", "-1.0 ┤", " 0.0 ┤"]),
        ([line("V", [0.0, 1.0], [1e-9, 2e-9])], ["V / nV", "1.0 ┤", "2.0 ┤"]),
        ([line("V", [0.0, 1.0], [5e-324, 0.0])], [" 0.0 ┤⣀⣀⣀⣀⣀⣀"]),
        ([line("V", [1e9, 1e9 + 1], [1.0, 2.0])], ["╵1000000000.0", "t / s"]),
    ],
    ids=[
        "no series",
        "empty",
        "gaps alone",
        "not finite",
        "one point",
        "constant",
        "zero",
        "huge",
        "tiny",
        "least",
        "far",
    ],
)
def test_a_sensible_picture(series: list[Series], words: list[str]) -> None:
    text = "\n".join(draw(series, 60, 10, PLAIN).lines)
    for word in words:
        assert word in text, text


def test_reversed_and_out_of_order_series_span_the_same_window() -> None:
    x, y = [0.0, 1.0, 2.0, 3.0], [3.0, 3.5, 4.0, 4.2]
    forth = draw([line("V", x, y)], 60, 10, PLAIN)
    assert draw([line("V", x[::-1], y[::-1])], 60, 10, PLAIN).lines == forth.lines
    shuffled = draw([line("V", [2.0, 0.0, 3.0, 1.0], [4.0, 3.0, 4.2, 3.5])], 60, 10, PLAIN)
    assert shuffled.window == forth.window


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="of 'V' are 2, 1 and 1 values"):
        draw([line("V", [1.0, 2.0], [1.0])], 60, 10, PLAIN)


numbers = st.one_of(st.none(), st.floats())
some_series = st.builds(
    lambda label, values: Series(label, *([value[part] for value in values] for part in range(3))),
    st.text(max_size=12),
    st.lists(st.tuples(numbers, numbers, numbers), max_size=12),
)


@given(
    st.lists(some_series, max_size=4),
    st.integers(0, 90),
    st.integers(0, 20),
    st.builds(
        Options,
        st.text(max_size=20),
        st.builds(Axis, st.text(max_size=5), st.sampled_from(["s", "V", "mAh/g", ""])),
        st.builds(Axis, st.text(max_size=5), st.sampled_from(["V", "Pa", "%", ""])),
        st.sampled_from(Mode),
        st.booleans(),
        st.none() | st.tuples(st.floats(-1e6, 0), st.floats(0, 1e6)),
        st.none() | st.floats(-1e6, 1e6),
    ),
)
def test_a_figure_fills_its_rectangle_exactly(series: list[Series], width: int, height: int, how: Options) -> None:
    figure = draw(series, width, height, how)
    assert [cell_len(each) for each in figure.lines] == [width] * height
    assert all(style in range(-3, len(series)) for row in figure.rows for _, style in row)
    text = "".join(figure.lines)
    assert text.isprintable()
    assert text.isascii() or how.mode is not Mode.ASCII


def test_foreign_text_is_shown_literally() -> None:
    head = draw([line("[b]x[/b]", [0.0, 1.0], [1.0, 2.0])], 70, 8, Options("a\x1b[31m [red]", TIME, VOLTAGE)).lines[0]
    assert head.startswith("a\\x1b[31m [red]  V / V")
    legend = draw([line("[b]x[/b]\n", [0.0, 1.0], [1.0, 2.0])], 70, 8, Options("", TIME, VOLTAGE)).lines[0]
    assert legend.endswith("─ [b]x[/b]\\n")


def test_the_legend_gives_way_before_the_title_does() -> None:
    series = [line(f"cycle {number}", [0.0, 1.0], [1.0, 2.0]) for number in range(9)]
    assert draw(series, 40, 8, PLAIN).lines[0].split("  ─ ") == ["V(t)  V / V       ", "cycle 0", "cycle 1"]


def test_labels_do_not_overlap_at_any_width() -> None:
    for width in range(20, 140):
        below = draw([line("V", [0.0, 1e-3], [0.0, 1.0])], width, 6, PLAIN).lines[-1]
        labels = below.replace("t / s", "").split("╵")[1:]
        assert all(each.endswith("  ") for each in labels[:-1])
        assert all(float(each) >= 0 for each in labels)


def test_the_cursor_reads_what_is_nearest() -> None:
    series = [Series("V", [0.0, 60.0, 120.0], [3.0, 3.1, 3.2], [3.0, 3.4, 3.2])]
    figure = draw(series, 70, 8, options(cursor=70.0))
    assert figure.lines[0].endswith("t 1.167 min  V 3.100 to 3.400 V")
    assert [style for _, style in figure.rows[0]] == [TITLE, CURSOR, 0]
    assert any((text, style) == ("│", CURSOR) for row in figure.rows for text, style in row)


def test_a_span_shows_its_part_and_grows_to_its_height() -> None:
    x = list(map(float, range(100)))
    figure = draw([line("V", x, x)], 60, 10, options(span=(10.0, 20.0)))
    assert figure.window is not None
    assert (figure.window.bottom, figure.window.top) == (10.0, 20.0)
    between = draw([line("V", x, x)], 60, 10, options(span=(10.2, 10.8)))
    assert any(style == 0 for row in between.rows[1:] for _, style in row)


def test_without_colour_lines_carry_the_numbers_of_the_legend() -> None:
    figure = draw(charge_and_discharge(), 72, 14, options(colour=False))
    assert figure.lines[0].endswith("1 154  2 155")
    carried = "".join(text for row in figure.rows[1:-1] for text, style in row if style != LABEL)
    assert carried.count("1") == carried.count("2") == 3
