"""The bus over real brokers: sessions, subscriptions and retained state that survive them, liveness, readability."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import orjson
import pytest

from labctl.bus.address import Address
from labctl.bus.base import BusDown
from labctl.bus.client import MqttBus, _answer
from labctl.bus.codec import PAYLOAD_LIMIT, encode_readings
from labctl.bus.topics import Process, Station
from tests.laboratory import IotcoreBroker, MosquittoBroker, new_run, reading

AnyBroker = IotcoreBroker | MosquittoBroker


@asynccontextmanager
async def connected(address: Address, alive: str | None = None) -> AsyncIterator[MqttBus]:
    bus = MqttBus(address, alive)
    service = asyncio.create_task(bus.serve())
    async with asyncio.timeout(10):
        await bus.connected()
    try:
        yield bus
    finally:
        service.cancel()
        await asyncio.wait([service])


async def down(bus: MqttBus) -> None:
    """Publish until the bus says that it cannot."""
    with suppress(BusDown):
        async with asyncio.timeout(10):
            while True:
                await bus.publish("labctl/x", b"lost")


class Inbox:
    """Collects messages and waits for them."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._news = asyncio.Event()

    def __call__(self, topic: str, payload: bytes) -> None:
        self.messages.append((topic, payload))
        self._news.set()

    async def has(self, topic: str, payload: bytes) -> None:
        async with asyncio.timeout(10):
            while (topic, payload) not in self.messages:
                self._news.clear()
                await self._news.wait()


async def test_messages_arrive_in_order_up_to_the_limit_of_a_payload(broker: AnyBroker) -> None:
    async with connected(broker.address) as sender, connected(broker.address) as receiver:
        inbox = Inbox()
        await receiver.subscribe("labctl/+/x", inbox)
        for number in range(100):
            await sender.publish("labctl/a/x", b"%d" % number)
        big = b"1" * PAYLOAD_LIMIT
        await sender.publish("labctl/b/x", big)
        await inbox.has("labctl/b/x", big)
        assert [int(payload) for _, payload in inbox.messages[:-1]] == list(range(100))
        assert sender.session == receiver.session == 1


async def test_who_subscribes_later_gets_what_others_get_already_and_who_left_gets_nothing(broker: AnyBroker) -> None:
    async with connected(broker.address) as bus:
        first, second = Inbox(), Inbox()
        await bus.subscribe("labctl/+/x", first)
        await bus.publish("labctl/a/x", b"1")
        await first.has("labctl/a/x", b"1")
        await bus.subscribe("labctl/a/+", second)
        await bus.publish("labctl/a/x", b"2")
        await second.has("labctl/a/x", b"2")
        await bus.unsubscribe("labctl/+/x", first)
        await bus.publish("labctl/a/x", b"3")
        await second.has("labctl/a/x", b"3")
        assert first.messages[-1] == ("labctl/a/x", b"2")


async def test_a_restarted_broker_is_a_new_session_with_all_subscriptions_and_retained_state(
    broker: AnyBroker,
) -> None:
    async with connected(broker.address, "labctl/lab/pc/alive") as bus, connected(broker.address) as other:
        inbox = Inbox()
        await other.subscribe("labctl/#", inbox)
        await bus.retain("labctl/lab/pc/A1/state", b'{"step":1}')
        await inbox.has("labctl/lab/pc/A1/state", b'{"step":1}')
        await asyncio.to_thread(broker.kill)
        await down(bus)
        await bus.retain("labctl/lab/pc/A1/state", b'{"step":2}')
        inbox.messages.clear()
        await asyncio.to_thread(broker.start)
        await inbox.has("labctl/lab/pc/A1/state", b'{"step":2}')
        await inbox.has("labctl/lab/pc/alive", b'{"schema":1,"alive":true}')
        assert bus.session == 2
        async with connected(broker.address) as late:
            retained = Inbox()
            await late.subscribe("labctl/lab/pc/A1/state", retained)
            await retained.has("labctl/lab/pc/A1/state", b'{"step":2}')


async def test_the_end_of_a_process_is_told_orderly_or_not(broker: AnyBroker) -> None:
    alive = "labctl/lab/pc/alive"
    async with connected(broker.address) as watcher:
        inbox = Inbox()
        await watcher.subscribe(alive, inbox)
        async with connected(broker.address, alive):
            await inbox.has(alive, b'{"schema":1,"alive":true}')
        await inbox.has(alive, b'{"schema":1,"alive":false}')
        inbox.messages.clear()
        async with connected(broker.address, alive) as dying:
            await inbox.has(alive, b'{"schema":1,"alive":true}')
            assert dying._client is not None
            sock = dying._client._client.socket()
            assert sock is not None
            sock.shutdown(2)
            await inbox.has(alive, b'{"schema":1,"alive":false}')


async def test_an_ended_subscription_delivers_no_more(broker: AnyBroker) -> None:
    async with connected(broker.address) as bus:
        ended, going_on = Inbox(), Inbox()
        await bus.subscribe("labctl/a", ended)
        await bus.subscribe("labctl/b", going_on)
        await bus.unsubscribe("labctl/a", ended)
        await bus.publish("labctl/a", b"1")
        await bus.publish("labctl/b", b"2")
        await going_on.has("labctl/b", b"2")
        assert ended.messages == []


async def test_a_broker_that_is_not_there_is_named() -> None:
    bus = MqttBus(Address("127.0.0.1", 1))
    service = asyncio.create_task(bus.serve())
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await bus.connected()
    with pytest.raises(BusDown, match=r"mqtt://127\.0\.0\.1:1 does not answer: .*refused"):
        await bus.publish("labctl/x", b"")
    service.cancel()
    await asyncio.wait([service])


async def test_mosquitto_sub_shows_a_readable_line(broker: AnyBroker) -> None:
    program = shutil.which("mosquitto_sub")
    if program is None:
        pytest.skip("mosquitto_sub is not installed (apt-get install mosquitto-clients)")
    address, station = broker.address, Station(Process("lab", "pc"), "A1")
    run = new_run()
    async with connected(address) as bus:
        await bus.retain(station.state, b'{"schema":1}')
        line = await asyncio.create_subprocess_exec(
            program, "-h", address.host, "-p", str(address.port), "-u", str(address.username), "-P",
            str(address.password), "-t", "labctl/#", "-v", "-q", "1", "-C", "2", stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert line.stdout is not None
        assert await line.stdout.readline() == b'labctl/lab/pc/A1/state {"schema":1}\n'
        await bus.publish(
            station.readings, encode_readings(run, 0, 1, [orjson.dumps(reading(1).values)], simulated=True)
        )
        topic, text = (await line.stdout.readline()).split(b" ", 1)
        await line.wait()
    message = orjson.loads(text)
    assert topic == b"labctl/lab/pc/A1/readings"
    assert dict(zip(message["columns"], message["rows"][0], strict=True))["voltage_volt"] == reading(1).values[6]


async def test_a_cancellation_that_comes_with_the_answer_is_not_lost() -> None:
    async def swallows() -> str:
        with suppress(asyncio.CancelledError):  # as asyncio.wait_for of Python 3.11 does in that case
            await asyncio.Event().wait()
        return "answer"

    question = asyncio.create_task(_answer(swallows()))
    await asyncio.sleep(0)
    question.cancel()
    await asyncio.wait([question])
    assert question.cancelled()
    assert await _answer(asyncio.sleep(0, "answer")) == "answer"
