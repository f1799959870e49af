"""Text of instruments, protocols and people is shown literally everywhere: nothing is interpreted, nothing breaks."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.api import Alarm, Asked, LabState, StationState, StepLine, Word
from labctl.client import Happening
from labctl.literal import literal
from labctl.reading import Event, Severity
from labctl.tui.alarms import _cells, _detail
from labctl.tui.lines import Line
from labctl.tui.orders import Order, Stage
from labctl.tui.overview import doing_lines, event_lines
from labctl.tui.sight import Seen
from labctl.tui.start import finding_lines
from labctl.tui.station import limit_lines, plan_lines, state_lines
from labctl.tui.top import sentence

from .conftest import Staged
from .laboratory import NOW, alarm, lab_state, running, station

HOSTILE = st.one_of(
    st.sampled_from(
        ["[b]bold[/b]", "x [/b] y", "p [MPa] 2.5", "\x1b[31mred", "a\rb", "\x07\x00", "‮live", "🧪é中", "$error %d {x}"]
    ),
    st.text(max_size=40),
)


def hostile(text: str) -> StationState:
    """A station all of whose words are this text."""
    line = StepLine(id=1, depth=0, text=text, state="now")
    run = running(
        "A1", cell=text, protocol=text, title=text, step_name=text, next_step=text, operator=text, plan=(line,)
    )
    told = alarm("A1", sentence=text, action=text, quantity=text, acknowledged_by=None)
    known = alarm("A1", id="2", sentence=text, acknowledged_by=text, acknowledged_reason=text, active=False)
    return station(
        "A1",
        Word.WAIT,
        run=run,
        alarms=(told, known),
        asked=Asked(text=text, answers=(text, "no"), output=text),
        why=text,
    )


def texts(lines: list[Line]) -> str:
    return "".join(piece for line in lines for piece, _ in line)


@given(HOSTILE)
def test_every_line_prints_and_keeps_what_was_said(text: str) -> None:
    state = hostile(text)
    seen = Seen("A1", Word.WAIT, state, 0.1, text)
    event = Happening(text, "run", 1, Event("note", NOW, 0.0, text, Severity.WARNING))
    finding: dict[str, object] = {"severity": "error", "text": text}
    made = [
        *state_lines(seen, 400),
        *plan_lines(seen, 400, 10),
        *limit_lines(seen, 400),
        *doing_lines(seen, 400),
        *event_lines(event, 400),
        *_detail(state.alarms[0], 400),
        *_detail(state.alarms[1], 400),
        *finding_lines([finding]),
        Order(text, NOW, Stage.REFUSED, text).line,
    ]
    assert all(piece.isprintable() for line in made for piece, _ in line)
    said = literal(text).strip()
    if said and "\n" not in text:
        squeezed = texts(plan_lines(seen, 400, 10))
        assert said in squeezed
        assert said in texts([Order(text, NOW, Stage.REFUSED, text).line])
        assert said in texts(finding_lines([finding]))
    assert _cells(state.alarms[0])["Alarm"][0] == text
    assert text.rstrip(".") in sentence(state.alarms[0])


async def test_hostile_words_on_every_screen_are_shown_and_nothing_breaks(staged: Staged) -> None:
    words = "x [/b] y \x1b[31m[bold]"
    shown = "x [/b] y \\x1b[31m[bold]"
    async with staged(hostile(words), size=(200, 60)) as stage:
        await stage.daemon.say(hostile(words), lab=hostile_lab(words))
        await stage.daemon.happen("A1", words, severity=Severity.ALARM)
        await stage.settle()
        assert stage.text.count("x [/b] y") >= 6
        await stage.press("f2")
        assert stage.text.count(shown) >= 3
        await stage.press("enter")
        assert shown in stage.text
        await stage.press("escape", "X")
        assert "x [/b] y" in stage.text
        await stage.press("escape", "f5")
        assert shown in stage.text
        await stage.press("a")
        assert "Acknowledge" in stage.text
        stage.daemon.answers["estop"] = lambda _: {"stations": {"A1": [words], words: []}}
        await stage.press("escape", "question_mark", "escape", "f12", "f12")
        assert stage.text.count(shown) >= 2
        await stage.press("escape", "ctrl+p")
        await stage.pilot.pause()
        assert "\x1b" not in stage.text


def hostile_lab(words: str) -> LabState:
    return lab_state("A1", site=words)


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.lists(HOSTILE, min_size=1, max_size=2))
async def test_screens_survive_any_text(staged: Staged, data: list[str]) -> None:
    async with staged(station("A1"), size=(100, 30)) as stage:
        for text in data:
            await stage.daemon.say(hostile(text), lab=lab_state("A1", recorder=text))
            await stage.daemon.happen("A1", text)
            for key in ("f1", "f2", "f5"):
                await stage.press(key)
                assert all(line.isprintable() for line in stage.lines)


def test_an_alarm_is_not_changed_by_being_shown() -> None:
    told: Alarm = alarm("A1", sentence="5 V > 4.3 V.")
    assert sentence(told) == "✖ A1: 5 V > 4.3 V; circuit opened, pressure frozen"
