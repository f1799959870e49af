"""The Mantracourt load cell: exact bytes, refusals, scaling and zero that must not change.

No independent client for the ASCII protocol can be installed and run: these bytes are held against the maker's manual
and against two public programs that drive such digitisers, as `drivers/mantracourt_dsc/manual.md` says.
"""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.force import KILOGRAM, NEWTON
from drivers.mantracourt_dsc.driver import MantracourtDsc
from drivers.mantracourt_dsc.sim import Simulator
from labctl.clock import VirtualClock
from labctl.errors import (
    GarbledReply,
    InstrumentError,
    InstrumentRefused,
    LabctlError,
    NoReply,
    OverRange,
    WrongInstrument,
)
from labctl.registry import UnknownDriver, load_driver
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.schedule import Kind, Scheduled
from tests.conftest import Served
from tests.drivers.tapped import Tapped, pressed, read_of, zeroed_over_a_terminal

OPTIONS = MantracourtDsc.Options.model_validate(MantracourtDsc.EXAMPLE)
NEAR = 0.6
"""N: the errors of a load cell of 500 N."""


@pytest.fixture
def stand(clock: VirtualClock) -> Tapped:
    return Tapped(MantracourtDsc, Simulator, OPTIONS, clock)


def options(**changed: object) -> MantracourtDsc.Options:
    return MantracourtDsc.Options.model_validate({**MantracourtDsc.EXAMPLE, **changed})


def at_station(name: str) -> bytes:
    return f"!001:{name}".encode()


# -- connecting --------------------------------------------------------------------------------------------------------

WRONG = [
    ("station", 0, "000 addresses all digitisers at once and none answers; each has a number of its own, 1 to 254"),
    ("station", -1, "a station is a number from 1 to 254"),
    ("station", 255, "station: Input should be less than or equal to 254"),
    ("unit", "kg", "unit: Input should be 'N', 'kN', 'kgf', 'gf', 'lbf' or 'ozf'"),
    ("baudrate", 4711, "baudrate: Input should be 2400"),
    ("compression", "up", "compression: Input should be 'positive' or 'negative'"),
]


@pytest.mark.parametrize(("key", "value", "sentence"), WRONG)
def test_options_that_make_no_sense_are_refused(key: str, value: object, sentence: str) -> None:
    with pytest.raises(UnknownDriver, match="mantracourt-dsc cannot be set up so") as told:
        load_driver("mantracourt-dsc").example_options({key: value})
    assert sentence in str(told.value)


@pytest.mark.parametrize("key", ["station", "capacity", "unit", "compression"])
def test_nothing_that_makes_the_force_has_a_default(key: str) -> None:
    with pytest.raises(ValueError, match=key):
        MantracourtDsc.Options.model_validate({k: v for k, v in MantracourtDsc.EXAMPLE.items() if k != key})


def test_the_speed_is_that_of_the_digitiser() -> None:
    speeds = [options(baudrate=speed).wire(MantracourtDsc.WIRE).baudrate for speed in (9600, 115200)]  # type: ignore[union-attr]
    assert speeds == [9600, 115200]


async def test_connect_identifies_and_remembers_the_scaling(stand: Tapped) -> None:
    sent = await stand.exchange(stand.driver.connect)
    names = ["SERH", "SERL", "VER", "DPB", "SGAI", "SOFS", "SZ"]
    assert sent == [f"!001:{name}?\r".encode() for name in names]
    identity = await stand.driver.connect()
    assert str(identity) == "Mantracourt DSC/DCell (serial 16914647, firmware 4.02)"


async def test_every_message_names_its_station(clock: VirtualClock) -> None:
    stand = Tapped(MantracourtDsc, Simulator, options(station=17), clock)
    await stand.driver.connect()
    await stand.driver.tare()
    assert abs(await stand.driver.read()) <= NEAR
    assert {message[:5] for message in stand.sent} == {b"!017:"}


async def test_nobody_at_that_station_answers(clock: VirtualClock) -> None:
    stand = Tapped(MantracourtDsc, Simulator, OPTIONS, clock)
    stand.simulator.receive(b"!001:STAT?\r")
    stand.simulator._station = 2
    with pytest.raises(NoReply):
        await stand.driver.connect()


UNFIT: list[tuple[str, bytes, type[LabctlError], str]] = [
    ("VER?", b"+00000", WrongInstrument, "says that its version is 0"),
    ("SERH?", b"+00258.5", GarbledReply, "expected a number"),
    ("SERH?", b"-00258", GarbledReply, "a number from 0 to 65535"),
    ("SERL?", b"+70000", GarbledReply, "a number from 0 to 65535"),
    ("SERL?", b"9" * 400, GarbledReply, "expected a number"),
    ("SERL?", b"?", InstrumentRefused, "refused !001:SERL?: ?"),
    ("DPB?", b"+00002", InstrumentRefused, "prints 2 digits before the point (DPB); 500 N needs more"),
    ("SGAI?", b"much", GarbledReply, "expected a number"),
]


@pytest.mark.parametrize(("asked", "answer", "error", "sentence"), UNFIT)
async def test_what_is_no_such_digitiser_is_not_connected(
    stand: Tapped, asked: str, answer: bytes, error: type[LabctlError], sentence: str
) -> None:
    await stand.refused(stand.driver.connect, at_station(asked), answer + b"\r", error, sentence)


@pytest.mark.parametrize("digits", [3, 65535])
async def test_digits_enough(stand: Tapped, digits: int) -> None:
    stand.answers[at_station("DPB?")] = b"%d\r" % digits
    await stand.driver.connect()


@pytest.mark.parametrize(("asked", "answer"), [("SERH?", b"+00259"), ("SERL?", b"+00001"), ("VER?", b"+01027")])
async def test_another_digitiser_after_a_reopening_is_refused(stand: Tapped, asked: str, answer: bytes) -> None:
    await stand.refused_as_another(at_station(asked), answer + b"\r")
    assert abs(await stand.driver.read()) <= NEAR


# -- reading -----------------------------------------------------------------------------------------------------------

READINGS = [
    (b"+00123.457", "N", 123.457),
    (b"-00123.457", "N", -123.457),
    (b"0.25", "kN", 250.0),
    (b"+00001.500", "kgf", 1.5 * KILOGRAM),
    (b"+00000.000", "lbf", 0.0),
]


@pytest.mark.parametrize(("reply", "unit", "newton"), READINGS)
@pytest.mark.parametrize(("compression", "sign"), [("positive", 1), ("negative", -1)])
async def test_readings(
    clock: VirtualClock, reply: bytes, unit: str, newton: float, compression: str, sign: int
) -> None:
    stand = Tapped(MantracourtDsc, Simulator, options(unit=unit, compression=compression), clock)
    await stand.driver.connect()
    stand.answers[at_station("SYS?")] = reply + b"\r"
    assert await stand.driver.read() == pytest.approx(sign * newton, rel=1e-12)
    names = ["SGAI", "SOFS", "SZ", "SYS", "STAT"]
    assert await stand.exchange(stand.driver.read) == [f"!001:{name}?\r".encode() for name in names]


@pytest.mark.parametrize("unit", NEWTON)
@pytest.mark.parametrize("compression", ["positive", "negative"])
async def test_every_unit_is_the_same_force(clock: VirtualClock, unit: str, compression: str) -> None:
    stand = Tapped(MantracourtDsc, Simulator, options(unit=unit, compression=compression), clock)
    await stand.driver.connect()
    true = stand.press(100.0)
    assert await stand.driver.read() == pytest.approx(true, abs=1.0)  # three decimals of a kilonewton


REFUSED: list[tuple[str, bytes, type[LabctlError], str]] = [
    ("SYS?", b"+00500.001", OverRange, "beyond its capacity of 500 N"),
    ("SYS?", b"-00500.001", OverRange, "beyond its capacity"),
    ("SYS?", b"9" * 400 + b".0", OverRange, "reads inf N"),
    ("SYS?", b"+00123", GarbledReply, "a number with a decimal point (DP set to 1 or more)"),
    ("SYS?", b"+00123.", GarbledReply, "a number with a decimal point"),
    ("SYS?", b"+001 3.457", GarbledReply, "a number with a decimal point"),
    ("SYS?", b"nan", GarbledReply, "a number with a decimal point"),
    ("SYS?", b"1.5e3", GarbledReply, "a number with a decimal point"),
    ("SYS?", b"", GarbledReply, "a number with a decimal point"),
    ("SYS?", b"!001:SYS?", GarbledReply, "a number with a decimal point"),
    ("SYS?", b"?", InstrumentRefused, "refused !001:SYS?: ?"),
    ("SYS?", b"+0012\xb3.457", GarbledReply, "printable ASCII"),
    ("STAT?", b"+00016", OverRange, "says: bridge under range (ECOMUR)"),
    ("STAT?", b"+00032", OverRange, "bridge over range (ECOMOR)"),
    ("STAT?", b"+00064", OverRange, "cell output under range (CRAWUR)"),
    ("STAT?", b"+00128", OverRange, "cell output over range (CRAWOR)"),
    ("STAT?", b"+00256", OverRange, "system output under range (SYSUR)"),
    ("STAT?", b"+08832", OverRange, "says: cell output over range (CRAWOR), system output over range (SYSOR)"),
    ("STAT?", b"+02048", InstrumentRefused, "bridge is broken (LCINTEG)"),
    ("STAT?", b"+06144", InstrumentRefused, "shunt calibration on (SCALON)"),
    ("STAT?", b"", GarbledReply, "expected a number"),
    ("SGAI?", b"+00056.202", InstrumentRefused, "has SGAI +00056.202, SOFS +00000.000, SZ +00000.000 where it had"),
    ("SOFS?", b"+00001.000", InstrumentRefused, "what it reads is another force"),
    ("SZ?", b"+00001.000", InstrumentRefused, "Where only SZ differs"),
]


@pytest.mark.parametrize(("asked", "answer", "error", "sentence"), REFUSED)
async def test_what_is_no_force_is_refused(
    stand: Tapped, asked: str, answer: bytes, error: type[LabctlError], sentence: str
) -> None:
    await stand.driver.connect()
    await stand.refused(stand.driver.read, at_station(asked), answer + b"\r", error, sentence)
    assert abs(await stand.driver.read()) <= NEAR


@pytest.mark.parametrize("status", [b"+00000", b"+00003", b"+00012", b"+08192", b"-00000"])
async def test_a_status_that_concerns_no_force_lets_it_pass(stand: Tapped, status: bytes) -> None:
    """Outputs, inputs, temperature, and that a value was read before."""
    await stand.driver.connect()
    stand.answers[at_station("STAT?")] = status + b"\r"
    assert abs(await stand.driver.read()) <= NEAR


@settings(deadline=None)
@given(st.binary(max_size=14) | st.from_regex(rb"[+-]?[0-9]{0,5}\.?[0-9]{0,3}", fullmatch=True))
def test_one_answer_to_everything_is_a_force_within_capacity_or_a_sentence(reply: bytes) -> None:
    outcome = read_of(MantracourtDsc, OPTIONS, reply)
    if isinstance(outcome, InstrumentError):
        assert "A1/load_cell" in str(outcome)
    else:
        assert outcome == float(reply)
        assert abs(outcome) <= 500


# -- tare --------------------------------------------------------------------------------------------------------------


async def test_tare_makes_what_it_reads_its_zero(stand: Tapped) -> None:
    await stand.driver.connect()
    assert await stand.driver.read() == pytest.approx(0.25, abs=0.1)  # half of 0.1 %
    sent = await stand.exchange(stand.driver.tare)
    (written,) = [message for message in sent if b"=" in message]
    assert written == b"!001:SZ=" + stand.simulator.receive(b"!001:SZ?\r")
    assert abs(await stand.driver.read()) <= 0.05
    true = stand.press(100.0)
    assert await stand.driver.read() == pytest.approx(true, abs=0.2)


async def test_a_zero_that_a_restart_has_undone_is_seen_at_once(stand: Tapped) -> None:
    await stand.driver.connect()
    await stand.driver.tare()
    stand.simulator.restart()
    for _ in range(2):
        with pytest.raises(InstrumentRefused, match="Where only SZ differs it was restarted"):
            await stand.driver.read()
    await stand.driver.tare()
    assert abs(await stand.driver.read()) <= 0.05


BAD_TARES: list[tuple[str, bytes, type[LabctlError], str]] = [
    ("SYS?", b"+00012.000", InstrumentRefused, "reads 12 N after its zero command"),
    ("SZ=+00000.250", b"?", InstrumentRefused, "refused !001:SZ="),
    ("SZ=+00000.250", b"+00000.250", GarbledReply, "expected an empty line"),
    ("SRAW?", b"?", InstrumentRefused, "refused !001:SRAW?"),
]


@pytest.mark.parametrize(("asked", "answer", "error", "sentence"), BAD_TARES)
async def test_a_tare_that_did_not_work_is_told(
    stand: Tapped, asked: str, answer: bytes, error: type[LabctlError], sentence: str
) -> None:
    await stand.driver.connect()
    stand.answers[at_station("SRAW?")] = b"+00000.250\r"
    await stand.refused(stand.driver.tare, at_station(asked), answer + b"\r", error, sentence)


@pytest.mark.parametrize(("asked", "answer"), [("SGAI?", b"+00056.202"), ("STAT?", b"+02048"), ("STAT?", b"+00512")])
async def test_no_zero_is_set_on_another_scaling_or_a_bad_bridge(stand: Tapped, asked: str, answer: bytes) -> None:
    await stand.driver.connect()
    stand.answers[at_station(asked)] = answer + b"\r"
    stand.sent.clear()
    with pytest.raises((InstrumentRefused, OverRange)):
        await stand.driver.tare()
    assert not [message for message in stand.sent if b"=" in message]


# -- simulator and wire ------------------------------------------------------------------------------------------------


def simulator(*faults: Scheduled, **changed: object) -> tuple[Bench, Simulator]:
    bench = Bench.of(BenchParameters(), 1, faults)
    return bench, Simulator(bench, "negative", options(**changed))


def test_messages_come_in_any_pieces_and_any_case() -> None:
    _, digitiser = simulator()
    assert digitiser.receive(b"!001:S") == b""
    assert digitiser.receive(b"gai?\rnoise!001:stn?\r!001:NAME?\r!001:STAT=1\r!001:SZ=one\r!001:RST\r") == (
        b"+00250.000\r+00001\r?\r?\r?\r?\r"
    )
    digitiser.receive(b"!001:SY")
    digitiser.reset_line()
    assert digitiser.receive(b"!001:VER?\r") == b"+01026\r"


def test_it_answers_its_own_station_alone() -> None:
    _, digitiser = simulator(station=3)
    assert digitiser.receive(b"!001:STN?\r!004:STN?\r!003:STN?\r003:STN\r\r") == b"+00003\r"


def test_what_is_broadcast_is_carried_out_and_not_answered() -> None:
    _, digitiser = simulator(station=3)
    assert digitiser.receive(b"!000:SZ=+1.5\r") == b""
    assert digitiser.receive(b"!003:SZ?\r") == b"+00001.500\r"


@pytest.mark.parametrize(
    ("sign", "said"), [("positive", (b"+00600.000\r", b"+00512\r")), ("negative", (b"-00600.000\r", b"+00256\r"))]
)
def test_it_stays_at_its_limit_and_says_so(sign: str, said: tuple[bytes, bytes]) -> None:
    bench, digitiser = simulator(Scheduled("load_cell.negative", Kind.OUT_OF_RANGE, 10.0, 20.0), compression=sign)
    bench.advance_to(15.0)
    assert (digitiser.receive(b"!001:SYS?\r"), digitiser.receive(b"!001:STAT?\r")) == said


def test_without_a_bridge_it_reads_zero_and_says_so() -> None:
    bench, digitiser = simulator(Scheduled("load_cell.negative", Kind.NOT_A_NUMBER, 10.0, 20.0))
    bench.advance_to(15.0)
    assert digitiser.receive(b"!001:SYS?\r!001:STAT?\r") == b"+00000.000\r+02048\r"


def test_somebody_scales_it_anew() -> None:
    bench, digitiser = simulator(Scheduled("load_cell.negative", Kind.WRONG_UNIT, 10.0, 20.0))
    pressed(bench, 100.0)
    before = float(digitiser.receive(b"!001:SYS?\r"))
    bench.advance_to(15.0)
    assert digitiser.receive(b"!001:SGAI?\r") == b"+00056.202\r"
    assert float(digitiser.receive(b"!001:SYS?\r")) == pytest.approx(before / NEWTON["lbf"], rel=0.01)


def test_a_number_is_printed_as_dp_and_dpb_say() -> None:
    _, digitiser = simulator()
    assert digitiser.receive(b"!001:DP=-1\r!001:DPB=99\r!001:SZ=1234567890123456\r") == b"?\r?\r?\r"
    assert digitiser.receive(b"!001:DP=1\r!001:DPB=3\r!001:SGAI?\r!001:DP=0\r!001:SGAI?\r") == b"\r\r+250.0\r\r+250\r"


@given(st.binary(max_size=40))
def test_the_simulator_survives_any_bytes(noise: bytes) -> None:
    _, digitiser = simulator()
    digitiser.receive(noise + b"\r")
    assert digitiser.receive(b"!001:STN?\r") == b"+00001\r"
    assert math.isfinite(float(digitiser.receive(b"!001:SYS?\r")))


async def test_the_driver_over_a_pseudo_terminal(served: Served) -> None:
    bench, digitiser = simulator()
    assert abs(await zeroed_over_a_terminal(served, MantracourtDsc, bench, digitiser, OPTIONS)) <= 0.1
