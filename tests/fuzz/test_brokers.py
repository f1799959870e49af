"""Over real brokers: messages that are too long, binary topics, and retained garbage wherever somebody listens."""

import asyncio
import struct
from pathlib import Path

import pytest

from labctl.bus.address import Address
from labctl.bus.codec import PAYLOAD_LIMIT
from labctl.bus.topics import Process, Station
from labctl.client import over
from labctl.clock import host_sleep
from labctl.config import load
from labctl.daemon.daemon import Daemon
from labctl.lab.laboratory import Pace
from labctl.lab.recording import journals_of, process_of
from labctl.record.datapath import open_data_path
from tests.bus.test_mqtt import AnyBroker, Inbox, connected
from tests.stations import CONFIG

from .mutate import TRAPS


class RawClient:
    """Speaks MQTT 3.1.1 by hand, and so says what a library would not."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def of(cls, address: Address) -> "RawClient":
        reader, writer = await asyncio.open_connection(address.host, address.port)
        words = [b"fuzz", str(address.username).encode(), str(address.password).encode()]
        body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + b"".join(struct.pack(">H", len(word)) + word for word in words)
        writer.write(b"\x10" + bytes([len(body)]) + body)
        assert (await reader.readexactly(4))[3] == 0
        return cls(reader, writer)

    async def publish(self, topic: bytes, payload: bytes) -> None:
        """Publish at QoS 0; whatever the broker thinks of it."""
        body, length = struct.pack(">H", len(topic)) + topic + payload, bytearray()
        left = len(body)
        while True:
            left, seven = divmod(left, 128)
            length.append(seven | (0x80 if left else 0))
            if not left:
                break
        self._writer.write(b"\x30" + length + body)
        try:
            await self._writer.drain()
            await asyncio.wait_for(self._reader.read(64), 0.02)
        except (ConnectionError, TimeoutError):
            pass

    def close(self) -> None:
        self._writer.close()


TOPICS = [
    b"labctl/lab/+/x",
    b"labctl/#",
    b"labctl/\xff\xfe/x",
    b"labctl/\x00/x",
    b"",
    b"labctl/" + b"y" * 60_000,
    b"/" * 500,
]


async def test_what_no_library_would_say_hurts_no_connection_but_its_own(broker: AnyBroker) -> None:
    async with connected(broker.address) as bus, connected(broker.address) as other:
        inbox = Inbox()
        await bus.subscribe("labctl/#", inbox)
        for topic in TOPICS:
            raw = await RawClient.of(broker.address)
            await raw.publish(topic, b"x")
            raw.close()
        raw = await RawClient.of(broker.address)
        await raw.publish(b"labctl/lab/x/state", b"z" * (2 * PAYLOAD_LIMIT))
        raw.close()
        await other.publish("labctl/lab/x/state", b"well")
        await inbox.has("labctl/lab/x/state", b"well")


async def test_a_receiver_that_fails_ends_nothing(broker: AnyBroker) -> None:
    def fails(_topic: str, _payload: bytes) -> None:
        raise KeyError("a bug")

    async with connected(broker.address) as bus:
        inbox = Inbox()
        await bus.subscribe("labctl/#", fails)
        await bus.subscribe("labctl/#", inbox)
        await bus.publish("labctl/x", b"1")
        await inbox.has("labctl/x", b"1")
        await bus.publish("labctl/x", b"2")
        await inbox.has("labctl/x", b"2")
        assert bus.session == 1


@pytest.mark.timeout(60)
async def test_a_daemon_and_a_client_begin_among_retained_garbage(
    broker: AnyBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    config = load(CONFIG)
    process = process_of(config)
    station = Station(process, next(iter(config.stations)))
    ghost = Station(Process(process.site, "ghost"), "S")
    topics = [
        process.state, process.alive, process.command("admin", "eve"), process.watermark("x"), station.state,
        station.events, station.readings, station.alerts, ghost.state, ghost.process.state, ghost.process.alive,
        f"labctl/{process.site}//state", f"labctl/{process.site}/\u202e/\x1b[2J/state",
    ]  # fmt: skip
    async with connected(broker.address) as bus:
        for trap in (*TRAPS, b'{"schema":1,"alive":true}', b"z" * PAYLOAD_LIMIT):
            for topic in topics:
                await bus.retain(topic, trap)
        garbage = bus._retained.copy()
        assert len(garbage) == len(topics)
    ready, end = asyncio.Event(), asyncio.Event()
    daemon = Daemon(config, CONFIG, Pace(in_memory=True, seed=1), lambda where: ready.set())
    async with (
        connected(broker.address, process.alive) as bus,
        open_data_path(bus, process, journals_of(config.storage.database), config.storage.database) as path,
    ):
        life = asyncio.create_task(daemon.serve_on(bus, "here", path, end))
        async with connected(broker.address) as line, over(line, process.site) as lab, asyncio.timeout(40):
            await ready.wait()
            while process.name not in lab.hosts or station.station not in lab.stations or not lab.daemon:
                await host_sleep(0.02)
            await lab.runs()
            assert lab.refused > 0
        end.set()
        await life
