"""The tree of a plan: steps, loops, hooks and branches, which the engine walks."""

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.plan.actions import Action, MeasuredCurrent, Pressure, Torque
from labctl.plan.bounds import Limits, Outage, RecordRule
from labctl.plan.conditions import All, Any, CompareRate, Condition, End, MeasuredRate, Not, Stable
from labctl.plan.sides import Side
from labctl.plan.station import BoundCell


@dataclass(frozen=True, slots=True)
class Step:
    """One verb with its ends. `id` numbers the plan's steps from 1 in the order of the file."""

    id: int
    verb: str
    name: str
    action: Action
    ends: tuple[End, ...] = ()
    timeout: End | None = None
    record: RecordRule = RecordRule()
    line: int = 0
    limits: Limits | None = None
    """Narrower limits of this step alone; None: those of the run."""


def band_of(pressure: float, ends: tuple[End, ...]) -> float | None:
    """Return ± Pa within which ends want a pressure (Pa) to be stable; None where they do not say."""
    stable = [end.condition for end in ends if isinstance(end.condition, Stable)]
    return min((each.within * (abs(pressure) if each.relative else 1.0) for each in stable), default=None)


def is_by_hand(step: Step) -> bool:
    """Whether a person is asked to tighten or to press in a step."""
    match step.action:
        case Pressure(by_hand=sides):
            return bool(sides)
        case Torque(by_hand=by_hand):
            return by_hand
    return False


def bands_of(step: Step) -> dict[Side, float]:
    """Return ± Pa within which a step wants the pressure of each of its sides; nothing where it does not say."""
    targets = step.action.targets if isinstance(step.action, Pressure) else ()
    bands = {side: band_of(pressure, step.ends) for side, pressure in targets}
    return {side: band for side, band in bands.items() if band is not None}


def rates_of(step: Step) -> Iterator[MeasuredRate]:
    """Yield what a step tells by the capacity of a cycle: its current, and currents that end it."""
    if isinstance(step.action, MeasuredCurrent):
        yield step.action.rate
    for end in step.ends:
        yield from _rates_in(end.condition)


def _rates_in(condition: Condition) -> Iterator[MeasuredRate]:
    match condition:
        case CompareRate(rate=rate):
            yield rate
        case All(parts=parts) | Any(parts=parts):
            for part in parts:
                yield from _rates_in(part)
        case Not(part=part):
            yield from _rates_in(part)


@dataclass(frozen=True, slots=True)
class Hook:
    """Nodes inserted into named passes of a loop, after every execution of the step or verb named `after`."""

    cycles: tuple[int, ...]
    every: int | None
    after: str
    body: "tuple[Node, ...]"

    def due(self, cycle: int) -> bool:
        """Whether the hook runs in this cycle."""
        return cycle in self.cycles or (self.every is not None and cycle % self.every == 0)


@dataclass(frozen=True, slots=True)
class Loop:
    """`passes` is the total number of passes; where `counts` is set, one pass is one cycle.

    `tag` names its cycles; `discharges_first` turns their coulombic efficiency over.
    """

    id: int
    name: str
    passes: int
    counts: bool
    body: "tuple[Node, ...]"
    hooks: tuple[Hook, ...] = ()
    line: int = 0
    tag: str = ""
    discharges_first: bool = False


@dataclass(frozen=True, slots=True)
class ForEach:
    """The same nodes once per value, each already bound to its value; `labels` say the values for people."""

    id: int
    name: str
    labels: tuple[str, ...]
    bodies: "tuple[tuple[Node, ...], ...]"
    line: int = 0


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`; `once` fires at most once in a run."""

    id: int
    condition: Condition
    text: str
    body: "tuple[Node, ...]"
    otherwise: "tuple[Node, ...]" = ()
    once: bool = False
    line: int = 0


Node = Step | Loop | ForEach | Branch


@dataclass(frozen=True, slots=True)
class Plan:
    """A protocol that can run on this station with this cell, with every limit checked."""

    name: str
    title: str
    text: str
    hash: str
    cell: BoundCell
    limits: Limits
    body: tuple[Node, ...]
    inputs: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()
    outage: Outage = Outage()

    def steps(self) -> Iterator[Step]:
        """Every step of the tree once, in the order of the file."""
        yield from steps_of(self.body)


def steps_of(nodes: "tuple[Node, ...]") -> Iterator[Step]:
    """Every step of these nodes and of what is in them once, in the order of the file."""
    for node in nodes:
        match node:
            case Step():
                yield node
            case Loop(body=body, hooks=hooks):
                yield from steps_of(body)
                for hook in hooks:
                    yield from steps_of(hook.body)
            case ForEach(bodies=bodies):
                for each in bodies:
                    yield from steps_of(each)
            case Branch(body=body, otherwise=otherwise):
                yield from steps_of(body)
                yield from steps_of(otherwise)
