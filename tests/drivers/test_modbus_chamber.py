"""The Modbus chamber by each of its maps: exact bytes, refusals, and minimalmodbus as the other client.

No independent simulator of a chamber exists: the registers are those of the sources on the manual page, the format is
proved by two libraries, and what a chamber does is assumed.
"""

import asyncio
import tomllib
from collections.abc import Callable

import minimalmodbus
import pytest
from pydantic import ValidationError

from drivers.modbus.frame import framed
from drivers.modbus_chamber.driver import ModbusChamber
from drivers.modbus_chamber.sim import Simulator
from labctl.clock import RealClock, VirtualClock
from labctl.errors import (
    GarbledReply,
    InstrumentError,
    InstrumentRefused,
    NoReply,
    OverRange,
    RefusedForSafety,
    WrongInstrument,
)
from labctl.instrument import SerialWire, ThermostatReading
from labctl.link import MemoryLink, open_link
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.faults import silence
from tests.conftest import Served
from tests.docs.pages import ROOT, blocks

LINE = {"id": 1, "baudrate": 9600, "parity": "none", "minimum": "5 degC", "maximum": "80 degC"}
BINDER = {**LINE, "map": "binder-mk53"}
EUROTHERM = {**LINE, "map": "eurotherm-3500", "stop_at": "23 degC"}
TENTHS = {"function": 4, "type": "int16", "scale": 0.1}
CUSTOM = {
    **LINE,
    "map": "custom",
    "actual": {**TENTHS, "register": 0},
    "setpoint": {**TENTHS, "function": 3, "register": 1},
    "write": [{"function": 6, "register": 1}],
    "mode": {"function": 3, "register": 2, "mask": 0x0001, "running": 1, "stopped": 0, "write": 6},
    "external": {**TENTHS, "register": 5},
    "alarm": {"function": 3, "register": 3, "mask": 0x00F0},
}
MAPS = {"binder": BINDER, "eurotherm": EUROTHERM, "custom": CUSTOM}
ECHO = framed(1, 8, b"\0\0\0\1")


def options(keys: dict[str, object]) -> ModbusChamber.Options:
    return ModbusChamber.Options.model_validate(keys)


class Chamber:
    """A driver on a memory link to a simulator, what was sent, and what is answered instead."""

    def __init__(self, clock: VirtualClock, keys: dict[str, object]) -> None:
        self.clock = clock
        self.bench = Bench.of(BenchParameters(), seed=1)
        self.simulator = Simulator(self.bench, "bath", options(keys))
        self.sent: list[bytes] = []
        self.answers: dict[bytes, bytes] = {}
        self.fault: Callable[[bytes], bytes] | None = None
        wire = options(keys).wire(ModbusChamber.WIRE)
        self.link = MemoryLink(self._receive, self.simulator.reset_line, wire, "A1/thermostat", clock)
        self.driver = ModbusChamber(self.link, options(keys), clock)

    def _receive(self, data: bytes) -> bytes:
        self.bench.advance_to(self.clock.now())
        self.sent.append(data)
        reply = self.answers.get(data, self.simulator.receive(data))
        return self.fault(reply) if self.fault else reply

    async def read_after(self, seconds: float) -> ThermostatReading:
        await self.clock.sleep(seconds)
        return await self.driver.read()


@pytest.fixture
def binder(clock: VirtualClock) -> Chamber:
    return Chamber(clock, BINDER)


@pytest.fixture
def eurotherm(clock: VirtualClock) -> Chamber:
    return Chamber(clock, EUROTHERM)


@pytest.fixture
def custom(clock: VirtualClock) -> Chamber:
    return Chamber(clock, CUSTOM)


# -- every map ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", MAPS.values(), ids=MAPS.keys())
async def test_it_reaches_its_set_point_and_stops(clock: VirtualClock, keys: dict[str, object]) -> None:
    chamber = Chamber(clock, keys)
    driver, room = chamber.driver, chamber.bench.room
    await driver.connect()
    assert room.setpoint == (23.0 if "stop_at" in keys else None)
    assert not (await driver.read()).running
    await driver.set_temperature(40.0)
    warm = await chamber.read_after(3 * 3600.0)
    assert (warm.running, warm.setpoint) == (True, 40.0)
    assert warm.bath == pytest.approx(40.0, abs=0.2)
    assert (warm.external is not None) == ("external" in keys) == driver.external_probe
    for _ in range(2):
        await driver.safe_state()
        assert room.setpoint == (23.0 if "stop_at" in keys else None)
    assert not (await driver.read()).running


@pytest.mark.parametrize("keys", MAPS.values(), ids=MAPS.keys())
@pytest.mark.parametrize("celsius", [4.9, 80.1, float("nan")])
async def test_a_temperature_outside_its_range_is_refused(
    clock: VirtualClock, keys: dict[str, object], celsius: float
) -> None:
    chamber = Chamber(clock, keys)
    await chamber.driver.connect()
    chamber.sent.clear()
    with pytest.raises(RefusedForSafety, match="is not within 5 °C to 80 °C"):
        await chamber.driver.set_temperature(celsius)
    assert not chamber.sent


@pytest.mark.parametrize("keys", MAPS.values(), ids=MAPS.keys())
async def test_a_reply_that_is_lost_at_any_exchange_ends_nothing_half(
    clock: VirtualClock, keys: dict[str, object]
) -> None:
    """Whatever is not confirmed is an error, and afterwards it can be stopped."""
    healthy = Chamber(clock, keys)
    await healthy.driver.connect()
    healthy.sent.clear()
    await healthy.driver.set_temperature(40.0)
    for lost in range(1, len(healthy.sent) + 1):
        chamber = Chamber(VirtualClock(0.0), keys)
        await chamber.driver.connect()
        chamber.sent.clear()
        chamber.fault = lambda reply, c=chamber, n=lost: b"" if len(c.sent) == n else reply
        with pytest.raises(NoReply):
            await chamber.driver.set_temperature(40.0)
        await chamber.driver.stop()
        assert chamber.bench.room.setpoint == (23.0 if "stop_at" in keys else None)


async def test_regulation_outlives_a_reopened_line(binder: Chamber) -> None:
    await binder.driver.connect()
    await binder.driver.set_temperature(40.0)
    binder.fault = silence
    with pytest.raises(NoReply):
        await binder.driver.read()
    binder.fault = None
    assert (await binder.driver.read()).running


# -- exact bytes -------------------------------------------------------------------------------------------------------


def hexadecimal(*frames: str) -> list[bytes]:
    return [framed(1, body[0], body[1:]) for body in map(bytes.fromhex, frames)]


async def test_the_bytes_of_a_binder(binder: Chamber) -> None:
    identity = await binder.driver.connect()
    assert str(identity) == "Modbus binder-mk53 1 (serial unknown, firmware unknown)"
    assert binder.sent == [ECHO, *hexadecimal("06 1a22 0000", "03 1a22 0001")]
    binder.sent.clear()
    await binder.driver.set_temperature(40.0)
    forty = "10 {} 0002 04 0000 4220"  # 40.0 is 4220 0000: the low word comes first
    assert binder.sent == hexadecimal(
        forty.format("1581"),
        forty.format("156f"),
        "03 1077 0002",
        "06 1a22 0800",
        "03 1a22 0001",
        "03 1077 0002",
    )
    binder.sent.clear()
    await binder.driver.read()
    assert binder.sent == hexadecimal("03 11a9 0002", "03 1077 0002", "03 1a22 0001")


async def test_the_bytes_of_a_eurotherm(eurotherm: Chamber) -> None:
    await eurotherm.driver.connect()
    assert eurotherm.sent == [ECHO, *hexadecimal("10 0018 0001 02 00e6", "03 0002 0001")]  # 23.0
    eurotherm.sent.clear()
    await eurotherm.driver.set_temperature(40.3)
    guarded = ["03 0111 0001", "03 010c 0001"]
    assert eurotherm.sent == hexadecimal(*guarded, "10 0018 0001 02 0193", "03 0002 0001")
    eurotherm.sent.clear()
    assert (await eurotherm.driver.read()).setpoint == 40.3
    assert eurotherm.sent == hexadecimal(*guarded, "03 0121 0001", "03 0002 0001")


async def test_a_set_point_between_two_steps_is_rounded_and_confirmed(eurotherm: Chamber) -> None:
    await eurotherm.driver.connect()
    await eurotherm.driver.set_temperature(40.04)
    assert (await eurotherm.driver.read()).setpoint == 40.0


# -- refusals ----------------------------------------------------------------------------------------------------------

ACTUAL, SETPOINT, MODE = hexadecimal("03 11a9 0002", "03 1077 0002", "03 1a22 0001")
REFUSED: list[tuple[bytes, bytes, type[InstrumentError], str]] = [
    (ACTUAL, framed(1, 3, b"\4\0\0\x7f\xc0"), GarbledReply, "expected a number"),
    (ACTUAL, framed(1, 3, b"\4\0\0\x7f\x80"), OverRange, "the end of its float32"),
    (ACTUAL, framed(1, 3, b"\4\0\0\x44\x54"), OverRange, "reports 848 °C for the chamber"),
    (ACTUAL, framed(1, 0x83, b"\2"), InstrumentRefused, "refused to read register 4521"),
    (SETPOINT, framed(1, 3, b"\4\0\0\x41\xc8"), InstrumentRefused, "has the set point 25 °C where 40 °C was set"),
    (MODE, framed(1, 3, b"\2\x04\0"), InstrumentRefused, r"neither running nor stopped \(0x0400\)"),
    (MODE, framed(1, 3, b"\2\x18\0"), InstrumentRefused, "neither running nor stopped"),
]


@pytest.mark.parametrize(("request_", "reply", "error", "sentence"), REFUSED)
async def test_what_is_no_reading_is_refused(
    binder: Chamber, request_: bytes, reply: bytes, error: type[InstrumentError], sentence: str
) -> None:
    await binder.driver.connect()
    await binder.driver.set_temperature(40.0)
    binder.answers[request_] = reply
    with pytest.raises(error, match=sentence):
        await binder.driver.read()


async def test_bits_beside_those_of_the_mode_are_none_of_ours(binder: Chamber) -> None:
    await binder.driver.connect()
    binder.answers[MODE] = framed(1, 3, b"\2\x08\x01")
    assert (await binder.driver.read()).running


async def test_a_chamber_that_does_not_stop_is_told(binder: Chamber) -> None:
    binder.answers[MODE] = framed(1, 3, b"\2\x04\0")
    with pytest.raises(InstrumentRefused, match="did not stop: its mode is 0x0400, not 0x0000"):
        await binder.driver.connect()


async def test_a_chamber_that_does_not_take_its_set_point_is_not_started(binder: Chamber) -> None:
    await binder.driver.connect()
    binder.answers[SETPOINT] = framed(1, 3, b"\4\0\0\x41\xc8")
    with pytest.raises(InstrumentRefused, match="has the set point 25 °C where 40 °C was set"):
        await binder.driver.set_temperature(40.0)
    assert binder.bench.room.setpoint is None


async def test_a_set_point_that_is_refused_is_told(clock: VirtualClock) -> None:
    chamber = Chamber(clock, {**BINDER, "maximum": "200 degC"})
    await chamber.driver.connect()
    with pytest.raises(InstrumentRefused, match="exception 3, it does not take this value"):
        await chamber.driver.set_temperature(190.0)


@pytest.mark.parametrize("register", [273, 268], ids=["manual", "inhibited"])
async def test_a_eurotherm_that_does_not_regulate_is_refused(eurotherm: Chamber, register: int) -> None:
    await eurotherm.driver.connect()
    eurotherm.simulator.settings[register] = 1
    for call in (eurotherm.driver.read(), eurotherm.driver.set_temperature(40.0)):
        with pytest.raises(WrongInstrument, match=f"has 1 in register {register} instead of 0"):
            await call
    await eurotherm.driver.stop()


async def test_a_broken_sensor_of_integers_is_no_temperature(eurotherm: Chamber) -> None:
    await eurotherm.driver.connect()
    for raw in (b"\x7f\xff", b"\x80\x00", b"\x0f\xa1"):
        eurotherm.answers[hexadecimal("03 0121 0001")[0]] = framed(1, 3, b"\2" + raw)
        with pytest.raises(OverRange):
            await eurotherm.driver.read()


async def test_an_alarm_is_told(custom: Chamber) -> None:
    await custom.driver.connect()
    custom.simulator.alarm = 0x000F
    await custom.driver.read()
    custom.simulator.alarm = 0x0010
    with pytest.raises(InstrumentRefused, match=r"says that it has an alarm \(0x0010\)"):
        await custom.driver.read()


# -- configuration -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({**LINE}, "map"),
        ({**LINE, "map": "binder"}, "'binder-mk53', 'eurotherm-3500' or 'custom'"),
        ({**EUROTHERM, "stop_at": "90 degC"}, "stop_at is not within minimum and maximum"),
        ({**LINE, "map": "eurotherm-3500"}, "no register stops it: say in stop_at"),
        ({**BINDER, "stop_at": "23 degC"}, "it is stopped by its mode: leave stop_at out"),
        ({**BINDER, "actual": CUSTOM["actual"]}, 'the map "binder-mk53" says actual: leave it out'),
        ({**LINE, "map": "custom"}, 'map = "custom" lacks actual, setpoint, write'),
        ({**BINDER, "minimum": "90 degC"}, "minimum must be below maximum"),
        ({**CUSTOM, "setpoint": {**TENTHS, "type": "uint16", "register": 1}, "minimum": "-10 degC"}, "is no uint16"),
        ({**CUSTOM, "mode": {**CUSTOM["mode"], "mask": 0x0100}}, "look the same through the mask"),  # type: ignore[dict-item]
        ({**CUSTOM, "alarm": {"function": 3, "register": 3, "mask": 0}}, "greater than 0"),
        (
            {**CUSTOM, "setpoint": {**TENTHS, "type": "float32", "words": "low-first", "register": 1}},
            "the set point has two: write it with 16",
        ),
    ],
)
def test_options_that_make_no_sense(keys: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        options(keys)


def test_the_examples_of_the_manual_are_possible() -> None:
    named, custom = (
        tomllib.loads(block.text)
        for block in blocks(ROOT / "drivers/modbus_chamber/manual.md")
        if block.language == "toml"
    )
    keys = {
        key: value for key, value in named["station"]["B1"]["thermostat"].items() if key not in ("driver", "address")
    }
    assert options(keys) == options(BINDER)
    assert options({**keys, **custom}).registers.mode is not None


# -- the real wire -----------------------------------------------------------------------------------------------------


async def test_the_driver_over_a_pseudo_terminal(served: Served) -> None:
    bench, clock = Bench.of(BenchParameters(), seed=1), RealClock()
    async with served(bench, Simulator(bench, "bath", options(EUROTHERM)), "pty") as address:
        wire = options(EUROTHERM).wire(ModbusChamber.WIRE)
        assert isinstance(wire, SerialWire)
        link = open_link(address, wire, "A1/thermostat", clock, simulated=True)
        try:
            driver = ModbusChamber(link, options(EUROTHERM), clock)
            await driver.connect()
            assert (await driver.read()).bath == pytest.approx(23.0, abs=0.5)
        finally:
            await link.close()


REFUSAL = 0.2
"""Seconds that the client waits for the rest of what is a refusal, and shorter than it expects."""


def converse_with_a_binder(address: str) -> None:
    """Do what a client of a Binder MK 53 does: both set points, manual mode, the temperature, idle."""
    client = minimalmodbus.Instrument(address, 1)
    assert client.serial is not None
    try:
        client.serial.baudrate, client.serial.timeout = 9600, 0.5
        order = minimalmodbus.BYTEORDER_LITTLE_SWAP
        assert client.read_float(0x11A9, byteorder=order) == pytest.approx(23.0, abs=0.5)
        for register in (0x1581, 0x156F):
            client.write_float(register, 42.5, byteorder=order)
        assert client.read_float(0x1077, byteorder=order) == 42.5
        client.write_register(0x1A22, 0x0800, functioncode=6)
        assert client.read_register(0x1A22) == 0x0800
        client.serial.timeout = REFUSAL
        with pytest.raises(minimalmodbus.IllegalRequestError):
            client.write_float(0x1581, 1000.0, byteorder=order)
    finally:
        client.serial.close()


def converse_with_a_eurotherm(address: str) -> None:
    """Do what the example of minimalmodbus, a client of the Eurotherm 3500, does."""
    client = minimalmodbus.Instrument(address, 1)
    assert client.serial is not None
    try:
        client.serial.baudrate, client.serial.timeout = 9600, 0.5
        assert client.read_register(289, 1) == pytest.approx(23.0, abs=0.5)
        assert client.read_register(273, 1) == 0.0
        client.write_register(24, 42.5, 1)
        assert client.read_register(2, 1) == 42.5
    finally:
        client.serial.close()


@pytest.mark.parametrize(
    ("keys", "converse"), [(BINDER, converse_with_a_binder), (EUROTHERM, converse_with_a_eurotherm)]
)
async def test_minimalmodbus_drives_the_simulator(
    served: Served, keys: dict[str, object], converse: Callable[[str], None]
) -> None:
    bench = Bench.of(BenchParameters(), seed=1)
    async with served(bench, Simulator(bench, "bath", options(keys)), "pty") as address:
        await asyncio.to_thread(converse, address)
        assert bench.room.setpoint == 42.5
