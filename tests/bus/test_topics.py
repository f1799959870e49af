"""Topics: names that cannot break out of their level, and matching as MQTT 3.1.1 says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.bus.topics import Process, Station, every_event, every_reading, every_watermark, matches
from labctl.errors import StorageError


def test_the_topics_are_those_of_the_documentation() -> None:
    station = Station(Process("lab", "pc-1"), "A1")
    assert station.readings == "labctl/lab/pc-1/A1/readings"
    assert station.events == "labctl/lab/pc-1/A1/events"
    assert station.state == "labctl/lab/pc-1/A1/state"
    recorder = Process("lab", "recorder")
    assert recorder.alive == "labctl/lab/recorder/alive"
    assert recorder.state == "labctl/lab/recorder/state"
    assert recorder.watermark("r") == "labctl/lab/recorder/watermark/r"
    assert matches(every_reading("lab"), station.readings)
    assert matches(every_event("lab"), station.events)
    assert matches(every_watermark("lab", "r"), recorder.watermark("r"))
    assert not matches(every_reading("other"), station.readings)


@pytest.mark.parametrize("name", ["", "a/b", "+", "a#", "$SYS", "a\nb", "a\0"])
def test_a_name_that_would_be_a_pattern_or_a_level_is_refused(name: str) -> None:
    with pytest.raises(StorageError, match="cannot be the name of a station"):
        Station(Process("lab", "pc"), name)
    with pytest.raises(StorageError, match="cannot be the name of a site"):
        Process(name, "pc")


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/b/c", "a/b", False),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/+", "a/", True),
        ("+/b", "a/b", True),
        ("#", "a/b/c", True),
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/#", "b/a", False),
    ],
)
def test_matching(pattern: str, topic: str, expected: bool) -> None:
    assert matches(pattern, topic) is expected


LEVELS = st.lists(st.sampled_from(["a", "b", "", "+"]), min_size=1, max_size=4)


@given(LEVELS.filter(lambda levels: "+" not in levels))
def test_a_topic_matches_itself_and_its_wildcards(levels: list[str]) -> None:
    topic = "/".join(levels)
    assert matches(topic, topic)
    assert matches("/".join(["+"] * len(levels)), topic)
    assert matches("/".join([*levels[:-1], "#"]), topic)
    assert not matches(topic + "/x", topic)
