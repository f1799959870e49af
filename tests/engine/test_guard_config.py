"""What the guard is configured with: from config.toml and a protocol, narrowed, to the limits of a run."""

from dataclasses import replace
from pathlib import Path

import pytest

from labctl.config import load
from labctl.errors import ConfigError, ProtocolError
from labctl.lab.abilities import abilities
from labctl.plan import Disagreement, Margins, Plan, Rates, StationAbilities
from labctl.protocol import bind
from labctl.protocol.load import fill
from labctl.protocol.source import parse
from tests.stations import CONFIG, HEAD, repository_config

STATION = abilities(repository_config(), "A1")
REST = '[[step]]\nrest = "5 min"\n'


def configured(folder: Path, text: str) -> StationAbilities:
    path = folder / "config.toml"
    path.write_text(CONFIG.read_text() + text)
    return abilities(load(path), "A1")


def bound(station: StationAbilities, head: str = HEAD, steps: str = REST) -> Plan:
    return bind(fill(parse("test.toml", head + steps, ProtocolError), {}), station)


def test_everything_reaches_the_station_in_si(tmp_path: Path) -> None:
    station = configured(
        tmp_path,
        '[station.A1.limits.rate]\nvoltage = "2 mV/s"\ntemperature = "3 K/min"\npressure = "5 kPa/s"\n'
        '[station.A1.warnings]\nvoltage = "20 mV"\ntemperature = "3 K"\npressure = "0.1 MPa"\n'
        '[station.A1.disagreement]\ntemperature = "5 K"\nforce = "10 %"\nscrew = "8 mm"\n',
    )
    assert station.rates == Rates(voltage=0.002, temperature=0.05, pressure=5000.0)
    assert station.margins == Margins(voltage=0.02, temperature=3.0, pressure=1e5)
    assert station.disagreement == Disagreement(temperature=5.0, force=0.1, screw=0.008)
    assert bound(station).limits.rates == station.rates
    assert bound(station).limits.margins == station.margins


def test_without_a_word_nothing_of_it_is_asked_for() -> None:
    limits = bound(STATION).limits
    assert (limits.rates, limits.margins, limits.disagreement, limits.debounce) == (
        Rates(),
        Margins(),
        Disagreement(),
        0.0,
    )


def test_a_debounce_that_would_be_no_guard_is_refused(tmp_path: Path) -> None:
    text = CONFIG.read_text().replace("[station.A1.limits]\n", '[station.A1.limits]\ndebounce = "11 s"\n')
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(ConfigError, match='"11 s" is too long for a debounce'):
        load(tmp_path / "config.toml")


def test_a_protocol_and_a_step_narrow_a_rate_and_never_widen_it() -> None:
    station = replace(STATION, rates=Rates(temperature=0.05, pressure=1e3))
    head = HEAD.replace("[record]", 'rate = { temperature = "6 K/min", pressure = "0.5 kPa/s" }\n[record]')
    step = '[[step]]\nrest = "5 min"\nlimits = { rate = { voltage = "1 mV/s", pressure = "2 kPa/s" } }\n'
    plan = bound(station, head, step)
    assert plan.limits.rates == Rates(temperature=0.05, pressure=500.0)
    (limits,) = [each.limits for each in plan.steps()]
    assert limits is not None
    assert limits.rates == Rates(voltage=0.001, temperature=0.05, pressure=500.0)


def test_margins_that_leave_no_value_without_a_warning_are_refused_at_their_place() -> None:
    station = replace(STATION, margins=Margins(temperature=25.0))
    with pytest.raises(ProtocolError, match="every temperature from 10 degC to 60 degC would be warned of"):
        bound(station)
