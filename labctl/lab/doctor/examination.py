"""The whole examination in its order: what the rest stands on comes first."""

import asyncio
from pathlib import Path

from labctl.lab.doctor.bus import bus
from labctl.lab.doctor.calibrations import calibrations
from labctl.lab.doctor.check import Tell
from labctl.lab.doctor.guard import guard
from labctl.lab.doctor.installation import configuration, installation
from labctl.lab.doctor.instruments import Asking, instruments
from labctl.lab.doctor.machine import disk, permissions, terminal, time
from labctl.lab.doctor.rigs import rigs
from labctl.lab.doctor.storage import storage
from labctl.settings import StorageConfig


async def examine(config_path: Path, tell: Tell, asking: Asking, *, thorough: bool = False) -> None:
    """Examine everything and tell each finding as soon as it is known; without a configuration, what there is.

    Args:
        asking: told the name of each instrument before it is asked, which may take a while.
        thorough: whether the whole database is checked, however long that takes.
    """
    for check in installation():
        tell(check)
    config, checks = configuration(config_path)
    for check in checks:
        tell(check)
    kept = StorageConfig() if config is None else config.storage
    for check in (*permissions(config, config_path, kept.folder), await asyncio.to_thread(time)):
        tell(check)
    for check in disk(kept.folder, 1 if config is None else len(config.stations)):
        tell(check)
    if config is not None:
        for check in await bus(config):
            tell(check)
        for check in guard(config):
            tell(check)
        for check in await instruments(config, config_path, asking):
            tell(check)
        for check in (*calibrations(config), *rigs(config)):
            tell(check)
    for check in await asyncio.to_thread(lambda: list(storage(kept.database, thorough=thorough))):
        tell(check)
    tell(terminal())
