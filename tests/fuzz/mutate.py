"""Seeded damage to messages and replies: values that are traps, keys that go or come twice, and damage to the bytes."""

import json
from collections.abc import Iterator
from random import Random

TRAPS = [
    b"null", b"true", b"-1", b"0", b"-0.0", b"9007199254740993", b"9223372036854775808", b"18446744073709551616",
    b"1" + b"0" * 400, b"1e308", b"1e400", b"-1e400", b"NaN", b"Infinity", b"1795258567.6", b"253402300800",
    b'""', b'"' + b"x" * 100_000 + b'"', b'"\\ud800"', b'"\\u0000"', b'"\\u001b[2J\\r\\n"', b'"../../../etc/passwd"',
    b'"%s%n{0}{__class__}"', b'"labctl/+/#"', b'"nan"', b"[]", b"{}", b"[" * 2000 + b"]" * 2000,
    b'{"a":' * 300 + b"1" + b"}" * 300, b"[1,2,3]", b'{"":""}', b'"\xff"', b'"\xe2\x80\xae"', b"0x10", b"+1",
]  # fmt: skip
"""As JSON writes them, and as it does not."""


def damaged(message: bytes, random: Random) -> bytes:
    """Return a message of JSON with one to three things done to it."""
    try:
        data = json.loads(message)
    except ValueError:
        return bytes_damaged(message, random)
    places = list(_places(data))
    chosen: list[bytes] = []
    for _ in range(random.choice([0, 1, 1, 1, 2, 3])):
        inside, key = random.choice(places)
        match random.randrange(8):
            case 0 if isinstance(inside, dict):
                inside.pop(str(key), None)
            case 1 if isinstance(inside, dict):
                inside[random.choice(["x", "do", "schema", "", "__proto__", "seq"])] = inside.get(str(key))
            case 2 if isinstance(inside, list) and inside:
                inside.extend(inside * random.choice([1, 50]))
                if len(inside) > 10_000:
                    del inside[10_000:]
            case _:
                chosen.append(random.choice(TRAPS))
                here = f"@trap{len(chosen) - 1}@"
                if isinstance(inside, dict):
                    inside[str(key)] = here
                elif int(key) < len(inside):
                    inside[int(key)] = here
    whole = json.dumps(data).encode()
    for number, trap in enumerate(chosen):
        whole = whole.replace(b'"@trap%d@"' % number, trap)
    return bytes_damaged(whole, random) if random.random() < 0.3 else whole


def bytes_damaged(message: bytes, random: Random) -> bytes:
    """Return bytes of which some are gone, changed, doubled, or new."""
    raw = bytearray(message)
    for _ in range(random.choice([1, 1, 2, 5])):
        at = random.randrange(len(raw) + 1)
        match random.randrange(7):
            case 0:
                del raw[at : at + random.choice([1, 2, 8, 1000])]
            case 1:
                raw[at:at] = random.randbytes(random.choice([1, 4, 64]))
            case 2 if at < len(raw):
                raw[at] ^= 1 << random.randrange(8)
            case 3:
                del raw[at:]
            case 4:
                raw[at:at] = raw[at : at + 40]
            case 5:
                raw[at:at] = random.choice([b"\x00", b"\xff\xfe", b"\r\n", b"nan", b"1e999", b"-", b",", b"9" * 400])
            case _:
                raw[at : at + 3] = random.choice([b"", b"   ", b"inf", b"+-.", b"\x1b[2J"])
    return bytes(raw)


def _places(data: object) -> Iterator[tuple[dict[str, object] | list[object], str | int]]:
    """Yield every place of a value: what it lies in, and the key or index that leads to it."""
    pending = [data]
    while pending:
        inside = pending.pop()
        if isinstance(inside, dict):
            pending.extend(inside.values())
            yield from ((inside, key) for key in list(inside))
        elif isinstance(inside, list):
            pending.extend(inside)
            yield from ((inside, index) for index in range(len(inside)))
