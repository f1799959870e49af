"""From an alarm to the bus and to people: what concerns whom, and that a daemon does it."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from labctl.alerts.alerts import Alerts
from labctl.alerts.courier import Courier
from labctl.alerts.digest import Message
from labctl.alerts.words import Sender
from labctl.api import AlertChange
from labctl.bus.base import BusDown
from labctl.bus.local import LocalBus
from labctl.bus.topics import Process
from labctl.clock import host_sleep
from labctl.config import load
from labctl.daemon.alarms import AlarmBook
from labctl.reading import Severity
from labctl.settings import AlertsConfig
from tests.daemon.lab import living
from tests.stations import CONFIG

from .servers import Posts, alert, tcp_server

PROCESS = Process("demo", "pc")


@dataclass
class Way:
    name: str = "way"
    taken: list[Message] = field(default_factory=list)

    async def send(self, _sender: Sender, message: Message) -> None:
        self.taken.append(message)


class Inbox:
    """What was said on the alert topics."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, topic: str, payload: bytes) -> None:
        self.said.append((topic, orjson.loads(payload)))

    async def has(self, number: int) -> None:
        async with asyncio.timeout(10.0):
            while len(self.said) < number:
                await host_sleep(0.001)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, {"A1 alarm raised", "A1 alarm cleared", "A2 warning raised"}),
        ({"severity": "alarm"}, {"A1 alarm raised", "A1 alarm cleared"}),
        ({"severity": "info", "resolved": False}, {"A1 alarm raised", "A2 warning raised", "A3 info raised"}),
        ({"stations": ["A2"]}, {"A2 warning raised"}),
    ],
)
def test_people_are_told_what_they_asked_for(config: dict[str, object], told: set[str]) -> None:
    way = Way()
    alerts = Alerts(AlertsConfig.model_validate(config), LocalBus(), PROCESS, [way])
    heard: list[str] = []
    alerts._couriers[0].take = lambda alert: heard.append(  # type: ignore[method-assign]
        f"{alert.alarm.station} {alert.alarm.severity} {alert.change}"
    )
    everything: list[tuple[str, Severity, AlertChange]] = [
        ("A1", Severity.ALARM, "raised"),
        ("A1", Severity.ALARM, "cleared"),
        ("A2", Severity.WARNING, "raised"),
        ("A3", Severity.INFO, "raised"),
    ]
    for station, severity, change in everything:
        alerts.tell(change, alert(station=station, severity=severity).alarm)
    assert set(heard) == told


async def test_an_alarm_is_said_on_its_topic_when_it_is_raised_clears_and_is_acknowledged(tmp_path: Path) -> None:
    bus, inbox = LocalBus(), Inbox()
    await bus.subscribe("labctl/demo/pc/+/alerts", inbox)
    alerts = Alerts(AlertsConfig(), bus, PROCESS, [])
    book = AlarmBook(tmp_path / "alarms.json", alerts.tell)
    service = asyncio.create_task(alerts.serve())
    for _ in range(2):
        book.sound("A1", "cycler", "It does not answer.", Severity.WARNING, "tried again", latched=False)
    book.clear("A1", "cycler")
    book.acknowledge("A1", (), "anna", "plug")
    await inbox.has(3)
    service.cancel()
    await asyncio.wait([service])
    assert [(topic, said["change"], said["alarm"]["active"]) for topic, said in inbox.said] == [
        ("labctl/demo/pc/A1/alerts", "raised", True),
        ("labctl/demo/pc/A1/alerts", "cleared", False),
        ("labctl/demo/pc/A1/alerts", "acknowledged", False),
    ]
    assert inbox.said[-1][1]["alarm"]["acknowledged_reason"] == "plug"


async def test_alerts_wait_for_a_broker_that_is_away() -> None:
    class Away(LocalBus):
        down = 2

        async def publish(self, topic: str, payload: bytes) -> None:
            if self.down:
                self.down -= 1
                raise BusDown("The broker is away.")
            await super().publish(topic, payload)

    bus, inbox = Away(), Inbox()
    await bus.subscribe("#", inbox)
    alerts = Alerts(AlertsConfig(), bus, PROCESS, [])
    service = asyncio.create_task(alerts.serve())
    for quantity in ("voltage", "torque"):
        alerts.tell("raised", alert(quantity).alarm)
    await inbox.has(2)
    service.cancel()
    await asyncio.wait([service])
    assert [said["alarm"]["quantity"] for _, said in inbox.said] == ["voltage", "torque"]


def test_a_loose_plug_fills_no_book(tmp_path: Path) -> None:
    book = AlarmBook(tmp_path / "alarms.json")
    for number in range(100):
        book.sound("A1", "cycler", f"It does not answer ({number}).", Severity.WARNING, "tried again", latched=False)
        book.clear("A1", "cycler")
    (alarm,) = book.of("A1")
    assert (alarm.sentence, alarm.active) == ("It does not answer (99).", False)


async def test_a_daemon_tells_a_webhook_and_says_when_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("labctl.alerts.alerts.Courier", partial(Courier, gather=0.0))
    posts = Posts(("500 Oops", "200 OK"))
    async with tcp_server(posts.serve) as port:
        file = tmp_path / "config.toml"
        way = f'\n[alerts.webhook]\nurl = "http://127.0.0.1:{port}/"\n'
        file.write_text(CONFIG.read_text("utf-8") + way, "utf-8")
        config = load(file)
        async with living(tmp_path, config=config) as here:
            station = next(iter(config.stations))
            inbox = Inbox()
            await here.bus.subscribe(f"labctl/+/+/{station}/alerts", inbox)
            here.daemon._keepers[station]._sound("voltage", "It is too high.", "opened", latched=True)
            await inbox.has(1)
            async with asyncio.timeout(30.0):
                while here.lab.daemon is None or "status 500" not in here.lab.daemon.alerts:
                    await here.lab.changed()
    assert b"It is too high." in posts.bodies[0]
