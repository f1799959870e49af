"""The way to a laboratory: from its configuration to a client that is connected to its broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from labctl.bus.address import Address
from labctl.bus.base import Bus
from labctl.bus.client import MqttBus
from labctl.client.lab import Lab
from labctl.client.requests import START_IT, NoDaemon
from labctl.settings import LabSettings, find, load_settings

PATIENCE = 3.0
"""Host seconds in which a daemon is found, or said to be absent."""


@asynccontextmanager
async def connect(
    config: Path | None = None, *, user: str | None = None, patience: float = PATIENCE
) -> AsyncIterator[Lab]:
    """Connect to the laboratory of a configuration while the block runs, by itself again whenever it was cut off.

    Args:
        config: a config.toml; None takes the one that applies here, as the commands do.
        user: in whose name commands are given; None is who is logged in.
        patience: host seconds in which the daemon must be found.

    Raises:
        ConfigError: the configuration is wrong.
        NoDaemon: no daemon of this site is alive.
    """
    settings = load_settings(config or find())
    bus = MqttBus(_address(settings))
    async with over(bus, settings.lab.site, user=user) as lab:
        service = asyncio.create_task(bus.serve(), name="bus")
        try:
            await _find_daemon(lab, bus, settings, patience)
            yield lab
        finally:
            service.cancel()
            await asyncio.wait([service])


@asynccontextmanager
async def over(bus: Bus, site: str, *, user: str | None = None) -> AsyncIterator[Lab]:
    """Use a bus that somebody else serves; nothing is waited for."""
    lab = Lab(bus, site, user=user)
    await lab.subscribe()
    try:
        yield lab
    finally:
        await lab.unsubscribe()


def _address(settings: LabSettings) -> Address:
    """Return the broker's address: an embedded one has left it in the daemon's runtime file."""
    if settings.bus.broker != "embedded":
        return Address.parse(settings.bus.broker)
    file = settings.storage.folder / "run" / "broker" / "broker.json"
    if not file.exists():
        raise NoDaemon(f"No daemon of site {settings.lab.site} has run here yet: there is no {file}.", START_IT)
    return Address.read(file)


async def _find_daemon(lab: Lab, bus: Bus, settings: LabSettings, patience: float) -> None:
    """Wait until a live daemon and all of its stations have been heard, or at least the daemon."""
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await bus.connected()  # retained states may come before the session counts
            while not lab.complete:
                await lab.changed()
    if not lab.alive:
        why = lab.trouble or f"The broker at {settings.bus.broker.rpartition('@')[2]} knows of none that is alive."
        raise NoDaemon(f"No daemon of site {settings.lab.site} answers. {why}", START_IT)
