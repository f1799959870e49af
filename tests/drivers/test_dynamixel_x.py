"""The DYNAMIXEL rig: packets against the manual's examples, the driver against its simulator, and what stops it."""

import asyncio
import math
from collections.abc import Callable

import dynamixel_sdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.dynamixel_x import table
from drivers.dynamixel_x.driver import DynamixelX
from drivers.dynamixel_x.packet import HEADER, Instruction, Packet, Packets, crc16, decode, encode
from drivers.dynamixel_x.sim import PLAY, Simulator
from drivers.dynamixel_x.table import Item
from labctl.clock import VirtualClock
from labctl.errors import (
    GarbledReply,
    InstrumentError,
    InstrumentRefused,
    LabctlError,
    NoReply,
    RefusedForSafety,
    WrongInstrument,
)
from labctl.instrument import Instrument, Role
from labctl.sim.faults import Delay, Garbage, half, silence
from tests.conftest import Served
from tests.drivers.test_servos import DynamixelStand, refused

COUNT = DynamixelStand.COUNT


@pytest.fixture
def stand(clock: VirtualClock) -> DynamixelStand:
    return DynamixelStand(clock)


# -- packets -----------------------------------------------------------------------------------------------------------

EXAMPLES = [
    # ROBOTIS e-Manual, "Protocol 2.0", the examples of Ping, Read, Write and Reboot.
    ("ff ff fd 00 01 03 00 01 19 4e", Packet(1, 0x01, b"")),
    ("ff ff fd 00 fe 03 00 01 31 42", Packet(254, 0x01, b"")),
    ("ff ff fd 00 01 07 00 55 00 06 04 26 65 5d", Packet(1, 0x55, b"\x00\x06\x04\x26")),
    ("ff ff fd 00 01 07 00 02 84 00 04 00 1d 15", Packet(1, 0x02, b"\x84\x00\x04\x00")),
    ("ff ff fd 00 01 08 00 55 00 a6 00 00 00 8c c0", Packet(1, 0x55, b"\x00\xa6\x00\x00\x00")),
    ("ff ff fd 00 01 09 00 03 74 00 00 02 00 00 ca 89", Packet(1, 0x03, b"\x74\x00\x00\x02\x00\x00")),
    ("ff ff fd 00 01 04 00 55 00 a1 0c", Packet(1, 0x55, b"\x00")),
    ("ff ff fd 00 01 03 00 08 2f 4e", Packet(1, 0x08, b"")),
]

AWKWARD = st.lists(st.sampled_from([b"\xff", b"\xfd", b"\x00", b"\xff\xff\xfd", b"\x55", HEADER]), max_size=30).map(
    b"".join
)


@pytest.mark.parametrize(("wire", "packet"), EXAMPLES)
def test_examples_of_the_manual(wire: str, packet: Packet) -> None:
    assert encode(packet.id, packet.instruction, packet.parameters) == bytes.fromhex(wire)
    assert decode(bytes.fromhex(wire)) == packet


@settings(deadline=None)
@given(st.binary(max_size=60) | AWKWARD)
def test_crc_is_that_of_the_sdk(data: bytes) -> None:
    handler = dynamixel_sdk.Protocol2PacketHandler()
    assert crc16(data) == handler.updateCRC(0, list(data), len(data))


@settings(deadline=None)
@given(parameters=AWKWARD | st.binary(max_size=40), noise=st.binary(max_size=4), cut=st.integers(0, 100))
def test_a_packet_survives_noise_and_any_cut(parameters: bytes, noise: bytes, cut: int) -> None:
    packet = encode(1, Instruction.WRITE, parameters)
    assert HEADER not in packet[1:]
    stream = noise + packet
    buffer = bytearray(stream[:cut])
    first = Packets().take(buffer)
    assert first is None or cut >= len(stream)
    buffer += stream[cut:]
    whole = first if first is not None else Packets().take(buffer)
    assert whole is not None
    assert decode(whole) == Packet(1, Instruction.WRITE, parameters)
    assert not buffer


@settings(deadline=None)
@given(parameters=AWKWARD, data=st.data())
def test_one_wrong_bit_is_noticed(parameters: bytes, data: st.DataObject) -> None:
    packet = bytearray(encode(1, Instruction.WRITE, parameters))
    bit = data.draw(st.integers(0, 8 * len(packet) - 1))
    packet[bit // 8] ^= 1 << bit % 8
    taken = Packets().take(packet)
    if taken is not None:
        with pytest.raises(ValueError, match="CRC"):
            decode(taken)


def test_noise_is_not_an_answer_out_of_step_but_a_header_is() -> None:
    assert not Packets().unsolicited(bytearray(b"\x00\xff"))
    assert Packets().unsolicited(bytearray(b"\x00" + HEADER + b"\x01"))


# -- connecting --------------------------------------------------------------------------------------------------------


def test_it_is_a_pressure_rig(stand: DynamixelStand) -> None:
    assert isinstance(stand.driver, Instrument)
    assert stand.driver.ROLE is Role.PRESSURE_RIG
    assert DynamixelX.Options.model_validate(DynamixelX.EXAMPLE).torque_limit <= table.STALL_TORQUE
    assert set(DynamixelX.EXAMPLE) == {"direction", "reduction", "torque_limit", "travel"}
    assert stand.driver.FEATURES.watchdog
    assert stand.driver.FEATURES.self_locking
    assert 2 * stand.driver.poll_period < stand.options.watchdog


@pytest.mark.parametrize("wrong", [{"reduction": 0}, {"torque_limit": math.inf}, {"watchdog": 2.6}, {"id": 253}])
def test_impossible_options(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        DynamixelStand.configured(**wrong)


async def test_connect_identifies_and_leaves_torque_off(stand: DynamixelStand) -> None:
    identity = await stand.driver.connect()
    assert str(identity) == "ROBOTIS XM540-W270 (serial ID 1, firmware 46)"
    assert not stand.torque_on
    assert stand.simulator.get(table.OPERATING_MODE) == 5
    assert stand.bench.rig.angle == 0
    assert stand.sent[0] == Packet(1, Instruction.PING, b"")


async def test_connect_does_not_wear_the_eeprom(stand: DynamixelStand) -> None:
    await stand.driver.connect()
    stand.sent.clear()
    await stand.driver.connect()
    assert all(address >= table.EEPROM_END for address in stand.written())


async def test_connect_stops_what_another_left_running(stand: DynamixelStand) -> None:
    stand.simulator.set(table.OPERATING_MODE, 5)
    stand.simulator._write(table.TORQUE_ENABLE.address, b"\x01")
    await stand.silent(1.0)
    before = stand.bench.rig.angle
    assert before != 0  # it drives to an old goal
    await stand.driver.connect()
    assert not stand.torque_on
    await stand.silent(5.0)
    assert stand.bench.rig.angle == before


UNFIT = [
    (table.MODEL_NUMBER, 1060, WrongInstrument, "model number 1060, not an XM540-W270 (1120)"),
    (table.FIRMWARE_VERSION, 37, WrongInstrument, "firmware 37, which knows no bus watchdog"),
    (table.DRIVE_MODE, 8, WrongInstrument, "Drive Mode (10) is 8 instead of 0"),
    (table.STARTUP_CONFIGURATION, 1, WrongInstrument, "Startup Configuration (60) is 1 instead of 0"),
    (table.STATUS_RETURN_LEVEL, 1, NoReply, "no complete reply"),
    (table.CURRENT_LIMIT, 100, WrongInstrument, "less than torque_limit = 2"),
    (table.HARDWARE_ERROR_STATUS, 0x24, InstrumentRefused, "overheating; overload"),
]


@pytest.mark.parametrize(("item", "value", "error", "sentence"), UNFIT)
async def test_an_unfit_servo_is_refused_unmoved(
    stand: DynamixelStand, item: Item, value: int, error: type[LabctlError], sentence: str
) -> None:
    stand.simulator.set(item, value)
    await stand.refused_unmoved(error, sentence)


def wrong_crc(reply: bytes) -> bytes:
    return reply[:-1] + bytes([reply[-1] ^ 1]) if reply else reply


def wrong_id(reply: bytes) -> bytes:
    return encode(2, Instruction.STATUS, decode(reply).parameters)


def echo(_reply: bytes) -> bytes:
    return encode(1, Instruction.PING)


def short_data(reply: bytes) -> bytes:
    return encode(1, Instruction.STATUS, decode(reply).parameters[:-1] or b"\x00")


BROKEN_REPLIES = [
    (silence, NoReply, "within 0.5 s"),
    (half, NoReply, "only b'"),
    (Garbage(b"\x00\x81garbage\r\n"), NoReply, "garbage"),
    (Delay(3.0), NoReply, "within 0.5 s"),
    (wrong_crc, GarbledReply, "CRC"),
    (wrong_id, GarbledReply, "a status packet of ID 1"),
    (echo, GarbledReply, "a status packet of ID 1"),
    (short_data, GarbledReply, "with 3 bytes of data"),
]


@pytest.mark.parametrize(("fault", "error", "sentence"), BROKEN_REPLIES)
async def test_a_broken_reply_never_connects_or_moves(
    stand: DynamixelStand, fault: Callable[[bytes], bytes], error: type[LabctlError], sentence: str
) -> None:
    stand.fault = fault
    await refused(stand.driver.connect(), error, sentence)
    await stand.silent(10.0)
    assert not stand.torque_on
    assert stand.bench.rig.angle == 0


@pytest.mark.parametrize("number", [*table.ERRORS, 9])
async def test_error_numbers_have_meanings(stand: DynamixelStand, number: int) -> None:
    stand.fault = lambda _reply: encode(1, Instruction.STATUS, bytes([number]))
    await refused(stand.driver.connect(), InstrumentRefused, table.ERRORS.get(number, "unknown error number 9"))
    assert not stand.torque_on
    assert stand.bench.rig.angle == 0


# -- moving ------------------------------------------------------------------------------------------------------------


async def test_engage_sets_limits_watchdog_and_goal_before_torque(stand: DynamixelStand) -> None:
    await stand.driver.connect()
    stand.sent.clear()
    stand.simulator.set(table.GOAL_POSITION, 9999)
    await stand.driver.engage(torque=0.5, speed=0.5)
    order = stand.written()
    last = order[-1]
    assert last == table.TORQUE_ENABLE.address
    assert order[-5:-1] == [102, 112, 116, 98]
    assert stand.simulator.get(table.GOAL_CURRENT) == int(0.5 / (2.409 * 2.69e-3))
    assert stand.simulator.get(table.PROFILE_VELOCITY) == int(0.5 / (0.229 * 2 * math.pi / 60))
    assert stand.simulator.get(table.BUS_WATCHDOG) == 125
    assert stand.torque_on
    await stand.wait(5)
    assert stand.bench.rig.angle == 0


@pytest.mark.parametrize("direction", ["clockwise", "counterclockwise"])
@pytest.mark.parametrize("reduction", [1.0, 5.0])
async def test_angle_and_direction_are_those_of_the_screw(
    clock: VirtualClock, direction: str, reduction: float
) -> None:
    stand = DynamixelStand(clock, direction=direction, reduction=reduction)
    await stand.driver.connect()
    start = (await stand.driver.read()).angle
    position = stand.simulator.get(table.PRESENT_POSITION)
    await stand.driver.engage(torque=0.5, speed=0.25)
    await stand.driver.turn_to(start + 1.0)
    await clock.sleep(1.0)
    on_the_way = await stand.driver.read()
    assert on_the_way.moving
    assert on_the_way.angle - start == pytest.approx(0.25, abs=0.02)
    await stand.wait(5)
    reading = await stand.driver.read()
    assert not reading.moving
    assert reading.angle - start == pytest.approx(1.0, abs=COUNT / reduction)
    assert stand.bench.rig.angle == pytest.approx(1.0, abs=(PLAY / 2 + 1) * COUNT / reduction)
    assert (stand.simulator.get(table.PRESENT_POSITION) > position) == (direction == "counterclockwise")
    assert stand.driver.angle_resolution == pytest.approx(COUNT / reduction)


async def test_torque_limit_stalls_the_screw_and_freeze_keeps_the_force(stand: DynamixelStand) -> None:
    await stand.stalled(within=stand.driver.torque_range.low)
    force = stand.bench.rig.force("negative")
    assert 100 < force < 400
    await stand.driver.freeze()
    assert not stand.torque_on
    assert stand.bench.rig.force("negative") == force
    assert stand.simulator.get(table.BUS_WATCHDOG) == 0


async def test_freeze_stops_at_once(stand: DynamixelStand) -> None:
    await stand.driver.connect()
    start = (await stand.driver.read()).angle
    await stand.driver.engage(torque=0.5, speed=0.5)
    await stand.driver.turn_to(start + 10.0)
    await stand.wait(2)
    await stand.driver.safe_state()
    angle = stand.bench.rig.angle
    assert angle == pytest.approx(1.0, abs=0.05)
    await stand.silent(10)
    assert stand.bench.rig.angle == angle
    assert not (await stand.driver.read()).moving


@pytest.mark.parametrize(
    ("angle", "sentence"),
    [(34.0, "more than travel = 30 rad"), (-30.0, "more than travel"), (math.nan, "more than travel")],
)
async def test_angles_beyond_travel_are_refused(stand: DynamixelStand, angle: float, sentence: str) -> None:
    await stand.driver.connect()
    await stand.driver.engage(0.5, 0.5)
    with pytest.raises(RefusedForSafety, match=sentence):
        await stand.driver.turn_to(angle)
    await stand.wait(3)
    assert stand.bench.rig.angle == 0


async def test_nothing_turns_without_engage(stand: DynamixelStand) -> None:
    await stand.driver.connect()
    with pytest.raises(RefusedForSafety, match="is frozen"):
        await stand.driver.turn_to(1.0)
    await stand.driver.engage(0.5, 0.5)
    await stand.driver.freeze()
    with pytest.raises(RefusedForSafety, match="is frozen"):
        await stand.driver.turn_to(1.0)
    assert stand.bench.rig.angle == 0


# -- what stops it -----------------------------------------------------------------------------------------------------


async def test_one_exchange_a_poll(stand: DynamixelStand) -> None:
    await stand.driver.connect()
    await stand.driver.engage(0.5, 0.5)
    before = stand.link.exchanges
    await stand.wait(10)
    assert stand.link.exchanges - before == 10


async def test_polling_feeds_the_watchdog_and_silence_lets_it_bite(stand: DynamixelStand) -> None:
    speed = int(0.25 / table.RADIAN_PER_SECOND_PER_COUNT) * table.RADIAN_PER_SECOND_PER_COUNT
    await stand.bitten(speed, within=3 * COUNT)
    force = stand.bench.rig.force("negative")
    await stand.stays_bitten("no packet reached it for 2.5 s")
    assert stand.bench.rig.force("negative") == pytest.approx(force, rel=0.05)
    await stand.driver.freeze()
    await stand.turns_again()


@settings(deadline=None)
@given(pieces=st.lists(st.floats(0.01, 2.0), min_size=1, max_size=8))
def test_the_bench_may_be_advanced_in_any_pieces(pieces: list[float]) -> None:
    def start(simulator: Simulator) -> None:
        for item, value in ((table.OPERATING_MODE, 5), (table.GOAL_CURRENT, 20), (table.PROFILE_VELOCITY, 20)):
            simulator.set(item, value)
        for item, value in ((table.BUS_WATCHDOG, 100), (table.TORQUE_ENABLE, 1), (table.GOAL_POSITION, 9000)):
            simulator._write(item.address, item.encode(value))

    def count(simulator: Simulator) -> int:
        return simulator.get(table.BUS_WATCHDOG)

    DynamixelStand.same_in_any_pieces(pieces, start, count)


async def test_a_hardware_error_is_named_and_can_be_made_safe(stand: DynamixelStand) -> None:
    await stand.driver.connect()
    start = (await stand.driver.read()).angle
    await stand.driver.engage(0.5, 0.5)
    await stand.driver.turn_to(start + 10)
    await stand.wait(8)
    force = stand.bench.rig.force("negative")
    stand.simulator.fail(0x20)
    with pytest.raises(InstrumentRefused, match="overload"):
        await stand.driver.read()
    assert not stand.torque_on
    assert stand.bench.rig.force("negative") == force
    await stand.failed_and_safe("overload")


async def test_a_servo_with_an_error_can_be_made_safe_after_a_lost_reply(stand: DynamixelStand) -> None:
    await stand.driver.connect()
    await stand.driver.engage(0.5, 0.5)
    stand.simulator.set(table.SHUTDOWN, 0)  # errors leave torque on
    stand.simulator.fail(0x01)
    await stand.lose_an_answer()
    assert stand.torque_on
    await stand.driver.safe_state()
    assert not stand.torque_on


@settings(deadline=None)
@given(reply=st.binary(max_size=30) | st.binary(max_size=40).map(lambda data: encode(1, Instruction.STATUS, data)))
def test_any_reply_is_a_reading_or_a_sentence(reply: bytes) -> None:
    DynamixelStand.reads_or_says_why(reply)


async def test_another_servo_after_reopening_is_refused(stand: DynamixelStand) -> None:
    await stand.driver.connect()
    await stand.lose_an_answer()
    stand.simulator.set(table.FIRMWARE_VERSION, 45)
    with pytest.raises(WrongInstrument, match="firmware 45"):
        await stand.driver.read()


@pytest.mark.parametrize(("fault", "error", "_sentence"), BROKEN_REPLIES)
@pytest.mark.parametrize("at", [102, 112, 116, 98, 64])
async def test_engage_that_fails_half_way_leaves_a_rig_that_stands(
    stand: DynamixelStand, fault: Callable[[bytes], bytes], error: type[LabctlError], _sentence: str, at: int
) -> None:
    await stand.driver.connect()
    stand.fault = fault
    stand.faulty = lambda request: (
        request.instruction == Instruction.WRITE and request.parameters[:2] == at.to_bytes(2, "little")
    )
    try:
        await stand.driver.engage(0.5, 0.5)
    except LabctlError:
        stand.fault = None
        with pytest.raises((RefusedForSafety, InstrumentError)):
            await stand.driver.turn_to(1.0)
    await stand.silent(10)
    assert stand.bench.rig.angle == 0


async def test_freeze_succeeds_although_the_position_cannot_be_read(stand: DynamixelStand) -> None:
    await stand.driver.connect()
    await stand.driver.engage(0.5, 0.5)
    stand.fault = wrong_crc
    stand.faulty = lambda request: (
        request.instruction == Instruction.READ
        and request.parameters[:2] == table.PRESENT_POSITION.address.to_bytes(2, "little")
    )
    await stand.driver.freeze()
    assert not stand.torque_on


async def test_a_servo_that_does_not_take_a_value_is_not_trusted(stand: DynamixelStand) -> None:
    await stand.driver.connect()
    stand.fault = lambda reply: encode(1, Instruction.STATUS, b"\x00" + b"\x01\x00")
    stand.faulty = lambda request: request.instruction == Instruction.READ and request.parameters[0] == 102
    with pytest.raises(InstrumentRefused, match=r"Goal Current \(102\) is 1 after 77 was written"):
        await stand.driver.engage(0.5, 0.5)
    assert not stand.torque_on


# -- the maker's own client --------------------------------------------------------------------------------------------


def converse(address: str) -> None:
    """What the maker's client sees of the simulator; runs in a thread."""
    port = dynamixel_sdk.PortHandler(address)
    servo = dynamixel_sdk.PacketHandler(2.0)
    assert port.openPort()
    assert port.setBaudRate(57600)
    try:
        assert servo.ping(port, 1) == (1120, dynamixel_sdk.COMM_SUCCESS, 0)
        assert servo.ping(port, 2)[1] == dynamixel_sdk.COMM_RX_TIMEOUT
        assert servo.write1ByteTxRx(port, 1, 11, 5) == (dynamixel_sdk.COMM_SUCCESS, 0)
        assert servo.read1ByteTxRx(port, 1, 11) == (5, dynamixel_sdk.COMM_SUCCESS, 0)
        stuffed = 0xFFFDFFFF  # FF FF FD FF on the wire
        assert servo.write4ByteTxRx(port, 1, 116, stuffed) == (dynamixel_sdk.COMM_SUCCESS, 0)
        assert servo.read4ByteTxRx(port, 1, 116) == (stuffed, dynamixel_sdk.COMM_SUCCESS, 0)
        errors = [
            servo.write1ByteTxRx(port, 1, 98, 200)[1],  # range
            servo.write1ByteTxRx(port, 1, 116, 1)[1],  # length
            servo.write2ByteTxRx(port, 1, 0, 1)[1],  # read-only
            servo.write1ByteTxRx(port, 1, 66, 1)[1],  # no such register
            servo.readTxRx(port, 1, 900, 4)[2],  # beyond the table
            servo.factoryReset(port, 1, 2)[1],  # an instruction that is not simulated
        ]
        assert errors == [4, 5, 7, 7, 7, 2]
        assert servo.write2ByteTxRx(port, 1, 38, 100) == (dynamixel_sdk.COMM_SUCCESS, 0)
        assert servo.write2ByteTxRx(port, 1, 102, 101)[1] == 6
        position = servo.read4ByteTxRx(port, 1, 132)[0]
        servo.write4ByteTxRx(port, 1, 116, position)
        assert servo.write1ByteTxRx(port, 1, 64, 1) == (dynamixel_sdk.COMM_SUCCESS, 0)
        assert servo.write1ByteTxRx(port, 1, 11, 3)[1] == 7  # EEPROM is locked while torque is on
        broken = bytearray.fromhex("ff ff fd 00 01 07 00 02 84 00 04 00 1d 16")
        port.writePort(broken)
        port.setPacketTimeoutMillis(500)
        packet, result = servo.rxPacket(port, False)
        assert (result, packet[8]) == (dynamixel_sdk.COMM_SUCCESS, 3)
        port.is_using = False
        assert servo.reboot(port, 1) == (dynamixel_sdk.COMM_SUCCESS, 0)
        assert servo.read1ByteTxRx(port, 1, 64) == (0, dynamixel_sdk.COMM_SUCCESS, 0)
        assert servo.read1ByteTxRx(port, 1, 11) == (5, dynamixel_sdk.COMM_SUCCESS, 0)
    finally:
        port.closePort()


async def test_the_makers_client_drives_the_simulator(served: Served) -> None:
    async with served(*DynamixelStand.simulated(), "pty") as address:
        await asyncio.to_thread(converse, address)
