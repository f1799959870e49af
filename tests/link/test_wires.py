"""The rules of every link, proved on real wires: TCP and a pseudo-terminal, each behind a thread of its own."""

import asyncio
import os
import threading
import tty
from collections.abc import Callable
from contextlib import suppress

import pytest
import pyvisa

from labctl.clock import RealClock, VirtualClock, host_monotonic
from labctl.errors import GarbledReply, NoReply, Unreachable, WrongInstrument
from labctl.link import BaseLink, open_link
from labctl.link.memory import Late
from labctl.link.worker import BlockingLink
from tests.link.echo import PTY, TCP, WIRES, Echo, wired

both = pytest.mark.parametrize("listen", [TCP, PTY])


def late(line: bytes, seconds: float) -> Callable[[bytes], bytes]:
    """Answer one line late, every other at once."""
    return lambda asked: Late(asked + b"\n", seconds) if asked == line else asked + b"\n"


def threads_of(link: BaseLink) -> int:
    return sum(thread.name.startswith(link.name) for thread in threading.enumerate())


def address_of(server: asyncio.Server) -> str:
    return f"TCPIP::127.0.0.1::{server.sockets[0].getsockname()[1]}::SOCKET"


@both
async def test_concurrent_callers_get_their_own_replies(listen: str) -> None:
    async with wired(Echo(), listen) as link:

        async def ask(caller: int) -> None:
            for number in range(5):
                question = b"%d/%d" % (caller, number)
                assert await link.query(question + b"\n") == question

        async with asyncio.TaskGroup() as group:
            for caller in range(20):
                group.create_task(ask(caller))
        assert threads_of(link) == 1
        assert link.exchanges == 100


@both
async def test_messages_keep_their_order(listen: str) -> None:
    echo = Echo()
    echo.reply = lambda line: b"" if line.startswith(b"tell") else line + b"\n"
    async with wired(echo, listen) as link:
        await link.write(b"tell 1\n")
        await link.write(b"tell 2\n")
        assert await link.query(b"ask\n") == b"ask"
    assert echo.lines == [b"tell 1", b"tell 2", b"ask"]


@both
async def test_a_late_reply_is_never_the_answer_to_the_next_question(listen: str) -> None:
    echo = Echo()
    echo.reply = late(b"slow", 0.06)
    async with wired(echo, listen) as link:
        verified: list[int] = []

        async def verify() -> None:
            assert await link.query(b"who\n") == b"who"
            verified.append(len(echo.lines))

        link.verify = verify
        assert await link.query(b"first\n") == b"first"
        with pytest.raises(NoReply, match=r"no complete reply to b'slow\\n' within 0.05 s"):
            await link.query(b"slow\n")
        assert not verified
        for question in (b"second", b"third"):
            assert await link.query(question + b"\n") == question
        assert verified == [3], "verified once, before the next question"
    assert echo.lines == [b"first", b"slow", b"who", b"second", b"third"]


@both
@pytest.mark.parametrize("failure", [WrongInstrument("A1/cycler", "is another one"), ValueError("a bug in a driver")])
async def test_a_line_that_was_not_verified_is_not_used(listen: str, failure: Exception) -> None:
    echo = Echo()
    echo.reply = lambda line: b"" if line == b"lost" else line + b"\n"
    async with wired(echo, listen) as link:

        async def refuse() -> None:
            await link.query(b"who\n")
            raise failure

        async def accept() -> None:
            await link.query(b"who\n")

        link.verify = refuse
        with pytest.raises(NoReply):
            await link.query(b"lost\n")
        for _ in range(2):
            with pytest.raises(type(failure)):
                await link.write(b"command\n")
        link.verify = accept
        assert await link.query(b"question\n") == b"question"
    assert echo.lines == [b"lost", b"who", b"who", b"who", b"question"]


@both
@pytest.mark.parametrize("cancels", [1, 3])
async def test_a_cancelled_exchange_is_finished_and_leaves_no_stale_byte(listen: str, cancels: int) -> None:
    echo = Echo()
    echo.reply = late(b"slow", 0.02)
    async with wired(echo, listen) as link:
        await link.query(b"first\n")
        echo.asked.clear()
        asking = asyncio.create_task(link.query(b"slow\n"))
        await echo.asked.wait()
        for _ in range(cancels):
            asking.cancel()
            await asyncio.sleep(0)
        assert not asking.done(), "the thread still reads"
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await link.query(b"next\n") == b"next"
        assert threads_of(link) == 1


@both
async def test_a_caller_that_gives_up_waiting_leaves_the_line_alone(listen: str) -> None:
    echo = Echo()
    echo.reply = late(b"slow", 0.02)
    async with wired(echo, listen) as link:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(link.query(b"slow\n"))
            waiting = group.create_task(link.query(b"never asked\n"))
            last = group.create_task(link.query(b"last\n"))
            await asyncio.sleep(0)
            waiting.cancel()
        assert (first.result(), last.result()) == (b"slow", b"last")
    assert echo.lines == [b"slow", b"last"]


@both
async def test_an_opening_that_was_cancelled_does_not_hold_the_port(
    listen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with wired(Echo(), listen) as link:
        assert isinstance(link, BlockingLink)
        loop, begun, open_blocking = asyncio.get_running_loop(), asyncio.Event(), link.open_blocking

        def tell_and_open() -> None:
            loop.call_soon_threadsafe(begun.set)
            open_blocking()

        monkeypatch.setattr(link, "open_blocking", tell_and_open)
        opening = asyncio.create_task(link.query(b"first\n"))
        await begun.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert await link.query(b"second\n") == b"second"


@both
async def test_what_nobody_asked_for_is_refused(listen: str) -> None:
    echo = Echo()
    echo.reply = lambda line: b"double\nstale\n" if line == b"double" else line + b"\n"
    async with wired(echo, listen) as link:
        assert await link.query(b"double\n") == b"double"
        with pytest.raises(GarbledReply, match=r"answered b'stale\\n' to b'next\\n', expected a quiet line before"):
            await link.query(b"next\n")
        assert await link.query(b"next\n") == b"next"
    assert echo.lines == [b"double", b"next"], "the refused question was not asked"


@both
async def test_half_a_reply_is_none(listen: str) -> None:
    echo = Echo()
    echo.reply = lambda line: b"3.2" if line == b"half" else line + b"\n"
    async with wired(echo, listen) as link:
        with pytest.raises(NoReply):
            await link.query(b"half\n")
        assert await link.query(b"whole\n") == b"whole"


TALKS_ON = "does not fall silent: it sends without being asked\n  Switch off its automatic output"


async def talk(write: Callable[[bytes], object]) -> None:
    """Send readings all the time, as a gauge with automatic output does."""
    with suppress(ConnectionError, asyncio.CancelledError):
        while True:
            write(b"12.5 N\n")
            await asyncio.sleep(0.002)


async def test_a_connection_that_never_falls_silent() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            await talk(writer.write)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        link = open_link(address_of(server), WIRES[TCP], "A1/cycler", RealClock(), simulated=False)
        with pytest.raises(NoReply):
            await link.query(b"question\n")
        with pytest.raises(Unreachable, match=TALKS_ON):
            await link.query(b"question\n")
        await link.close()


async def test_a_line_that_never_falls_silent() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    link = open_link(os.ttyname(slave), WIRES[PTY], "A1/load_cell", RealClock(), simulated=False)
    with pytest.raises(NoReply):
        await link.query(b"question\n")
    talking = asyncio.create_task(talk(lambda data: os.write(master, data)))
    with pytest.raises(Unreachable, match=TALKS_ON):
        await link.query(b"question\n")
    talking.cancel()
    await talking
    await link.close()
    os.close(master)
    os.close(slave)


@both
async def test_pause_is_lab_time_for_whoever_comes_next(listen: str, clock: VirtualClock) -> None:
    async with wired(Echo(), listen, clock) as link:
        await link.query(b"first\n")
        begin = host_monotonic()
        await link.pause(3600.0)
        assert clock.now() == 0.0
        await link.query(b"second\n")
        assert clock.now() == 3600.0
        await link.query(b"third\n")
        assert clock.now() == 3600.0
        assert host_monotonic() - begin < 60.0


@both
async def test_close_frees_the_wire(listen: str) -> None:
    async with wired(Echo(), listen) as link:
        await link.query(b"first\n")
        await link.close()
        assert not threads_of(link)
        await link.close()


async def test_a_connection_that_the_instrument_closed_is_told_at_once() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        link = open_link(address_of(server), WIRES[TCP], "A1/cycler", RealClock(), simulated=False)
        assert await link.query(b"first\n") == b"first"
        await asyncio.sleep(0.01)
        with pytest.raises(Unreachable, match="closed the connection"):
            await link.query(b"second\n")
        assert await link.query(b"third\n") == b"third", "reopened"
        await link.close()


async def test_a_backend_that_somebody_closed_is_opened_again() -> None:
    """PyVISA shares one resource manager in a process; another part of the program may close it."""
    async with wired(Echo(), TCP) as link:
        await link.query(b"one\n")
    pyvisa.ResourceManager("@py").close()
    async with wired(Echo(), TCP) as link:
        assert await link.query(b"two\n")
