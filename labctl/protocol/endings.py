"""How a step ends and what follows: `until`, `{ when, then }` and `timeout` as they stand in a file."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainValidator

from labctl.plan import Then
from labctl.protocol import condition
from labctl.protocol.condition import Condition
from labctl.quantity import Duration, WordingError, shown
from labctl.table import Model


@dataclass(frozen=True, slots=True)
class Follow:
    """What comes after an end."""

    then: Then
    label: str = ""
    why: str = ""


_HOW_TO_FOLLOW = 'write "next", "break", "end", "goto LABEL" or "fault: why"'


def _follow(value: object) -> Follow:
    if not isinstance(value, str):
        raise WordingError("this is no text", _HOW_TO_FOLLOW)
    goto = re.fullmatch(r"goto\s+(\S.*)", value)
    fault = re.fullmatch(r"fault(?:\s*:\s*(\S.*))?", value)
    if goto:
        return Follow(Then.GOTO, label=goto[1].rstrip())
    if fault:
        return Follow(Then.FAULT, why=(fault[1] or "").rstrip())
    if value not in {Then.NEXT, Then.BREAK, Then.END}:
        raise WordingError(f"{shown(value)} is nothing that can follow", _HOW_TO_FOLLOW)
    return Follow(Then(value))


def _condition(value: object) -> Condition:
    if not isinstance(value, str):
        raise WordingError("this is no text", 'write a condition, such as "4.3 V" or "time >= 1 h"')
    return condition.read(value)


def _as_table(value: object) -> object:
    return {"when": value} if isinstance(value, str) else value


def _as_tables(value: object) -> object:
    return [_as_table(item) for item in value] if isinstance(value, list) else [_as_table(value)]


When = Annotated[Condition, PlainValidator(_condition, json_schema_input_type=str)]
Next = Annotated[Follow, PlainValidator(_follow, json_schema_input_type=str)]


class Ending(Model):
    """`{ when, then }`: a condition and what follows it."""

    when: When = Field(examples=['"4.3 V"'])
    then: Next = Follow(Then.NEXT)


class Overrun(Model):
    """A time-out: a fault unless `then` says otherwise."""

    when: Duration = Field(examples=['"30 h"'])
    then: Next = Follow(Then.FAULT)


Endings = Annotated[
    tuple[Ending, ...], BeforeValidator(_as_tables, json_schema_input_type=str | Ending | list[str | Ending])
]
Timeout = Annotated[Overrun, BeforeValidator(_as_table, json_schema_input_type=str | Overrun)]
