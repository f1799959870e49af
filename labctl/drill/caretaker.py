"""The caretaker of a drill: looks at every station again and again, and says what lets its run go on."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from labctl.api import StationState, Word
from labctl.client import Lab
from labctl.clock import host_sleep, host_unix
from labctl.drill.household import until
from labctl.errors import LabctlError

LOOK = 0.2
"""Host seconds between two looks at the stations."""
TAKEN_UP = 0.5
"""Host seconds after the answer to a word in which the state of its station may still be that of before."""
WHY = "a drill"
AT_WORK = (Word.CHARGE, Word.DISCHARGE, Word.REST, Word.WAIT)


class Caretaker:
    """Does at a client what a person would do for stations whose processes die.

    Args:
        lab: connected, by itself again after every death of the broker.
        protocols: station -> the protocol that is to run there.

    Attributes:
        resumed: how often a run that stood was gone on with.
        started: how many runs were begun.
    """

    def __init__(self, lab: Lab, protocols: Mapping[str, Path]) -> None:
        self.lab = lab
        self.resumed = 0
        self.started = 0
        self._protocols = protocols
        self._spoke = dict.fromkeys(protocols, float("-inf"))
        self._disturbed = float("-inf")

    def disturbed(self) -> None:
        """Note that processes died now: what was said before is of the past."""
        self._disturbed = host_unix()

    @property
    def at_work(self) -> bool:
        """Whether all that was said since the last disturbance is that every station works and is recorded."""
        lab = self.lab
        return (
            lab.alive
            and lab.daemon is not None
            and not lab.daemon.recorder
            and lab.daemon.said_unix_second > self._disturbed
            and all(self._works(station) for station in self._protocols)
        )

    def _works(self, station: str) -> bool:
        state = self._fresh(station)
        return state is not None and state.run is not None and state.word in AT_WORK

    def _fresh(self, station: str) -> StationState | None:
        """Return what a station says, where that was said after the disturbance and after our last word to it."""
        state = self.lab.stations.get(station)
        past = max(self._disturbed, self._spoke[station] + TAKEN_UP)
        return state if state is not None and state.said_unix_second > past else None

    async def attend(self) -> None:
        """Look and speak until cancelled; what cannot be said now is said later."""
        while True:
            for station in self._protocols:
                state = self._fresh(station)
                if self.lab.alive and state is not None:
                    with suppress(LabctlError):
                        await self._speak(station, state)
            await host_sleep(LOOK)

    async def _speak(self, station: str, state: StationState) -> None:
        match state.word:
            case Word.ALARM:
                await self.lab.acknowledge(station, reason=WHY)
            case Word.PAUSED | Word.READY:
                await self.lab.resume(station, WHY)
                self.resumed += 1
            case Word.IDLE | Word.DONE:
                await self.lab.start(self._protocols[station], station=station, reason=WHY)
                self.started += 1
            case _:
                return
        self._spoke[station] = host_unix()

    async def end_all(self) -> None:
        """Stop every run, and wait until each has its named end."""
        lab = self.lab
        for station in self._protocols:
            state = lab.stations[station]
            for queued in state.queue:
                await lab.unqueue(queued.run, WHY)
            if state.run is not None:
                await lab.stop(station, WHY)
        await until(lambda: all(lab.stations[name].run is None for name in self._protocols), "the end of every run")
