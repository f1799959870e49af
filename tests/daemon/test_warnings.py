"""A warning of the guard at a living daemon: the run waits, the alarm is seen, and who looked is on record."""

from pathlib import Path

import pytest

from labctl.api import Word
from labctl.config import load
from labctl.reading import RunState, Severity
from labctl.record.queries import Queries
from tests.daemon.lab import Laboratory, living
from tests.stations import CONFIG

REST = '[[step]]\nrest = "5 min"\nlimits = { temperature = ["10 degC", "30 degC"] }\n'


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))


async def warned(here: Laboratory) -> str:
    """Start a rest whose room is warmer than a margin allows; return its run, paused by the guard."""
    await here.idle("A1")
    started = await here.lab.start(here.protocol(REST), station="A1")
    state = await here.until("A1", lambda state: state.word is Word.PAUSED and bool(state.alarms))
    (alarm,) = state.alarms
    assert alarm.quantity == "warning"
    assert alarm.severity is Severity.WARNING
    assert not alarm.latched
    assert "above the warning of 22 °C" in alarm.sentence
    return started.run


async def test_a_warning_pauses_is_an_alarm_and_both_end_with_a_person_on_record(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.read_text() + '\n[station.A1.warnings]\ntemperature = "8 K"\n')
    async with living(tmp_path, config=load(path)) as here:
        run = await warned(here)
        await here.lab.acknowledge("A1", reason="the window is open")
        state = await here.until("A1", lambda state: bool(state.alarms and state.alarms[0].acknowledged_by))
        assert state.word is Word.PAUSED, "to have seen it is not to go on"
        await here.lab.stop("A1", "the room is too warm")
        row = await here.stored(run)
        await here.until("A1", lambda state: not state.alarms and state.run is None)
        kinds = [event.kind for event in here.events(row)]
        assert row.state == RunState.STOPPED
        assert kinds[kinds.index("guard.warned") :][:2] == ["guard.warned", "run.paused"]
    with Queries(here.database) as queries:
        watches = [one for one in queries.runs(watches=True) if one.station == "A1"]
        events = [event for one in watches for event in queries.events(one.id)]
    (noted,) = [event for event in events if event.kind == "alarm.acknowledged"]
    assert noted.data["reason"] == "the window is open"
    assert noted.data["user"]
    assert noted.data["alarm"]
    assert "above the warning of 22 °C" in noted.message
