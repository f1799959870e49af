"""The slave's side of a simulated instrument: takes requests in any pieces, and refuses as the standard says."""

from collections.abc import Mapping
from typing import Protocol

from drivers.modbus.frame import EXCEPTION, ON, READS, Function, bytes_of, framed, take_request, words_of

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE = 1, 2, 3, 4
MOST_READ = 125


class Refusal(Exception):
    """A request that is not carried out, with the number of its exception."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Registers(Protocol):
    """What an instrument has behind its registers."""

    def image(self, function: int) -> Mapping[int, int]:
        """Return what all registers that a function reads hold now."""

    def write(self, function: int, register: int, words: tuple[int, ...]) -> None:
        """Take values; a coil (function 5) gets 0 or 1. Raises Refusal."""


class Server:
    """One slave on a line; `echoes`: whether it knows function 8."""

    def __init__(self, unit: int, registers: Registers, *, echoes: bool = True) -> None:
        self._unit = unit
        self._registers = registers
        self._echoes = echoes
        self._buffer = bytearray()

    def receive(self, data: bytes) -> bytes:
        """Take bytes and return the replies to whole requests to this slave."""
        self._buffer += data
        replies = b""
        while (request := take_request(self._buffer)) is not None:
            if request[0] == self._unit:
                replies += self._reply(request[1], request[2:-2])
        return replies

    def reset_line(self) -> None:
        """Forget half a request."""
        self._buffer.clear()

    def _reply(self, function: int, payload: bytes) -> bytes:
        try:
            return framed(self._unit, function, self._carry_out(function, payload))
        except Refusal as refusal:
            return framed(self._unit, function | EXCEPTION, bytes([refusal.code]))

    def _carry_out(self, function: int, payload: bytes) -> bytes:
        """Return the data of the reply; raises Refusal."""
        if function in READS:
            register, count = words_of(payload)
            return self._read(function, register, count)
        match function:
            case Function.ECHO if self._echoes and payload[:2] == b"\0\0":
                return payload
            case Function.WRITE_COIL:
                coil, state = words_of(payload)
                if state not in (0, ON):
                    raise Refusal(ILLEGAL_VALUE)
                self._registers.write(function, coil, (int(state == ON),))
                return payload
            case Function.WRITE_ONE:
                register, word = words_of(payload)
                self._registers.write(function, register, (word,))
                return payload
            case Function.WRITE_MANY:
                register, count = words_of(payload[:4])
                if payload[4] != 2 * count or not count:
                    raise Refusal(ILLEGAL_VALUE)
                self._registers.write(function, register, words_of(payload[5:]))
                return payload[:4]
        raise Refusal(ILLEGAL_FUNCTION)

    def _read(self, function: int, register: int, count: int) -> bytes:
        if not 1 <= count <= MOST_READ:
            raise Refusal(ILLEGAL_VALUE)
        image = self._registers.image(function)
        if any(register + step not in image for step in range(count)):
            raise Refusal(ILLEGAL_ADDRESS)
        return bytes([2 * count]) + bytes_of(*(image[register + step] for step in range(count)))
