"""A line on the wire: printable ASCII, an asterisk, its CRC-16 in hexadecimal, a line feed."""

from binascii import crc_hqx

TERMINATOR = b"\n"


def framed(text: str) -> bytes:
    """Return the line that carries a text, with its terminator."""
    return _checked(text.encode("ascii")) + TERMINATOR


def unframed(line: bytes) -> str:
    """Return the text of a line that came without its terminator.

    Raises:
        ValueError: the line is not as it was sent.
    """
    body = line[:-5]
    if _checked(body) != line or not body.isascii():
        raise ValueError("its checksum is wrong")
    text = body.decode("ascii")
    if not text.isprintable():
        raise ValueError("it holds control characters")
    return text


def _checked(body: bytes) -> bytes:
    return b"%b*%04X" % (body, crc_hqx(body, 0xFFFF))
