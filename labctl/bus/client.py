"""A connection to a broker that comes back by itself; the only place that speaks MQTT."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import aiomqtt

from labctl.bus.address import Address
from labctl.bus.base import BusDown, Receive
from labctl.bus.codec import encode_state
from labctl.bus.tls import context
from labctl.bus.topics import matches
from labctl.clock import host_sleep
from labctl.logs import Log

_log = Log(__name__)

T = TypeVar("T")

_MOST_TOPICS = 10_000
"""Topics whose receivers are remembered."""

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_PATIENCE = 5.0
"""Seconds that the broker may take for one answer."""
_PATIENCE_AT_THE_END = 0.5
_REFUSED = 0x80
"""Return code of a subscription that the broker does not allow (MQTT 3.1.1, section 3.9.3)."""


class MqttBus:
    """Implements `labctl.bus.base.Bus` over MQTT 3.1.1, QoS 1.

    Args:
        address: of the broker.
        alive: topic of this process's liveness, retained: true while connected, false by its last will or its end.
    """

    def __init__(self, address: Address, alive: str | None = None) -> None:
        self.session = 0
        self.trouble = f"{address} has not answered yet."
        self._address = address
        self._tls = context(address)
        self._alive = alive
        self._client: aiomqtt.Client | None = None
        self._up = asyncio.Event()
        self._publishing: set[asyncio.Timeout] = set()
        self._subscriptions: list[tuple[str, Receive]] = []
        self._receivers: dict[str, list[Receive]] = {}
        self._retained: dict[str, bytes] = {}

    async def serve(self) -> None:
        """Connect, and connect again, until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            before = self.session
            try:
                await self._hold_connection()
            except aiomqtt.MqttError as error:
                if _is_cancelled():  # aiomqtt says this instead where the broker does not take leave in time
                    raise asyncio.CancelledError from None
                self.trouble = self._why_not(error)
            finally:
                self._client = None
                self._up.clear()
                self._give_up_publishing()
            pause = _FIRST_PAUSE if self.session != before else min(2 * pause, _LONGEST_PAUSE)
            await host_sleep(pause)

    def _why_not(self, error: aiomqtt.MqttError) -> str:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            return f"{self._address} does not answer: {error}."
        return f"{self._address} is not trusted, and nothing was said to it: {cause.verify_message}."

    async def connected(self) -> int:
        """Wait until there is a connection and return its session."""
        await self._up.wait()
        return self.session

    async def publish(self, topic: str, payload: bytes) -> None:
        """Hand a message to the broker and wait for its acknowledgement."""
        await self._publish(topic, payload, retain=False)

    async def retain(self, topic: str, payload: bytes) -> None:
        """Set the lasting message of a topic; without a connection it waits for the next one."""
        self._retained[topic] = payload
        if self._client is not None:
            with suppress(BusDown):
                await self._publish(topic, payload, retain=True)

    async def subscribe(self, pattern: str, receive: Receive) -> None:
        """Subscribe now, if there is a connection, and at each new one."""
        self._subscriptions.append((pattern, receive))
        self._receivers.clear()
        if self._client is not None:
            with suppress(aiomqtt.MqttError):
                await self._subscribe(self._client, pattern)

    async def unsubscribe(self, pattern: str, receive: Receive) -> None:
        """End a subscription; a hung broker is not waited for."""
        self._subscriptions.remove((pattern, receive))
        self._receivers.clear()
        if self._client is not None and all(pattern != other for other, _ in self._subscriptions):
            with suppress(aiomqtt.MqttError):
                await _answer(self._client.unsubscribe(pattern, timeout=_PATIENCE_AT_THE_END))

    async def _publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        if self._client is None:
            raise BusDown(self.trouble)
        try:
            async with asyncio.timeout(None) as patience:
                self._publishing.add(patience)
                try:
                    await _answer(self._client.publish(topic, payload, qos=1, retain=retain))
                finally:
                    self._publishing.discard(patience)
        except TimeoutError:
            raise BusDown(f"{self._address} went away with a message.") from None
        except aiomqtt.MqttError as error:
            raise BusDown(f"{self._address} did not take a message: {error}.") from error

    def _give_up_publishing(self) -> None:
        """End what awaits an acknowledgement that will not come: aiomqtt would wait for its whole time-out."""
        for patience in self._publishing:
            patience.reschedule(0.0)
        self._publishing.clear()

    async def _hold_connection(self) -> None:
        async with self._new_client() as client:
            if _is_cancelled():
                raise asyncio.CancelledError
            for pattern, _ in self._subscriptions:
                await self._subscribe(client, pattern)
            if self._alive is not None:
                self._retained[self._alive] = encode_state({"alive": True})
            self._client = client
            for topic in list(self._retained):  # its value now: `retain` may be called while this waits
                await _answer(client.publish(topic, self._retained[topic], qos=1, retain=True))
            self.session += 1
            self.trouble = ""
            self._up.set()
            try:
                async for _ in client.messages:  # until the connection ends: every message is handed on before
                    pass
            except asyncio.CancelledError:
                await self._say_goodbye(client)
                raise

    def _new_client(self) -> aiomqtt.Client:
        will = None if self._alive is None else aiomqtt.Will(self._alive, _DEAD, qos=1, retain=True)
        client = aiomqtt.Client(
            self._address.host,
            self._address.port,
            username=self._address.username,
            password=self._address.password,
            tls_context=self._tls,
            will=will,
            timeout=_PATIENCE,
            keepalive=10,
            queue_type=_queue_before(self._dispatch),
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        client.pending_calls_threshold = 1000  # as many stations may await an acknowledgement at the same time
        return client

    async def _subscribe(self, client: aiomqtt.Client, pattern: str) -> None:
        granted = await _answer(client.subscribe(pattern, qos=1))
        if _REFUSED in granted:
            raise aiomqtt.MqttError(f"it refuses the subscription to {pattern}; check the user's rights")

    def _dispatch(self, message: aiomqtt.Message) -> None:
        topic = message.topic.value
        payload = message.payload if isinstance(message.payload, bytes) else b""
        receivers = self._receivers.get(topic)
        if receivers is None:  # found once for each topic: hundreds of runs subscribe, each to its own watermarks
            receivers = [receive for pattern, receive in self._subscriptions if matches(pattern, topic)]
            if len(self._receivers) >= _MOST_TOPICS:
                self._receivers.clear()
            self._receivers[topic] = receivers
        for receive in receivers:
            try:
                receive(topic, payload)
            except Exception as error:  # noqa: BLE001 - no message may end the connection of everybody else
                _log.bug("bus.receiver", "a message was dropped: the program itself failed on it", error, topic=topic)

    async def _say_goodbye(self, client: aiomqtt.Client) -> None:
        """Say what the will would have said, which an orderly end does not send; do not wait for a hung broker."""
        client.timeout = _PATIENCE_AT_THE_END
        if self._alive is not None:
            with suppress(aiomqtt.MqttError):
                await client.publish(self._alive, _DEAD, qos=1, retain=True)


def _queue_before(receive: Callable[[aiomqtt.Message], None]) -> type[asyncio.Queue[aiomqtt.Message]]:
    """Return a queue that hands every message to `receive` instead of keeping it.

    Iterating over aiomqtt's own takes a turn of the event loop for each message: a busy process falls behind for ever.
    """

    class Handover(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            receive(item)

    return Handover


def _is_cancelled() -> bool:
    return _cancellations() > 0


def _cancellations() -> int:
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


async def _answer(question: Awaitable[T]) -> T:
    """Await what aiomqtt awaits with `asyncio.wait_for`, which loses a cancellation that comes with the answer."""
    before = _cancellations()
    answer = await question
    if _cancellations() > before:
        raise asyncio.CancelledError
    return answer


_DEAD = encode_state({"alive": False})
