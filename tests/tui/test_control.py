"""The safety ladder: what each key sends, what a dialog must be answered first, and what is said of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Button, Input

from labctl.api import (
    Acknowledge,
    Action,
    Answer,
    Asked,
    Check,
    History,
    Note,
    Refusal,
    Request,
    Start,
    StationState,
    Word,
)
from labctl.reading import Severity
from labctl.tui.dialogs import Ask, Help
from labctl.tui.emergency import EmergencyScreen
from labctl.tui.start import StartDialog

from .conftest import Stage, Staged
from .laboratory import alarm, station


def told(stage: Stage) -> list[tuple[str, str, str]]:
    """What was commanded: action, target, reason."""
    return [_told(request) for request in stage.daemon.commands()]


def _told(request: Request) -> tuple[str, str, str]:
    target = getattr(request.action, "target", getattr(request.action, "station", ""))
    return request.action.do, target, request.reason


async def test_pause_is_immediate_and_confirmed_only_by_the_station(staged: Staged) -> None:
    async with staged(station("A1"), station("A2")) as stage:
        await stage.press("p")
        assert told(stage) == [("pause", "A1", "test")]
        assert stage.order.endswith("pause A1 – accepted")
        await stage.daemon.say(station("A1", Word.PAUSED), station("A2"))
        await stage.settle()
        assert "pause A1 – confirmed" in stage.order


async def test_what_a_station_does_not_confirm_is_not_known(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        await stage.press("p")
        stage.later(10.5)
        await stage.daemon.say(station("A1"))
        await stage.settle()
        assert "pause A1 – not known: the daemon accepted it, the station does not say so" in stage.order


async def test_a_refusal_is_told_in_the_daemons_words(staged: Staged) -> None:
    async with staged(station("A1", Word.IDLE)) as stage:
        stage.daemon.answers["pause"] = lambda _: Refusal(
            sentence="Nothing runs [here].", remedy="Start\x1b something."
        )
        await stage.press("p")
        assert "pause A1 – refused: Nothing runs [here].   Start\\x1b something." in stage.order


async def test_what_is_not_answered_stays_requested(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        stage.daemon.answers["pause"] = lambda _: None
        await stage.press("p")
        assert stage.order.endswith("pause A1 – requested")


async def test_what_is_never_answered_is_not_known(staged: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.client.lab.PATIENCE", 0.01)
    async with staged(station("A1")) as stage:
        stage.daemon.answers["pause"] = lambda _: None
        await stage.press("p")
        await stage.until("pause A1 – not known")
        assert "NOT known whether it was carried out" in stage.order


@pytest.mark.parametrize(
    ("key", "do", "button", "then"),
    [("r", "resume", "Resume", Word.CHARGE), ("S", "skip", "Skip", None), ("X", "stop", "Stop", Word.IDLE)],
)
async def test_what_drives_or_ends_is_asked_first_and_cancel_is_the_default(
    staged: Staged, key: str, do: str, button: str, then: Word | None
) -> None:
    async with staged(station("A1", Word.PAUSED)) as stage:
        for no in ("enter", "escape"):
            await stage.press(key)
            assert isinstance(stage.app.screen, Ask)
            assert isinstance(stage.app.focused, Button)
            assert stage.app.focused.id == "cancel"
            assert "A1 is PAUSED. Cell NMC83-A1, asymmetric." in stage.text
            assert button in stage.text
            await stage.press(no)
            assert not isinstance(stage.app.screen, Ask)
        assert told(stage) == []
        await stage.press(key, "right", "enter")
        assert told(stage) == [(do, "A1", "test")]
        if then is None:
            assert stage.order.endswith("confirmed")
        else:
            assert stage.order.endswith("accepted")
            await stage.daemon.say(station("A1", then))
            await stage.settle()
            assert "confirmed: its station says so" in stage.order


@pytest.mark.parametrize("key", ["p", "r", "S", "X", "R", "m", "A", "a"])
async def test_read_only_sends_nothing_and_says_why(staged: Staged, key: str) -> None:
    async with staged(station("A1", alarms=(alarm("A1"),)), reason=None) as stage:
        assert "READ-ONLY" in stage.shown("#top")
        await stage.press(key)
        assert len(stage.app.screen_stack) == 2
        assert "Read-only: press c to take control" in stage.order
        assert told(stage) == []


async def test_control_is_taken_with_a_reason_and_given_back(staged: Staged) -> None:
    async with staged(station("A1"), reason=None) as stage:
        await stage.press("c", "enter")
        assert isinstance(stage.app.screen, Ask), "without a reason there is no control"
        await stage.press("escape")
        assert "READ-ONLY" in stage.shown("#top")
        await stage.press("c", *"leak", "enter")
        assert "CONTROL" in stage.shown("#top")
        await stage.press("p")
        assert told(stage) == [("pause", "A1", "leak")]
        await stage.press("c")
        assert "READ-ONLY" in stage.shown("#top")


async def test_a_note_is_written_and_an_empty_one_is_not(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        await stage.press("m", "enter")
        assert isinstance(stage.app.screen, Ask)
        await stage.press(*"[b]", "enter")
        (note,) = [r.action for r in stage.daemon.commands()]
        assert isinstance(note, Note)
        assert (note.target, note.text) == ("A1", "[b]")


async def test_a_prompt_is_shown_and_answered(staged: Staged) -> None:
    asked = Asked(text="Is the [die] clean?", answers=("yes", "no"), output="rest")
    async with staged(station("A1", Word.WAIT, asked=asked)) as stage:
        await stage.press("f2")
        assert "ASKS: Is the [die] clean?  [yes / no]   Enter answers" in stage.text
        await stage.press("enter", *"yes", "enter")
        (answer,) = [r.action for r in stage.daemon.commands()]
        assert isinstance(answer, Answer)
        assert (answer.target, answer.answer) == ("A1", "yes")


async def test_nothing_asked_nothing_answered(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        await stage.press("f2", "enter")
        assert "A1 asks nothing now." in stage.order


# -- alarms ----------------------------------------------------------------------------------------------------------


def two_alarms() -> list[StationState]:
    second = alarm("A2", id="A2-2", sentence="Second.", since_unix_second=1.0, severity=Severity.WARNING)
    return [station("A1", alarms=(alarm("A1", since_unix_second=5.0),)), station("A2", alarms=(alarm("A2"), second))]


async def test_an_alarm_is_acknowledged_with_a_reason(staged: Staged) -> None:
    async with staged(*two_alarms()) as stage:
        await stage.press("f5", "down", "a", "enter")
        assert isinstance(stage.app.screen, Ask), "without a reason nothing is acknowledged"
        await stage.press(*"seal", "enter")
        (done,) = stage.daemon.commands()
        assert isinstance(done.action, Acknowledge)
        assert (done.action.station, done.action.alarms, done.reason) == ("A1", ("A1-1",), "seal")


async def test_on_the_overview_the_alarms_of_the_selected_station_are_acknowledged(staged: Staged) -> None:
    async with staged(*two_alarms()) as stage:
        await stage.press("down", "a", *"ok", "enter")
        (done,) = [r.action for r in stage.daemon.commands()]
        assert isinstance(done, Acknowledge)
        assert (done.station, set(done.alarms)) == ("A2", {"A2-1", "A2-2"})


async def test_all_alarms_need_a_reason_and_a_typed_word(staged: Staged) -> None:
    async with staged(*two_alarms()) as stage:
        await stage.press("A", *"ok", "enter", *"al", "enter", "enter")
        assert isinstance(stage.app.screen, Ask)
        assert disabled(stage)
        assert told(stage) == []
        await stage.press("escape", "A", *"ok", "enter", *"all", "enter")
        assert told(stage) == [], "Enter behind the word goes to the buttons; Cancel is the first"
        await stage.press("right", "enter")
        assert [(do, where, why) for do, where, why in told(stage)] == [
            ("acknowledge", "A1", "ok"),
            ("acknowledge", "A2", "ok"),
        ]


async def test_an_acknowledged_alarm_leaves_the_alarm_line_and_stays_in_the_list(staged: Staged) -> None:
    known = alarm("A1", acknowledged_by="joe", acknowledged_reason="[seen]", active=False)
    async with staged(station("A1", alarms=(known,))) as stage:
        assert stage.shown("#alarm") == ""
        await stage.press("f5")
        assert "joe" in stage.shown("#alarms")
        assert "Acknowledged by joe: [seen]." in stage.shown("#detail")
        await stage.press("a")
        assert "There is no alarm to acknowledge." in stage.order


# -- all stations ----------------------------------------------------------------------------------------------------


async def test_f12_pauses_all_and_twice_stops_all_also_inside_a_dialog(staged: Staged) -> None:
    async with staged(station("A1"), station("A2")) as stage:
        stage.daemon.answers["estop"] = lambda _: {"stations": {"A1": [], "A2": ["cycler [x]: did not confirm."]}}
        await stage.press("X")
        assert isinstance(stage.app.screen, Ask)
        await stage.press("f12")
        assert told(stage) == [("pause_all", "", "test")]
        assert isinstance(stage.app.screen, Ask)
        stage.later(1.9)
        await stage.press("f12")
        assert told(stage)[1:] == [("estop", "", "test")]
        assert isinstance(stage.app.screen, EmergencyScreen)
        assert "NOT a safety function" in stage.text
        assert "✓ A1  confirmed: outputs open" in stage.text
        assert "✖ A2  NOT CONFIRMED SAFE" in stage.text
        assert "cycler [x]: did not confirm." in stage.text


async def test_two_presses_far_apart_are_two_pauses(staged: Staged) -> None:
    async with staged(station("A1"), reason=None) as stage:
        await stage.press("f12")
        stage.later(2.1)
        await stage.press("ctrl+e")
        assert told(stage) == [("pause_all", "", "F12"), ("pause_all", "", "F12")]
        assert not isinstance(stage.app.screen, EmergencyScreen)


async def test_an_unanswered_stop_says_that_nothing_is_confirmed(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        stage.daemon.answers["estop"] = lambda _: None
        await stage.press("f12", "f12")
        assert "A1  has NOT confirmed anything yet" in stage.text
        assert "requested" in stage.text


async def test_a_reset_needs_a_typed_word(staged: Staged) -> None:
    async with staged(station("A1", Word.ESTOP)) as stage:
        await stage.press("f12", "f12", "R")
        await stage.press(*"rese", "enter", "enter")
        assert "reset" not in [do for do, _, _ in told(stage)]
        await stage.press("escape", "R", *"reset", "enter", "right", "enter")
        assert told(stage)[-1] == ("reset", "", "test")
        await stage.press("escape")
        assert not isinstance(stage.app.screen, EmergencyScreen)


@pytest.mark.parametrize("keys", [("ctrl+p",), ("question_mark",), ("R",), ("slash",), ("f5", "a")])
async def test_f12_is_heard_wherever_one_is(staged: Staged, keys: tuple[str, ...]) -> None:
    async with staged(station("A1", alarms=(alarm("A1"),))) as stage:
        await stage.press(*keys)
        await stage.press("f12")
        assert "pause_all" in [do for do, _, _ in told(stage)]


# -- starting --------------------------------------------------------------------------------------------------------

FINDING = {
    "severity": "error",
    "text": "mine.toml:2:11: error[value]: [x] is none\n    2 | current = [x]\n      |           ^^^",
}


def disabled(stage: Stage) -> bool:
    return stage.app.screen.query_one("#act", Button).disabled


async def opened(stage: Stage) -> None:
    (stage.app._folder / "mine.toml").write_text("[protocol]\n")
    await stage.press("R")
    assert isinstance(stage.app.screen, StartDialog)
    assert disabled(stage)


async def test_a_start_is_checked_by_the_daemon_and_confirmed(staged: Staged) -> None:
    async with staged(station("A1"), station("A2", Word.IDLE)) as stage:
        stage.daemon.answers["start"] = lambda _: {"run": "77", "station": "A2", "position": 0}
        await stage.press("down")
        await opened(stage)
        await stage.press("tab", "tab", *"cycles=5")
        await stage.press("enter")
        await stage.until("can run on A2")
        (check,) = [r.action for r in stage.daemon.commands("check")]
        assert isinstance(check, Check)
        assert (check.station, check.protocol, check.inputs) == ("A2", "[protocol]\n", {"cycles": "5"})
        assert isinstance(stage.app.focused, Button)
        assert stage.app.focused.id == "cancel"
        await stage.press("right", "right", "enter")
        await stage.until("start mine.toml on A2 – confirmed")
        (start,) = [r.action for r in stage.daemon.commands("start")]
        assert isinstance(start, Start)
        assert (start.station, start.inputs) == ("A2", {"cycles": "5"})


async def test_a_protocol_of_the_folders_is_chosen_by_its_name(staged: Staged, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    (shelf / "ma").mkdir(parents=True)
    (shelf / "ma" / "rests.toml").write_text("[protocol]\n# of the shelf\n")
    async with staged(station("A1", Word.IDLE)) as stage:
        stage.lab.folders = (shelf,)
        await opened(stage)
        await stage.press("down", "enter")
        await stage.until("ma/rests can run on A1")
        (check,) = [r.action for r in stage.daemon.commands("check")]
        assert isinstance(check, Check)
        assert (check.protocol, check.file) == ("[protocol]\n# of the shelf\n", str(shelf / "ma" / "rests.toml"))


async def test_findings_are_shown_literally_with_their_caret_and_nothing_can_start(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        stage.daemon.answers["check"] = lambda _: {"findings": [FINDING]}
        await opened(stage)
        await stage.press("enter")
        await stage.until("    2 | current = [x]")
        assert "      |           ^^^" in stage.text
        assert disabled(stage)
        await stage.press("escape")
        assert stage.daemon.commands("start") == []


async def test_what_is_changed_after_the_check_is_checked_again(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        await opened(stage)
        await stage.press("enter")
        await stage.until("can run on A1")
        assert not disabled(stage)
        stage.app.screen.query_one("#start-inputs", Input).focus()
        await stage.press("x")
        assert disabled(stage)
        await stage.press("enter")
        assert '"x" is no input' in stage.text
        assert disabled(stage)


async def test_a_refused_check_is_told(staged: Staged) -> None:
    def refuse(_: Action) -> Refusal | Mapping[str, Any]:
        return Refusal(sentence="There is no station [A9].")

    async with staged(station("A1")) as stage:
        stage.daemon.answers["check"] = refuse
        await opened(stage)
        await stage.press("enter")
        await stage.until("There is no station [A9].")


# -- moving about ----------------------------------------------------------------------------------------------------


async def test_keys_move_through_stations_and_screens(staged: Staged) -> None:
    async with staged(*(station(f"A{n}") for n in range(1, 5))) as stage:
        for keys, name in (
            (("down", "j"), "A3"),
            (("k",), "A2"),
            (("G",), "A4"),
            (("g",), "A1"),
            (("end",), "A4"),
            (("home",), "A1"),
            (("pagedown",), "A4"),
            (("pageup",), "A1"),
            (("left_square_bracket",), "A4"),
            (("right_square_bracket", "right_square_bracket"), "A2"),
        ):
            await stage.press(*keys)
            assert stage.app.control.selected == name
        await stage.press("enter")
        assert stage.text.count("A2") >= 1
        assert "step 5/12 charge C/3" in stage.text
        await stage.press("right_square_bracket")
        assert stage.app.control.selected == "A3"
        await stage.press("escape")
        assert "▶ A3" in stage.shown("#grid").replace("  A3", "▶ A3")
        await stage.press("f5")
        assert "There is no alarm." in stage.text
        await stage.press("escape")
        assert "Station" in stage.shown("#grid")


async def test_plot_kinds_ask_for_what_they_show(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        stage.daemon.answers["cycles"] = lambda _: {"cycles": [], "more": False}
        await stage.press("f2")
        for key, title in (("1", "V(t)"), ("2", "V(Q) by cycle"), ("4", "coulombic efficiency"), ("5", "p(t)")):
            stage.later(30.0)
            await stage.daemon.say(station("A1"))
            await stage.press(key)
            await stage.settle()
            assert title in stage.text
        columns = [r.action.columns for r in stage.daemon.asked if isinstance(r.action, History)]
        assert ("voltage_volt",) in columns
        assert columns[-1][0] == "negative_pressure_pa_min"


async def test_the_filter_is_typed_kept_and_taken_away(staged: Staged) -> None:
    async with staged(station("A1"), station("B1", Word.REST)) as stage:
        await stage.press("slash", *"b1")
        assert "A1" not in stage.shown("#grid")
        await stage.press("enter", "p")
        assert told(stage) == [("pause", "B1", "test")]
        await stage.press("escape")
        assert "A1" in stage.shown("#grid")


async def test_what_the_filter_hides_is_not_commanded(staged: Staged) -> None:
    async with staged(station("A1"), station("B1")) as stage:
        await stage.press("slash", *"nothing", "enter", "p")
        assert told(stage) == []
        assert "There is no station here." in stage.order


async def test_values_are_copied(staged: Staged, monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(station("A1")) as stage:
        copied: list[str] = []
        monkeypatch.setattr(stage.app, "copy_to_clipboard", copied.append)
        await stage.press("y")
        assert copied == ["A1 CHARGE  V 3.7000 V  I +0.7900 mA  p anode 2.48 MPa  p cathode 0.21 MPa  T 30.1 °C"]


async def test_help_lists_every_key_and_says_that_the_daemon_goes_on(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        await stage.press("question_mark")
        assert isinstance(stage.app.screen, Help)
        for said in ("Pause all; twice: E-STOP", "Skip the step", "Stop", "the daemon and its runs go on"):
            assert said in stage.text
        await stage.press("escape")
        assert not isinstance(stage.app.screen, Help)


async def test_themes_go_round(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        seen = []
        for _ in range(4):
            await stage.press("t")
            seen.append(stage.app.theme)
        assert seen == ["labctl-light", "ansi-dark", "ansi-light", "labctl-dark"]


async def test_the_palette_finds_a_station(staged: Staged) -> None:
    async with staged(station("A1"), station("A2")) as stage:
        await stage.press("ctrl+p")
        titles = [command.title for command in stage.app.get_system_commands(stage.app.screen_stack[-2])]
        assert {"Open A1", "Open A2", "Pause", "Stop"} <= set(titles)
        await stage.press("escape")


async def test_a_remapped_key_does_what_it_is_said_to(staged: Staged) -> None:
    async with staged(station("A1"), keys={"pause": "f6", "table.down": "n"}) as stage:
        await stage.press("p")
        assert told(stage) == []
        await stage.press("f6")
        assert told(stage) == [("pause", "A1", "test")]


async def test_q_leaves_and_commands_nothing(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        await stage.pilot.press("q")
        await stage.pilot.pause()
        assert told(stage) == []
        assert stage.app._exit


async def test_a_click_selects_and_a_double_click_opens(staged: Staged) -> None:
    async with staged(station("A1"), station("A2")) as stage:
        await stage.pilot.click("#grid", offset=(4, 2))
        await stage.settle()
        assert stage.app.control.selected == "A2"
        await stage.pilot.click("#grid", offset=(4, 1), times=2)
        await stage.settle()
        assert "step 5/12" in stage.text
        assert stage.app.control.selected == "A1"


async def test_a_click_on_a_key_presses_it(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        at = stage.shown("#keys").index("Pause")
        await stage.pilot.click("#keys", offset=(at, 0))
        await stage.settle()
        assert told(stage) == [("pause", "A1", "test")]
