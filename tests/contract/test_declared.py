"""What a driver declares about itself before anything is opened."""

import inspect
import re
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from labctl.instrument import (
    Cycler,
    Features,
    GasRegulator,
    HandTool,
    Instrument,
    LoadCell,
    Options,
    PersonWire,
    PressureRig,
    Role,
    SerialWire,
    Thermostat,
    VisaWire,
)
from labctl.registry import UnknownDriver
from tests.contract.stand import DRIVERS, Stand

PROTOCOL = {
    Role.CYCLER: Cycler,
    Role.LOAD_CELL: LoadCell,
    Role.PRESSURE_RIG: PressureRig,
    Role.HAND_TOOL: HandTool,
    Role.GAS_REGULATOR: GasRegulator,
    Role.THERMOSTAT: Thermostat,
}


def folder_of(driver_name: str) -> Path:
    return Path(inspect.getfile(DRIVERS[driver_name].make)).parent


def test_there_are_drivers() -> None:
    assert set(DRIVERS) >= {"dynamixel-x", "julabo", "keithley-2450", "mark10", "simulated-cycler"}
    assert {driver.role for driver in DRIVERS.values()} == set(Role)


def test_facts(driver_name: str) -> None:
    driver = DRIVERS[driver_name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", driver_name)
    assert isinstance(driver.role, Role)
    assert isinstance(driver.wire, VisaWire | SerialWire | PersonWire)
    assert isinstance(driver.features, Features)
    if not isinstance(driver.wire, PersonWire):  # whom no guard waits for
        assert 0 < driver.wire.timeout <= 5.0, "a guard cannot wait longer"
    assert re.fullmatch(r"[A-Z].{10,110}\.", driver.summary), "`labctl drivers` prints it in a table"


def test_options_are_strict_and_the_example_is_one_of_them(driver_name: str) -> None:
    driver = DRIVERS[driver_name]
    assert issubclass(driver.options, Options)
    assert driver.example_options({}) == driver.options.model_validate(driver.example)
    with pytest.raises(UnknownDriver, match=f"{driver_name} cannot be set up so: no_such_key"):
        driver.example_options({"no_such_key": 1})
    for key, field in driver.options.model_fields.items():
        if field.is_required():
            incomplete = {k: v for k, v in driver.example.items() if k != key}
            with pytest.raises(ValidationError, match=key):
                driver.options.model_validate(incomplete)


def test_the_driver_is_what_its_role_asks_for(stand: Stand) -> None:
    assert isinstance(stand.instrument, Instrument)
    protocol = PROTOCOL[stand.driver.role]
    members = {name: member for base in (Instrument, protocol) for name, member in vars(base).items()}
    for name, member in members.items():
        if inspect.iscoroutinefunction(member):
            method = getattr(stand.instrument, name)
            assert inspect.iscoroutinefunction(method), name
            assert [*inspect.signature(method).parameters] == [*inspect.signature(member).parameters][1:], name
    for name in {*Instrument.__annotations__, *protocol.__annotations__}:
        assert hasattr(stand.instrument, name), name
    assert 0 < stand.instrument.poll_period <= 10.0


def test_the_simulator_is_imported_only_when_asked_for(driver_name: str) -> None:
    driver = DRIVERS[driver_name]
    simulator = driver.load_simulator()
    assert [*inspect.signature(simulator).parameters] == ["bench", "port", "options"]
    module = inspect.getsource(sys.modules[driver.make.__module__])
    assert not re.search(r"^\s*(from|import)\s+\S*\bsim\b", module, re.MULTILINE)


def test_the_manual_says_whether_anyone_has_tried_it(driver_name: str) -> None:
    manual = folder_of(driver_name) / "manual.md"
    text = manual.read_text("utf-8")
    tried = DRIVERS[driver_name].features.tried_on_hardware
    assert ("untested on hardware" in text.lower()) != tried
