"""Damage to the tree of a TOML file, and its way back to text."""

import json
import tomllib
from collections.abc import Iterator, Sequence
from datetime import date
from random import Random

Container = dict[str, object] | list[object]

TRAPS: tuple[object, ...] = (
    0, -1, 1, 10**9, 2**63, 0.0, -0.5, 1e308, float("nan"), float("inf"), True, False, "", " ", "0", "-1", "nan V",
    "inf h", "C/0", "-C/10", "1e30 V", "1e-30 V", "1e31 V", "0 V", "-1 V", "-1 h", "0 s", "4.3", "4,3 V", "4.3 V vs Na",
    "C(measured, cycle = 2)/5", "C(measured)", "-C(measured, cycle = 1)/0",
    "4.3 V vs Li", "1C", "C/10", "0.2 mA/cm2", "14 mg/cm2", "30 degC", "2.5 MPa", "5 %", "µ", "Å", "{", "}}", "{x}",
    "{cycles}", "\x1b[2J", "voltage >= 4 V", "voltage <= 4 V", "stable within 1 mV for 60 s", "capacity >= 1 mAh",
    "not (4 V or 3 V) and time >= 1 h for 30 s", "pressure.negative > 1 MPa", "((((", "for 30 s", "goto x",
    "fault: why", "break", "end", "every 2", "../../x.toml", "/etc/passwd", "x.csv", "negative", "cell", "full",
    "x" * 3000, date(2026, 11, 21), [], {}, [[]], [{}], ["4 V", "3 V"], {"when": "4 V", "then": "end"}, {"rest": "1 h"},
    [{"rest": "1 h"}],
)  # fmt: skip
"""What stands in the place of a value: quantities of every kind, numbers at their edges, words of the language."""


def mutated(text: str, others: Sequence[str], random: Random) -> str:
    """Return a file with one to three things done to its tree; what is no TOML is returned as it is."""
    data, other = _parsed(text), _parsed(random.choice(others))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        places = list(_places(data))
        if not places:
            return text
        _damage(*random.choice(places), places, list(_places(other)), random)
    return written(data)


Place = tuple[Container, str | int]


def _damage(
    inside: Container, key: str | int, places: Sequence[Place], donors: Sequence[Place], random: Random
) -> None:
    """Do one thing to a value: mostly one that leaves a file of the right form."""
    value = _get(inside, key)
    match random.randrange(8):
        case 0:
            _remove(inside, key)
        case 1 | 2:
            alike = [trap for trap in TRAPS if type(trap) is type(value)]
            _put(inside, key, random.choice(alike if alike and random.random() < 0.7 else TRAPS))
        case 3 | 4 | 5:
            # what stands under the same key elsewhere often fits
            same = [place for place in donors if place[1] == key and isinstance(key, str)]
            there, name = random.choice(same or donors or places)
            _put(inside, key, _get(there, name))
        case 6:
            _put(inside, key, random.choice(([value], {"do": value}, [value, value])))
        case _ if isinstance(inside, dict):
            inside[random.choice([name for _, name in places if isinstance(name, str)])] = inside.pop(str(key))
        case _:
            inside.insert(random.randrange(len(inside) + 1), _copy(value))


def written(data: dict[str, object]) -> str:
    """Return TOML that says this: one key a line at the top, everything below inline."""
    return "".join(f"{json.dumps(key)} = {_value(value)}\n" for key, value in data.items())


def _parsed(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}


def _places(data: object, depth: int = 0) -> Iterator[tuple[Container, str | int]]:
    """Yield every place of a value: what it lies in, and the key or index that leads to it."""
    if depth > 20:
        return
    if isinstance(data, dict):
        for key in list(data):
            yield data, key
            yield from _places(data[key], depth + 1)
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield data, index
            yield from _places(value, depth + 1)


def _get(inside: Container, key: str | int) -> object:
    if isinstance(inside, dict):
        return inside.get(str(key), "1 h")
    return inside[int(key)] if int(key) < len(inside) else "1 h"


def _put(inside: Container, key: str | int, value: object) -> None:
    if isinstance(inside, dict):
        inside[str(key)] = _copy(value)
    elif int(key) < len(inside):
        inside[int(key)] = _copy(value)


def _remove(inside: Container, key: str | int) -> None:
    if isinstance(inside, dict):
        inside.pop(str(key), None)
    elif int(key) < len(inside):
        del inside[int(key)]


def _copy(value: object) -> object:
    """Return a value of its own, so that no tree ends in itself."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case dict():
            return "{" + ", ".join(f"{json.dumps(str(key))} = {_value(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case date():
            return value.isoformat()
    return repr(value)
