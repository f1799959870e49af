"""Doerrer 2021, asymmetric pressure: the whole experiment in memory, and one cycle of it over simulated wires."""

import sqlite3
from pathlib import Path

import pytest

from labctl.engine.operator import DeclaredOperator
from labctl.lab.abilities import abilities
from labctl.lab.experiment import Experiment, Running, conduct
from labctl.lab.laboratory import Pace
from labctl.protocol import bind, load
from labctl.reading import RunState
from tests.stations import CONFIG, ROOT, repository_config

PROTOCOL = ROOT / "protocols" / "doerrer-2021" / "asymmetric.toml"


async def record(database: Path, pace: Pace, cycles: int) -> Running:
    config = repository_config()
    plan = bind(load(PROTOCOL), abilities(config, "A1"), None, {"cycles": str(cycles)})
    running: list[Running] = []
    experiment = Experiment(config, CONFIG, "A1", plan, pace, database, DeclaredOperator())
    outcome = await conduct(experiment, running.append)
    assert outcome.state is RunState.COMPLETED, outcome.reason
    return running[0]


def check(database: Path, running: Running, cycles: int) -> None:
    """What the paper says, what the rig had to do, and that the last number of the journal is the last of the table."""
    connection = sqlite3.connect(database)
    [(last,)] = connection.execute("SELECT max(seq) FROM (SELECT seq FROM readings UNION ALL SELECT seq FROM events)")
    [(count,)] = connection.execute("SELECT count(*) FROM (SELECT seq FROM readings UNION ALL SELECT seq FROM events)")
    assert last == count == running.delivery.last
    assert connection.execute("SELECT simulated, state FROM runs").fetchall() == [(1, "completed")]
    found = connection.execute(
        "SELECT cycle_count, discharging_capacity_ah, coulombic_efficiency, complete FROM cycles ORDER BY cycle_count"
    ).fetchall()
    assert [cycle for cycle, *_ in found] == list(range(1, cycles + 1))
    active_gram = 14e-3 * 3.14159265 * 0.25
    assert found[0][1] * 1e3 / active_gram == pytest.approx(204.0, rel=0.03)
    assert found[0][2] == pytest.approx(0.85, abs=0.02)
    assert all(complete for *_, complete in found)
    pressures = connection.execute(
        "SELECT min(negative_pressure_pa_min), max(negative_pressure_pa_max), min(positive_pressure_pa_min),"
        " max(positive_pressure_pa_max), min(negative_force_newton), min(surface_temperature_celsius),"
        " max(surface_temperature_celsius), sum(negative_torque_newton_metre IS NULL),"
        " count(DISTINCT negative_screw_angle_radian)"
        " FROM readings JOIN steps USING (run_id, channel, step_count) WHERE steps.verb IN ('charge', 'discharge')"
    ).fetchone()
    low, high, soft_low, soft_high, force, cold, warm, no_torque, angles = pressures
    assert 2.5e6 * 0.95 < low < high < 2.5e6 * 1.05, "as the protocol asks"
    assert 0.19e6 < soft_low < soft_high < 0.21e6
    assert force > 186.0
    assert 29.4 < cold < warm < 30.6
    assert no_torque == 0
    assert angles > 1, "the screw corrected for creep and breathing"
    connection.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_all_five_cycles_in_memory(tmp_path: Path) -> None:
    running = await record(tmp_path / "lab.db", Pace(in_memory=True), 5)
    check(tmp_path / "lab.db", running, 5)
    assert 140 * 3600 < running.run.progress.test_time < 160 * 3600


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_one_cycle_over_wires(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    running = await record(tmp_path / "lab.db", Pace(in_memory=False, speed=None), 1)
    check(tmp_path / "lab.db", running, 1)
    addresses = running.assembly.addresses
    assert addresses["cycler"].startswith("TCPIP::")
    assert len(set(addresses.values())) == len(addresses)
