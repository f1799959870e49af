"""The Modbus load cell: exact bytes, every refusal, and minimalmodbus as the other client of its simulator.

There is no independent simulator of a transmitter, whose registers are anybody's: what is proved is the format.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import minimalmodbus
import pytest
from pydantic import ValidationError

from drivers.modbus.frame import framed
from drivers.modbus_load_cell.driver import SETTLING, ModbusLoadCell
from drivers.modbus_load_cell.sim import Simulator
from labctl.clock import RealClock, VirtualClock
from labctl.config import load
from labctl.errors import (
    ConfigError,
    GarbledReply,
    InstrumentError,
    InstrumentRefused,
    NoReply,
    OverRange,
    WrongInstrument,
)
from labctl.instrument import SerialWire
from labctl.link import open_link
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.faults import silence
from labctl.sim.schedule import Kind, Scheduled
from tests.conftest import Served
from tests.docs.pages import ROOT, blocks
from tests.drivers.tapped import Tapped

EXAMPLE = ModbusLoadCell.EXAMPLE
TARE = {"function": 6, "register": 100, "value": 1, "within": "0.5 N", "kept": True}
FORCE = {"function": 4, "register": 0, "type": "int32", "words": "high-first", "scale": 0.01, "unit": "N"}
ECHO, SERIAL, SETTING = framed(1, 8, b"\0\0\0\1"), framed(1, 3, b"\0\x0a\0\2"), framed(1, 3, b"\0\x14\0\1")
STATUS, READ = framed(1, 4, b"\0\2\0\1"), framed(1, 4, b"\0\0\0\2")


def options(**changed: object) -> ModbusLoadCell.Options:
    keys = {**EXAMPLE, **changed}
    return ModbusLoadCell.Options.model_validate({key: value for key, value in keys.items() if value is not None})


def tapped(clock: VirtualClock, **changed: object) -> Tapped:
    return Tapped(ModbusLoadCell, Simulator, options(**changed), clock)


@pytest.fixture
def cell(clock: VirtualClock) -> Tapped:
    return tapped(clock)


# -- exact bytes -------------------------------------------------------------------------------------------------------


def test_the_frames_are_these_bytes() -> None:
    assert READ.hex(" ") == "01 04 00 00 00 02 71 cb"
    assert SETTING.hex(" ") == "01 03 00 14 00 01 c4 0e"


async def test_connect_reads_serial_number_settings_and_the_force(cell: Tapped) -> None:
    identity = await cell.driver.connect()
    assert str(identity) == "Modbus transmitter 1 (serial 100001, firmware unknown)"
    assert cell.sent == [ECHO, SERIAL, SETTING, READ]


async def test_a_reading_is_settings_status_and_force(cell: Tapped) -> None:
    await cell.driver.connect()
    assert await cell.exchange(cell.driver.read) == [SETTING, STATUS, READ]


async def test_a_transmitter_of_which_nothing_else_is_known(clock: VirtualClock) -> None:
    cell = tapped(clock, status=None, tare=None, serial_number=None, settings=None)
    assert str(await cell.driver.connect()) == "Modbus transmitter 1 (serial unknown, firmware unknown)"
    assert cell.sent == [ECHO, READ]
    assert await cell.exchange(cell.driver.read) == [READ]
    with pytest.raises(InstrumentRefused, match=r"has no tare in config\.toml"):
        await cell.driver.tare()


@pytest.mark.parametrize(
    ("tare", "frame"),
    [
        (TARE, framed(1, 6, b"\0\x64\0\1")),
        ({**TARE, "function": 16}, framed(1, 16, b"\0\x64\0\1\2\0\1")),
        ({**TARE, "function": 5, "register": 3}, framed(1, 5, b"\0\3\xff\0")),
        ({**TARE, "function": 5, "register": 3, "value": 0}, framed(1, 5, b"\0\3\0\0")),
    ],
)
async def test_a_tare_writes_waits_and_reads(clock: VirtualClock, tare: Mapping[str, object], frame: bytes) -> None:
    cell = tapped(clock, tare=tare)
    await cell.driver.connect()
    before, began = await cell.driver.read(), clock.now()
    assert await cell.exchange(cell.driver.tare) == [frame, SETTING, STATUS, READ]
    assert clock.now() - began >= SETTLING
    assert abs(before) > abs(await cell.driver.read()) < 0.1


# -- what stands in the registers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["N", "kN", "kgf", "gf", "lbf", "ozf"])
@pytest.mark.parametrize(
    ("kind", "words", "scale"),
    [("int32", "high-first", 1e-5), ("int32", "low-first", 1e-5), ("float32", "low-first", 1.0)],
)
@pytest.mark.parametrize("compression", ["positive", "negative"])
async def test_every_unit_type_and_sign(
    clock: VirtualClock, unit: str, kind: str, words: str, scale: float, compression: str
) -> None:
    scale = scale if unit in ("kN", "kgf", "lbf", "N") else 1e3 * scale
    force = {"function": 3, "register": 40, "type": kind, "words": words, "scale": scale, "unit": unit}
    cell = tapped(clock, force=force, compression=compression)
    await cell.driver.connect()
    await cell.driver.tare()
    true = cell.press(100.0)
    assert await cell.driver.read() == pytest.approx(true, abs=0.2)


async def test_a_negative_scale_is_one_too(clock: VirtualClock) -> None:
    cell = tapped(clock, force={**FORCE, "scale": -0.01})
    await cell.driver.connect()
    true = cell.press(100.0)
    assert await cell.driver.read() == pytest.approx(true, abs=0.5)


@pytest.mark.parametrize(
    ("raw", "newton"), [(b"\0\0\x27\x10", 100.0), (b"\xff\xff\xd8\xf0", -100.0), (b"\0\0\0\0", 0.0)]
)
async def test_the_scale_is_exact(cell: Tapped, raw: bytes, newton: float) -> None:
    await cell.driver.connect()
    cell.answers[READ] = framed(1, 4, b"\4" + raw)
    assert await cell.driver.read() == newton


# -- refusals ----------------------------------------------------------------------------------------------------------

REFUSED = [
    (STATUS, framed(1, 4, b"\2\0\1"), OverRange, r"overloaded \(status 0x0001\)"),
    (STATUS, framed(1, 4, b"\2\0\4"), InstrumentRefused, r"has a fault \(status 0x0004\)"),
    (STATUS, framed(1, 4, b"\2\0\7"), InstrumentRefused, "has a fault"),
    (SETTING, framed(1, 3, b"\2\0\2"), WrongInstrument, "has 2 in register 20 instead of 0"),
    (READ, framed(1, 4, b"\4\x7f\xff\xff\xff"), OverRange, "the end of its int32"),
    (READ, framed(1, 4, b"\4\x80\0\0\0"), OverRange, "the end of its int32"),
    (READ, framed(1, 4, b"\4\0\0\xc3\x51"), OverRange, "reads 500.01 N, beyond its capacity of 500 N"),
    (READ, framed(1, 4, b"\4\xff\xff\x3c\xaf"), OverRange, "reads -500.01 N, beyond its capacity"),
    (READ, framed(1, 0x84, b"\2"), InstrumentRefused, "exception 2, it has no such register"),
    (READ, framed(1, 4, b"\2\0\0"), GarbledReply, "expected 2 registers"),
    (READ, framed(2, 4, b"\4\0\0\0\0"), GarbledReply, "an answer of slave 1 to function 4"),
    (READ, framed(1, 4, b"\4\0\0\0\0")[:-1] + b"\0", GarbledReply, "a frame with its checksum"),
]


@pytest.mark.parametrize(("request_", "reply", "error", "sentence"), REFUSED)
async def test_what_is_no_force_is_refused(
    cell: Tapped, request_: bytes, reply: bytes, error: type[InstrumentError], sentence: str
) -> None:
    await cell.driver.connect()
    cell.answers[request_] = reply
    with pytest.raises(error, match=sentence) as told:
        await cell.driver.read()
    assert "A1/load_cell" in str(told.value)


async def test_another_transmitter_is_refused(cell: Tapped) -> None:
    cell.simulator.restart(other=True)
    with pytest.raises(WrongInstrument, match="has 100002 in register 10 instead of 100001"):
        await cell.driver.connect()


@pytest.mark.parametrize("keys", [{"force": {**FORCE, "register": 50}}, {"force": {**FORCE, "function": 3}}])
async def test_a_register_that_is_not_there_is_told_at_connect(clock: VirtualClock, keys: dict[str, object]) -> None:
    cell = tapped(clock)
    cell.driver = ModbusLoadCell(cell.link, options(**keys), clock)
    with pytest.raises(InstrumentRefused, match="it has no such register"):
        await cell.driver.connect()


async def test_a_tare_that_is_refused_or_leaves_too_much(cell: Tapped) -> None:
    await cell.driver.connect()
    cell.answers[framed(1, 6, b"\0\x64\0\1")] = framed(1, 0x86, b"\4")
    with pytest.raises(InstrumentRefused, match=r"refused to write 1 to register 100 \(function 6\): exception 4"):
        await cell.driver.tare()
    cell.answers = {READ: framed(1, 4, b"\4\0\0\0\x64")}
    with pytest.raises(InstrumentRefused, match=r"reads 1 N after its tare, more than 0\.5 N"):
        await cell.driver.tare()


@pytest.mark.parametrize("kept", [True, False])
async def test_a_zero_that_a_power_cut_would_lose_is_not_believed_after_a_silence(
    clock: VirtualClock, kept: bool
) -> None:
    cell = tapped(clock, tare={**TARE, "kept": kept})
    await cell.driver.connect()
    await cell.driver.tare()
    cell.fault = silence
    with pytest.raises(NoReply):
        await cell.driver.read()
    cell.fault = None
    if kept:
        assert await cell.driver.read() == pytest.approx(0.0, abs=0.1)
        return
    for _ in range(2):
        with pytest.raises(InstrumentRefused, match="may have been without power, which loses its zero"):
            await cell.driver.read()
    await cell.driver.tare()
    assert await cell.driver.read() == pytest.approx(0.0, abs=0.1)


async def test_a_late_serial_number_is_never_the_force(clock: VirtualClock) -> None:
    """Both stand in two registers, read by one function: only the echo between them tells their answers apart."""
    serial = {"function": 4, "register": 10, "type": "uint32", "words": "high-first", "value": 100001}
    cell = tapped(clock, serial_number=serial, settings=None, status=None)
    await cell.driver.connect()
    cell.fault = silence
    with pytest.raises(NoReply):
        await cell.driver.read()
    cell.fault = lambda _reply: framed(1, 4, b"\4\0\1\x86\xa1")
    with pytest.raises(GarbledReply):
        await cell.driver.read()


# -- configuration -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"compression": None}, "compression"),
        ({"capacity": "0 N"}, "greater than 0"),
        ({"status": {"function": 4, "register": 2, "overload": 0, "fault": 0}}, "says nothing"),
        ({"status": {"function": 4, "register": 2, "overload": 1}}, "fault"),
        ({"tare": {**TARE, "function": 5, "value": 2}}, "a coil is switched to 0 or 1, not 2"),
        ({"tare": {**TARE, "function": 4}}, "5, 6 or 16"),
        ({"force": {**FORCE, "unit": "t"}}, "'N', 'kN'"),
        ({"force": {key: value for key, value in FORCE.items() if key != "unit"}}, "unit"),
    ],
)
def test_options_that_make_no_sense(keys: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        options(**keys)


@pytest.mark.parametrize("key", ["function", "register", "type", "words", "scale", "unit"])
def test_nothing_of_the_force_has_a_default(key: str) -> None:
    with pytest.raises(ValidationError):
        options(force={name: value for name, value in FORCE.items() if name != key})


STATION = """schema = "1"
[lab]
site = "here"
[station.B1.cycler]
driver = "keithley-2450"
address = "TCPIP::192.0.2.7::5025::SOCKET"
[station.B1.limits]
voltage = ["0 V", "5 V"]
current = "2 mA"
"""
(SHOWN,) = [block.text for block in blocks(ROOT / "drivers/modbus_load_cell/manual.md") if block.language == "toml"]


def test_the_example_of_the_manual_sets_up_its_line(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(STATION + SHOWN.replace("19200", "38400"))
    driver, loaded = load(file).drivers["B1", "load_cell.negative"]
    assert loaded == options(baudrate=38400)
    assert isinstance(driver.wire, SerialWire)
    assert (driver.wire.baudrate, driver.wire.parity, driver.wire.stopbits) == (38400, "E", 1)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('words = "high-first", scale = 0.01', "scale = 0.01", "force: int32 stands in two registers: say words"),
        ("scale = 0.01, ", "", 'modbus-load-cell lacks "force.scale", which has no default'),
        ("fault = 0x0006", "fautl = 0x0006", '"status.fautl" is no key of modbus-load-cell'),
        ("kept = true", 'kept = "yes"', "tare.kept: Input should be a valid boolean"),
        ("function = 4, register = 0", "function = 2, register = 0", "force.function: Input should be 3 or 4"),
    ],
)
def test_a_key_inside_a_register_is_told_by_its_whole_name(tmp_path: Path, old: str, new: str, told: str) -> None:
    file = tmp_path / "config.toml"
    assert old in SHOWN
    file.write_text(STATION + SHOWN.replace(old, new, 1))
    with pytest.raises(ConfigError) as refused:
        load(file)
    assert told in str(refused.value)


# -- faults on purpose -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "force", "setting"),
    [
        (Kind.NOT_A_NUMBER, 6, 0x7FFFFFFF, 0),
        (Kind.OUT_OF_RANGE, 1, 0x7FFFFFFF, 0),
        (Kind.WRONG_UNIT, 0, None, 1),
    ],
)
def test_what_the_simulator_says_when_it_is_broken(kind: Kind, status: int, force: int | None, setting: int) -> None:
    bench = Bench.of(BenchParameters(), 1, (Scheduled("load_cell.negative", kind, 10.0, 20.0),))
    simulator = Simulator(bench, "negative", options())
    healthy = simulator.receive(READ)
    bench.advance_to(15.0)
    assert simulator.receive(STATUS) == framed(1, 4, bytes([2, 0, status]))
    assert simulator.receive(SETTING) == framed(1, 3, bytes([2, 0, setting]))
    said = simulator.receive(READ)
    assert said != healthy if force is None else said == framed(1, 4, b"\4" + force.to_bytes(4, "big"))
    bench.advance_to(25.0)
    assert simulator.receive(STATUS) == framed(1, 4, b"\2\0\0")


# -- the real wire -----------------------------------------------------------------------------------------------------


async def test_the_driver_over_a_pseudo_terminal(served: Served) -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    async with served(bench, Simulator(bench, "negative", options()), "pty") as address:
        clock = RealClock()
        wire = options().wire(ModbusLoadCell.WIRE)
        assert isinstance(wire, SerialWire)
        link = open_link(address, wire, "A1/load_cell", clock, simulated=True)
        try:
            driver = ModbusLoadCell(link, options(), clock)
            await driver.connect()
            assert await driver.read() == pytest.approx(0.0, abs=0.5)
        finally:
            await link.close()


def converse(address: str) -> None:
    """Read and write everything that the example has, as minimalmodbus does."""
    client = minimalmodbus.Instrument(address, 1)
    assert client.serial is not None
    try:
        client.serial.baudrate, client.serial.timeout = 19200, 0.5
        big = minimalmodbus.BYTEORDER_BIG
        before = client.read_long(0, functioncode=4, signed=True, byteorder=big)
        assert before == pytest.approx(25, abs=10)
        assert client.read_register(2, functioncode=4) == 0
        assert client.read_long(10, functioncode=3, byteorder=big) == 100001
        assert client.read_register(20) == 0
        client.write_register(100, 1, functioncode=6)
        assert abs(client.read_long(0, functioncode=4, signed=True, byteorder=big)) <= 10
        client.serial.timeout = 0.2  # it waits for the rest of what is a refusal, and shorter than it expects
        with pytest.raises(minimalmodbus.IllegalRequestError):
            client.read_register(21)
    finally:
        client.serial.close()


async def test_minimalmodbus_drives_the_simulator(served: Served) -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    async with served(bench, Simulator(bench, "negative", options()), "pty") as address:
        await asyncio.to_thread(converse, address)
