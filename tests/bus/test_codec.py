"""Messages: what goes out comes back, is readable by anybody, and what is not a message is refused with a reason."""

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.bus.codec import (
    PAYLOAD_LIMIT,
    Batch,
    Malformed,
    Watermark,
    decode_events,
    decode_readings,
    decode_watermark,
    encode_events,
    encode_readings,
    encode_watermark,
)
from labctl.reading import COLUMNS, Event
from tests.laboratory import new_run, reading, started

RUN = "0f8fad5b-d9cb-469f-a165-70867728950e"
DECODERS = [decode_readings, decode_events, decode_watermark]


def readings_message() -> dict[str, Any]:
    message = encode_readings(RUN, 0, 7, [orjson.dumps(reading(n).values) for n in (7, 8)], simulated=True)
    return dict(orjson.loads(message))


def test_a_batch_of_readings_is_a_header_and_rows() -> None:
    message = readings_message()
    assert list(message) == ["schema", "run", "channel", "simulated", "first", "last", "columns", "rows"]
    assert message["simulated"] is True
    assert message["columns"] == list(COLUMNS)
    assert (message["schema"], message["first"], message["last"]) == (1, 7, 8)
    assert message["rows"] == [list(reading(7).values), list(reading(8).values)]


def test_readings_and_events_come_back() -> None:
    assert decode_readings(orjson.dumps(readings_message())) == Batch(
        RUN, 0, 7, [list(reading(7).values), list(reading(8).values)], []
    )
    event = started(RUN)
    assert decode_events(encode_events(RUN, 3, 1, [orjson.dumps(event)], simulated=True)) == Batch(
        RUN, 3, 1, [], [event]
    )
    watermark = Watermark(new_run(), 2, 12)
    assert decode_watermark(encode_watermark(watermark)) == watermark


def test_a_batch_is_cut_at_a_number() -> None:
    batch = decode_readings(orjson.dumps(readings_message()))
    assert (batch.upto(7).last, batch.behind(7).first, batch.behind(7).last) == (7, 8, 8)
    assert batch.behind(3) == batch
    assert batch.behind(8).readings == []


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in readings_message().items() if key != name}


ROW = list(reading(1).values)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": 2}, "schema: Input should be 1"),
        ({"run": "../../etc/passwd"}, "run: String should match pattern"),
        ({"run": RUN.upper()}, "run: String should match pattern"),
        ({"channel": -1}, "channel: Input should be greater than or equal to 0"),
        ({"channel": True}, "channel: Input should be a valid integer"),
        ({"first": 0}, "first: Input should be greater than or equal to 1"),
        ({"last": 9}, "numbers 7 to 9 do not count 2 records"),
        ({"columns": COLUMNS[::-1]}, "the columns are not those of this version"),
        ({"rows": []}, "rows: List should have at least 1 item"),
        ({"rows": [ROW, ROW[:-1]]}, f"a row has not {len(COLUMNS)} values"),
        ({"rows": [ROW, [*ROW[:-1], "1.5"]]}, rf"rows\.1\.{len(COLUMNS) - 1}\..*: Input should be a valid number"),
        ({"rows": [ROW, [*ROW[:-1], [1]]]}, rf"rows\.1\.{len(COLUMNS) - 1}\..*: Input should be a valid number"),
        ({"rows": [ROW, [*ROW[:-1], True]]}, rf"rows\.1\.{len(COLUMNS) - 1}\..*: Input should be a valid number"),
        ({"rows": {"0": ROW}}, "rows: Input should be a valid list"),
    ],
)
def test_a_wrong_message_is_refused_with_its_reason(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        decode_readings(orjson.dumps({**readings_message(), **change}))


@pytest.mark.parametrize("name", ["schema", "run", "channel", "first", "last", "columns", "rows"])
def test_nothing_may_be_missing(name: str) -> None:
    with pytest.raises(Malformed, match=f"{name}: Field required"):
        decode_readings(orjson.dumps(without(name)))


def test_what_is_no_json_or_too_long_is_refused() -> None:
    with pytest.raises(Malformed, match="no JSON"):
        decode_readings(b'{"schema":NaN}')
    with pytest.raises(Malformed, match="no JSON"):
        decode_readings(b"[" * 100_000)
    with pytest.raises(Malformed, match="bytes are more than"):
        decode_readings(b" " * (PAYLOAD_LIMIT + 1))


def test_the_reason_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(Malformed) as refused:
        decode_readings(orjson.dumps({**readings_message(), "run": "\x1b[2J" + "x" * 1000}))
    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_bytes_are_a_message_or_malformed(payload: bytes) -> None:
    for decode in DECODERS:
        with pytest.raises(Malformed):
            decode(payload)


@settings(max_examples=300)
@given(st.sampled_from([*readings_message(), "seq", "events"]), JSON, st.sampled_from(DECODERS))
def test_a_damaged_message_is_a_message_or_malformed(key: str, value: object, decode: Any) -> None:
    payload = json.dumps({**readings_message(), key: value}).encode()
    with suppress(Malformed):
        decode(payload)


@given(st.builds(Event, st.just("note"), st.floats(0, 1e9), st.floats(0, 1e9), st.text(max_size=50)))
def test_any_text_of_a_person_survives(event: Event) -> None:
    try:
        payload = orjson.dumps(event)
    except orjson.JSONEncodeError:  # half a surrogate pair is no text; the journal refuses it
        return
    assert decode_events(encode_events(RUN, 0, 1, [payload], simulated=True)).events == [event]
