"""All alerts of a daemon: what concerns whom, over the bus and every configured way, without holding anybody up."""

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from labctl.alerts.channel import Channel
from labctl.alerts.courier import Courier
from labctl.alerts.mail import Mail
from labctl.alerts.webhook import Webhook
from labctl.alerts.words import Sender
from labctl.api import Alarm, Alert, AlertChange
from labctl.bus.base import Bus, BusDown
from labctl.bus.topics import Process, Station
from labctl.clock import host_sleep, host_unix
from labctl.reading import Severity
from labctl.settings import AlertsConfig

MOST_FOR_THE_BUS = 1000
"""Alerts that wait for the broker; of more the oldest go: what stands is in the retained states."""

_PAUSE = 0.05
_LOUDNESS = list(Severity)


def channels(config: AlertsConfig, folder: Path) -> list[Channel]:
    """Return the ways that a configuration names; opens nothing."""
    named: list[Channel] = []
    if config.mail is not None:
        named.append(Mail(config.mail, folder))
    if config.webhook is not None:
        named.append(Webhook(config.webhook, folder))
    return named


class Alerts:
    """Tells what happens to alarms.

    Args:
        ways: beyond the bus.
    """

    def __init__(self, config: AlertsConfig, bus: Bus, process: Process, ways: Sequence[Channel]) -> None:
        self._config = config
        self._bus = bus
        self._process = process
        self._couriers = [Courier(way, Sender(process.site, process.name), config.hourly) for way in ways]
        self._for_the_bus: deque[Alert] = deque(maxlen=MOST_FOR_THE_BUS)
        self._news = asyncio.Event()

    @property
    def trouble(self) -> str:
        """Why alerts do not reach people, as sentences; empty while they do."""
        return " ".join(courier.trouble for courier in self._couriers if courier.trouble)

    def tell(self, change: AlertChange, alarm: Alarm) -> None:
        """Tell of an alarm; returns at once and never fails."""
        alert = Alert(schema=1, change=change, said_unix_second=host_unix(), alarm=alarm)
        self._for_the_bus.append(alert)
        self._news.set()
        if self._concerns_people(alert):
            for courier in self._couriers:
                courier.take(alert)

    async def serve(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish(), name="alerts on the bus")
            for courier in self._couriers:
                group.create_task(courier.serve(), name="alerts")

    def _concerns_people(self, alert: Alert) -> bool:
        config, alarm = self._config, alert.alarm
        return (
            _LOUDNESS.index(alarm.severity) >= _LOUDNESS.index(config.severity)
            and (not config.stations or alarm.station in config.stations)
            and (config.resolved or alert.change == "raised")
        )

    async def _publish(self) -> None:
        while True:
            while self._for_the_bus:
                alert = self._for_the_bus.popleft()
                topic = Station(self._process, alert.alarm.station).alerts
                try:
                    await self._bus.publish(topic, alert.model_dump_json(by_alias=True).encode())
                except BusDown:
                    if len(self._for_the_bus) < MOST_FOR_THE_BUS:
                        self._for_the_bus.appendleft(alert)
                    await host_sleep(_PAUSE)
                    await self._bus.connected()
            self._news.clear()
            await self._news.wait()
