"""A broker that lies: a proxy between a client and a real broker, which keeps none of the promises of QoS 1.

It confirms messages to who sends them and loses them, delivers others twice, and changes their order, in both
directions. What is no PUBLISH with QoS 1 passes as it is. MQTT 3.1.1, sections 2.2 and 3.3.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

from labctl.bus.address import Address

PUBLISH, PUBACK = 3, 4
HELD = 0.02
"""Seconds after which a message that is held back comes all the same."""


class Liar:
    """Counts its lies; it is honest when `honest` is set, so that everything can come to an end.

    Args:
        odds: of losing, doubling and holding back a message.
    """

    def __init__(self, broker: Address, random: Random, odds: tuple[float, float, float] = (0.15, 0.15, 0.2)) -> None:
        self.lost = self.doubled = self.reordered = 0
        self.honest = False
        self._broker = broker
        self._random = random
        self._odds = odds
        self._carriers: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Address]:
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield Address("127.0.0.1", port, self._broker.username, self._broker.password)
        finally:
            server.close()
            for carrier in self._carriers:
                carrier.cancel()
            if self._carriers:
                await asyncio.wait(self._carriers)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None
        self._carriers.add(me)
        with suppress(asyncio.CancelledError):
            await self._carry_both(reader, writer)
        self._carriers.discard(me)

    async def _carry_both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._broker.host, self._broker.port)
        ways = [
            asyncio.create_task(self._lie(reader, there[1], back=writer)),
            asyncio.create_task(self._lie(there[0], writer, back=there[1])),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            for each in (writer, there[1]):
                each.close()
                with suppress(OSError):
                    await each.wait_closed()

    async def _lie(
        self, reader: asyncio.StreamReader, onward: asyncio.StreamWriter, *, back: asyncio.StreamWriter
    ) -> None:
        """Carry one direction; `back` leads to who sends."""
        held = bytearray()

        def let_go() -> None:
            if not onward.is_closing():
                onward.write(bytes(held))
            held.clear()

        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head, body = await _packet(reader)
                packet, fate = head + body, self._random.random()
                lose, double, hold = self._odds
                if self.honest or head[0] >> 4 != PUBLISH or head[0] >> 1 & 3 != 1:
                    onward.write(packet)
                elif fate < lose:
                    self.lost += 1
                    topic = int.from_bytes(body[:2], "big")
                    back.write(bytes([PUBACK << 4, 2]) + body[2 + topic : 4 + topic])
                elif fate < lose + double:
                    self.doubled += 1
                    onward.write(packet + packet)
                elif fate < lose + double + hold and not held:
                    self.reordered += 1
                    held += packet
                    asyncio.get_running_loop().call_later(HELD, let_go)
                    continue
                else:
                    onward.write(packet)
                let_go()


async def _packet(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return fixed header and the rest of one packet."""
    head = await reader.readexactly(1)
    length, shift = 0, 0
    while True:
        byte = await reader.readexactly(1)
        head += byte
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return head, await reader.readexactly(length)
