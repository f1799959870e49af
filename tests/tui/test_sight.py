"""What may be believed: ages, silence, a daemon or broker that is gone; seen on the screen, not only in the model."""

import pytest

from labctl.api import Value, Word
from labctl.bus.local import LocalBus
from labctl.tui.sight import Sight
from labctl.tui.words import SAID

from .conftest import Staged
from .laboratory import alarm, laboratory, station, values


@pytest.mark.parametrize(
    ("age", "period", "speed", "waited", "old"),
    [
        (0.4, 1.0, 1.0, 0.5, None),
        (2.9, 1.0, 1.0, 0.0, None),
        (3.1, 1.0, 1.0, 0.0, 3.1),
        (3.1, 1.0, 600.0, 0.0, 3.1),
        (2.0, 1.0, 1.0, 2.0, 4.0),
        (2.0, 1.0, 600.0, 2.0, None),
        (0.1, 0.1, 1.0, 1.2, None),
        (12.0, 5.0, 1.0, 2.0, None),
        (None, 1.0, 1.0, 0.0, None),
    ],
)
async def test_a_value_is_old_after_three_periods(
    age: float | None, period: float, speed: float, waited: float, old: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("labctl.client.view.host_monotonic", lambda: clock[0])
    said = station(values={"voltage_volt": Value(value=3.7, age=age, period=period)}, speed=speed)
    async with laboratory(said) as (lab, _):
        clock[0] += waited
        reading = Sight(lab, lambda: clock[0]).station("A1").reading("voltage_volt")
        assert reading.value == 3.7
        assert reading.old == (None if old is None else pytest.approx(old))


async def test_a_station_is_seen_anew_only_when_something_of_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("labctl.client.view.host_monotonic", lambda: clock[0])
    aging = {
        "voltage_volt": Value(value=3.7, age=1.0, period=1.0),
        "current_ampere": Value(value=0.0, age=None, period=1),
    }
    async with laboratory(station("A1"), station("A2", values=aging)) as (lab, daemon):
        sight = Sight(lab, lambda: clock[0])
        first = sight.stations()
        clock[0] += 1.9
        assert all(now is before for now, before in zip(sight.stations(), first, strict=True))
        clock[0] += 0.2
        assert sight.station("A1") is first[0]
        assert sight.station("A2").reading("voltage_volt").old == pytest.approx(3.1)
        await daemon.say(station("A1"), lab=lab.daemon)
        assert sight.station("A1") is not first[0]


@pytest.mark.parametrize("word", [Word.LOST, Word.CONNECTING])
async def test_a_station_that_is_blind_shows_no_number(staged: Staged, word: Word) -> None:
    async with staged(station("A1", word, run=None)) as stage:
        row = next(line for line in stage.shown("#grid").splitlines() if "A1" in line)
        assert not any(c.isdigit() for c in row.replace("A1", ""))
        assert "—" in row
        await stage.press("f2")
        assert "3.7" not in stage.text


async def test_a_silent_daemon_is_said_within_three_seconds_and_no_number_stays(staged: Staged) -> None:
    async with staged(station("A1"), station("A2", Word.REST)) as stage:
        assert "3.7000" in stage.shown("#grid")
        stage.later(2.4)
        await stage.settle()
        assert "3.7000" in stage.shown("#grid")
        stage.later(0.2)
        await stage.settle()
        assert "NOTHING HERE IS LIVE" in stage.shown("#alarm")
        assert "NOT LIVE" in stage.shown("#top")
        assert "3.7" not in stage.shown("#grid")
        assert stage.shown("#grid").count("? LOST") == 2
        assert "2.484" not in stage.shown("#gauges")
        await stage.press("f2")
        assert "3.7" not in stage.shown("#state")
        assert stage.app.screen.query("Digits").results()
        assert {str(d.value) for d in stage.app.screen.query("Digits").results()} == {"---"}  # type: ignore[attr-defined]


async def test_a_daemon_that_ended_is_gone_at_once_and_comes_back(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        await stage.daemon.say(station("A1"), alive=False)
        await stage.settle()
        assert "the daemon is gone" in stage.shown("#alarm")
        assert "3.7000" not in stage.shown("#grid")
        await stage.daemon.say(station("A1"))
        await stage.settle()
        assert "3.7000" in stage.shown("#grid")
        assert stage.shown("#alarm") == ""


async def test_a_dead_broker_is_said_in_its_own_words(staged: Staged) -> None:
    async with staged(station("A1")) as stage:
        bus = stage.daemon.bus
        assert isinstance(bus, LocalBus)
        bus.trouble = "The broker at 127.0.0.1:1883 does not answer."
        await stage.settle()
        assert "The broker at 127.0.0.1:1883 does not answer." in stage.shown("#alarm")
        assert "3.7000" not in stage.shown("#grid")


async def test_one_silent_station_is_lost_among_others_that_speak(staged: Staged) -> None:
    async with staged(station("A1"), station("A2")) as stage:
        stage.later(2.6)
        await stage.daemon.say(station("A2"), lab=stage.lab.daemon)
        await stage.settle()
        rows = stage.shown("#grid").splitlines()
        assert "? LOST" in rows[1]
        assert "▲ CHARGE" in rows[2]
        assert stage.shown("#alarm") == ""


async def test_an_alarm_is_on_every_screen_at_the_next_repaint(staged: Staged) -> None:
    async with staged(station("A1"), station("A2")) as stage:
        for key in ("f1", "f2", "f5"):
            await stage.press(key)
            assert stage.shown("#alarm") == ""
            await stage.daemon.say(station("A1"), station("A2", Word.ALARM, alarms=(alarm("A2"),)))
            await stage.settle()
            assert "A2: Cathode pressure 0.63 MPa" in stage.shown("#alarm")
            assert "✖ 1 alarm" in stage.shown("#top")
            await stage.daemon.say(station("A1"), station("A2"))
            await stage.settle()


async def test_the_header_never_drops_what_is_wrong(staged: Staged) -> None:
    states = [station(f"A{n}", word, alarms=(alarm(f"A{n}"),)) for n, word in enumerate(Word)]
    async with staged(*states, size=(80, 24)) as stage:
        for said in ("✖ 12 alarms", "■ 1 e-stop", "? 1 lost", "CONTROL", "12:00:00"):
            assert said in stage.shown("#top")


async def test_alarms_and_f12_work_in_a_terminal_that_is_too_small(staged: Staged) -> None:
    async with staged(station("A1", Word.ALARM, alarms=(alarm("A1"),)), size=(60, 12)) as stage:
        assert "60x12; 80x24 is needed" in stage.text
        assert "✖ A1" in stage.text
        assert "3.7000" not in stage.text
        await stage.press("f12")
        assert [r.action.do for r in stage.daemon.commands()] == ["pause_all"]


async def test_ten_thousand_messages_repaint_nothing_by_themselves(staged: Staged) -> None:
    async with staged(station("A1"), station("A2")) as stage:
        grid = stage.app.screen.query_one("#grid")
        ticks, lines = stage.app.repaints, grid.repaints  # type: ignore[attr-defined]
        for number in range(5000):
            await stage.daemon.say(station("A2", values=values(3.0 + number / 5000)), lab=stage.lab.daemon)
        assert stage.lab.version >= 10_000
        await stage.pilot.pause()
        assert stage.app.repaints == ticks
        assert grid.repaints == lines  # type: ignore[attr-defined]
        stage.app.tick()
        assert stage.app.repaints == ticks + 1
        assert grid.repaints == lines + 1  # type: ignore[attr-defined]


def test_all_words_are_told_apart_without_colour() -> None:
    assert len({f"{said.glyph} {said.word}" for said in SAID.values()}) == len(Word)
