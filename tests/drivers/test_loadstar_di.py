"""The Loadstar load cell: exact bytes, unit and scale, refusals, and an independent client on its simulator."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loadstar_sensors_interface import LoadstarSensorsInterface

from drivers.force import KILOGRAM, NEWTON, POUND
from drivers.loadstar_di.driver import NUMBER, LoadstarDi
from drivers.loadstar_di.sim import Simulator
from labctl.clock import VirtualClock
from labctl.errors import (
    GarbledReply,
    InstrumentError,
    InstrumentRefused,
    LabctlError,
    OverRange,
    WrongInstrument,
)
from labctl.registry import UnknownDriver, load_driver
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.schedule import Kind, Scheduled
from tests.conftest import Served
from tests.drivers.tapped import Tapped, pressed, read_of, zeroed_over_a_terminal

OPTIONS = LoadstarDi.Options.model_validate(LoadstarDi.EXAMPLE)
NEAR = 0.6
"""N: the errors of a load cell of 500 N."""


@pytest.fixture
def stand(clock: VirtualClock) -> Tapped:
    return Tapped(LoadstarDi, Simulator, OPTIONS, clock)


def options(**changed: object) -> LoadstarDi.Options:
    return LoadstarDi.Options.model_validate({**LoadstarDi.EXAMPLE, **changed})


# -- connecting --------------------------------------------------------------------------------------------------------

WRONG = [
    ("scale", 0.0, "scale: Input should be greater than 0"),
    ("scale", math.inf, "scale: Input should be a finite number"),
    ("unit", "lb", "unit: Input should be 'N', 'kN', 'kgf', 'gf', 'lbf' or 'ozf'"),
    ("baudrate", 19200, "baudrate: Input should be 9600, 115200 or 230400"),
    ("capacity", "0 N", "capacity"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), WRONG)
def test_options_that_make_no_sense_are_refused(key: str, value: object, sentence: str) -> None:
    with pytest.raises(UnknownDriver, match="loadstar-di cannot be set up so") as told:
        load_driver("loadstar-di").example_options({key: value})
    assert sentence in str(told.value)


@pytest.mark.parametrize("key", ["capacity", "unit", "scale", "compression"])
def test_nothing_that_makes_the_force_has_a_default(key: str) -> None:
    with pytest.raises(ValueError, match=key):
        LoadstarDi.Options.model_validate({k: v for k, v in LoadstarDi.EXAMPLE.items() if k != key})


def test_the_speed_is_that_of_the_interface() -> None:
    speeds = [options(baudrate=speed).wire(LoadstarDi.WIRE).baudrate for speed in (9600, 230400)]  # type: ignore[union-attr]
    assert speeds == [9600, 230400]


async def test_connect_identifies_interface_and_sensor(stand: Tapped) -> None:
    sent = await stand.exchange(stand.driver.connect)
    assert sent == [b"\r", b"\r", b"MODEL\r", b"ID\r", b"LC\r", b"UNITS\r"]
    identity = await stand.driver.connect()
    assert str(identity) == "Loadstar DI-1000 with capacity 112.40 (serial W1234-5678, firmware not told)"


async def test_a_first_empty_line_that_ends_half_a_command_is_refused_and_forgiven(stand: Tapped) -> None:
    stand.simulator.receive(b"nonsen")
    assert (await stand.driver.connect()).serial == "W1234-5678"


UNFIT: list[tuple[bytes, bytes, type[LabctlError], str]] = [
    (b"", b"12.5", WrongInstrument, "answers '12.5' and '12.5' to empty lines"),
    (b"", b"E", InstrumentRefused, "refused ''"),
    (b"MODEL", b"FCM DQ-4000", WrongInstrument, "says that it is 'FCM DQ-4000'"),
    (b"MODEL", b"E", InstrumentRefused, "refused 'MODEL'"),
    (b"ID", b"PR123", WrongInstrument, "has the sensor PR123, which measures pressure"),
    (b"ID", b"TQ123", WrongInstrument, "which measures torque"),
    (b"ID", b"DISP123", WrongInstrument, "which measures displacement or level"),
    (b"ID", b"3.04", GarbledReply, "an identifier such as W1234-5678"),
    (b"LC", b"many", GarbledReply, "a decimal number"),
    (b"UNITS", b"Kg", WrongInstrument, """says that its unit is 'Kg'; `unit` in config.toml is "lbf\""""),
    (b"UNITS", b"psi", WrongInstrument, "says that its unit is 'psi'"),
    (b"UNITS", b"", WrongInstrument, "says that its unit is ''"),
]


@pytest.mark.parametrize(("asked", "answer", "error", "sentence"), UNFIT)
async def test_what_is_no_such_interface_is_not_connected(
    stand: Tapped, asked: bytes, answer: bytes, error: type[LabctlError], sentence: str
) -> None:
    await stand.refused(stand.driver.connect, asked, answer + b"\r\n", error, sentence)


@pytest.mark.parametrize(("asked", "answer"), [(b"ID", b"W1234-9999"), (b"LC", b"56.20"), (b"MODEL", b"FCM DI-100")])
async def test_another_interface_or_sensor_after_a_reopening_is_refused(
    stand: Tapped, asked: bytes, answer: bytes
) -> None:
    await stand.refused_as_another(asked, answer + b"\r\n")
    assert abs(await stand.driver.read()) <= NEAR


# -- reading -----------------------------------------------------------------------------------------------------------

READINGS = [
    (b"3.04", b"LB", "lbf", 1.0, 3.04 * POUND),
    (b"-0.000456", b"lbf", "lbf", 1.0, -0.000456 * POUND),
    (b"3040", b"LB", "lbf", 0.001, 3.04 * POUND),
    (b"12.5", b"N", "N", 1.0, 12.5),
    (b"0.25", b"kN", "kN", 1.0, 250.0),
    (b"1.5", b"Kg", "kgf", 1.0, 1.5 * KILOGRAM),
    (b"   1.5000", b"kgf", "kgf", 1.0, 1.5 * KILOGRAM),
    (b"16", b"oz", "ozf", 1.0, POUND),
]


@pytest.mark.parametrize(("number", "told", "unit", "scale", "newton"), READINGS)
@pytest.mark.parametrize(("compression", "sign"), [("positive", 1), ("negative", -1)])
async def test_readings(
    clock: VirtualClock,
    number: bytes,
    told: bytes,
    unit: str,
    scale: float,
    newton: float,
    compression: str,
    sign: int,
) -> None:
    stand = Tapped(LoadstarDi, Simulator, options(unit=unit, scale=scale, compression=compression), clock)
    stand.answers[b"UNITS"] = told + b"\r\n"
    await stand.driver.connect()
    stand.answers[b"W"] = number + b"\r\n"
    assert await stand.driver.read() == pytest.approx(sign * newton, rel=1e-12)
    assert await stand.exchange(stand.driver.read) == [b"UNITS\r", b"W\r"]


@pytest.mark.parametrize("unit", NEWTON)
@pytest.mark.parametrize("scale", [1.0, 0.001])
@pytest.mark.parametrize("compression", ["positive", "negative"])
async def test_every_unit_is_the_same_force(clock: VirtualClock, unit: str, scale: float, compression: str) -> None:
    stand = Tapped(LoadstarDi, Simulator, options(unit=unit, scale=scale, compression=compression), clock)
    await stand.driver.connect()
    true = stand.press(100.0)
    assert await stand.driver.read() == pytest.approx(true, abs=NEAR)


REFUSED: list[tuple[bytes, bytes, type[LabctlError], str]] = [
    (b"W", b"112.5", OverRange, "beyond its capacity of 500 N"),
    (b"W", b"-112.5", OverRange, "beyond its capacity"),
    (b"W", b"1e3", GarbledReply, "a decimal number"),
    (b"W", b"nan", GarbledReply, "a decimal number"),
    (b"W", b"3.04 LB", GarbledReply, "a decimal number"),
    (b"W", b"3,04", GarbledReply, "a decimal number"),
    (b"W", b"", GarbledReply, "a decimal number"),
    (b"W", b"A", GarbledReply, "a decimal number"),
    (b"W", b"E", InstrumentRefused, "refused 'W'"),
    (b"W", b"3.\xb24", GarbledReply, "printable ASCII"),
    (b"UNITS", b"Kg", WrongInstrument, "says that its unit is 'Kg'"),
    (b"UNITS", b"3.04", WrongInstrument, "says that its unit is '3.04'"),
]


@pytest.mark.parametrize(("asked", "answer", "error", "sentence"), REFUSED)
async def test_what_is_no_force_is_refused(
    stand: Tapped, asked: bytes, answer: bytes, error: type[LabctlError], sentence: str
) -> None:
    await stand.driver.connect()
    await stand.refused(stand.driver.read, asked, answer + b"\r\n", error, sentence)
    assert abs(await stand.driver.read()) <= NEAR


@settings(deadline=None)
@given(st.binary(max_size=12))
def test_one_answer_to_everything_is_never_a_force(reply: bytes) -> None:
    """It would have to be a unit and a number."""
    outcome = read_of(LoadstarDi, OPTIONS, reply)
    assert isinstance(outcome, InstrumentError)
    assert "A1/load_cell" in str(outcome)


@settings(deadline=None)
@given(st.text(max_size=12))
def test_a_number_is_finite(text: str) -> None:
    if NUMBER.fullmatch(text):
        assert math.isfinite(float(text))


# -- tare --------------------------------------------------------------------------------------------------------------


async def test_tare_zeroes_the_offset_and_survives_a_power_cut(stand: Tapped) -> None:
    await stand.driver.connect()
    assert await stand.driver.read() == pytest.approx(0.25, abs=0.1)  # half of 0.1 %
    assert await stand.exchange(stand.driver.tare) == [b"CT0\r", b"UNITS\r", b"W\r"]
    assert abs(await stand.driver.read()) <= 0.05
    stand.simulator.restart()
    assert abs(await stand.driver.read()) <= 0.05


@pytest.mark.parametrize(
    ("asked", "answer", "error", "sentence"),
    [
        (b"W", b"12", InstrumentRefused, "reads 53.3787 N after its zero command"),
        (b"CT0", b"E", InstrumentRefused, "refused 'CT0'"),
        (b"CT0", b"A", GarbledReply, "expected Tared"),
    ],
)
async def test_a_tare_that_did_not_work_is_told(
    stand: Tapped, asked: bytes, answer: bytes, error: type[LabctlError], sentence: str
) -> None:
    await stand.driver.connect()
    stand.answers[asked] = answer + b"\r\n"
    with pytest.raises(error, match=sentence):
        await stand.driver.tare()


# -- simulator and wire ------------------------------------------------------------------------------------------------


def simulator(*faults: Scheduled, **changed: object) -> tuple[Bench, Simulator]:
    bench = Bench.of(BenchParameters(), 1, faults)
    return bench, Simulator(bench, "negative", options(**changed))


def test_commands_come_in_any_pieces_and_any_case() -> None:
    _, interface = simulator()
    assert interface.receive(b"mo") == b""
    assert interface.receive(b"del\r\n\rUnit\rid\rlc\rnonsense\rWC\r") == (
        b"FCM DI-1000\r\nA\r\nLB\r\nW1234-5678\r\n112.40\r\nE\r\nE\r\n"
    )
    interface.receive(b"non")
    interface.reset_line()
    assert interface.receive(b"UNITS\r") == b"LB\r\n"


def test_a_zero_that_is_not_saved_is_lost_with_the_power() -> None:
    bench, interface = simulator(unit="N")
    pressed(bench, 100.0)
    assert interface.receive(b"tare\rW\r") == b"Tared\r\n0.0000\r\n"
    interface.restart()
    assert float(interface.receive(b"W\r")) == pytest.approx(100.0, abs=NEAR)


@pytest.mark.parametrize(
    ("kind", "unit", "said"),
    [
        (Kind.WRONG_UNIT, "lbf", b"Kg\r\n0.0"),
        (Kind.WRONG_UNIT, "kgf", b"LB\r\n0.0"),
        (Kind.NOT_A_NUMBER, "N", b"N\r\nnan\r\n"),
        (Kind.OUT_OF_RANGE, "N", b"N\r\n750.0000\r\n"),
    ],
)
def test_what_it_says_when_it_is_broken_on_purpose(kind: Kind, unit: str, said: bytes) -> None:
    bench, interface = simulator(Scheduled("load_cell.negative", kind, 10.0, 20.0), unit=unit)
    healthy = interface.receive(b"UNITS\r")
    bench.advance_to(15.0)
    assert interface.receive(b"UNITS\rW\r").startswith(said)
    bench.advance_to(21.0)
    assert interface.receive(b"UNITS\r") == healthy


def test_it_takes_no_zero_from_a_converter_that_has_failed() -> None:
    bench, interface = simulator(Scheduled("load_cell.negative", Kind.NOT_A_NUMBER, 10.0, 20.0))
    bench.advance_to(15.0)
    assert interface.receive(b"CT0\rR\r") == b"E\r\nE\r\n"


async def test_the_driver_over_a_pseudo_terminal(served: Served) -> None:
    bench, interface = simulator()
    assert abs(await zeroed_over_a_terminal(served, LoadstarDi, bench, interface, OPTIONS)) <= 0.1


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> LoadstarSensorsInterface:
    """The client; only where it waits for nothing to come does it wait in host time, and shortly."""
    until_silent = LoadstarSensorsInterface._read_until_no_response

    async def shortly(self: LoadstarSensorsInterface) -> None:
        self._READ_TIMEOUT = 0.03
        await until_silent(self)
        self._READ_TIMEOUT = 5.0

    monkeypatch.setattr(LoadstarSensorsInterface, "_READ_TIMEOUT", 5.0)
    monkeypatch.setattr(LoadstarSensorsInterface, "_read_until_no_response", shortly)
    return LoadstarSensorsInterface()


@pytest.mark.filterwarnings("ignore:This function will be removed in future versions of pint")
@pytest.mark.parametrize("high_speed", [False, True])
@pytest.mark.parametrize(("unit", "gram"), [("lbf", POUND / KILOGRAM * 1000), ("kgf", 1000.0)])
async def test_the_client_drives_the_simulator(
    served: Served, client: LoadstarSensorsInterface, high_speed: bool, unit: str, gram: float
) -> None:
    """It takes pounds and kilograms as masses, and numbers as they come: a scale of 1."""
    bench, interface = simulator(unit=unit)
    pressed(bench, 100.0)
    async with served(bench, interface, "pty") as address:
        open_it = client.open_high_speed_serial_connection if high_speed else client.open_low_speed_serial_connection
        await open_it(address)
        try:
            info = await client.get_device_info()
            assert (info.model, info.id) == ("FCM DI-1000", "W1234-5678")
            assert info.load_capacity.magnitude == pytest.approx(500.0 / KILOGRAM * 1000, rel=1e-3)
            value = await client.get_sensor_value()
            assert value.magnitude / 1000 * KILOGRAM == pytest.approx(100.0, abs=NEAR)
            assert await client.get_adc_value() == pytest.approx(4e6 * 100 / 500, rel=0.01)
            assert await client.tare()
            assert abs((await client.get_sensor_value()).magnitude) <= 0.01 * gram
        finally:
            client._writer.close()
