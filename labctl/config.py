"""config.toml as a whole: the stations with their instruments and limits, as frozen models, and their drivers."""

import difflib
import re
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from labctl.errors import ConfigError, Finding
from labctl.instrument import Options, Role
from labctl.link import OPERATOR
from labctl.plan import SIDES, Side
from labctl.protocol.model import (
    PressureChange,
    PressureSpan,
    RateLimits,
    TemperatureChange,
    TemperatureSpan,
    VoltageChange,
)
from labctl.protocol.schema import schema_of
from labctl.protocol.source import KeyPath, Source
from labctl.quantity import (
    Current,
    Dimension,
    Duration,
    Force,
    Length,
    Quantity,
    Stiffness,
    Voltage,
    WordingError,
    Written,
)
from labctl.registry import Driver, UnknownDriver, driver_names, load_driver
from labctl.settings import LabSettings, read_as
from labctl.sim.bench import BenchParameters
from labctl.table import Model

SIMULATED = "sim://"
"""Address of a simulator of its own; followed by a name, of one that stations share by its channels."""

LONGEST_DEBOUNCE = 10
"""s for which a limit may be passed before the guard trips: longer would be no guard."""


def is_simulated(address: str) -> bool:
    """Whether an address is "sim://" or "sim://NAME"."""
    return address.startswith(SIMULATED)


def _ascending(span: tuple[Quantity, Quantity]) -> tuple[Quantity, Quantity]:
    if span[0].value >= span[1].value:
        raise WordingError(f'"{span[0]}" is not below "{span[1]}"', "write the lower value first")
    return span


def _addressed(address: str) -> str:
    if is_simulated(address) and not re.fullmatch(r"sim://[A-Za-z0-9_-]*", address):
        raise WordingError(
            f'"{address}" is no simulator', 'write "sim://", or a name of letters, digits, _ and - behind'
        )
    return address


def _short(debounce: Quantity) -> Quantity:
    if debounce.value > LONGEST_DEBOUNCE:
        raise WordingError(f'"{debounce}" is too long for a debounce', f"write {LONGEST_DEBOUNCE} s at most")
    return debounce


VoltageSpan = Annotated[tuple[Voltage, Voltage], AfterValidator(_ascending)]


class InstrumentConfig(Model):
    """One instrument: driver, address, how often it is polled; the other keys are its driver's own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    driver: str
    address: Annotated[str, Field(min_length=1), AfterValidator(_addressed)]
    poll: Duration | None = None

    @property
    def own_keys(self) -> dict[str, Any]:
        """The driver's keys, not yet validated."""
        return dict(self.model_extra or {})


class SidesConfig(Model):
    """Instruments that stand on one side of the cell."""

    negative: InstrumentConfig | None = None
    positive: InstrumentConfig | None = None


class PressureLimits(Model):
    """Allowed pressure of each side."""

    negative: PressureSpan | None = None
    positive: PressureSpan | None = None


class SpringConfig(Model):
    """A passive spring behind one side: no instrument, so that its pressure is verified and not driven."""

    stiffness: Stiffness
    preload: Force
    travel: Length


class SpringSides(Model):
    """[station.X.spring]: what presses a side by itself."""

    negative: SpringConfig | None = None
    positive: SpringConfig | None = None


class StationLimits(Model):
    """[station.X.limits]: what no protocol can widen."""

    voltage: VoltageSpan
    current: Current
    temperature: TemperatureSpan | None = None
    pressure: PressureLimits = PressureLimits()
    rate: RateLimits = RateLimits()
    debounce: Annotated[Duration, AfterValidator(_short)] | None = None


class WarningMargins(Model):
    """[station.X.warnings]: how far inside its limit a value is warned of."""

    voltage: VoltageChange | None = None
    temperature: TemperatureChange | None = None
    pressure: PressureChange | None = None


class DisagreementLimits(Model):
    """[station.X.disagreement]: by how much sensors may contradict each other."""

    temperature: TemperatureChange | None = None
    force: Annotated[Quantity, Written((Dimension.RATIO,), positive=True)] | None = None
    screw: Length | None = None
    wall: Force | None = None
    drift: Annotated[Quantity, Written((Dimension.RATIO,), positive=True)] | None = None


class FrameConfig(Model):
    """[station.X.frame]: the mechanics between screw and stack, by which a check judges what a rig can resolve."""

    stiffness: Stiffness | None = None
    lead: Length | None = None


class StationConfig(Model):
    """[station.X]: instruments by role, limits, and what stands in for them in simulation."""

    cycler: InstrumentConfig
    load_cell: SidesConfig = SidesConfig()
    pressure_rig: SidesConfig = SidesConfig()
    hand_tool: SidesConfig = SidesConfig()
    gas_regulator: SidesConfig = SidesConfig()
    spring: SpringSides = SpringSides()
    thermostat: InstrumentConfig | None = None
    limits: StationLimits
    warnings: WarningMargins = WarningMargins()
    disagreement: DisagreementLimits = DisagreementLimits()
    frame: FrameConfig = FrameConfig()
    simulation: BenchParameters = BenchParameters()

    def instruments(self) -> Iterator[tuple[str, Role, InstrumentConfig]]:
        """Every instrument with its name at the station and the role it plays there."""
        yield "cycler", Role.CYCLER, self.cycler
        for kind, role, sides in (
            ("load_cell", Role.LOAD_CELL, self.load_cell),
            ("pressure_rig", Role.PRESSURE_RIG, self.pressure_rig),
            ("hand_tool", Role.HAND_TOOL, self.hand_tool),
            ("gas_regulator", Role.GAS_REGULATOR, self.gas_regulator),
        ):
            for side in ("negative", "positive"):
                one: InstrumentConfig | None = getattr(sides, side)
                if one is not None:
                    yield f"{kind}.{side}", role, one
        if self.thermostat is not None:
            yield "thermostat", Role.THERMOSTAT, self.thermostat

    def pressed_by(self, side: Side) -> list[str]:
        """Return the keys of everything that is said to press a side."""
        tables = {
            "pressure_rig": self.pressure_rig,
            "hand_tool": self.hand_tool,
            "gas_regulator": self.gas_regulator,
            "spring": self.spring,
        }
        return [key for key, sides in tables.items() if getattr(sides, side) is not None]


class _File(LabSettings):
    station: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], StationConfig]


class Config:
    """A configuration that was read and found right.

    Attributes:
        drivers: (station, instrument) -> its driver and validated options.
    """

    def __init__(self, source: Source, file: _File, drivers: dict[tuple[str, str], tuple[Driver, Options]]) -> None:
        self.source = source
        self.lab = file.lab
        self.bus = file.bus
        self.storage = file.storage
        self.tui = file.tui
        self.alerts = file.alerts
        self.stations = file.station
        self.drivers = drivers

    def simulating(self, station: str, simulation: BenchParameters) -> "Config":
        """Return the same configuration, but for what stands in for a station's cell, rig and room in simulation."""
        other = copy(self)
        other.stations = self.stations | {station: self.station(station).model_copy(update={"simulation": simulation})}
        return other

    @property
    def folder(self) -> Path:
        """Where the file lies; what it names by a relative path is looked for from there."""
        return Path(self.source.name).parent

    def station(self, name: str) -> StationConfig:
        """Return a station's configuration.

        Raises:
            ConfigError: there is none of that name.
        """
        if name not in self.stations:
            names = ", ".join(self.stations) or "none"
            raise ConfigError(
                (
                    Finding(
                        "station",
                        self.source.key(("station",)),
                        f'there is no station "{name}"',
                        f"Stations here: {names}. Choose one with --station.",
                    ),
                )
            )
        return self.stations[name]


def load(path: Path) -> Config:
    """Read a configuration and the drivers it names; opens nothing.

    Raises:
        ConfigError: with every finding of the file.
    """
    source, file = read_as(_File, path)
    drivers: dict[tuple[str, str], tuple[Driver, Options]] = {}
    wrong: list[Finding] = []
    for station, config in file.station.items():
        for name, role, instrument in config.instruments():
            path_to = ("station", station, *name.split("."))
            driver = _driver(source, path_to, instrument, role, wrong)
            if driver is not None:
                drivers[station, name] = driver
                wrong.extend(_unfit(source, path_to, instrument, config, role))
        wrong.extend(_twice_pressed(source, station, config))
    wrong.extend(_twice_used(source, file, drivers))
    if wrong:
        raise ConfigError(tuple(wrong))
    return Config(source, file, drivers)


def _driver(
    source: Source, path: KeyPath, instrument: InstrumentConfig, role: Role, wrong: list[Finding]
) -> tuple[Driver, Options] | None:
    """Load the named driver and validate the keys that are its own; add what is wrong to `wrong`."""
    try:
        driver = load_driver(instrument.driver)
    except UnknownDriver as error:
        wrong.append(Finding("driver", source.value((*path, "driver")), error.sentence, error.remedy))
        return None
    if driver.role is not role:
        reason = f"{driver.name} is a {driver.role.replace('_', ' ')}, not a {role.replace('_', ' ')}"
        wrong.append(Finding("driver", source.value((*path, "driver")), reason, "See `labctl drivers`."))
        return None
    try:
        options = driver.options.model_validate(instrument.own_keys)
    except ValidationError as error:
        wrong.extend(_own_keys(error, driver, source, path))
        return None
    return replace(driver, wire=options.wire(driver.wire)), options


def _unfit(
    source: Source, path: KeyPath, instrument: InstrumentConfig, station: StationConfig, role: Role
) -> Iterator[Finding]:
    """What is right by itself and wrong at this station."""
    if role is Role.PRESSURE_RIG and is_simulated(instrument.address) and station.simulation.rig.kind == "press":
        reason = "the simulated rig of this station is a press, which no servo turns"
        yield Finding("simulation", source.value((*path, "driver")), reason, 'Leave kind = "press" or the driver out.')
    if not is_simulated(instrument.address) and (role is Role.HAND_TOOL) != (instrument.address == OPERATOR):
        reason = f'"{instrument.address}" is no address of a {role.replace("_", " ")}'
        remedy = f'A hand tool is at "{OPERATOR}", the person who answers the run; every other instrument at its wire.'
        yield Finding("address", source.value((*path, "address")), reason, remedy)
    if role is Role.GAS_REGULATOR and is_simulated(instrument.address) and station.simulation.rig.kind == "screw":
        reason = "the simulated rig of this station is a screw, which no gas presses"
        yield Finding("simulation", source.value((*path, "driver")), reason, 'Write simulation.rig.kind = "press".')


def _twice_pressed(source: Source, name: str, station: StationConfig) -> Iterator[Finding]:
    """Refuse a side that two things press: nobody would know which of them made its force."""
    for side in SIDES:
        first, *others = [*station.pressed_by(side), ""]
        for other in others[:-1]:
            reason = f"the {side} side is pressed by its {first} already, and by one thing at most"
            place = source.key(("station", name, other, side))
            yield Finding("actuator", place, reason, f"Leave {first}.{side} or {other}.{side} out.")


def _twice_used(
    source: Source, file: _File, drivers: dict[tuple[str, str], tuple[Driver, Options]]
) -> Iterator[Finding]:
    """Refuse two instruments at one channel, and a shared simulator without channels or of two kinds."""
    first: dict[str, tuple[str, Driver]] = {}
    users: dict[tuple[str, int], str] = {}
    for (station, name), (driver, options) in drivers.items():
        path = ("station", station, *name.split("."))
        address = next(each.address for one, _, each in file.station[station].instruments() if one == name)
        if address == SIMULATED:
            continue
        user = f"{station}/{name}"
        channel: int | None = getattr(options, "channel", None)
        if channel is not None and (other := users.setdefault((address, channel), user)) != user:
            reason = f"channel {channel} of {address} is the one of {other}"
            yield Finding("channel", source.value((*path, "channel")), reason, "Give each its own channel.")
        other, kind = first.setdefault(address, (user, driver))
        if other != user and is_simulated(address) and (channel is None or kind.name != driver.name):
            reason = f"{address} is the {kind.name} of {other}, and a {driver.name} has no channel of it"
            yield Finding("channel", source.value((*path, "address")), reason, 'Write "sim://", or another name.')


def _own_keys(error: ValidationError, driver: Driver, source: Source, path: KeyPath) -> Iterator[Finding]:
    """Say what is wrong with the keys that are a driver's own."""
    known = ", ".join(driver.options.model_fields)
    for detail in error.errors(include_url=False):
        here = (*path, *detail["loc"])
        key = ".".join(map(str, detail["loc"]))
        if detail["type"] == "missing":
            reason = f'{driver.name} lacks "{key}", which has no default'
            remedy = (
                f"Add {key} = {driver.example[key]!r}, or what is true." if key in driver.example else f"Add {key}."
            )
            yield Finding("missing", source.key(path), reason, remedy)
        elif detail["type"] == "extra_forbidden":
            near = difflib.get_close_matches(key, driver.options.model_fields, n=1)
            hint = f' (did you mean "{near[0]}"?)' if near else ""
            yield Finding(
                "unknown-key", source.key(here), f'"{key}" is no key of {driver.name}{hint}', f"Its keys: {known}."
            )
        else:
            cause = detail.get("ctx", {}).get("error")
            told = f"{key or driver.name}: {detail['msg'].removeprefix('Value error, ')}"
            reason = cause.sentence if isinstance(cause, WordingError) else told
            remedy = f"{cause.remedy[:1].upper()}{cause.remedy[1:]}." if isinstance(cause, WordingError) else ""
            yield Finding("value", source.value(here), reason, remedy)


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of config.toml, with the keys of every driver that is installed here."""
    schema = schema_of(_File)
    instrument = schema["$defs"]["InstrumentConfig"]
    instrument["properties"]["driver"]["enum"] = driver_names()
    instrument["allOf"] = []
    for name in driver_names():
        options = schema_of(load_driver(name).options)
        schema["$defs"] |= options.get("$defs", {})
        its_keys = {"properties": options.get("properties", {}), "required": options.get("required", [])}
        instrument["allOf"].append({"if": {"properties": {"driver": {"const": name}}}, "then": its_keys})
    return schema
