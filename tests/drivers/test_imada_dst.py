"""The IMADA load cell: exact bytes, units and judgements, refusals, and an independent client on its simulator."""

import asyncio
import math
from decimal import Decimal

import dstdsv
import pytest
import serial
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.imada_dst.driver import GREETING, GreetedLines, ImadaDst
from drivers.imada_dst.sim import Simulator
from labctl.clock import VirtualClock
from labctl.errors import (
    GarbledReply,
    InstrumentError,
    InstrumentRefused,
    LabctlError,
    OverRange,
    WrongInstrument,
)
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.schedule import Kind, Scheduled
from tests.conftest import Served
from tests.drivers.tapped import Tapped, pressed, read_of, zeroed_over_a_terminal

OPTIONS = ImadaDst.Options.model_validate(ImadaDst.EXAMPLE)
RESOLUTION = 0.1
"""N, of a gauge of 500 N."""
NEAR = 0.5 + RESOLUTION


@pytest.fixture
def stand(clock: VirtualClock) -> Tapped:
    return Tapped(ImadaDst, Simulator, OPTIONS, clock)


# -- connecting --------------------------------------------------------------------------------------------------------

WRONG: list[dict[str, object]] = [
    {"capacity": 500.0},
    {"compression": "positive"},
    {"capacity": 0.0, "compression": "positive"},
    {"capacity": math.inf, "compression": "positive"},
    {"capacity": "500 N", "compression": "positive", "interface": "gpib"},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_options_that_leave_the_force_open_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ImadaDst.Options.model_validate(wrong)


def test_each_socket_has_its_speed() -> None:
    usb = OPTIONS.wire(ImadaDst.WIRE)
    rs232 = ImadaDst.Options.model_validate({**ImadaDst.EXAMPLE, "interface": "rs232"}).wire(ImadaDst.WIRE)
    assert [(w.baudrate, w.rtscts) for w in (usb, rs232)] == [(256000, True), (19200, False)]  # type: ignore[union-attr]
    assert rs232.framing == usb.framing


async def test_connect_sets_newton_and_real_time_and_knows_the_gauge(stand: Tapped) -> None:
    stand.simulator.receive(b"K\rP\r")
    assert await stand.exchange(stand.driver.connect) == [b"N\r", b"T\r", b"E\r", b"D\r"]
    identity = await stand.driver.connect()
    assert str(identity) == (
        "IMADA DST/DSV in steps of 0.1 N, set points 9999 and 0000 (serial unknown, firmware not told)"
    )
    assert (stand.simulator.unit, stand.simulator.mode) == ("N", "T")


UNFIT: list[tuple[bytes, bytes, type[LabctlError], str]] = [
    (b"N", b"E", InstrumentRefused, "refused 'N'"),
    (b"T", b"E", InstrumentRefused, "refused 'T'"),
    (b"T", b"OK", GarbledReply, "expected R or E"),
    (b"E", b"E", WrongInstrument, "DST or DSV gauge"),
    (b"E", b"E123", WrongInstrument, "'E123' when asked for its set points"),
    (b"D", b"+000.1KTO", InstrumentRefused, "reads in kilogram-force or gram-force, real time after N and T"),
    (b"D", b"+000.1NPO", InstrumentRefused, "reads in newton, peak after N and T"),
]


@pytest.mark.parametrize(("asked", "answer", "error", "sentence"), UNFIT)
async def test_what_is_no_such_gauge_is_not_connected(
    stand: Tapped, asked: bytes, answer: bytes, error: type[LabctlError], sentence: str
) -> None:
    await stand.refused(stand.driver.connect, asked, answer + b"\r", error, sentence)


@pytest.mark.parametrize(("asked", "answer"), [(b"E", b"E49990000"), (b"D", b"+00.01NTO")])
async def test_another_gauge_after_a_reopening_is_refused(stand: Tapped, asked: bytes, answer: bytes) -> None:
    await stand.refused_as_another(asked, answer + b"\r")
    assert abs(await stand.driver.read()) <= NEAR


# -- reading -----------------------------------------------------------------------------------------------------------

READINGS = [
    (b"+123.4NTO", 123.4),
    (b"-123.4NTL", -123.4),
    (b"+0012.34NTH", 12.34),
    (b"+0123NTO", 123.0),
    (b"+123.NTO", 123.0),
    (b"-000.0NTO", 0.0),
    (b"+500.0NTO", 500.0),
]


@pytest.mark.parametrize(("reply", "newton"), READINGS)
@pytest.mark.parametrize(("compression", "sign"), [("positive", 1), ("negative", -1)])
async def test_readings(clock: VirtualClock, reply: bytes, newton: float, compression: str, sign: int) -> None:
    options = ImadaDst.Options.model_validate({"capacity": "500 N", "compression": compression})
    stand = Tapped(ImadaDst, Simulator, options, clock)
    await stand.driver.connect()
    stand.answers[b"D"] = reply + b"\r"
    assert await stand.driver.read() == sign * newton
    assert await stand.exchange(stand.driver.read) == [b"D\r"]


REFUSED: list[tuple[bytes, type[LabctlError], str]] = [
    (b"+123.4NTE", OverRange, "says that it is overloaded at 123.4"),
    (b"+500.1NTO", OverRange, "beyond its capacity of 500 N"),
    (b"-500.1NTO", OverRange, "beyond its capacity"),
    (b"+012.4KTO", InstrumentRefused, "kilogram-force or gram-force, which cannot be told apart"),
    (b"+012.4OTO", InstrumentRefused, "pound-force or ounce-force"),
    (b"+012.4NPO", InstrumentRefused, "holds its peak"),
    (b"+012.4GTO", GarbledReply, "sign, number, unit"),
    (b"+012.4NTX", GarbledReply, "sign, number, unit"),
    (b"012.4NTO", GarbledReply, "sign, number, unit"),
    (b"+012,4NTO", GarbledReply, "sign, number, unit"),
    (b"+nanNTO", GarbledReply, "sign, number, unit"),
    (b"+1e9NTO", GarbledReply, "sign, number, unit"),
    (b"+----NTO", GarbledReply, "sign, number, unit"),
    (b"E", GarbledReply, "sign, number, unit"),
    (b"R", GarbledReply, "sign, number, unit"),
    (b"", GarbledReply, "sign, number, unit"),
    (b"+012.4\xceTO", GarbledReply, "printable ASCII"),
]


@pytest.mark.parametrize(("reply", "error", "sentence"), REFUSED)
async def test_what_is_no_force_is_refused(
    stand: Tapped, reply: bytes, error: type[LabctlError], sentence: str
) -> None:
    await stand.driver.connect()
    await stand.refused(stand.driver.read, b"D", reply + b"\r", error, sentence)
    assert abs(await stand.driver.read()) <= NEAR


@settings(deadline=None)
@given(st.binary(max_size=12) | st.from_regex(rb"[+-][0-9.]{1,8}[NKO][TP][LOHE]", fullmatch=True))
def test_any_reply_is_a_force_within_capacity_or_a_sentence(reply: bytes) -> None:
    outcome = read_of(ImadaDst, OPTIONS, reply)
    if isinstance(outcome, InstrumentError):
        assert "A1/load_cell" in str(outcome)
    else:
        assert -500 <= outcome <= 500
        assert reply.strip()[-3:] in (b"NTL", b"NTO", b"NTH")


def test_a_greeting_is_no_answer() -> None:
    lines = GreetedLines()
    buffer = bytearray(GREETING + GREETING + b"+000.1NTO\r")
    assert not lines.unsolicited(bytearray(GREETING))
    assert lines.unsolicited(buffer)
    assert lines.take(buffer) == b"+000.1NTO"
    assert not buffer
    assert lines.take(bytearray(GREETING[:-1])) is None


async def test_a_restart_is_survived_with_its_greeting(stand: Tapped) -> None:
    await stand.driver.connect()
    stand.simulator.restart()
    assert abs(await stand.driver.read()) <= NEAR


# -- tare --------------------------------------------------------------------------------------------------------------


async def test_tare_zeroes_the_offset(stand: Tapped) -> None:
    await stand.driver.connect()
    assert await stand.driver.read() == pytest.approx(0.25, abs=RESOLUTION)  # half of 0.1 %
    assert await stand.exchange(stand.driver.tare) == [b"Z\r", b"D\r"]
    assert abs(await stand.driver.read()) <= RESOLUTION
    true = stand.press(100.0)
    assert await stand.driver.read() == pytest.approx(true, abs=2 * RESOLUTION)


@pytest.mark.parametrize(
    ("asked", "answer", "sentence"),
    [(b"D", b"+012.0NTO", "reads 12 N after its zero command"), (b"Z", b"E", "refused 'Z'")],
)
async def test_a_tare_that_did_not_work_is_told(stand: Tapped, asked: bytes, answer: bytes, sentence: str) -> None:
    await stand.driver.connect()
    stand.answers[asked] = answer + b"\r"
    with pytest.raises(InstrumentRefused, match=sentence):
        await stand.driver.tare()


# -- simulator and wire ------------------------------------------------------------------------------------------------


def simulator(*faults: Scheduled, **changed: object) -> tuple[Bench, Simulator]:
    bench = Bench.of(BenchParameters(), 1, faults)
    return bench, Simulator(bench, "negative", ImadaDst.Options.model_validate({**ImadaDst.EXAMPLE, **changed}))


def test_commands_come_in_any_pieces() -> None:
    _, gauge = simulator()
    assert gauge.receive(b"N") == b""
    assert gauge.receive(b"\rE\rnonsense\r") == b"R\rE99990000\rE\r"
    assert gauge.receive(b"E50000010\rE\rOM\rOC0\rOC1\rE5.001.00\r") == b"R\rE50000010\rR\rR\rR\rE\r"
    gauge.receive(b"Q")
    gauge.reset_line()
    assert gauge.receive(b"T\r") == b"R\r"


@pytest.mark.parametrize(
    ("capacity", "said"), [("5 N", b"+0.00"), ("50 N", b"+00.0"), ("500 N", b"+000."), ("5 kN", b"+000")]
)
def test_a_reading_has_four_digits(capacity: str, said: bytes) -> None:
    _, gauge = simulator(capacity=capacity)
    reading = gauge.receive(b"D\r")
    assert reading.startswith(said)
    assert len(reading.translate(None, b"+-.NTLOH\r")) == 4


def test_its_judgement() -> None:
    bench, gauge = simulator()
    gauge.receive(b"Z\rE10000500\r")
    said = []
    for newton in (0.0, 75.0, 150.0, 560.0):
        pressed(bench, newton)
        said.append(gauge.receive(b"D\r")[-2:-1])
    assert said == [b"L", b"O", b"H", b"E"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Kind.WRONG_UNIT, b"KTO\r"), (Kind.NOT_A_NUMBER, b"+----NTO\r"), (Kind.OUT_OF_RANGE, b"+999.9NTE\r")],
)
def test_what_it_says_when_it_is_broken_on_purpose(kind: Kind, said: bytes) -> None:
    bench, gauge = simulator(Scheduled("load_cell.negative", kind, 10.0, 20.0))
    before = gauge.receive(b"D\r")
    bench.advance_to(15.0)
    assert gauge.receive(b"Z\rD\r").removeprefix(b"R\r").endswith(said)
    bench.advance_to(21.0)
    if kind is not Kind.WRONG_UNIT:  # a zero is not taken from a converter that has failed
        assert gauge.receive(b"D\r")[:5] == before[:5]


async def test_the_driver_over_a_pseudo_terminal(served: Served) -> None:
    bench, gauge = simulator()
    assert abs(await zeroed_over_a_terminal(served, ImadaDst, bench, gauge, OPTIONS)) <= RESOLUTION


async def test_dstdsv_drives_the_simulator(served: Served) -> None:
    """The client checks the format of commands and replies; that a real gauge answers so it cannot know."""
    bench, gauge = simulator()
    pressed(bench, 100.0)

    def drive(address: str) -> None:
        with serial.Serial(address, baudrate=256000, timeout=2.0, exclusive=True) as port:
            client = dstdsv.GaugeProtocol(port)
            client.unit_set(dstdsv.GaugeMeasureUnit.Newton)
            client.mode_set(dstdsv.GaugeMeasureMode.Realtime)
            said = client.measure()
            assert said.unit is dstdsv.GaugeMeasureUnit.Newton
            assert said.mode is dstdsv.GaugeMeasureMode.Realtime
            assert said.state is dstdsv.GaugeMeasureState.Good
            assert float(said.value) == pytest.approx(100.0, abs=NEAR)
            client.unit_set(dstdsv.GaugeMeasureUnit.Kilograms)
            kilograms = client.measure()
            assert kilograms.unit is dstdsv.GaugeMeasureUnit.Kilograms
            assert float(kilograms.value) == pytest.approx(100.0 / 9.80665, abs=0.1)
            client.mode_set(dstdsv.GaugeMeasureMode.Peak)
            assert client.measure().mode is dstdsv.GaugeMeasureMode.Peak
            client.zero()
            assert abs(client.measure().value) <= Decimal("0.1")
            client.store()
            client.clear_last()
            client.clear_all()
            with pytest.raises(dstdsv.GaugeError):  # it sends decimals, and the lower one first
                client.limit_points_set(Decimal("1.00"), Decimal("5.00"))

    async with served(bench, gauge, "pty") as address:
        await asyncio.to_thread(drive, address)


async def test_dstdsv_reads_the_greeting_of_a_gauge_that_was_just_switched_on(served: Served) -> None:
    """Its device classes begin with this line; the simulator sends it before its first answer."""
    bench, gauge = simulator()
    gauge.restart()

    def drive(address: str) -> None:
        with serial.Serial(address, baudrate=19200, timeout=2.0, exclusive=True) as port:
            client = dstdsv.GaugeProtocol(port)
            port.write(b"N\r")
            client.read_start_line()
            assert port.read_until(b"\r") == b"R\r"
            assert client.measure().unit is dstdsv.GaugeMeasureUnit.Newton

    async with served(bench, gauge, "pty") as address:
        await asyncio.to_thread(drive, address)
