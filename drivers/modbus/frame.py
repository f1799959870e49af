"""Modbus RTU frames: checksum, the functions in use, and where a reply or a request ends.

Source: Modbus Application Protocol V1.1b3 (functions, exceptions), Modbus over Serial Line V1.02 (RTU, CRC-16).
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

EXCEPTION = 0x80
"""Added to the function in a reply that is a refusal."""
EXCEPTION_LENGTH, ECHO_LENGTH, SHORTEST = 5, 8, 4
"""Bytes of a refusal, of a reply to a write, and of any frame."""
ON = 0xFF00
"""What switches a coil on."""


class Function(IntEnum):
    """What a request asks for."""

    READ_HOLDING = 3
    READ_INPUT = 4
    WRITE_COIL = 5
    WRITE_ONE = 6
    ECHO = 8
    WRITE_MANY = 16


READS = (Function.READ_HOLDING, Function.READ_INPUT)
FIXED = (Function.WRITE_COIL, Function.WRITE_ONE, Function.ECHO)
"""Request and reply have the same eight bytes."""


def crc16(data: bytes) -> int:
    """Return the checksum (polynomial 0xA001, reflected; initial value 0xFFFF), which goes low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def framed(unit: int, function: int, payload: bytes) -> bytes:
    """Wrap a function and its data for the wire."""
    frame = bytes([unit, function]) + payload
    return frame + crc16(frame).to_bytes(2, "little")


def is_whole(frame: bytes) -> bool:
    """Whether a frame's checksum is right."""
    return len(frame) >= SHORTEST and crc16(frame[:-2]) == int.from_bytes(frame[-2:], "little")


def words_of(data: bytes) -> tuple[int, ...]:
    """Return the 16-bit words of a frame's data, high byte first."""
    return struct.unpack(f">{len(data) // 2}H", data)


def bytes_of(*words: int) -> bytes:
    """Return 16-bit words as a frame has them, high byte first."""
    return struct.pack(f">{len(words)}H", *words)


@dataclass(frozen=True, slots=True)
class Replies:
    """Framing of what a master receives; where a reply ends is known from its second and third byte.

    What is no reply, or fails its checksum, is returned with all behind it: it is refused, and nothing of it is left.
    """

    def take(self, buffer: bytearray) -> bytes | None:
        """Remove the reply, its checksum included."""
        length = _length_of_reply(buffer)
        if length is None or len(buffer) < length:
            return None
        if not is_whole(bytes(buffer[:length])):
            length = len(buffer)
        reply = bytes(buffer[:length])
        del buffer[:length]
        return reply

    def unsolicited(self, buffer: bytearray) -> bool:
        """Any byte: a slave speaks only when it is asked."""
        return bool(buffer)


def _length_of_reply(buffer: bytearray) -> int | None:
    if len(buffer) < 3:
        return None
    function = buffer[1]
    if function & EXCEPTION:
        return EXCEPTION_LENGTH
    if function in READS:
        return 3 + buffer[2] + 2
    if function in FIXED or function == Function.WRITE_MANY:
        return ECHO_LENGTH
    return len(buffer)


def take_request(buffer: bytearray) -> bytes | None:
    """Remove the first whole request from what a slave has received; None while it is incomplete.

    A slave tells frames by silence, which is not simulated: what fails its checksum is dropped with all behind it.
    """
    if len(buffer) < 7:
        return None
    function = buffer[1]
    length = 7 + buffer[6] + 2 if function == Function.WRITE_MANY else ECHO_LENGTH
    if function not in tuple(Function):
        length = len(buffer)
    if len(buffer) < length:
        return None
    request = bytes(buffer[:length])
    del buffer[:length]
    if not is_whole(request):
        buffer.clear()
        return None
    return request


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))
