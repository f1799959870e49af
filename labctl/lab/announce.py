"""The retained state of a station: what anybody who comes to the bus wants to know first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from labctl.bus.base import Bus
from labctl.bus.codec import encode_state
from labctl.clock import LabClock, host_sleep
from labctl.engine.run import Run
from labctl.lab.assemble import Assembly
from labctl.plan import SIDES

PERIOD = 1.0
"""Seconds of host time between two states."""


@asynccontextmanager
async def announcing(
    bus: Bus, topic: str, run: Run, assembly: Assembly, clock: LabClock, run_id: str
) -> AsyncIterator[None]:
    """Retain the station's state on the bus while the block runs, and how it is left afterwards."""

    async def announce() -> None:
        await bus.retain(topic, encode_state({"run": run_id, **_state(run, assembly, clock)}))

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


def _state(run: Run, assembly: Assembly, clock: LabClock) -> dict[str, object]:
    """What the station does and measures now; a value that is too old is null."""
    progress, board, now = run.progress, assembly.station.board, clock.now()
    step, cell = progress.step, board.fresh_cell(now)
    pressures = {f"{side}_pressure_pa": board.pressure(side, now) for side in SIDES}
    return {
        "state": "running" if run.outcome is None else run.outcome.state.value,
        "simulated": assembly.simulated,
        "protocol": run.plan.name,
        "step_id": None if step is None else step.id,
        "step": None if step is None else step.name,
        "verb": None if step is None else step.verb,
        "cycle_count": progress.cycle,
        "cycles": progress.cycles,
        "unix_time_second": clock.unix(),
        "test_time_second": progress.test_time,
        "left_second": run.forecast.left(progress.test_time),
        "voltage_volt": None if cell is None else cell.voltage,
        "current_ampere": None if cell is None else cell.current,
        **pressures,
        "temperature_celsius": board.temperature(now),
    }
