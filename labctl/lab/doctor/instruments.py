"""Whether every configured instrument answers and is the right one; nothing moves and nothing is energised.

What a daemon or a run holds is left alone, and so is a station whose cycler may still be executing a program.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from labctl.config import Config
from labctl.errors import InstrumentError, LabctlError, RefusedForSafety
from labctl.instrument import Executes, Instrument
from labctl.lab.doctor.bus import daemon_runs
from labctl.lab.doctor.check import Check, error, fine, warning
from labctl.lab.doctor.storage import unended
from labctl.lab.laboratory import Pace, all_simulated, open_laboratory

PATIENCE = 15.0
"""Seconds that one instrument has to be opened, identified and made safe."""

Asking = Callable[[str], None]
"""Takes the name of an instrument that is asked now."""


async def instruments(config: Config, path: Path, asking: Asking) -> list[Check]:
    """Ask the instruments of all stations, one after the other at each station, at all stations at the same time."""
    if daemon_runs(config.storage.folder):
        return [fine("instruments", "not asked, a daemon has them: labctl status says how they are")]
    found = await asyncio.gather(*(_station(config, path, station, asking) for station in config.stations))
    return [check for checks in found for check in checks]


async def _station(config: Config, path: Path, station: str, asking: Asking) -> list[Check]:
    try:
        if all_simulated(config, station):
            count = sum(1 for _ in config.station(station).instruments())
            return [fine("instruments", f"{station}: {count} simulated, there is nothing to ask")]
    except RefusedForSafety as mixed:
        return [error("instruments", mixed.sentence, mixed.remedy)]
    cycler, _ = config.drivers[station, "cycler"]
    if cycler.features.steps is Executes.INSTRUMENT and unended(config.storage.database, station):
        said = f"{station}: not asked, its cycler may be executing what a dead process began"
        return [warning("instruments", said, "labctl daemon takes it up again, or ends it in order.")]
    try:
        async with open_laboratory(config, path, station, Pace(in_memory=False)) as (assembly, _):
            checks = []
            for name, instrument in assembly.station.instruments.named().items():
                asking(f"{station}/{name}")
                checks.append(await _instrument(f"{station}/{name}", assembly.addresses[name], instrument))
            return checks
    except RefusedForSafety:
        return [fine("instruments", f"{station}: not asked, a daemon or a run has it")]
    except LabctlError as refusal:
        return [error("instruments", refusal.sentence, refusal.remedy)]


async def _instrument(name: str, address: str, instrument: Instrument) -> Check:
    try:
        async with asyncio.timeout(PATIENCE):
            identity = await instrument.connect()
    except InstrumentError as refusal:
        return error("instruments", refusal.sentence, refusal.remedy)
    except TimeoutError:
        return error("instruments", f"{name} at {address} took more than {PATIENCE:.0f} s", "Check cable and address.")
    return fine("instruments", f"{name} at {address}: {identity}")
