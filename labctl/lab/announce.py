"""The retained state of a station during a single run: what anybody who comes to the bus wants to know first."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from labctl.api import StationState, Word
from labctl.bus.base import Bus
from labctl.clock import LabClock, VirtualClock, host_sleep, host_unix
from labctl.config import Config
from labctl.engine.run import Run
from labctl.lab.assemble import Assembly
from labctl.lab.state import instruments, limits_of, measured, run_status, word_of_run
from labctl.reading import RunHeader, RunState

PERIOD = 1.0
"""Seconds of host time between two states."""


@asynccontextmanager
async def announcing(bus: Bus, topic: str, say: Callable[[], StationState]) -> AsyncIterator[None]:
    """Retain the station's state on the bus while the block runs, and how it is left afterwards."""

    async def announce() -> None:
        await bus.retain(topic, say().model_dump_json(by_alias=True).encode())

    async def keep_announcing() -> None:
        while True:
            await announce()
            await host_sleep(PERIOD)

    keeper = asyncio.create_task(keep_announcing(), name="state")
    try:
        yield
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])
        await announce()


def state_of(config: Config, run: Run, header: RunHeader, assembly: Assembly, clock: LabClock) -> StationState:
    """Return what the station does and measures now."""
    ended, status = run.outcome, run_status(run, header.run, header.operator, header.started_unix_second)
    if ended is None:
        word = word_of_run(run, asked=False)
    else:
        word = Word.DONE if ended.state is RunState.COMPLETED else Word.IDLE
    return StationState(
        station=assembly.station.name,
        word=word,
        why="" if ended is None else ended.reason,
        simulated=assembly.simulated,
        speed=clock.speed if isinstance(clock, VirtualClock) else 1.0,
        said_unix_second=host_unix(),
        lab_unix_second=clock.unix(),
        values=measured(assembly, clock, limits_of(run), run),
        run=status if ended is None else None,
        last_run=None if ended is None else header.run,
        instruments=instruments(config, assembly),
    )
