"""The host: simulated instruments on TCP and pseudo-terminals, whose time is the host's or a controller's."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from labctl.clock import host_monotonic, host_sleep
from labctl.link.memory import Late
from labctl.sim.bench import Bench, BenchParameters
from labctl.sim.host import LONGEST_LEAP, Host, UsageError
from tests.link.echo import PTY, TCP, Echo

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def bench() -> Bench:
    return Bench.of(BenchParameters(), seed=1)


@pytest.fixture
async def host(bench: Bench) -> AsyncIterator[Host]:
    async with Host(bench) as host:
        yield host


@asynccontextmanager
async def client(address: str) -> AsyncIterator[Client]:
    """Connect to "TCPIP::127.0.0.1::5025::SOCKET" or "127.0.0.1:5025" as anybody's program would."""
    parts = address.split("::") if "::" in address else ["", *address.split(":")]
    reader, writer = await asyncio.open_connection(parts[1], int(parts[2]))
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def line(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(5.0):
        return await reader.readline()


async def until(true: "asyncio.Event") -> None:
    async with asyncio.timeout(5.0):
        await true.wait()


def is_terminal(device: str) -> bool:
    return Path(device).is_char_device()


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


# -- serving -----------------------------------------------------------------------------------------------------------


async def test_several_clients_of_one_instrument(host: Host) -> None:
    address = await host.serve(Echo(), TCP)

    async def talk(name: int) -> None:
        async with client(address) as (reader, writer):
            for number in range(10):
                question = b"%d.%d\n" % (name, number)
                writer.write(question)
                assert await line(reader) == question

    await asyncio.gather(*(talk(name) for name in range(5)))


async def test_every_instrument_has_an_address_of_its_own(host: Host) -> None:
    addresses = [await host.serve(Echo(), listen) for listen in (TCP, TCP, PTY, PTY)]
    assert len(set(addresses)) == 4
    assert addresses[0].startswith("TCPIP::127.0.0.1::")
    assert all(is_terminal(address) for address in addresses[2:])


async def test_a_command_comes_in_pieces(host: Host) -> None:
    echo = Echo()
    async with client(await host.serve(echo, TCP)) as (reader, writer):
        for piece in (b"*I", b"DN", b"?\n*OP"):
            writer.write(piece)
            await writer.drain()
            await host_sleep(0.002)
        assert await line(reader) == b"*IDN?\n"
        writer.write(b"C?\n")
        assert await line(reader) == b"*OPC?\n"
    assert echo.lines == [b"*IDN?", b"*OPC?"]


async def test_half_a_command_is_forgotten_when_a_client_connects(host: Host) -> None:
    address = await host.serve(Echo(), TCP)
    async with client(address) as (_, writer):
        writer.write(b":OUTP O")
        await writer.drain()
        await host_sleep(0.005)
    async with client(address) as (reader, writer):
        writer.write(b"*IDN?\n")
        assert await line(reader) == b"*IDN?\n"


async def test_a_pseudo_terminal_alters_no_byte(host: Host) -> None:
    echo = Echo()
    device = os.open(await host.serve(echo, PTY), os.O_RDWR | os.O_NOCTTY)
    every = bytes(b for b in range(256) if b != 0x0A)
    arrived = asyncio.Event()
    asyncio.get_running_loop().add_reader(device, arrived.set)
    got = b""
    try:
        os.write(device, every + b"\n")
        while not got.endswith(b"\n"):
            await until(arrived)
            got += os.read(device, 4096)
            arrived.clear()
    finally:
        asyncio.get_running_loop().remove_reader(device)
        os.close(device)
    assert got == every + b"\n"


async def test_a_pseudo_terminal_that_nobody_reads_loses_bytes_and_goes_on(host: Host) -> None:
    echo = Echo()
    echo.reply = lambda line: line * 1000 + b"\n"
    address = await host.serve(echo, PTY)
    device = os.open(address, os.O_RDWR | os.O_NOCTTY)
    for _ in range(30):
        echo.asked.clear()
        os.write(device, b"0123456789\n")
        await until(echo.asked)
    os.close(device)
    assert len(echo.lines) == 30


async def test_a_late_reply_takes_the_hosts_time(host: Host) -> None:
    echo = Echo()
    echo.reply = lambda line: Late(line + b"\n", 0.03)
    async with client(await host.serve(echo, TCP)) as (reader, writer):
        begin = host_monotonic()
        writer.write(b"slow\n")
        assert await line(reader) == b"slow\n"
        assert host_monotonic() - begin >= 0.03


async def test_a_late_reply_to_a_client_that_has_gone(host: Host) -> None:
    echo = Echo()
    echo.reply = lambda line: Late(line + b"\n", 0.01) if line == b"slow" else line + b"\n"
    address = await host.serve(echo, TCP)
    async with client(address) as (_, writer):
        writer.write(b"slow\n")
        await until(echo.asked)
    await host_sleep(0.02)
    async with client(address) as (reader, writer):
        writer.write(b"next\n")
        assert await line(reader) == b"next\n"


@pytest.mark.parametrize(
    "listen",
    ["", "tcp://", "tcp://127.0.0.1", "tcp://:5025", "tcp://127.0.0.1:x", "tcp://127.0.0.1:70000", "udp://a:1"],
)
async def test_no_address_to_listen_on(host: Host, listen: str) -> None:
    for serve in (host.serve(Echo(), listen), host.control(listen)):
        with pytest.raises(UsageError) as caught:
            await serve
        assert str(caught.value) == (f'"{listen}" is no address to listen on.\n  Write "tcp://127.0.0.1:0" or "pty".')
        assert caught.value.exit_code == 2


async def test_an_address_that_cannot_be_listened_on(host: Host) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UsageError) as caught:
            await host.serve(Echo(), listen)
    assert str(caught.value).startswith(f'Nothing can be served at "{listen}": ')
    assert "address already in use" in str(caught.value)
    assert 'Write port 0 for any free one: "tcp://127.0.0.1:0".' in str(caught.value)
    with pytest.raises(UsageError, match="Nothing can be served at"):
        await host.serve(Echo(), "tcp://192.0.2.1:0")


# -- time --------------------------------------------------------------------------------------------------------------


async def test_time_runs_with_the_host_while_nobody_controls_it(host: Host, bench: Bench) -> None:
    async with client(await host.serve(Echo(), TCP)) as (reader, writer):
        before, begin = bench.time, host_monotonic()
        await host_sleep(0.02)
        writer.write(b"now\n")
        await line(reader)
        assert 0.02 <= bench.time - before <= host_monotonic() - begin + 0.06


async def test_time_follows_a_controller(host: Host, bench: Bench) -> None:
    address = await host.serve(Echo(), TCP)
    async with client(await host.control()) as (reader, writer), client(address) as (answers, questions):
        zero = float(await line(reader))
        assert zero == pytest.approx(bench.time, abs=1e-9)
        writer.write(b"3600.25\n7200.5\n")
        assert [await line(reader), await line(reader)] == [b"3600.250000000\n", b"7200.500000000\n"]
        assert bench.time == 7200.5
        await host_sleep(0.02)
        questions.write(b"now\n")
        await line(answers)
        assert bench.time == 7200.5, "no exchange and no tick moves it"
        writer.write(b"10.0\n")
        assert await line(reader) == b"7200.500000000\n", "and nobody turns it back"


async def test_a_time_in_pieces(host: Host, bench: Bench) -> None:
    async with client(await host.control()) as (reader, writer):
        await line(reader)
        for piece in (b"12", b"3.", b"5\n"):
            writer.write(piece)
            await writer.drain()
            await host_sleep(0.002)
        assert await line(reader) == b"123.500000000\n"


async def test_time_goes_on_from_where_it_was_when_the_last_controller_leaves(host: Host, bench: Bench) -> None:
    control = await host.control()
    async with client(await host.serve(Echo(), TCP)) as (answers, questions):

        async def now() -> float:
            questions.write(b"now\n")
            await line(answers)
            return bench.time

        async with client(control) as (reader, writer):
            await line(reader)
            async with client(control) as (second, _):
                await line(second)
                writer.write(b"5000\n")
                await line(reader)
            await host_sleep(0.005)
            assert await now() == 5000.0, "one of two has left"
        await host_sleep(0.01)
        first = await now()
        await host_sleep(0.02)
        assert 5000.0 < first < first + 0.02 <= await now() < 5001.0


@pytest.mark.parametrize(
    "hostile",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\n",
        b"inf\n",
        b"-inf\n5\n",
        b"nan\n",
        b"1e300\n",
        b"%f\n" % (2 * LONGEST_LEAP),
        b"\xff\x00\n",
        b"1" * 1000,
    ],
)
async def test_whoever_speaks_no_time_is_hung_up_on(host: Host, bench: Bench, hostile: bytes) -> None:
    control = await host.control()
    async with client(control) as (reader, writer):
        await line(reader)
        writer.write(b"100\n")
        assert await line(reader) == b"100.000000000\n"
        writer.write(hostile)
        async with asyncio.timeout(5.0):
            assert await reader.read() == b""
        assert bench.time < 101.0
    async with client(control) as (reader, writer):
        await line(reader)
        writer.write(b"200\n")
        assert await line(reader) == b"200.000000000\n", "the next one is served"


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_nothing_is_left_behind(bench: Bench) -> None:
    echo = Echo()
    echo.reply = lambda line: Late(line + b"\n", 60.0)
    descriptors = open_files()
    async with AsyncExitStack() as serving:
        host = await serving.enter_async_context(Host(bench))
        tcp, pty, control = await host.serve(echo, TCP), await host.serve(echo, PTY), await host.control()
        async with client(tcp) as (reader, writer), client(control) as (controlled, _):
            await line(controlled)
            writer.write(b"slow\n")
            await until(echo.asked)
            await serving.aclose()
            async with asyncio.timeout(5.0):
                assert await reader.read() == b""
                assert await controlled.read() == b""
    for port in (tcp.split("::")[2], control.split(":")[1]):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", int(port))
    assert not is_terminal(pty)
    assert open_files() == descriptors
