"""The memory link: the same rules in lab time, without threads, and always with the same outcome."""

import asyncio
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.clock import VirtualClock, host_monotonic
from labctl.errors import GarbledReply, InstrumentError, NoReply
from labctl.instrument import SerialWire, VisaWire
from labctl.link.memory import Late
from tests.link.echo import LINES, Echo, remembered

LINE = SerialWire(LINES, baudrate=9600, timeout=1.0, quiet_interval=0.05)
CONNECTION = VisaWire(LINES, timeout=1.0)
either = pytest.mark.parametrize("wire", [LINE, CONNECTION])


@either
async def test_a_delay_is_lab_time(clock: VirtualClock, wire: SerialWire | VisaWire) -> None:
    echo = Echo()
    link = remembered(echo, clock, wire)
    assert await link.query(b"at once\n") == b"at once"
    assert clock.now() == 0.0
    echo.reply = lambda line: Late(line + b"\n", 0.75)
    begin = host_monotonic()
    assert await link.query(b"slow\n") == b"slow"
    assert clock.now() == 0.75
    assert host_monotonic() - begin < 0.5
    assert link.simulated
    assert link.name == "A1/cycler at sim://"


@either
@pytest.mark.parametrize(("reply", "got"), [(b"", ""), (b"3.2", ", only b'3.2'"), (Late(b"late\n", 1.5), "")])
async def test_a_reply_that_does_not_come_takes_the_time_out_of_lab_time(
    clock: VirtualClock, wire: SerialWire | VisaWire, reply: bytes, got: str
) -> None:
    echo = Echo()
    link = remembered(echo, clock, wire)
    echo.reply = lambda line: reply
    with pytest.raises(NoReply) as caught:
        await link.query(b"question\n")
    assert caught.value.sentence == f"A1/cycler at sim://: no complete reply to b'question\\n' within 1 s{got}"
    assert clock.now() == 1.0


async def test_a_line_is_drained_until_it_has_been_quiet(clock: VirtualClock) -> None:
    echo = Echo()
    link = remembered(echo, clock, LINE)
    echo.reply = lambda line: Late(b"stale\n", 1.04)
    with pytest.raises(NoReply):
        await link.query(b"question\n")
    echo.reply = lambda line: line + b"\n"
    assert await link.query(b"next\n") == b"next"
    assert clock.now() == pytest.approx(1.04 + 0.05), "quiet counts from the last byte"


async def test_a_reply_later_than_the_quiet_interval_is_found_before_the_next_question(clock: VirtualClock) -> None:
    """Reopening does not help a serial line; no byte that is out of step is believed all the same."""
    echo = Echo()
    link = remembered(echo, clock, LINE)
    echo.reply = lambda line: Late(b"stale\n", 3.0)
    with pytest.raises(NoReply):
        await link.query(b"question\n")
    echo.reply = lambda line: line + b"\n"
    assert await link.query(b"second\n") == b"second"
    await clock.sleep_until(4.0)
    with pytest.raises(GarbledReply, match=r"answered b'stale\\n' to b'third\\n', expected a quiet line"):
        await link.query(b"third\n")
    assert await link.query(b"fourth\n") == b"fourth"


async def test_a_connection_takes_its_late_replies_along(clock: VirtualClock) -> None:
    echo = Echo()
    link = remembered(echo, clock, CONNECTION)
    echo.reply = lambda line: Late(b"stale\n", 3.0)
    with pytest.raises(NoReply):
        await link.query(b"question\n")
    echo.reply = lambda line: line + b"\n"
    assert await link.query(b"second\n") == b"second"
    await clock.sleep_until(4.0)
    assert await link.query(b"third\n") == b"third"
    assert echo.opened == 2


@either
async def test_a_cancelled_exchange_leaves_no_stale_byte(clock: VirtualClock, wire: SerialWire | VisaWire) -> None:
    echo = Echo()
    link = remembered(echo, clock, wire)
    verified: list[float] = []

    async def verify() -> None:
        verified.append(clock.now())

    link.verify = verify
    echo.reply = lambda line: Late(line + b"\n", 0.5)
    with clock.hold():
        asking = asyncio.create_task(link.query(b"slow\n"))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    await clock.sleep_until(0.48)
    echo.reply = lambda line: line + b"\n"
    assert await link.query(b"next\n") == b"next"
    assert len(verified) == 1


delays = st.lists(st.one_of(st.just(0.0), st.floats(0.01, 0.9), st.floats(1.1, 5.0)), min_size=1, max_size=8)


@given(delays, st.sampled_from([LINE, CONNECTION]), st.floats(0.0, 3.0))
def test_every_answer_is_that_of_its_question(delays: list[float], wire: SerialWire | VisaWire, between: float) -> None:
    """Whatever comes late: one reply at a time is lost or an error, none is taken for another."""

    async def scenario() -> None:
        clock, echo = VirtualClock(0.0), Echo()
        # Longer than any reply is late, as a wire's must be where no identity is asked for.
        link = remembered(echo, clock, replace(wire, quiet_interval=5.0) if isinstance(wire, SerialWire) else wire)
        for number, delay in enumerate(delays):
            echo.reply = lambda line, delay=delay: Late(line + b"\n", delay) if delay else line + b"\n"  # type: ignore[misc]
            try:
                assert await link.query(b"%d\n" % number) == b"%d" % number
            except InstrumentError:
                assert delay > wire.timeout
            await clock.sleep(between)

    asyncio.run(scenario())


async def test_concurrent_callers_have_the_same_history_every_time() -> None:
    async def history() -> list[tuple[float, bytes]]:
        clock, echo = VirtualClock(0.0), Echo()
        links = [remembered(echo, clock, LINE) for _ in range(4)]
        seen: list[tuple[float, bytes]] = []
        echo.reply = lambda line: Late(line + b"\n", int(line) % 7 / 10)

        async def poll(number: int) -> None:
            for count in range(10):
                answer = await links[number % 4].query(b"%d\n" % (100 * number + count))
                seen.append((clock.now(), answer))
                await clock.sleep(0.3)

        async with asyncio.TaskGroup() as group:
            for number in range(8):
                clock.spawn(group, poll(number), f"poll {number}")
        assert sorted(answer for _, answer in seen) == sorted(
            b"%d" % (100 * n + c) for n in range(8) for c in range(10)
        )
        return seen

    threads = threading.active_count()
    first = await history()
    assert first == await history() == await history()
    assert threading.active_count() == threads
