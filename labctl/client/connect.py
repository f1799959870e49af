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
from labctl.errors import StorageError
from labctl.roles import Role
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
        user: in whose name commands are given; None is who is logged in, or the user that the broker knows.
        patience: host seconds in which the daemon must be found.

    Raises:
        ConfigError: the configuration is wrong.
        NoDaemon: no daemon of this site is alive.
        StorageError: the broker may not be used like this.
    """
    path = config or find()
    settings = load_settings(path)
    address = _address(settings, path.parent)
    bus = MqttBus(address)
    folders = settings.protocols.search_path(path.parent)
    who, role = _user(address, user), address.role or "admin"
    async with over(bus, settings.lab.site, user=who, role=role, folders=folders) as lab:
        service = asyncio.create_task(bus.serve(), name="bus")
        try:
            await _find_daemon(lab, bus, settings, address, patience)
            yield lab
        finally:
            service.cancel()
            await asyncio.wait([service])


@asynccontextmanager
async def over(
    bus: Bus, site: str, *, user: str | None = None, role: Role = "admin", folders: tuple[Path, ...] = ()
) -> AsyncIterator[Lab]:
    """Use a bus that somebody else serves; nothing is waited for."""
    lab = Lab(bus, site, user=user, role=role, folders=folders)
    await lab.subscribe()
    try:
        yield lab
    finally:
        await lab.unsubscribe()


def _user(address: Address, asked: str | None) -> str | None:
    """Return in whose name commands are given: a broker that tells users apart lets no other through."""
    if address.role is None or asked in (None, address.username):
        return address.username if address.role else asked
    raise StorageError(
        f"At {address} you are {address.username}, not {asked}.", f"Take the credentials of {asked}, if you are that."
    )


def _address(settings: LabSettings, folder: Path) -> Address:
    """Return the broker's address: an embedded one has left it in the daemon's runtime file."""
    if not settings.bus.embedded:
        return Address.of(settings.bus, folder)
    file = settings.storage.folder / "run" / "broker" / "broker.json"
    if not file.exists():
        raise NoDaemon(f"No daemon of site {settings.lab.site} has run here yet: there is no {file}.", START_IT)
    return Address.read(file)


async def _find_daemon(lab: Lab, bus: Bus, settings: LabSettings, address: Address, patience: float) -> None:
    """Wait until a live daemon and all of its stations have been heard, or at least the daemon."""
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await bus.connected()  # retained states may come before the session counts
            while not lab.complete:
                await lab.changed()
    if not lab.alive:
        why = lab.trouble or f"The broker at {address} knows of none that is alive."
        raise NoDaemon(f"No daemon of site {settings.lab.site} answers. {why}", START_IT)
