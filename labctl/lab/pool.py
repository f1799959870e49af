"""Simulators that several stations of one process share: one process of them for all channels of one instrument."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from labctl.config import SIMULATED, Config, is_simulated
from labctl.lab.simulators import Served, simulators


@dataclass
class _Group:
    """Stations whose simulators run in one process, while any of them is in use."""

    stations: tuple[str, ...]
    users: int = 0
    served: dict[str, Served] = field(default_factory=dict)
    process: AsyncExitStack = field(default_factory=AsyncExitStack)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Pool:
    """Serves the simulated stations of a configuration, each as long as it is in use.

    Stations with an instrument at the same "sim://NAME" share a process: it ends when the last of them lets go, and a
    new one starts with the next, which has fresh cells.
    """

    def __init__(self, config: Config, config_path: Path, seed: int) -> None:
        self._config_path = config_path
        self._folder = config.storage.folder
        self._seed = seed
        self._groups: dict[str, _Group] = {}
        for stations in _sharing(config):
            group = _Group(tuple(stations))
            self._groups.update(dict.fromkeys(stations, group))

    @asynccontextmanager
    async def served(self, station: str) -> AsyncIterator[Served]:
        """Yield where a station's simulators are."""
        group = self._groups[station]
        async with group.changing:
            if not group.users:
                opened = simulators(self._config_path, group.stations, self._seed, self._folder)
                group.served = await group.process.enter_async_context(opened)
            group.users += 1
        try:
            yield group.served[station]
        finally:
            async with group.changing:
                group.users -= 1
                if not group.users:
                    await group.process.aclose()


def _sharing(config: Config) -> list[list[str]]:
    """Return the stations in groups that have a shared simulated address in common."""
    groups: list[tuple[set[str], list[str]]] = []
    for station, written in config.stations.items():
        shared = {one.address for _, _, one in written.instruments() if is_simulated(one.address)} - {SIMULATED}
        touched = [group for group in groups if group[0] & shared]
        groups = [group for group in groups if group not in touched]
        addresses = shared.union(*(group[0] for group in touched))
        groups.append((addresses, [name for group in touched for name in group[1]] + [station]))
    return [stations for _, stations in groups]
