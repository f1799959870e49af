"""What a station can do, found out without opening any of its addresses."""

from dataclasses import replace

from labctl.clock import RealClock
from labctl.config import Config, is_simulated
from labctl.lab.assemble import assemble
from labctl.lab.calibrated import uncalibrated
from labctl.link import BaseLink, MemoryLink
from labctl.plan import StationAbilities
from labctl.registry import Driver


def abilities(config: Config, station: str) -> StationAbilities:
    """Return the abilities of a station.

    Raises:
        ConfigError: there is no such station.
    """
    clock = RealClock()

    def unconnected(instrument: str, driver: Driver, _address: str) -> BaseLink:
        return MemoryLink(lambda data: b"", lambda: None, driver.wire, f"{station}/{instrument}", clock)

    able = assemble(config, station, clock, unconnected).abilities
    addresses = [each.address for _, _, each in config.station(station).instruments()]
    return (
        able
        if all(map(is_simulated, addresses))
        else replace(able, uncalibrated=uncalibrated(config.storage.folder, able))
    )
