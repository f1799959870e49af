"""Messages as JSON: a header and rows, checked at this border so that nothing behind it need be.

A batch is a run of consecutive records of one kind. Its rows leave the journal as JSON already and are only put
together here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from labctl.reading import COLUMNS, RECORD_SCHEMA, Event, Severity

PAYLOAD_LIMIT = 1_048_576
"""Bytes; the embedded broker drops the connection of a client that sends more."""

Row = list[float | int | None]


class Malformed(ValueError):
    """A message that is not what docs/bus.md says; its text is the reason."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one (run, channel), beginning with number `first`: either readings or events."""

    run: str
    channel: int
    first: int
    readings: list[Row]
    events: list[Event]

    @property
    def last(self) -> int:
        """Number of the last record."""
        return self.first + len(self.readings) + len(self.events) - 1

    def behind(self, number: int) -> "Batch":
        """Return the part behind a number."""
        skip = max(0, number + 1 - self.first)
        return Batch(self.run, self.channel, self.first + skip, self.readings[skip:], self.events[skip:])

    def upto(self, number: int) -> "Batch":
        """Return the part up to a number."""
        keep = max(0, number + 1 - self.first)
        return Batch(self.run, self.channel, self.first, self.readings[:keep], self.events[:keep])


@dataclass(frozen=True, slots=True)
class Watermark:
    """Every record of (run, channel) up to `seq` is committed."""

    run: str
    channel: int
    seq: int


# -- out -------------------------------------------------------------------------------------------------------------


def encode_readings(run: str, channel: int, first: int, payloads: Sequence[bytes], *, simulated: bool) -> bytes:
    """Put readings from the journal into a message."""
    head = _head(run, channel, first, len(payloads), simulated=simulated)
    return b'%b,"columns":%b,"rows":[%b]}' % (head, _COLUMNS, b",".join(payloads))


def encode_events(run: str, channel: int, first: int, payloads: Sequence[bytes], *, simulated: bool) -> bytes:
    """Put events from the journal into a message."""
    head = _head(run, channel, first, len(payloads), simulated=simulated)
    return b'%b,"events":[%b]}' % (head, b",".join(payloads))


def encode_watermark(watermark: Watermark) -> bytes:
    """Return the message of a watermark."""
    return orjson.dumps(
        {"schema": RECORD_SCHEMA, "run": watermark.run, "channel": watermark.channel, "seq": watermark.seq}
    )


def encode_state(state: dict[str, object]) -> bytes:
    """Return the message of a retained state."""
    return orjson.dumps({"schema": RECORD_SCHEMA, **state})


_COLUMNS = orjson.dumps(COLUMNS)


def _head(run: str, channel: int, first: int, count: int, *, simulated: bool) -> bytes:
    """Return the beginning of a message; a simulated run says so in every one."""
    whose = {"schema": RECORD_SCHEMA, "run": run, "channel": channel, **({"simulated": True} if simulated else {})}
    return orjson.dumps({**whose, "first": first, "last": first + count - 1})[:-1]


# -- in --------------------------------------------------------------------------------------------------------------

LAST_INSTANT = 253_402_300_799.0
"""Unix time of the end of the year 9999; what is later cannot be written as a date."""

Unix = Annotated[float, Field(ge=0.0, le=LAST_INSTANT)]
RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Number = Annotated[int, Field(ge=1, lt=2**53)]


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    schema_version: Literal[1] = Field(alias="schema")
    run: RunId
    channel: Annotated[int, Field(ge=0, lt=2**16)]


class _Readings(_Message):
    first: Number
    last: Number
    columns: list[str]
    rows: Annotated[list[Row], Field(min_length=1)]


class _Event(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    kind: Annotated[str, Field(min_length=1)]
    unix_time_second: Unix
    test_time_second: FiniteFloat
    message: str
    severity: Annotated[Severity, Field(strict=False)]
    data: dict[str, object]


class _Events(_Message):
    first: Number
    last: Number
    events: Annotated[list[_Event], Field(min_length=1)]


class _Watermark(_Message):
    seq: Annotated[int, Field(ge=0, lt=2**53)]


def decode_readings(payload: bytes) -> Batch:
    """Check and take apart a batch of readings; raises Malformed."""
    message = _decode(_Readings, payload)
    if tuple(message.columns) != COLUMNS:
        raise Malformed("the columns are not those of this version, in its order")
    if any(len(row) != len(COLUMNS) for row in message.rows):
        raise Malformed(f"a row has not {len(COLUMNS)} values")
    _check_count(message.first, message.last, len(message.rows))
    return Batch(message.run, message.channel, message.first, message.rows, [])


def decode_events(payload: bytes) -> Batch:
    """Check and take apart a batch of events; raises Malformed."""
    message = _decode(_Events, payload)
    _check_count(message.first, message.last, len(message.events))
    events = [
        Event(e.kind, e.unix_time_second, e.test_time_second, e.message, e.severity, e.data) for e in message.events
    ]
    _check_depth(events)
    return Batch(message.run, message.channel, message.first, [], events)


def decode_watermark(payload: bytes) -> Watermark:
    """Check and take apart a watermark; raises Malformed."""
    message = _decode(_Watermark, payload)
    return Watermark(message.run, message.channel, message.seq)


Model = TypeVar("Model", bound=BaseModel)


def _decode(model: type[Model], payload: bytes) -> Model:
    if len(payload) > PAYLOAD_LIMIT:
        raise Malformed(f"{len(payload)} bytes are more than {PAYLOAD_LIMIT}")
    try:
        return model.model_validate(orjson.loads(payload))
    except orjson.JSONDecodeError as error:
        raise Malformed(f"no JSON: {error}") from None
    except ValidationError as error:
        raise Malformed(explain(error)) from None


def explain(error: ValidationError) -> str:
    """Return what is wrong with a message, without repeating the message."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "message"
    return f"{where}: {first['msg']}"


def _check_depth(events: list[Event]) -> None:
    """Refuse what can be read and could not be written again: orjson reads deeper than it writes."""
    try:
        orjson.dumps(events)
    except orjson.JSONEncodeError:
        raise Malformed("the data of an event are nested too deeply") from None


def _check_count(first: int, last: int, count: int) -> None:
    if last - first + 1 != count:
        raise Malformed(f"numbers {first} to {last} do not count {count} records")
