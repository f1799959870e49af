"""A person at the other end of a wire: asked one at a time, withdrawn with the question, and absent outside a run."""

import asyncio

import pytest

from labctl.clock import VirtualClock
from labctl.errors import Unreachable
from labctl.instrument import Lines, PersonWire, SerialWire
from labctl.link import OPERATOR, OperatorLink, open_link


def opened(clock: VirtualClock) -> OperatorLink:
    link = open_link(OPERATOR, PersonWire(), "A1/hand_tool.negative", clock)
    assert isinstance(link, OperatorLink)
    return link


async def test_a_request_is_a_question_and_what_is_typed_is_the_reply(clock: VirtualClock) -> None:
    link = opened(clock)

    async def person(sentence: str) -> str:
        return f"{sentence} Yes: 0.31 N·m"

    link.seat(person)
    assert (await link.query(b"Tight?\n")).decode() == "Tight? Yes: 0.31 N·m"
    assert not link.simulated


async def test_nobody_is_there_before_and_after(clock: VirtualClock) -> None:
    link = opened(clock)
    with pytest.raises(Unreachable, match=r"^A1/hand_tool\.negative at operator://: nobody is asked outside a run"):
        await link.query(b"Tight?\n")

    async def person(sentence: str) -> str:
        return "yes"

    link.seat(person)
    assert await link.query(b"Tight?\n") == b"yes"
    link.seat(None)
    with pytest.raises(Unreachable):
        await link.query(b"Tight?\n")


async def test_one_question_at_a_time_and_a_withdrawn_one_leaves_nothing_behind(clock: VirtualClock) -> None:
    link, asked = opened(clock), []

    async def person(sentence: str) -> str:
        asked.append(sentence)
        await clock.sleep(60.0)
        return sentence.upper()

    link.seat(person)

    async def ask() -> bytes:
        loop = asyncio.get_running_loop()
        first, second = (clock.spawn(loop, link.query(word), "asks") for word in (b"first\n", b"second\n"))
        await clock.sleep(30.0)
        assert asked == ["first"]
        first.cancel()
        await asyncio.wait([first])
        await clock.sleep(100.0)
        assert second.done()
        return second.result()

    assert await clock.spawn(asyncio.get_running_loop(), ask(), "both") == b"SECOND"
    assert asked == ["first", "second"]


def test_only_a_tool_in_a_hand_is_there(clock: VirtualClock) -> None:
    with pytest.raises(Unreachable, match='"operator://" does not fit'):
        open_link(OPERATOR, SerialWire(Lines(b"\r"), baudrate=9600), "A1/load_cell", clock)
    with pytest.raises(Unreachable, match='Write "operator://"'):
        open_link("/dev/ttyUSB0", PersonWire(), "A1/hand_tool.negative", clock)
