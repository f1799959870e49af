"""The embedded broker: only for this user, only on this machine, and there again when it died."""

import asyncio
import socket
import stat
from pathlib import Path

import aiomqtt
import pytest

from labctl.bus.address import Address
from labctl.bus.broker import Broker
from labctl.clock import host_sleep
from labctl.errors import StorageError


async def can_connect(address: Address) -> bool:
    try:
        async with aiomqtt.Client(
            address.host, address.port, username=address.username, password=address.password, timeout=0.3
        ):
            return True
    except aiomqtt.MqttError:
        return False


async def test_only_the_credentials_of_the_runtime_file_open_it(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "run")
    address = await asyncio.to_thread(broker.start)
    try:
        assert address.host == "127.0.0.1"
        for path in (tmp_path / "run").iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert Address.read(broker.runtime_file) == address
        assert await can_connect(address)
        assert not await can_connect(Address(address.host, address.port))
        assert not await can_connect(Address(address.host, address.port, "labctl", "guess"))
    finally:
        broker.stop()

    again = Broker(tmp_path / "run")
    try:
        assert await asyncio.to_thread(again.start) == address, "its users find it where it was"
    finally:
        again.stop()


def test_a_port_in_use_is_told_where_it_was_asked_for(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StorageError, match=f"did not start on 127.0.0.1:{port}"):
            Broker(tmp_path, port).start()


async def test_a_broker_that_died_comes_back_at_its_address(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    address = await asyncio.to_thread(broker.start)
    service = asyncio.create_task(broker.serve())
    assert broker._broker is not None
    first = broker._broker._process
    assert first is not None
    first.kill()
    first.wait()
    async with asyncio.timeout(10):
        while not await can_connect(address):
            await host_sleep(0.02)
    service.cancel()
    await asyncio.wait([service])
    assert not await can_connect(address)
