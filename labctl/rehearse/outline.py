"""A plan in outline: the same steps with fewer rows or fewer passes, and what that says about the whole."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from labctl.engine.cycles import references_of
from labctl.plan import Branch, ForEach, Hook, Loop, Node, Plan, RecordRule, Step
from labctl.rehearse.keeper import KeptStep

SAMPLE_PASSES = 3
"""Of each loop: a first pass is like no other, the second not yet like those behind it."""


def with_boundaries_only(plan: Plan) -> Plan:
    """Return a plan whose steps record their first and their last row only."""
    return replace(plan, body=_outlined(plan.body, boundaries_only=True, passes=None))


def with_few_passes(plan: Plan, passes: int = SAMPLE_PASSES) -> Plan:
    """Return a plan whose loops have a few passes at most, or as many as the latest cycle that it refers to."""
    passes = max(passes, *references_of(plan), 0)
    return replace(plan, body=_outlined(plan.body, boundaries_only=False, passes=passes))


@dataclass(frozen=True, slots=True)
class Density:
    """How many rows a step records for each second: of the last execution of each, which is like those to come."""

    rows: dict[int, float]

    @classmethod
    def of(cls, steps: Iterable[KeptStep]) -> "Density":
        """Learn from steps that recorded by their own rules."""
        rows: dict[int, float] = {}
        for step in steps:
            if step.seconds > 0.0:
                rows[step.step_id] = step.readings / step.seconds
        return cls(rows)

    def readings(self, steps: Iterable[KeptStep]) -> float:
        """Return how many rows steps would have recorded, of which only the boundaries are known."""
        return sum(max(step.readings, self.rows.get(step.step_id, 0.0) * step.seconds) for step in steps)


def _outlined(nodes: tuple[Node, ...], *, boundaries_only: bool, passes: int | None) -> tuple[Node, ...]:
    def of(inner: tuple[Node, ...]) -> tuple[Node, ...]:
        return _outlined(inner, boundaries_only=boundaries_only, passes=passes)

    def hook(each: Hook) -> Hook:
        return replace(each, body=of(each.body))

    outlined: list[Node] = []
    for node in nodes:
        match node:
            case Step():
                outlined.append(replace(node, record=RecordRule()) if boundaries_only else node)
            case Loop(body=body, hooks=hooks):
                fewer = node.passes if passes is None else min(node.passes, passes)
                outlined.append(replace(node, body=of(body), hooks=tuple(map(hook, hooks)), passes=fewer))
            case ForEach(bodies=bodies):
                outlined.append(replace(node, bodies=tuple(map(of, bodies))))
            case Branch(body=body, otherwise=otherwise):
                outlined.append(replace(node, body=of(body), otherwise=of(otherwise)))
    return tuple(outlined)
