"""A way out that fails, hangs or breaks is tried again until it has everything, and nobody waits for it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from labctl.alerts.channel import Undelivered
from labctl.alerts.courier import Courier
from labctl.alerts.digest import Message
from labctl.alerts.webhook import Webhook
from labctl.alerts.words import Sender
from labctl.clock import host_sleep
from labctl.settings import WebhookConfig

from .servers import ME, Posts, alert, tcp_server


class Way:
    """Does with each message what stands in its list, and delivers from then on."""

    name = "way"

    def __init__(self, *doings: str) -> None:
        self.delivered: list[Message] = []
        self.tries = 0
        self._doings = iter(doings)

    async def send(self, _sender: Sender, message: Message) -> None:
        self.tries += 1
        match next(self._doings, ""):
            case "refuse":
                raise Undelivered("The way is closed.")
            case "hang":
                await asyncio.Event().wait()
            case "break":
                raise KeyError("a bug")
        self.delivered.append(message)

    async def has(self, number: int) -> None:
        async with asyncio.timeout(10.0):
            while len(self.delivered) < number:
                await host_sleep(0.001)


@asynccontextmanager
async def serving(way: Way | Webhook) -> AsyncIterator[Courier]:
    courier = Courier(way, ME, 20, gather=0.0, patience=0.02, first_pause=0.001)
    service = asyncio.create_task(courier.serve())
    try:
        yield courier
    finally:
        service.cancel()
        with suppress(asyncio.CancelledError):
            await service


async def test_what_fails_is_tried_again_with_what_has_come_meanwhile(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    way = Way("refuse", "hang", "break", "refuse")
    async with serving(way) as courier:
        courier.take(alert(sentence="first"))
        while way.tries < 2:
            await host_sleep(0.001)
        assert courier.trouble == "The way is closed."
        courier.take(alert("torque", "second"))
        courier.take(alert(sentence="third"))
        await way.has(1)
        assert courier.trouble == ""
    (message,) = way.delivered
    assert [(line.alert.alarm.sentence, line.times) for line in message.lines] == [("third", 2), ("second", 1)]
    assert [record.levelname for record in caplog.records] == [
        "WARNING",
        "WARNING",
        "ERROR",
        "WARNING",
        "WARNING",
        "INFO",
    ]


async def test_a_server_that_answers_500_gets_the_alert_once_it_is_well() -> None:
    posts = Posts(("500 Oops", "503 Later", "200 OK"))
    async with tcp_server(posts.serve) as port:
        way = Webhook(WebhookConfig(url=f"http://127.0.0.1:{port}/"), Path())
        courier = Courier(way, ME, 20, gather=0.0, first_pause=0.001)
        service = asyncio.create_task(courier.serve())
        courier.take(alert())
        async with asyncio.timeout(10.0):
            while len(posts.bodies) < 3 or courier.trouble:
                await host_sleep(0.001)
        service.cancel()
        await asyncio.wait([service])
    assert len({body.split(b'"text"')[1] for body in posts.bodies}) == 1


async def test_ten_thousand_alerts_while_a_server_hangs_cost_nobody_anything() -> None:
    way = Way(*["hang"] * 3)
    async with serving(way) as courier:
        for number in range(10_000):
            courier.take(alert(f"q{number}"))
        await way.has(1)
    (message,) = way.delivered
    assert sum(message.told.values()) + message.lost == 10_000
    assert len(message.told) == 500
