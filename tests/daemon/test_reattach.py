"""A 16-channel cycler that goes on while its daemon is killed again and again: no record is lost or doubled.

Everything is a process of its own and every wire is TCP; the simulator does not die with the daemon.
"""

import json
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from labctl.clock import host_sleep_blocking
from labctl.record.queries import Queries
from tests.daemon.test_processes import Lab
from tests.stations import HEAD

CHANNELS = 16
BUSY = ("C01", "C07", "C16")
INTERVAL = 2.0
CYCLING = (
    HEAD.replace('interval = "60 s"', f'interval = "{INTERVAL:g} s"')
    + """
[[step]]
repeat = 4000
counts = "cycle"
do = [
  { charge = "C/5", until = "2 min" },
  { rest = "1 min" },
]
"""
)
CHANNEL = """
[station.C{number:02d}.cycler]
driver = "simulated-cycler"
address = "sim://mainframe"
channel = {number}
[station.C{number:02d}.limits]
voltage = ["0 V", "5 V"]
current = "20 mA"
"""


@pytest.fixture
def lab(tmp_path: Path):  # type: ignore[no-untyped-def]
    lab = Lab(tmp_path)
    config = tmp_path / "config.toml"
    stations = "".join(CHANNEL.format(number=number) for number in range(1, CHANNELS + 1))
    config.write_text(f'schema = "1"\n[lab]\nsite = "demo"\n{stations}')
    lab.environment["LABCTL_CONFIG"] = str(config)
    (tmp_path / "cycling.toml").write_text(CYCLING)
    named = [word for number in range(1, CHANNELS + 1) for word in ("--station", f"C{number:02d}")]
    simulator = subprocess.Popen(
        [sys.executable, "-m", "labctl", "sim", *named, "--json"], env=lab.environment, stdout=subprocess.PIPE
    )
    assert simulator.stdout is not None
    for _ in range(CHANNELS):
        simulator.stdout.readline()
    yield lab
    lab.end()
    simulator.kill()
    simulator.communicate()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_program_is_gone_on_with_twenty_times(lab: Lab) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    daemon = lab.start_daemon("--speed", "60")
    runs = {}
    for station in BUSY:
        said = lab.ask("start", "cycling.toml", "--station", station, "--json")
        assert said.returncode == 0, said.stderr
        runs[station] = json.loads(said.stdout)["run"]
    for station in BUSY:
        lab.until(station, "charge", "rest")
    for _ in range(20):
        host_sleep_blocking(moments.uniform(0.0, 0.04))
        daemon.kill()
        daemon.wait()
        daemon = lab.start_daemon("--speed", "60")
    for station in BUSY:
        lab.until(station, "charge", "rest")
        assert lab.ask("stop", station, "--yes").returncode == 0
    for station in BUSY:
        lab.until(station, "idle")
    daemon.terminate()
    daemon.wait(60.0)

    with Queries(lab.data / "labctl.db") as queries:
        for station, uuid in runs.items():
            run = queries.run(uuid)
            assert run.state == "stopped", (station, run.end_reason)
            rows = queries.readings(run.id, ("test_time_second", "step_count", "step_time_second", "cycle_count"))
            ended = [step for step in queries.steps(run.id) if step.end_reason and "safe" not in str(step.name)]
            assert [step.step_count for step in ended] == list(range(1, len(ended) + 1))
            for (_, time, step, since, _), (_, later, next_step, next_since, _) in pairwise(rows[:-2]):
                if step == next_step:
                    assert 0.0 < later - time <= INTERVAL + 0.011, (station, step, since)
                else:
                    assert next_step == step + 1
                    assert next_since <= 0.011
                    assert later - time <= 0.011


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_program_that_the_guard_paused_waits_for_a_person_and_goes_on(lab: Lab) -> None:
    daemon = lab.start_daemon("--speed", "60")
    run = json.loads(lab.ask("start", "cycling.toml", "--station", "C07", "--json").stdout)["run"]
    lab.until("C07", "charge", "rest")
    daemon.kill()
    daemon.wait()
    guarded = lab.ask("guard", "--once", "--json")
    assert guarded.returncode == 0, guarded.stderr
    assert json.loads(guarded.stdout)["report"]["stations"]["C07"]["outcome"] == "safe", guarded.stdout

    daemon = lab.start_daemon("--speed", "60")
    state = lab.until("C07", "paused")
    assert any("guard" in str(alarm["quantity"]) for alarm in state["alarms"]), state["alarms"]  # type: ignore[attr-defined]
    assert lab.ask("resume", "C07").returncode == 0
    lab.until("C07", "charge", "rest")
    assert lab.ask("stop", "C07", "--yes").returncode == 0
    lab.until("C07", "idle")
    daemon.terminate()
    daemon.wait(60.0)
    with Queries(lab.data / "labctl.db") as queries:
        stored = queries.run(run)
        assert stored.state == "stopped", stored.end_reason
        kinds = [event.kind for event in queries.events(stored.id)]
        assert kinds.count("run.paused") == kinds.count("run.resumed") == 1, kinds
        rows = queries.readings(stored.id, ("test_time_second", "step_count"))
        assert all(later[1] >= before[1] for before, later in pairwise(rows))
        assert {step.name for step in queries.steps(stored.id)} >= {"pause"}
