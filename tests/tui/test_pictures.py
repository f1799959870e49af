"""Pictures of every screen: characters in four sizes, styles in four kinds of terminal, as kept in pictures/.

After a change that is meant: LABCTL_PICTURES=new pytest tests/tui/test_pictures.py, and look at the difference.
"""

import os
import re
from pathlib import Path

import pytest

from labctl.api import Bucketed, Control
from labctl.client import Happening
from labctl.reading import Event, Severity
from labctl.tui.picture import picture

from .conftest import Stage, Staged
from .laboratory import NOW, curve, lab_state, sixteen

PICTURES = Path(__file__).parent / "pictures"
SIZES = [(80, 24), (100, 30), (120, 40), (200, 60)]
SCREENS = {"overview": "f1", "station": "f2", "alarms": "f5"}
TERMINALS = ["dark", "light", "ansi", "no-color"]


def compare(name: str, lines: list[str]) -> None:
    """Compare with the kept picture, or keep this one where that was asked for."""
    file = PICTURES / name
    text = "\n".join(lines) + "\n"
    if os.environ.get("LABCTL_PICTURES") == "new":
        PICTURES.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8")


def styles(stage: Stage) -> list[str]:
    """Every style on the screen with the first words that have it."""
    found: dict[str, list[str]] = {}
    for strip in stage.app.screen._compositor.render_strips():
        for segment in strip:
            if segment.text.strip(" ─━┃│"):
                found.setdefault(str(segment.style), []).append(segment.text.strip())
    return sorted(f"{style}: {' | '.join(dict.fromkeys(words))[:100]}" for style, words in found.items())


async def show(stage: Stage, screen: str) -> None:
    stage.daemon.answers["events"] = lambda _: {"events": []}
    await stage.daemon.happen("A5", "Paused by anna: [look] at the seal", severity=Severity.WARNING)
    await stage.daemon.happen("A2", "Cathode pressure 0.63 MPa was above 0.60 MPa", severity=Severity.ALARM, first=9)
    await stage.press(SCREENS[screen])
    await stage.settle()


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_screen_in_characters(staged: Staged, screen: str, size: tuple[int, int]) -> None:
    async with staged(*sixteen(), size=size, reason=None) as stage:
        await show(stage, screen)
        assert all(len(line) <= size[0] for line in stage.lines)
        compare(f"{screen}-{size[0]}x{size[1]}.txt", stage.lines)


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("terminal", TERMINALS)
async def test_a_screen_in_styles(staged: Staged, screen: str, terminal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if terminal == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")
    if terminal == "ansi":
        monkeypatch.setenv("TERM", "xterm-16color")
        monkeypatch.delenv("COLORTERM")
    theme = "labctl-light" if terminal == "light" else ""
    async with staged(*sixteen(), reason=None, theme=theme) as stage:
        await show(stage, screen)
        kept = PICTURES / f"{screen}-120x40.txt"
        assert without_plot(stage.lines) == without_plot(kept.read_text("utf-8").splitlines()), "the same characters"
        said = styles(stage)
        assert said, "nothing is shown"
        if terminal in ("ansi", "no-color"):
            assert not any(re.search(r"#[0-9a-f]{6}", line.split(":")[0]) for line in said)
        if terminal == "no-color":
            colours = r"\b(red|green|blue|yellow|cyan|magenta|white|black)\b"
            assert not any(re.search(colours, line.split(":")[0]) for line in said)
        compare(f"{screen}-{terminal}.styles.txt", said)


def without_plot(lines: list[str]) -> list[str]:
    """Without colour, lines of a plot carry numbers."""
    return [line for line in lines if not re.search("[⠀-⣿]", line)]


async def test_the_picture_for_documents_is_made_of_given_states() -> None:
    states = sixteen()
    drawn = Bucketed.model_validate(curve(Control(do="pause", target="A1")))
    curves = {state.run.run: drawn for state in states if state.run is not None}
    events = [Happening("A5", "run", 1, Event("note", NOW, 0.0, "Paused by anna", Severity.WARNING))]
    daemon = lab_state(*(state.station for state in states))
    svg = await picture(states, daemon, curves, events, size=(120, 40))
    assert svg.startswith("<svg")
    text = re.sub(r"<[^>]+>", "", svg).replace("&#160;", " ")
    for said in ("NMC83-A1", "DISCHARGE", "0.63!", "Paused by anna", "⡀"):
        assert said in text
    assert svg == await picture(states, daemon, curves, events, size=(120, 40))
