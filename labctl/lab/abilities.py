"""What a station can do, found out without opening any of its addresses."""

from labctl.clock import RealClock
from labctl.config import Config
from labctl.lab.assemble import assemble
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

    return assemble(config, station, clock, unconnected).abilities
