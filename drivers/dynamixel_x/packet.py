"""Protocol 2.0 packets: header, length, byte stuffing and CRC-16.

Source: ROBOTIS e-Manual, "Protocol 2.0" and "CRC Calculation" (polynomial 0x8005, initial value 0).
"""

from dataclasses import dataclass
from enum import IntEnum

HEADER = b"\xff\xff\xfd\x00"
LONGEST = 512
"""The largest length field that is believed; a larger one is line noise that looks like a header."""

_AMBIGUOUS = b"\xff\xff\xfd"
_STUFFED = _AMBIGUOUS + b"\xfd"
_LENGTH_END = 7
_CRC_SIZE = 2


class Instruction(IntEnum):
    """What a packet asks for; STATUS is the servo's answer."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REBOOT = 0x08
    STATUS = 0x55


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet without its wrapping; of a STATUS packet, the first parameter is the error byte."""

    id: int
    instruction: int
    parameters: bytes


def crc16(data: bytes) -> int:
    """Return the checksum over everything that precedes it on the wire."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _CRC_TABLE[crc >> 8 ^ byte]
    return crc


def encode(servo_id: int, instruction: int, parameters: bytes = b"") -> bytes:
    """Wrap a packet for the wire."""
    # Stuffing comes before length and checksum, which count the stuffed bytes.
    body = (bytes([instruction]) + parameters).replace(_AMBIGUOUS, _STUFFED)
    packet = HEADER + bytes([servo_id]) + (len(body) + _CRC_SIZE).to_bytes(2, "little") + body
    return packet + crc16(packet).to_bytes(_CRC_SIZE, "little")


def decode(packet: bytes) -> Packet:
    """Unwrap a whole packet, as `Packets.take` cuts it out; raises ValueError where its checksum is wrong."""
    wrapped, crc = packet[:-_CRC_SIZE], int.from_bytes(packet[-_CRC_SIZE:], "little")
    if crc16(wrapped) != crc:
        raise ValueError(f"CRC {crc:#06x} instead of {crc16(wrapped):#06x}")
    body = wrapped[_LENGTH_END:].replace(_STUFFED, _AMBIGUOUS)
    return Packet(id=packet[len(HEADER)], instruction=body[0], parameters=body[1:])


@dataclass(frozen=True, slots=True)
class Packets:
    """Framing: cuts whole packets out of a stream; what precedes a header is line noise."""

    def take(self, buffer: bytearray) -> bytes | None:
        """Remove the first whole packet, and the noise before it."""
        start = buffer.find(HEADER)
        while start >= 0:
            body = start + _LENGTH_END
            if len(buffer) < body:
                return None
            length = int.from_bytes(buffer[body - 2 : body], "little")
            if _CRC_SIZE < length <= LONGEST:
                end = body + length
                if len(buffer) < end:
                    return None
                packet = bytes(buffer[start:end])
                del buffer[:end]
                return packet
            start = buffer.find(HEADER, start + 1)
        return None

    def unsolicited(self, buffer: bytearray) -> bool:
        """A header; single bytes of noise are usual where an RS-485 line turns round."""
        return HEADER in buffer


def _crc_of_byte(byte: int) -> int:
    crc = byte << 8
    for _ in range(8):
        crc = (crc << 1 ^ 0x8005 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


_CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))
