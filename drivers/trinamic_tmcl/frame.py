"""TMCL's binary frames: nine bytes each way, big endian, the last one the sum of the others.

Source: TMCL firmware manuals (Trinamic, now Analog Devices), "Binary Command Format", "Reply Format", "Status Codes".
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

LENGTH = 9
HOST = 2
"""Address of the host in every reply; global parameter 76."""
SUCCESS = 100
STATUS = {
    1: "the command reached it with a wrong checksum",
    2: "it does not know the command",
    3: "it does not know the parameter",
    4: "the value is not possible",
    5: "its EEPROM is locked",
    6: "the command is not available",
    7: "the command could not be loaded",
    8: "the parameter is write-protected",
    9: "the value is beyond its maximum",
}
_REQUEST = struct.Struct(">BBBBi")
_REPLY = struct.Struct(">BBBBi")


class Command(IntEnum):
    """What a request asks for."""

    ROR = 1
    ROL = 2
    MST = 3
    MVP = 4
    SAP = 5
    GAP = 6
    STAP = 7
    RSAP = 8
    SGP = 9
    GGP = 10
    STOP_APPLICATION = 128
    FIRMWARE_VERSION = 136


@dataclass(frozen=True, slots=True)
class Request:
    """A command with its type number (often a parameter), motor or bank, and value."""

    module: int
    command: int
    type: int = 0
    motor: int = 0
    value: int = 0

    def encode(self) -> bytes:
        """Wrap it for the wire."""
        return _summed(_REQUEST.pack(self.module, self.command, self.type, self.motor, self.value))


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a module."""

    host: int
    module: int
    status: int
    command: int
    value: int

    def encode(self) -> bytes:
        """Wrap it for the wire."""
        return _summed(_REPLY.pack(self.host, self.module, self.status, self.command, self.value))


def decode_request(frame: bytes) -> Request:
    """Unwrap a request; raises ValueError where its checksum is wrong."""
    return Request(*_REQUEST.unpack(_checked(frame)))


def decode_reply(frame: bytes) -> Reply:
    """Unwrap a reply; raises ValueError where its checksum is wrong."""
    return Reply(*_REPLY.unpack(_checked(frame)))


@dataclass(frozen=True, slots=True)
class Frames:
    """Framing: nine bytes. Nothing marks where a frame begins, so any byte that nobody asked for is refused."""

    def take(self, buffer: bytearray) -> bytes | None:
        """Remove the first nine bytes."""
        if len(buffer) < LENGTH:
            return None
        frame = bytes(buffer[:LENGTH])
        del buffer[:LENGTH]
        return frame

    def unsolicited(self, buffer: bytearray) -> bool:
        """Any byte."""
        return bool(buffer)


def _summed(frame: bytes) -> bytes:
    return frame + bytes([sum(frame) & 0xFF])


def _checked(frame: bytes) -> bytes:
    body, checksum = frame[:-1], frame[-1]
    if sum(body) & 0xFF != checksum:
        raise ValueError(f"checksum {checksum:#04x} instead of {sum(body) & 0xFF:#04x}")
    return body
