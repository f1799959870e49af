"""Modbus RTU frames, registers, client and server.

Two independent implementations prove them: pymodbus encodes and decodes every frame in use, and minimalmodbus drives
the simulators over a pseudo-terminal (in the tests of each driver).
"""

import struct
from collections.abc import Callable

import minimalmodbus
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import WriteSingleCoilRequest, WriteSingleCoilResponse
from pymodbus.pdu.diag_message import ReturnQueryDataRequest, ReturnQueryDataResponse
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadHoldingRegistersResponse,
    ReadInputRegistersRequest,
    ReadInputRegistersResponse,
    WriteMultipleRegistersRequest,
    WriteMultipleRegistersResponse,
    WriteSingleRegisterRequest,
    WriteSingleRegisterResponse,
)

from drivers.modbus.client import Client
from drivers.modbus.frame import Replies, crc16, framed, is_whole, take_request
from drivers.modbus.registers import Device, Expected, Measured, Number
from drivers.modbus.server import Refusal, Server
from labctl.clock import VirtualClock
from labctl.errors import GarbledReply, InstrumentError, InstrumentRefused, OverRange, WrongInstrument
from labctl.instrument import SerialWire
from labctl.link import MemoryLink

WORD = st.integers(0, 0xFFFF)
MASTER, SLAVE = FramerRTU(DecodePDU(False)), FramerRTU(DecodePDU(True))
"""How pymodbus reads what a slave, and what a master has sent."""
DEVICE = Device(id=17, baudrate=9600, parity="none")
FORCE = Measured.model_validate({"function": 3, "register": 7, "type": "int32", "words": "high-first", "scale": 0.01})


class Line:
    """A client on a line on which `answer` says what comes back."""

    def __init__(self, answer: Callable[[bytes], bytes], device: Device = DEVICE) -> None:
        self.sent: list[bytes] = []
        self._answer = answer
        wire = SerialWire(Replies(), baudrate=9600, timeout=0.5)
        self.link = MemoryLink(self._receive, lambda: None, wire, "A1/it", VirtualClock(0.0))
        self.client = Client(self.link, device)

    def _receive(self, data: bytes) -> bytes:
        self.sent.append(data)
        return self._answer(data)


def by_pymodbus(reply: ModbusPDU) -> Line:
    """A client whose every question pymodbus answers so."""
    reply.dev_id = 17
    return Line(lambda _: bytes(MASTER.buildFrame(reply)))


def read_by_pymodbus(frame: bytes) -> ModbusPDU:
    used, pdu = SLAVE.handleFrame(frame, 0, 0)
    assert pdu is not None
    assert used == len(frame)
    assert pdu.dev_id == 17
    return pdu


# -- frames ------------------------------------------------------------------------------------------------------------


def test_a_frame_of_the_standard() -> None:
    """Reading one holding register of slave 2: Modbus over Serial Line, appendix B gives its checksum as 12 41."""
    assert crc16(b"\x02\x07") == 0x1241
    assert framed(2, 7, b"") == b"\x02\x07\x41\x12"


@given(st.binary(min_size=1, max_size=60))
def test_the_checksum_is_that_of_both_libraries(data: bytes) -> None:
    assert crc16(data).to_bytes(2, "little") == minimalmodbus._calculate_crc(data)
    assert crc16(data) == int.from_bytes(FramerRTU.compute_CRC(data).to_bytes(2, "big"), "little")


@given(st.lists(WORD, min_size=1, max_size=4), st.integers(0, 40))
def test_a_reply_is_taken_in_any_pieces_and_nothing_behind_it(words: list[int], cut: int) -> None:
    frame = framed(17, 3, bytes([2 * len(words)]) + struct.pack(f">{len(words)}H", *words))
    buffer = bytearray(frame[:cut])
    taken = Replies().take(buffer)
    assert (taken is None) == (cut < len(frame))
    if taken is None:
        buffer += frame[cut:]
        taken = Replies().take(buffer)
    assert taken == frame
    assert not buffer


@given(st.binary(min_size=3, max_size=40), st.binary(max_size=5))
def test_what_is_no_reply_leaves_nothing_behind(noise: bytes, more: bytes) -> None:
    buffer = bytearray(noise + more)
    taken = Replies().take(buffer)
    if taken is not None and not is_whole(taken):
        assert taken == noise + more
        assert not buffer
    assert Replies().unsolicited(bytearray(b"\0"))
    assert not Replies().unsolicited(bytearray())


# -- the client, held against pymodbus ---------------------------------------------------------------------------------


@given(register=WORD, words=st.lists(WORD, min_size=1, max_size=6), function=st.sampled_from((3, 4)))
async def test_reading(register: int, words: list[int], function: int) -> None:
    request, response = {
        3: (ReadHoldingRegistersRequest, ReadHoldingRegistersResponse),
        4: (ReadInputRegistersRequest, ReadInputRegistersResponse),
    }[function]
    line = by_pymodbus(response(registers=words))
    assert await line.client.read_words(function, register, len(words)) == tuple(words)
    asked = read_by_pymodbus(line.sent[0])
    assert (type(asked), asked.address, asked.count) == (request, register, len(words))


@given(register=WORD, words=st.lists(WORD, min_size=1, max_size=6))
async def test_writing_several(register: int, words: list[int]) -> None:
    line = by_pymodbus(WriteMultipleRegistersResponse(address=register, count=len(words)))
    await line.client.write(16, register, *words)
    asked = read_by_pymodbus(line.sent[0])
    assert (type(asked), asked.address, asked.registers) == (WriteMultipleRegistersRequest, register, words)


@given(register=WORD, word=WORD)
async def test_writing_one(register: int, word: int) -> None:
    line = by_pymodbus(WriteSingleRegisterResponse(address=register, registers=[word]))
    await line.client.write(6, register, word)
    asked = read_by_pymodbus(line.sent[0])
    assert (type(asked), asked.address, asked.registers) == (WriteSingleRegisterRequest, register, [word])


@pytest.mark.parametrize("state", [0, 1])
async def test_switching_a_coil(state: int) -> None:
    line = by_pymodbus(WriteSingleCoilResponse(address=5, bits=[bool(state)]))
    await line.client.write(5, 5, state)
    asked = read_by_pymodbus(line.sent[0])
    assert (type(asked), asked.address, asked.bits) == (WriteSingleCoilRequest, 5, [bool(state)])


async def test_the_echo_is_the_standards() -> None:
    line = by_pymodbus(ReturnQueryDataResponse(b"\0\1"))
    await line.client.begin()
    assert isinstance(read_by_pymodbus(line.sent[0]), ReturnQueryDataRequest)


@pytest.mark.parametrize(
    ("code", "told"),
    [(1, "does not know this function"), (2, "no such register"), (6, "busy"), (99, "not in the stand")],
)
async def test_a_refusal_is_told(code: int, told: str) -> None:
    line = by_pymodbus(ExceptionResponse(3, code))
    with pytest.raises(
        InstrumentRefused, match=rf"refused to read register 7 \(function 3\): exception {code}, .*{told}"
    ):
        await line.client.read(FORCE)
    assert not line.link._dirty, "a refusal is an answer"


WRONG = {
    "another slave": framed(18, 3, b"\4\0\0\0\1"),
    "another function": framed(17, 4, b"\4\0\0\0\1"),
    "a refusal of another function": framed(17, 0x84, b"\2"),
    "fewer registers": framed(17, 3, b"\2\0\1"),
    "a wrong checksum": framed(17, 3, b"\4\0\0\0\1")[:-1] + b"\0",
    "text": b"+001.5 N\r\n",
    "noise before it": b"\0" + framed(17, 3, b"\4\0\0\0\1"),
}


@pytest.mark.parametrize("reply", WRONG.values(), ids=WRONG.keys())
async def test_what_is_no_answer_to_this_question_is_refused(reply: bytes) -> None:
    line = Line(lambda _: reply)
    with pytest.raises(InstrumentError, match="A1/it"):
        await line.client.read(FORCE)


async def test_a_write_that_is_not_repeated_is_refused() -> None:
    line = Line(lambda _: framed(17, 6, b"\0\5\0\2"))
    with pytest.raises(GarbledReply, match="what was written"):
        await line.client.write(6, 5, 1)


@pytest.mark.parametrize("reply", [framed(17, 8, b"\0\0\0\7"), framed(17, 3, b"\4\0\0\0\1")])
async def test_after_a_reopening_an_answer_to_an_earlier_question_is_no_echo(reply: bytes) -> None:
    echoing = True
    line = Line(lambda request: request if echoing else reply)
    await line.client.begin()
    await line.client.resume()
    echoing = False
    with pytest.raises(GarbledReply):
        await line.client.resume()


async def test_an_instrument_that_refuses_or_ignores_an_echo_is_used_without() -> None:
    refusing = Line(lambda request: framed(17, 0x88, b"\1") if request[1] == 8 else b"")
    await refusing.client.begin()
    await refusing.client.resume()
    assert len(refusing.sent) == 2
    silent = Line(lambda request: b"" if request[1] == 8 else framed(17, 3, b"\4\0\0\0\1"))
    await silent.client.begin()
    assert await silent.client.read(FORCE) == 0.01
    assert len(silent.sent) == 2


async def test_frames_keep_their_silence() -> None:
    line = Line(lambda _: framed(17, 3, b"\4\0\0\0\1"))
    clock = line.link._clock
    await line.client.read(FORCE)
    await line.client.read(FORCE)
    assert clock.now() == pytest.approx(3.5 * 11 / 9600)
    assert Device(id=1, baudrate=115200, parity="even").silence == 1.75e-3


async def test_a_number_that_should_never_change_has_changed() -> None:
    serial = {"function": 3, "register": 7, "type": "uint32", "words": "low-first", "value": 0x10002}
    device = Device(id=17, baudrate=9600, parity="none", serial_number=Expected.model_validate(serial))
    line = Line(lambda _: framed(17, 3, b"\4\0\2\0\1"), device)
    await line.client.require([device.serial_number])  # type: ignore[list-item]
    line = Line(lambda request: request if request[1] == 8 else framed(17, 3, b"\4\0\1\0\2"), device)
    with pytest.raises(WrongInstrument, match="has 131073 in register 7 instead of 65538"):
        await line.client.begin()


# -- registers ---------------------------------------------------------------------------------------------------------

ORDERS = [("high-first", minimalmodbus.BYTEORDER_BIG), ("low-first", minimalmodbus.BYTEORDER_LITTLE_SWAP)]


def number(kind: str, words: str | None = None, **more: object) -> Measured:
    order = {} if words is None else {"words": words}
    return Measured.model_validate({"function": 3, "register": 0, "type": kind, "scale": 1.0, **order, **more})


@pytest.mark.parametrize(("words", "order"), ORDERS)
@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_stands_as_minimalmodbus_writes_it(words: str, order: int, value: float) -> None:
    registers = number("float32", words).registers(value)
    assert struct.pack(">2H", *registers) == minimalmodbus._float_to_bytes(value, byteorder=order)
    assert number("float32", words).value(registers) == value


@pytest.mark.parametrize(("words", "order"), ORDERS)
@given(value=st.integers(-(2**31) + 1, 2**31 - 2))
def test_a_long_stands_as_minimalmodbus_writes_it(words: str, order: int, value: int) -> None:
    registers = number("int32", words).registers(value)
    assert struct.pack(">2H", *registers) == minimalmodbus._long_to_bytes(value, signed=True, byteorder=order)
    assert number("int32", words).value(registers) == value


@pytest.mark.parametrize(
    ("kind", "words", "registers", "value"),
    [
        ("int16", None, (0xFF38,), -20.0),
        ("uint16", None, (0xFF38,), 6533.6),
        ("int16", None, (403,), 40.3),
        ("uint16", None, (0,), 0.0),
        ("uint32", "high-first", (0, 403), 40.3),
        ("uint32", "low-first", (403, 0), 40.3),
        ("int32", "high-first", (0xFFFF, 0xFF38), -20.0),
    ],
)
def test_integers_by_their_scale_exactly(
    kind: str, words: str | None, registers: tuple[int, ...], value: float
) -> None:
    measured = number(kind, words, scale=0.1)
    assert measured.value(registers) == value
    assert measured.registers(value) == registers


@pytest.mark.parametrize(
    ("kind", "words", "registers"),
    [
        ("int16", None, (0x7FFF,)),
        ("int16", None, (0x8000,)),
        ("uint16", None, (0xFFFF,)),
        ("int32", "low-first", (0xFFFF, 0x7FFF)),
        ("float32", "high-first", (0x7F80, 0)),
        ("float32", "high-first", (0xFF80, 0)),
    ],
)
async def test_the_end_of_a_type_is_no_value(kind: str, words: str | None, registers: tuple[int, ...]) -> None:
    data = struct.pack(f">{len(registers)}H", *registers)
    line = Line(lambda _: framed(17, 3, bytes([len(data)]) + data))
    with pytest.raises(OverRange, match=f"register 0, the end of its {kind}"):
        await line.client.read(number(kind, words))


async def test_a_float_that_is_no_number_is_no_value() -> None:
    line = Line(lambda _: framed(17, 3, b"\4\x7f\xc0\0\0"))
    with pytest.raises(GarbledReply, match="expected a number"):
        await line.client.read(number("float32", "high-first"))


@pytest.mark.parametrize(
    ("kind", "value"),
    [("int16", 40000.0), ("uint16", -1.0), ("int32", 3e9), ("float32", 1e39), ("int16", float("nan"))],
)
def test_a_number_that_has_no_place(kind: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"is no {kind}|NaN"):
        number(kind, "high-first" if kind.endswith("32") else None).registers(value)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"type": "int32"}, "stands in two registers: say words"),
        ({"type": "int16", "words": "high-first"}, "stands in one register: leave `words` out"),
        ({"type": "float32", "words": "high-first", "register": 65535}, "goes beyond the last register"),
        ({"type": "int16", "scale": 0.0}, "a scale of 0"),
        ({"type": "int16", "scale": float("inf")}, "finite"),
        ({"type": "int16", "function": 1}, "3 or 4"),
        ({"type": "int16", "register": -1}, "greater than or equal to 0"),
        ({"type": "int16", "register": True}, "valid integer"),
        ({"type": "int8"}, "'int16', 'uint16'"),
        ({"type": "int16", "offset": 1}, "not permitted"),
    ],
)
def test_a_register_that_makes_no_sense(keys: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Measured.model_validate({"function": 3, "register": 0, "scale": 1.0, **keys})


@pytest.mark.parametrize("missing", ["function", "register", "type", "words", "scale"])
def test_nothing_that_gives_a_number_its_meaning_has_a_default(missing: str) -> None:
    keys = {"function": 3, "register": 0, "type": "int32", "words": "high-first", "scale": 1.0}
    Measured.model_validate(keys)
    with pytest.raises(ValidationError):
        Measured.model_validate({key: value for key, value in keys.items() if key != missing})


@pytest.mark.parametrize("value", [70000, -1])
def test_an_expected_number_must_be_possible(value: int) -> None:
    with pytest.raises(ValidationError, match="is not possible for uint16"):
        Expected.model_validate({"function": 3, "register": 0, "type": "uint16", "value": value})


@pytest.mark.parametrize("unit", [0, 248])
def test_a_slave_that_cannot_be_addressed(unit: int) -> None:
    with pytest.raises(ValidationError):
        Device.model_validate({"id": unit, "baudrate": 9600, "parity": "none"})


def test_the_line_is_that_of_the_configuration() -> None:
    declared = SerialWire(Replies(), baudrate=19200, parity="E", timeout=0.5)
    wire = Device(id=1, baudrate=38400, parity="odd", stopbits=2).wire(declared)
    assert wire == SerialWire(Replies(), baudrate=38400, parity="O", stopbits=2, timeout=0.5)


# -- the server of simulators ------------------------------------------------------------------------------------------


class Shelf:
    """Ten registers that take anything but 13."""

    def __init__(self) -> None:
        self.held = dict(enumerate(range(100, 110)))

    def image(self, function: int) -> dict[int, int]:
        return self.held if function == 3 else {}

    def write(self, _function: int, register: int, words: tuple[int, ...]) -> None:
        if 13 in words:
            raise Refusal(3)
        self.held.update(enumerate(words, register))


def asked(request: ModbusPDU) -> ModbusPDU:
    """Return what the server answers to a request of pymodbus, as pymodbus reads it."""
    request.dev_id = 17
    reply = Server(17, Shelf()).receive(bytes(SLAVE.buildFrame(request)))
    _, pdu = MASTER.handleFrame(reply, 17, 0)
    assert pdu is not None
    return pdu


def test_pymodbus_is_answered() -> None:
    assert asked(ReadHoldingRegistersRequest(address=2, count=3)).registers == [102, 103, 104]
    assert asked(WriteSingleRegisterRequest(address=2, registers=[7])).registers == [7]
    assert asked(WriteMultipleRegistersRequest(address=2, registers=[7, 8])).count == 2
    assert asked(WriteSingleCoilRequest(address=2, bits=[True])).bits == [True]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (ReadHoldingRegistersRequest(address=9, count=2), 2),
        (ReadInputRegistersRequest(address=0, count=1), 2),
        (WriteSingleRegisterRequest(address=2, registers=[13]), 3),
    ],
)
def test_pymodbus_is_refused(request_: ModbusPDU, code: int) -> None:
    answer = asked(request_)
    assert isinstance(answer, ExceptionResponse)
    assert answer.exception_code == code


@given(st.data())
def test_the_server_takes_requests_in_any_pieces_and_survives_noise(data: st.DataObject) -> None:
    request = framed(17, 16, b"\0\1\0\2\4\0\7\0\x08")
    cut = data.draw(st.integers(0, len(request)))
    server = Server(17, Shelf())
    replies = server.receive(request[:cut])
    replies += server.receive(request[cut:])
    assert replies == framed(17, 16, b"\0\1\0\2")
    server.receive(data.draw(st.binary(max_size=30)))
    server.reset_line()
    assert server.receive(framed(17, 3, b"\0\1\0\2")) == framed(17, 3, b"\4\0\7\0\x08")


def test_another_slave_and_a_broadcast_are_not_answered() -> None:
    server = Server(17, Shelf())
    assert server.receive(framed(18, 3, b"\0\1\0\2") + framed(0, 6, b"\0\1\0\2")) == b""
    assert take_request(bytearray(framed(17, 3, b"\0\1\0\2")[:-1] + b"\0")) is None


def test_numbers_know_their_registers() -> None:
    assert Number.model_validate({"function": 4, "register": 3, "type": "int16"}).count == 1
