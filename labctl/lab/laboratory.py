"""A station brought to life: its links, its instruments and the time they live in, for as long as a block lasts."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.clock import LabClock, RealClock, VirtualClock, host_unix
from labctl.config import Config, is_simulated
from labctl.engine.station import to_the_end
from labctl.errors import RefusedForSafety
from labctl.lab.assemble import Assembly, assemble, memory_links, wired_links
from labctl.lab.locks import hold, station_lock
from labctl.lab.pool import Pool
from labctl.lab.simulators import controlling, simulated_addresses


@dataclass(frozen=True, slots=True)
class Pace:
    """How lab time passes.

    Attributes:
        in_memory: the station's simulators over memory links, whatever the addresses say.
        speed: of virtual time over wires; None is as fast as the work allows. 1 with a real instrument is real time.
    """

    in_memory: bool
    speed: float | None = 1.0
    seed: int = 1


@asynccontextmanager
async def open_laboratory(
    config: Config, config_path: Path, station: str, pace: Pace, pool: Pool | None = None
) -> AsyncIterator[tuple[Assembly, LabClock]]:
    """Assemble a station on the links and in the time that the pace asks for; it is not connected yet.

    Args:
        pool: of simulators that other stations of this process share; None where there are no others.

    Raises:
        RefusedForSafety: another process has the station, or its real time would be hurried.
    """
    clock: LabClock
    newborn = pace.in_memory
    async with AsyncExitStack() as stack:
        if pace.in_memory:
            clock = VirtualClock(host_unix())
            make, _ = memory_links(config, station, clock, pace.seed)
        elif all_simulated(config, station):
            folder = config.storage.folder
            stack.callback(hold(station_lock(folder, station), f"Station {station}").release)
            shared = pool or Pool(config, config_path, pace.seed)
            served = await stack.enter_async_context(shared.served(station))
            newborn = served.newborn
            controller = await stack.enter_async_context(controlling(served))
            clock = VirtualClock(host_unix(), pace.speed)
            clock.followers.append(controller.follow)
            make = wired_links(station, clock, served.instruments)
        else:
            if pace.speed != 1.0:
                raise RefusedForSafety(
                    f"Station {station} has real instruments, whose time cannot be hurried.",
                    "Leave --speed out, or use --simulate.",
                )
            folder = config.storage.folder
            stack.callback(hold(station_lock(folder, station), f"Station {station}").release)
            clock = RealClock()
            make = wired_links(station, clock, {}, simulated_addresses(config.storage.folder))
        assembly = assemble(config, station, clock, make)
        assembly.newborn = newborn
        stack.push_async_callback(assembly.close)
        yield assembly, clock


def all_simulated(config: Config, station: str) -> bool:
    """Whether every address of a station is "sim://" or "sim://NAME".

    Raises:
        RefusedForSafety: some are and some are not: a simulated cell would tell a real rig what to do.
    """
    addresses = {name: instrument.address for name, _, instrument in config.station(station).instruments()}
    simulated = [name for name, address in addresses.items() if is_simulated(address)]
    if simulated and len(simulated) < len(addresses):
        real = ", ".join(sorted(set(addresses) - set(simulated)))
        raise RefusedForSafety(
            f"Station {station} mixes simulated instruments ({', '.join(simulated)}) with real ones ({real}).",
            "Give every instrument of a station its real address, or make all of them sim://.",
        )
    return bool(simulated)


async def in_lab_time(clock: LabClock, work: Coroutine[Any, Any, Any]) -> None:
    """Do work that may sleep in lab time, to its end."""
    await to_the_end(clock.spawn(asyncio.get_running_loop(), work, "laboratory"))
