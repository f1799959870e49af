"""ODrive's ASCII lines: a command and its checksum go out, a value and its checksum come back.

Source: ODrive firmware 0.5.6, docs/ascii-protocol and the parser in Firmware/communication. A checksum is optional
there; here every command carries one, so that every answer does. A command with a wrong one is ignored without a word.
"""

from dataclasses import dataclass
from functools import reduce
from operator import xor

END = b"\r\n"
INFO = b"Hardware version"
"""How the answer to `i` begins, the only one of several lines."""
INFO_LINES = 3


def checksum(text: bytes) -> int:
    """Return the exclusive or of all bytes."""
    return reduce(xor, text, 0)


def sealed(command: str) -> bytes:
    """Return a command as it goes over the wire."""
    text = command.encode("ascii")
    return b"%s*%d\n" % (text, checksum(text))


def unsealed(line: bytes) -> str:
    """Return what a line of an answer says; raises ValueError where its checksum is missing or wrong."""
    text, star, told = line.rpartition(b"*")
    if not star or not told.isdigit():
        raise ValueError("no checksum")
    if int(told) != checksum(text):
        raise ValueError(f"checksum {int(told)} instead of {checksum(text)}")
    return text.decode("ascii")


@dataclass(frozen=True, slots=True)
class Answers:
    """Framing: one line, or the three that `i` brings."""

    def take(self, buffer: bytearray) -> bytes | None:
        """Remove one answer, without its last end of line."""
        end = -len(END)
        for _ in range(INFO_LINES if buffer.startswith(INFO) else 1):
            end = buffer.find(END, end + len(END))
            if end < 0:
                return None
        answer = bytes(buffer[:end])
        del buffer[: end + len(END)]
        return answer

    def unsolicited(self, buffer: bytearray) -> bool:
        """Any byte: a refusal of what needs no answer is one, too."""
        return bool(buffer)
