"""Where the elements of a list in a JSON file stand, which the parser of the standard library does not say."""

import json
import re

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str)


def places(text: str, key: str) -> list[tuple[int, int]]:
    """Return line and column, from 1, of each element of the list under `key` in a valid JSON object."""
    at = _skip(text, _skip(text, 0) + 1)
    while text[at] != "}":
        found, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)  # behind the colon
        if found == key and text[at] == "[":
            return _elements(text, at)
        at = _next(text, _DECODER.raw_decode(text, at)[1])
    return []


def _elements(text: str, at: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    at = _skip(text, at + 1)
    while text[at] != "]":
        found.append(_place(text, at))
        at = _next(text, _DECODER.raw_decode(text, at)[1])
    return found


def _next(text: str, at: int) -> int:
    """Go to what follows a value: behind its comma, or to the bracket that closes."""
    at = _skip(text, at)
    return _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()


def _place(text: str, at: int) -> tuple[int, int]:
    start = text.rfind("\n", 0, at) + 1
    return text.count("\n", 0, at) + 1, at - start + 1
