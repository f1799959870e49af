"""On the command line a plot uses what its console has: braille or ASCII, colour or numbers on its lines."""

import io

import pytest
from rich.console import Console

from labctl.plot.axes import Axis
from labctl.plot.figure import Mode, Options, Series
from labctl.plot.text import mode_for, plot_text

SERIES = [Series("[a]", [0.0, 1.0], [1.0, 2.0], [1.0, 2.0]), Series("b", [0.0, 1.0], [2.0, 1.0], [2.0, 1.0])]
HOW = Options("V(t) [b]", Axis("t", "s"), Axis("V", "V"))


def printed(encoding: str = "utf-8", **console: bool) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding)
    shown = Console(file=file, width=50, legacy_windows=False, _environ={"TERM": "xterm"}, **console)  # type: ignore[arg-type]
    shown.print(plot_text(shown, SERIES, 8, HOW), end="")
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("encoding", "term", "mode"),
    [
        ("utf-8", "xterm-256color", Mode.BRAILLE),
        ("UTF8", None, Mode.BRAILLE),
        ("utf-8", "linux", Mode.ASCII),
        ("utf-8", "dumb", Mode.ASCII),
        ("ascii", "xterm", Mode.ASCII),
        ("iso8859-1", "xterm", Mode.ASCII),
    ],
)
def test_mode(encoding: str, term: str | None, mode: Mode) -> None:
    assert mode_for(encoding, {} if term is None else {"TERM": term}) is mode


@pytest.fixture(autouse=True)
def _on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_pipe_gets_no_escape_sequence_and_numbers_on_its_lines() -> None:
    text = printed()
    assert "\x1b" not in text
    assert text.startswith("V(t) [b]  V / V")
    assert text.splitlines()[0].endswith("1 [a]  2 b")
    assert len(text.splitlines()) == 8


def test_a_terminal_gets_colours() -> None:
    assert "\x1b[36m─ [a]" in printed(force_terminal=True).replace("\x1b[36m  ─", "\x1b[36m─")


def test_without_colour_a_terminal_gets_numbers() -> None:
    assert "1 [a]" in printed(force_terminal=True, no_color=True)


def test_ascii_is_all_that_an_old_terminal_gets() -> None:
    text = printed("ascii")
    assert "* [a]  + b" in text
    assert text.splitlines()[-1].endswith("t / s")
