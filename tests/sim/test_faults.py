"""Faults on a simulated instrument's wire: each does what its name says, and only where it was asked to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.clock import VirtualClock
from labctl.errors import NoReply
from labctl.instrument import SerialWire
from labctl.link.memory import Late
from labctl.sim.faults import Delay, Fault, Faulty, Garbage, half, silence
from tests.link.echo import LINES, Echo, remembered


@given(st.binary(max_size=40))
def test_what_becomes_of_a_reply(reply: bytes) -> None:
    assert silence(reply) == b""
    assert reply.startswith(half(reply))
    assert len(half(reply)) == len(reply) // 2
    assert Garbage(b"\xff?")(reply) == b"\xff?"
    late = Delay(2.5)(reply)
    assert late == reply
    assert isinstance(late, Late) == bool(reply), "an instrument that says nothing is not late"
    if isinstance(late, Late):
        assert late.delay == 2.5


@pytest.mark.parametrize("fault", [silence, half, Garbage(b"?"), Delay(1.0)])
def test_only_the_reply_suffers(fault: Fault) -> None:
    echo = Echo()
    faulty = Faulty(echo, fault, lambda data: data == b"two\n")
    replies = [faulty.receive(data) for data in (b"one\n", b"two\n", b"three\n")]
    assert [replies[0], replies[2]] == [b"one\n", b"three\n"]
    assert (replies[1], type(replies[1])) == (fault(b"two\n"), type(fault(b"two\n")))
    assert echo.lines == [b"one", b"two", b"three"], "the instrument has done what it was told"
    faulty.reset_line()
    assert echo.opened == 1


async def test_a_fault_may_begin_and_end(clock: VirtualClock) -> None:
    echo = Echo()
    broken = False
    faulty = Faulty(echo, silence, lambda _: broken)
    wire = SerialWire(LINES, baudrate=9600)
    link = remembered(faulty, clock, wire)
    assert await link.query(b"one\n") == b"one"
    broken = True
    for _ in range(2):
        with pytest.raises(NoReply):
            await link.query(b"two\n")
    broken = False
    assert await link.query(b"three\n") == b"three"
