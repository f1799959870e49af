"""A profile: current or power against time, read from a CSV of two columns that are named as BDF names them."""

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import PlainValidator

from labctl.quantity import MAX_EXPONENT, WordingError, shown

MAX_ROWS = 20_000
TIME = "Test Time / s"
VALUES: dict[str, Literal["current", "power"]] = {"Current / A": "current", "Power / W": "power"}

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d{1,3}))?")
_LONGEST_NUMBER = 40
_HOW = f'begin with the line "{TIME},Current / A" or "{TIME},Power / W"'


@dataclass(frozen=True, slots=True)
class ProfileTable:
    """Exact times in s, from 0 upward, and a value (A or W, positive charges) for each."""

    of: Literal["current", "power"]
    times: tuple[Fraction, ...]
    values: tuple[Fraction, ...]


def read_profile(text: object) -> ProfileTable:
    """Read the text of a CSV; raises WordingError with the line, counted from 1."""
    if not isinstance(text, str):
        raise WordingError("this is no text", "write the lines of a CSV between ''' and '''")
    lines = text.removeprefix("\ufeff").rstrip().splitlines()
    names = [name.strip().strip('"') for name in lines[0].split(",")] if lines else []
    known = [name for name in names if name in VALUES]
    if len(names) != 2 or TIME not in names or len(known) != 1:
        raise WordingError("line 1: these are not the two columns of a profile", _HOW)
    rows = lines[1:]
    if not 2 <= len(rows) <= MAX_ROWS:
        raise WordingError(f"{len(rows)} rows are no profile", f"write 2 to {MAX_ROWS} rows below the names")
    first = names.index(TIME)
    pairs = [_pair(line, number) for number, line in enumerate(rows, 2)]
    times, values = tuple(pair[first] for pair in pairs), tuple(pair[1 - first] for pair in pairs)
    if times[0] != 0:
        raise WordingError("line 2: a profile begins at the time 0", "subtract the first time from all of them")
    for number, (before, after) in enumerate(pairwise(times), 3):
        if after <= before:
            raise WordingError(f"line {number}: this time does not come after the one before", "order the rows by time")
    return ProfileTable(VALUES[known[0]], times, values)


def _pair(line: str, number: int) -> tuple[Fraction, Fraction]:
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != 2:
        raise WordingError(f"line {number}: here are not two values", "write time and value, with a comma between them")
    one, other = (_exact(field, number) for field in fields)
    return one, other


def _exact(field: str, number: int) -> Fraction:
    found = _NUMBER.fullmatch(field)
    if found is None or len(field) > _LONGEST_NUMBER or abs(int(found[1] or "0")) > MAX_EXPONENT:
        raise WordingError(f"line {number}: {shown(field)} is no finite decimal number", "write for example 0.0125")
    return Fraction(field)


Attached = Annotated[ProfileTable, PlainValidator(read_profile, json_schema_input_type=str)]
