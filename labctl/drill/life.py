"""One life of a process: the real engine, journal, outbox and recorder on one event loop, until death or a good end."""

import asyncio
from random import Random

from labctl.bus.topics import Process
from labctl.clock import VirtualClock
from labctl.drill.attendant import Attendant
from labctl.drill.bus import TroubledBus
from labctl.drill.case import Death
from labctl.drill.site import Lifetime
from labctl.drill.world import World
from labctl.record.datapath import DataPath, Delivery, open_data_path

PROCESS = Process("drill", "pc")
EPOCH = 1_767_225_600.0
"""2026-01-01T00:00Z: lab time zero."""
LOOKS = 1.0
"""s of lab time between two looks of the witnesses."""


class Life:
    """One process.

    Args:
        began: s of the benches' lab time; the process's own begins at zero, as that of a machine that boots.
        ends: s of the benches' lab time.
        death: what ends it; None: it ends as it should.
        patience: s of host time that the recorder has at a good end.
    """

    def __init__(self, world: World, began: float, ends: float, death: Death | None, patience: float) -> None:
        self._world = world
        self._clock = VirtualClock(EPOCH + began)
        self._lifetime = Lifetime(began)
        self._ends = ends - began
        self._death = death
        self._patience = patience
        self._bus = TroubledBus(world.case.bus, Random(f"bus {world.case.seed} {began}"))
        self._attendants: list[Attendant] = []
        self._deliveries: list[Delivery] = []

    async def live(self) -> None:
        """Live to the end; after a death the world has another disk."""
        folder = self._world.folder
        async with open_data_path(
            self._bus, PROCESS, folder / "journals", folder / "lab.db", in_thread=False, flush_period=None
        ) as path:
            self._arrive(path)
            async with asyncio.TaskGroup() as group:
                works = [group.create_task(each.serve(group), name=each.place.name) for each in self._attendants]
                spawn = self._clock.spawn
                helpers = [spawn(group, self._flush(), "flusher"), spawn(group, self._look(), "witness")]
                helpers += [spawn(group, self._say(each), f"operator {each.place.name}") for each in self._attendants]
                await self._until_the_end(group, works)
                for helper in helpers:
                    helper.cancel()
            if self._death is None:
                self._bus.heal()
                closing = [delivery.close(self._patience) for delivery in self._deliveries if delivery.open]
                await asyncio.gather(*closing)

    def _arrive(self, path: DataPath) -> None:
        """Take over what a dead process left."""
        left, interrupted = path.take_over()
        found = {each.run: each for each in interrupted}
        for place in self._world.case.places:
            run = found.pop(self._world.under_way.pop(place.name, ""), None)
            self._attendants.append(
                Attendant(self._world, place, self._clock, self._lifetime, path, run, self._deliveries.append)
            )
        self._deliveries += [*left, *(path.lose(each) for each in found.values())]

    async def _until_the_end(self, group: asyncio.TaskGroup, works: list[asyncio.Task[None]]) -> None:
        reached = asyncio.Event()
        self._clock.spawn(group, self._reach(reached), "end")
        await reached.wait()
        for work, attendant in zip(works, self._attendants, strict=True):
            if self._death is not None:
                work.cancel()
            else:
                attendant.end()
        await asyncio.wait(works)

    async def _reach(self, end: asyncio.Event) -> None:
        await self._clock.sleep_until(self._ends)
        if self._death is not None:
            self._die(self._death)
        end.set()

    def _die(self, death: Death) -> None:
        """Reach neither wires, disk nor witnesses from this instant on."""
        world = self._world
        self._lifetime.alive = False
        world.died = self._lifetime.began + self._clock.now()
        world.survive({each.run: each.journal for each in self._deliveries if each.open}, death.torn)
        for attendant in self._attendants:
            world.witnesses[attendant.place.name].left()
            if attendant.run is not None:
                world.under_way[attendant.place.name] = attendant.run_id

    # -- beside the stations -----------------------------------------------------------------------------------------

    async def _flush(self) -> None:
        """Bring journals to disk in lab time, so that the seed alone decides what a death takes along."""
        while True:
            await self._clock.sleep(self._world.case.flush_every)
            for delivery in self._deliveries:
                if delivery.open:
                    await delivery.durable()

    async def _look(self) -> None:
        while True:
            await self._clock.sleep(LOOKS)
            if not self._lifetime.alive:
                return
            for witness in self._world.witnesses.values():
                witness.look(self._lifetime.began + self._clock.now())

    async def _say(self, attendant: Attendant) -> None:
        for word in sorted(attendant.place.words, key=lambda word: word.at):
            instant = word.at - self._lifetime.began
            if instant > 0.0:
                await self._clock.sleep_until(instant)
                attendant.hear(word.say)
