"""Text and numbers in a width: exact widths, no lie by rounding, foreign text literally."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from labctl.literal import literal
from labctl.tui.shown import age, aged, fit, number, span, wrapped


@given(st.text(max_size=60), st.integers(0, 40), st.booleans())
def test_a_text_takes_exactly_its_columns_and_prints(text: str, width: int, right: bool) -> None:
    shown = fit(text, width, right=right)
    assert cell_len(shown) == width
    assert shown.isprintable()


@given(st.text(max_size=200), st.integers(4, 60))
def test_nothing_is_lost_or_too_wide_in_wrapping(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(cell_len(line) <= width for line in lines)
    kept = "".join(line.replace(" ", "") for line in lines)
    assert kept == "".join(literal(part).replace(" ", "") for part in text.split("\n"))


@given(st.floats(-1e12, 1e12), st.integers(5, 12), st.booleans())
def test_a_number_fits_or_says_that_it_does_not(value: float, width: int, sign: bool) -> None:
    text = number(value, 4, width, sign=sign)
    assert len(text) <= width
    if "#" not in text:
        assert abs(float(text) - value) <= max(0.5, abs(value) * 0.5)


def test_numbers_keep_as_many_decimals_as_there_is_room_for() -> None:
    assert number(4.09061, 4, 8) == "4.0906"
    assert number(-0.72051, 4, 9, sign=True) == "-0.7205"
    assert number(1234.5678, 4, 7) == "1234.57"
    assert number(-0.0004, 2, 6) == "0.00"
    assert number(123456789.0, 0, 5) == "1e8"


def test_an_old_value_carries_its_age_or_is_only_an_age() -> None:
    assert aged(4.0906, 4, 10, 12.0) == "4.0906 12s"
    assert aged(4.0906, 4, 8, 12.0) == "4.09 12s"
    assert aged(30.0, 1, 5, 250.0) == "(4m)"
    assert aged(0.2, 2, 6, 70.0) == "0.2 1m"


@given(st.floats(0.1, 1e8), st.floats(0.0, 1e7), st.integers(6, 12))
def test_an_old_value_never_looks_like_a_live_one(value: float, old: float, width: int) -> None:
    text = aged(value, 4, width, old)
    assert len(text) <= width
    assert text.rstrip(")")[-1] in "smhd"


def test_spans_and_ages() -> None:
    assert [span(s) for s in (0, 45, 750, 11100, 1571000, 1e8)] == ["0s", "45s", "12m30s", "3h05m", "18d04h", "1157d"]
    assert [age(s) for s in (0, 59.9, 61, 7200, 1e9)] == ["0s", "59s", "1m", "2h", "999d"]
    assert all(len(span(s)) <= 6 for s in (59.6, 3599.6, 86399.6, 999 * 86400 + 86399, 1e12))
