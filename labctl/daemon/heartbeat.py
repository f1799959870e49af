"""The daemon's heartbeat: written while its event loop turns and the pollers of its stations poll, and not else."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from labctl.clock import host_monotonic, host_sleep, host_unix
from labctl.daemon.keeper import Keeper
from labctl.filelock import make_folder
from labctl.lab.heartbeat import PERIOD, Beat, StationBeat, beat_file, boot_id, process_start, write

_log = logging.getLogger(__name__)

STILL = 15.0
"""Lab seconds without a poll after which a connected station stands still: its pollers are due every few seconds, and
each exchange of theirs is bounded by its link's time-outs."""


class Heartbeat:
    """Tells the guard that this process moves.

    Args:
        folder: data folder of the laboratory.
        simulate: whether instruments are simulated in this process.
    """

    def __init__(self, folder: Path, keepers: Collection[Keeper], *, simulate: bool) -> None:
        self._file = beat_file(folder)
        self._keepers = keepers
        self._simulate = simulate
        self._boot = boot_id()
        self._start = process_start(os.getpid()) or 0
        self._polled: dict[str, tuple[int, float]] = {}
        """station -> its polls, and the lab time at which one was first seen."""
        self._trouble = ""
        make_folder(self._file.parent)

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Beat while the block runs; at its end in order say so, where every station has confirmed that it is safe."""
        heart = asyncio.create_task(self._beat_for_ever(), name="heartbeat")
        try:
            yield
        finally:
            heart.cancel()
            await asyncio.wait([heart])
        self.write(ended=not any(keeper.unsafe for keeper in self._keepers))

    async def _beat_for_ever(self) -> None:
        while True:
            still = self.still()
            if still:
                self._complain(f"no heartbeat: {', '.join(still)} not polled for {STILL:g} s")
            else:
                self.write()
            await host_sleep(PERIOD)

    def still(self) -> list[str]:
        """Return the stations that should have been polled and were not."""
        return [keeper.station for keeper in self._keepers if not self._moves(keeper)]

    def _moves(self, keeper: Keeper) -> bool:
        bench = keeper.bench
        if bench is None or not bench.assembly.station.polling:  # being connected or made safe, within time-outs
            self._polled.pop(keeper.station, None)
            return True
        polls, now = bench.assembly.station.polls, bench.clock.now()
        before, since = self._polled.get(keeper.station, (-1, now))
        if polls == before and now >= since:
            return now - since <= STILL
        self._polled[keeper.station] = polls, now
        return True

    def write(self, *, ended: bool = False) -> None:
        """Beat once; a disk that does not take it is complained of."""
        beat = Beat(
            pid=os.getpid(),
            process_start=self._start,
            boot=self._boot,
            monotonic_second=host_monotonic(),
            unix_second=host_unix(),
            simulate=self._simulate,
            ended=ended,
            stations={keeper.station: _station(keeper) for keeper in self._keepers},
        )
        try:
            write(self._file, beat)
        except OSError as error:
            self._complain(f"no heartbeat: {self._file} cannot be written: {error.strerror}")
        else:
            self._trouble = ""

    def _complain(self, trouble: str) -> None:
        if trouble != self._trouble:
            _log.error("%s", trouble)
        self._trouble = trouble


def _station(keeper: Keeper) -> StationBeat:
    if keeper.bench is not None:
        program = "" if keeper.turn is None else keeper.turn.run.program
        return StationBeat(connected=True, addresses=keeper.bench.assembly.addresses, program=program)
    written = keeper.laboratory.config.station(keeper.station).instruments()
    return StationBeat(connected=False, addresses={name: instrument.address for name, _, instrument in written})
