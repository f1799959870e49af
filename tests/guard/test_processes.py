"""A daemon that is killed, stopped, or hangs, and what its sources then do: told by the simulators themselves."""

import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from labctl.clock import host_monotonic
from labctl.lab.guarded import Outcome, read_report
from labctl.record.queries import Queries
from tests.guard.house import STATIONS, House

HANGS = 1.0
"""The guard's patience here, s."""
TAKES = 4.0
"""Host seconds that a look, the fence and the connection of a station may take on a busy machine."""
BEAT = 0.5


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("guarded"))
    try:
        house.start_guard("--patience", f"{HANGS:g} s")  # before any daemon: it waits
        yield house
    except BaseException:
        for name in house.processes:
            print(f"--- {name}\n{house.said(name)}")
        raise
    finally:
        house.close()


Hurt = Callable[[House, subprocess.Popen[bytes]], None]


def kill(house: House, daemon: subprocess.Popen[bytes]) -> None:
    daemon.kill()


def stop(house: House, daemon: subprocess.Popen[bytes]) -> None:
    daemon.send_signal(signal.SIGSTOP)


def deadlock(house: House, daemon: subprocess.Popen[bytes]) -> None:
    house.hang.touch()


@pytest.mark.parametrize(
    ("hurt", "longest", "why"),
    [
        (kill, TAKES, "is gone"),
        (stop, BEAT + HANGS + TAKES, "has not moved for"),
        (deadlock, BEAT + 1.0 + HANGS + TAKES, "has not moved for"),  # a poll comes once a second
    ],
)
def test_no_source_stays_energised_when_its_daemon(house: House, hurt: Hurt, longest: float, why: str) -> None:
    daemon = house.start_daemon()
    before = house.begin_runs()
    begin = host_monotonic()
    hurt(house, daemon)
    for station in STATIONS:
        energised = house.switched_off(station, begin)
        print(f"{station} stayed energised for {energised:.2f} s")
        assert energised < longest
    report = house.report()
    assert daemon.wait(1.0) == -signal.SIGKILL
    house.hang.unlink(missing_ok=True)
    assert why in report.why
    assert {name: station.outcome for name, station in report.stations.items()} == dict.fromkeys(STATIONS, Outcome.SAFE)
    confirmed = {name: one.confirmed_unix_second for name, one in report.stations["S1"].instruments.items()}
    assert list(confirmed) == ["cycler", "pressure_rig.negative", "thermostat"]
    assert None not in confirmed.values()
    assert sorted(confirmed.values()) == list(confirmed.values())
    if hurt is kill:
        said = house.ask("status")
        assert said.returncode == 1  # there is no daemon to ask
        assert "The guard made station V1 safe: cycler confirmed at" in said.stderr
    else:  # the daemon of this test was begun after a guard had acted
        assert len(before) == len(STATIONS)
        assert "The guard made station" in before[0]
        with Queries(house.data / "labctl.db") as queries:
            watched = [event for run in queries.runs(watches=True) for event in queries.events(run.id)]
        assert "guard.acted" in {event.kind for event in watched}


def test_a_daemon_that_ended_in_order_is_left_alone(house: House) -> None:
    daemon = house.start_daemon()
    assert read_report(house.data) is None  # it has taken it up
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(30.0) == 0, house.said("daemon")
    once = house.start("once", house.config, "guard", "--once")
    assert once.wait(30.0) == 6  # the other one watches
    assert "in use by another process" in house.said("once")
    assert read_report(house.data) is None


def test_a_guard_ends_when_it_is_told(house: House) -> None:
    guard = house.processes["guard"]
    guard.send_signal(signal.SIGTERM)
    assert guard.wait(10.0) == 0
