"""Log lines: their two forms, and that neither a secret nor a control character is in them."""

import io
import json
import logging
import os
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.logs import Log, configure

LOG = Log("labctl.bus.test")
JSON = {"LABCTL_LOG": "json"}


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def said(environment: dict[str, str], speak: object) -> str:
    stream = io.StringIO()
    configure(stream, environment)
    assert callable(speak)
    speak()
    return stream.getvalue()


def test_people_read_words() -> None:
    line = said(
        {}, lambda: LOG.warning("broker.down", "It is gone.", host="127.0.0.1", why="no route", tries=3, ok=False)
    )
    assert line.partition(" ")[2] == (
        'warning broker.down It is gone. host=127.0.0.1 why="no route" tries=3 ok=false\n'
    )


def test_journald_reads_json() -> None:
    (line,) = said(
        JSON, lambda: LOG.info("station.state", "A1 charges.", station="A1", volt=3.7, run=None)
    ).splitlines()
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "info",
        "event": "station.state",
        "message": "A1 charges.",
        "facts": {"station": "A1", "volt": 3.7, "run": None},
        "logger": "labctl.bus.test",
    }


def test_the_journal_is_known_by_its_stream_and_gets_priorities() -> None:
    read, write = os.pipe()
    with os.fdopen(read, "r") as reader, os.fdopen(write, "w") as writer:
        status = os.fstat(writer.fileno())
        configure(writer, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        LOG.error("station.lost", "A1 is lost.")
        LOG.warning("station.age", "A1 is late.")
        LOG.info("station.state", "A1 rests.")
        lines = [reader.readline() for _ in range(3)]
    assert [line[:3] for line in lines] == ["<3>", "<4>", "<6>"]
    assert json.loads(lines[0][3:])["event"] == "station.lost"


def test_a_terminal_beside_a_journal_is_no_journal() -> None:
    assert said({"JOURNAL_STREAM": "8:1234"}, lambda: LOG.info("a.b", "Words.")).endswith("info a.b Words.\n")


def test_again_changes_the_stream_and_doubles_nothing() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure(first, {})
    configure(second, {})
    LOG.info("a.b", "Once.")
    assert (first.getvalue(), second.getvalue().count("Once.")) == ("", 1)


def test_what_others_log_has_the_name_of_their_module() -> None:
    def speak() -> None:
        logging.getLogger("labctl.record.writer").warning("%s", "The disk is full.")
        logging.getLogger("labctl.record.writer").debug("not said")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", DeprecationWarning, stacklevel=1)

    first, second = said(JSON, speak).splitlines()
    assert json.loads(first)["event"] == "record.writer"
    assert json.loads(second)["event"] == "py.warnings"


def test_a_traceback_is_kept() -> None:
    def speak() -> None:
        try:
            raise ValueError("mqtt://labctl:hunter2@host \x1b[2J")
        except ValueError as error:
            LOG.bug("daemon.bug", "A bug.", error)

    (line,) = said(JSON, speak).splitlines()
    trace = json.loads(line)["trace"]
    assert trace.startswith("Traceback")
    assert r"ValueError: mqtt://labctl:***@host \x1b[2J" in trace
    assert "\n  Traceback" in said({}, speak)


@pytest.mark.parametrize(
    "secret",
    [
        "mqtt://labctl:hunter2@127.0.0.1:1883",
        "mqtt://:hunter2@host",
        "mqtt://user:hun/ter2@host",
        "mqtt://user:hun@ter2@host",
        "password=hunter2 and more",
        "{'password': 'hunter2', 'port': 1883}",
        '{"host": "h", "password":"hunter2"}',
        "Token: hunter2;",
    ],
)
@pytest.mark.parametrize("environment", [{}, JSON], ids=["words", "json"])
def test_no_credential_reaches_a_line(secret: str, environment: dict[str, str]) -> None:
    def speak() -> None:
        LOG.info("bus.up", f"Connected to {secret}", address=secret, mqtt_password="hunter2")
        logging.getLogger("other").warning("at %s", secret)

    told = said(environment, speak)
    assert "ter2" not in told
    assert "***" in told


@given(st.text(), st.text())
@pytest.mark.parametrize("environment", [{}, JSON], ids=["words", "json"])
def test_whatever_is_said_is_one_line_of_printable_characters(
    environment: dict[str, str], sentence: str, fact: str
) -> None:
    told = said(environment, lambda: LOG.info("a.b", sentence, fact=fact))
    assert told.endswith("\n")
    assert told[:-1].isprintable()
    if environment:
        assert json.loads(told)["event"] == "a.b"
