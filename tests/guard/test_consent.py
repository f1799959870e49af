"""A cycler that only software bounds: what is said of it, and that a run on it needs somebody's consent."""

import json
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from drivers.keithley_2450.driver import Keithley2450
from labctl.clock import VirtualClock
from labctl.config import Config, load
from labctl.errors import RefusedForSafety
from labctl.instrument import Executes, Features
from labctl.lab.abilities import abilities
from labctl.lab.consent import consented, refuse_without_consent
from labctl.lab.doctor.check import Verdict
from labctl.lab.doctor.guard import guard
from labctl.lint import check
from tests.daemon.kills import stations_of
from tests.daemon.lab import living
from tests.guard.test_guard import Guarded
from tests.stations import HEAD, repository_config

REST = HEAD.replace("pressure.negative", "# pressure.negative") + '[[step]]\nrest = "10 s"\n'


class Bare(Keithley2450):
    """A source without limits of its own, whose only session belongs to one process."""

    FEATURES: ClassVar[Features] = Features(limits=Executes.HOST, takeover=False)


def bare(config: Config, features: Features = Bare.FEATURES) -> Config:
    """Return a configuration whose cyclers are of another kind."""
    config.drivers = {
        key: (replace(driver, features=features), options) if key[1] == "cycler" else (driver, options)
        for key, (driver, options) in config.drivers.items()
    }
    return config


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.delenv("LABCTL_DATA", raising=False)
    path = tmp_path / "config.toml"
    path.write_text(f'schema = "1"\n[lab]\nsite = "demo"\n[storage]\ndata = "{tmp_path}/data"\n{stations_of("A3")}')
    return bare(load(path))


def test_what_protects_a_station_is_known_before_it_is_opened(config: Config) -> None:
    able = abilities(config, "A3")
    assert (able.without_takeover, able.software_only) == (("cycler",), ("cycler",))
    for features in (Features(takeover=False), Features(limits=Executes.HOST, watchdog=True, takeover=False)):
        able = abilities(bare(config, features), "A3")
        assert (able.without_takeover, able.software_only) == (("cycler",), ())
    able = abilities(bare(config, Features(limits=Executes.HOST)), "A3")
    assert (able.without_takeover, able.software_only) == ((), ())


def test_a_check_warns_and_finds_no_error(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "rest.toml"
    file.write_text(REST)
    (found,) = check(file, abilities(config, "A3"))
    assert (found.code, found.severity) == ("unguarded", "warning")
    assert "only this software bounds cycler" in found.reason
    (found,) = check(file, abilities(bare(config, Features(takeover=False)), "A3"))
    assert "no guard can take over cycler" in found.reason


def test_without_consent_it_is_refused_and_where_it_is_not_needed_it_is_not_asked_for(config: Config) -> None:
    able = abilities(config, "A3")
    for nobody in ("", "  "):
        with pytest.raises(RefusedForSafety, match="--consent"):
            refuse_without_consent(able, nobody)
    refuse_without_consent(able, "anna: dummy cell")
    refuse_without_consent(abilities(bare(config, Features()), "A3"), "")


def test_a_rig_that_lets_go_without_its_drive_asks_for_consent(tmp_path: Path) -> None:
    config = copy(repository_config())
    key = ("A1", "pressure_rig.negative")
    driver, options = config.drivers[key]
    assert abilities(config, "A1").letting_go == ()
    config.drivers = config.drivers | {key: (replace(driver, features=Features(watchdog=True)), options)}
    able = abilities(config, "A1")
    assert able.letting_go == ("negative",)
    with pytest.raises(RefusedForSafety, match=r"negative side is neither self-locking nor braked.*left alone"):
        refuse_without_consent(able, "")
    refuse_without_consent(able, "anna: I stay")
    file = tmp_path / "rest.toml"
    file.write_text(REST)
    (found,) = check(file, able)
    assert (found.code, found.severity) == ("unguarded", "warning")
    assert "neither self-locking nor braked" in found.reason
    assert any("A1: the rig of the negative side is neither" in check.found for check in guard(config))


async def test_a_daemon_refuses_and_records_who_consents(config: Config, tmp_path: Path) -> None:
    async with living(tmp_path, config=config) as here:
        file = tmp_path / "rest.toml"
        file.write_text(REST)
        with pytest.raises(Exception, match="only this software bounds cycler"):
            await here.lab.start(file, station="A3")
        started = await here.lab.start(file, station="A3", consent="anna: a dummy cell, and I stay")
        run = await here.stored(started.run)
        (said,) = [event for event in here.events(run) if event.kind == "run.consent"]
    assert "anna: a dummy cell, and I stay" in said.message


async def test_the_guard_says_that_it_cannot_take_such_an_instrument_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Guarded(tmp_path, A1="TCPIP::127.0.0.1::1::SOCKET")
    monkeypatch.setattr("labctl.guard.guard.load", lambda path: bare(load(path)))
    monkeypatch.setattr("labctl.guard.guard.RETRY", 0.01)
    report = await lab.station("A1")
    assert "cannot be taken over by a second process" in report.sentence


def test_a_consent_is_a_record_of_its_run() -> None:
    event = consented("anna: dummy cell", "anna", VirtualClock(0.0))
    assert json.loads(json.dumps(event.data)) == {"user": "anna", "consent": "anna: dummy cell"}


def test_the_doctor_names_what_no_guard_can_reach(config: Config) -> None:
    verdicts = {check.found: check.verdict for check in guard(config)}
    assert any("A3: no guard can take over cycler" in found for found in verdicts)
    assert Verdict.ERROR not in verdicts.values()
