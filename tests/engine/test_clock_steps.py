"""A calendar that people and NTP set while a run is under way: no duration changes."""

from pathlib import Path

import pytest

from labctl.clock import VirtualClock
from labctl.engine.run import Run
from labctl.lab.heartbeat import Beat, boot_id, silent_for
from labctl.reading import RunState
from tests.engine.lives import OF_CELL, Process, World, plan_for
from tests.laboratory import EPOCH

STEPS = """
[[step]]
charge = "C/2"
until = "20 min"
[[step]]
rest = "10 min"
"""
UNIX = 0
"""Column of a row that is the calendar's."""


def beat(boot: str, monotonic: float, unix: float) -> Beat:
    return Beat(
        pid=1, process_start=1, boot=boot, monotonic_second=monotonic, unix_second=unix, simulate=False, ended=False,
        stations={},
    )  # fmt: skip


@pytest.mark.parametrize("station", ["A3", "A4"])
@pytest.mark.parametrize("step", [3600.0, -3600.0, 0.5, -0.5])
async def test_a_step_of_the_calendar_changes_no_duration(tmp_path: Path, station: str, step: float) -> None:
    async def set_clock(clock: VirtualClock, run: Run) -> None:
        await clock.sleep(300.0)
        clock._epoch += step

    rows = []
    for words in (None, set_clock):
        world = World(tmp_path / str(words is None), station)
        outcome = await Process(world).live(plan_for(world, STEPS), words=words)
        assert outcome is not None
        assert outcome.state is RunState.COMPLETED
        rows.append([row[1:] for row in world.rows()])
    assert OF_CELL[0] == UNIX
    assert rows[0] == rows[1]


def test_how_long_a_daemon_is_silent_is_known_within_one_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.lab.heartbeat.host_monotonic", lambda: 500.0)
    monkeypatch.setattr("labctl.lab.heartbeat.host_unix", lambda: EPOCH - 86400.0)
    assert silent_for(beat(boot_id(), 380.0, EPOCH)) == 120.0, "the calendar was set back meanwhile"


def test_over_a_reboot_the_calendar_tells_unless_it_went_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.lab.heartbeat.host_unix", lambda: EPOCH + 600.0)
    assert silent_for(beat("another", 1e9, EPOCH)) == 600.0
    assert silent_for(beat("another", 1e9, EPOCH + 601.0)) is None
    assert silent_for(None) is None
