"""What systemd is told, on real datagram sockets, and when its watchdog goes hungry."""

import asyncio
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from labctl.daemon.notify import Notifier, Watchdog


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket and the address that it tells its services."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@labctl-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name if request.param == "path" else "\0" + name[1:])
        listener.settimeout(2)
        yield listener, name


def test_states_are_told_as_sd_notify_has_them(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    notifier = Notifier.of({"NOTIFY_SOCKET": address})
    notifier.ready("4 stations")
    notifier.status("2 run\nREADY=0\t1 alarm é")
    notifier.alive()
    notifier.stopping("making 4 stations safe")
    assert [listener.recv(4096).decode() for _ in range(4)] == [
        "READY=1\nSTATUS=4 stations",
        "STATUS=2 run READY=0 1 alarm é",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=making 4 stations safe",
    ]


def test_without_a_manager_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    Notifier.of({}).ready("fine")
    assert not caplog.records


def test_a_manager_that_is_gone_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier(str(tmp_path / "gone")).ready("fine")
    assert "systemd does not take READY=1" in caplog.text


class Counting(Notifier):
    def __init__(self) -> None:
        super().__init__()
        self.fed = 0

    def alive(self) -> None:
        self.fed += 1


def test_it_is_fed_only_when_every_part_has_moved_since() -> None:
    notifier = Counting()
    watchdog = Watchdog(notifier, 30.0)
    assert not watchdog.look()  # nobody is there whose movement would prove anything
    watchdog.register("stations", "recorder")
    watchdog.mark("stations")
    assert not watchdog.look()
    assert watchdog.waits_for == ["recorder"]
    watchdog.mark("recorder")
    assert watchdog.look()
    assert not watchdog.look()
    watchdog.mark("stations")
    watchdog.unregister("recorder")
    assert watchdog.look()
    assert notifier.fed == 2


@pytest.mark.parametrize(
    ("environment", "limit"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_limit_is_the_one_that_systemd_gives_this_process(environment: dict[str, str], limit: float | None) -> None:
    assert Watchdog.of(Notifier(), environment)._limit == limit


async def test_a_part_that_stands_still_is_named_before_it_costs_the_process(caplog: pytest.LogCaptureFixture) -> None:
    notifier = Counting()
    watchdog = Watchdog(notifier, 0.04)
    watchdog.register("stations", "recorder")
    serving = asyncio.create_task(watchdog.serve())
    async with asyncio.timeout(5):
        while notifier.fed < 3:
            watchdog.mark("stations")
            watchdog.mark("recorder")
            await asyncio.sleep(0.005)
        while "recorder stands still" not in caplog.text:
            watchdog.mark("stations")
            await asyncio.sleep(0.005)
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


async def test_without_a_watchdog_there_is_nothing_to_serve() -> None:
    async with asyncio.timeout(1):
        await Watchdog(Notifier(), None).serve()
