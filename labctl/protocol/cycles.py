"""Which loops count cycles: those that say so, else the innermost ones that hold both a charge and a discharge."""

from collections.abc import Iterator

from labctl.protocol.actions import direction
from labctl.protocol.findings import Findings
from labctl.protocol.source import KeyPath
from labctl.protocol.verbs import ForStep, IfStep, Named, RepeatStep

Placed = tuple[KeyPath, Named]


def counting(steps: tuple[Named, ...], findings: Findings) -> frozenset[KeyPath]:
    """Return the places of the loops whose passes are cycles; an ambiguous file is noted."""
    loops = [(path, step) for path, step in walk(steps, ("step",)) if isinstance(step, RepeatStep)]
    stated = frozenset(path for path, loop in loops if loop.counts == "cycle")
    for path in stated:
        if any(_inside(path, outer) for outer in stated):
            reason = "this loop and one around it both count cycles"
            findings.refuse((*path, "counts"), "cycles", reason, "Let one of them count.")
    if stated:
        return stated
    bodies = {path: loop.do for path, loop in loops if loop.counts is None}
    full = [path for path, body in bodies.items() if _both_ways(body, (*path, "do"))]
    found = frozenset(path for path in full if not any(_inside(inner, path) for inner in full))
    for path in set(full) - found:
        if _both_ways(bodies[path], (*path, "do"), without=found):
            reason = "it is ambiguous what a cycle is: this loop and one inside it both charge and discharge"
            findings.refuse(
                (*path, "repeat"), "cycles", reason, 'Write counts = "cycle" on the loop whose passes are cycles.'
            )
    return found


def walk(steps: tuple[Named, ...], path: KeyPath) -> Iterator[Placed]:
    """Yield every step with its place in the file, those inside loops and branches too; hooks count no cycles."""
    for index, step in enumerate(steps):
        here = (*path, index)
        yield here, step
        if isinstance(step, RepeatStep | IfStep):
            yield from walk(step.do, (*here, "do"))
        if isinstance(step, IfStep) and step.otherwise:
            yield from walk(step.otherwise, (*here, "else"))
        if isinstance(step, ForStep):
            # every combination has the same steps at the same places
            yield from walk(step.do[0], (*here, "do"))


def _both_ways(steps: tuple[Named, ...], path: KeyPath, without: frozenset[KeyPath] = frozenset()) -> bool:
    """Whether the steps, but not those in the loops at `without`, both charge and discharge."""
    inside = [step for place, step in walk(steps, path) if not any(_inside(place, loop) for loop in without)]
    return {+1, -1} <= {direction(step) for step in inside}


def _inside(inner: KeyPath, outer: KeyPath) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer
