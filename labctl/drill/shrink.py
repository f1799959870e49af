"""Shrinks a case that broke a promise to the smallest one found that still breaks it."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from labctl.drill.case import BusTrouble, Case, Place, Step
from labctl.errors import LabctlError
from labctl.sim.schedule import Scheduled

T = TypeVar("T")

Judge = Callable[[Case], Awaitable[frozenset[str]]]
"""Lives through a case and returns the promises that it breaks."""

SHORTEST = 30.0
"""s of lab time that a case lasts at least."""


async def shrink(case: Case, promises: frozenset[str], judge: Judge, attempts: int = 200) -> Case:
    """Return a smaller case that breaks one of these promises too; the case itself where none was found.

    Args:
        attempts: how many smaller ones are lived through at most.
    """
    while True:
        for smaller in _smaller(case):
            attempts -= 1
            if attempts < 0:
                return case
            try:
                broken = await judge(smaller)
            except LabctlError:  # what was left out is needed: it does not bind any more
                continue
            if broken & promises:
                case = smaller
                break
        else:
            return case


def _smaller(case: Case) -> Iterator[Case]:
    """Yield smaller cases, the much smaller ones first."""
    if len(case.places) > 1:
        yield from (replace(case, places=rest) for rest in _without_one(case.places))
    yield from (replace(case, deaths=rest) for rest in _without_one(case.deaths))
    if case.duration > 2 * SHORTEST:
        yield from (replace(case, duration=round(case.duration * part, 1)) for part in (0.25, 0.5, 0.8))
    if case.bus != BusTrouble():
        yield replace(case, bus=BusTrouble())
    for number, place in enumerate(case.places):
        for less in _smaller_places(place):
            yield replace(case, places=(*case.places[:number], less, *case.places[number + 1 :]))


def _smaller_places(place: Place) -> Iterator[Place]:
    if place.words:
        yield replace(place, words=())
    if len(place.faults) > 1:
        yield replace(place, faults=())
    yield from (replace(place, faults=rest) for rest in _without_one(place.faults))
    yield from (replace(place, words=rest) for rest in _without_one(place.words))
    if len(place.steps) > 1:
        yield from (replace(place, steps=rest) for rest in _without_one(place.steps))
    for number, step in enumerate(place.steps):
        before, after = place.steps[:number], place.steps[number + 1 :]
        yield from (replace(place, steps=(*before, *inside, *after)) for inside in _unwrapped(step))
    yield from (replace(place, faults=faults) for faults in _simpler_faults(place.faults))


def _unwrapped(step: Step) -> Iterator[tuple[Step, ...]]:
    """Yield the steps that a loop or a branch holds, and loops with less in them."""
    if "for" in step:
        return
    for key in ("do", "else"):
        if key in step:
            yield tuple(step[key])
    if "repeat" in step:
        if step["repeat"] > 1:
            yield ({**step, "repeat": 1},)
        if len(step["do"]) > 1:
            yield from (({**step, "do": list(rest)},) for rest in _without_one(tuple(step["do"])))


def _simpler_faults(faults: tuple[Scheduled, ...]) -> Iterator[tuple[Scheduled, ...]]:
    """Yield the faults with one of them at a whole second."""
    for number, fault in enumerate(faults):
        begin = float(round(fault.begin))
        if begin != fault.begin and begin < fault.end:
            yield (*faults[:number], replace(fault, begin=begin), *faults[number + 1 :])


def _without_one(parts: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    for number in range(len(parts)):
        yield (*parts[:number], *parts[number + 1 :])
