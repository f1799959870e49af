"""Segments: which parts of a plan the cycler executes by itself; the rest of the plan runs in the host.

A segment is the largest stretch that the cycler's `compile` accepts: siblings from where the walk is, or passes of a
loop in which none of its hooks is due. Nothing else is asked of a cycler that executes no programs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from labctl.engine.cycles import holds_cycles
from labctl.plan import Branch, End, Hook, Limits, Loop, Node, Step, Then, steps_of
from labctl.program import Program, ProgrammableCycler


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the plan as a program.

    Attributes:
        width: how many siblings, or how many passes of a loop, it stands for.
        steps: its steps by id.
        breaking: ids of the steps whose `break` leaves the segment; that of any other leaves a loop inside it.
    """

    program: Program
    width: int
    steps: dict[int, Step]
    breaking: frozenset[int]

    def leaves(self, step: Step, end: End) -> bool:
        """Whether a program that ended with this end of this step was left by it, rather than walked to its end."""
        return end.then in (Then.END, Then.GOTO, Then.FAULT) or (end.then is Then.BREAK and step.id in self.breaking)


class Segments:
    """Finds segments for one cycler; what was compiled once is kept, by the very nodes that it was made from.

    Args:
        limits: gives those of the run, which a revision may change.
        whole_cycles: whether a program may hold passes that count; without, the host counts each of them itself.
    """

    def __init__(self, cycler: ProgrammableCycler, limits: Callable[[], Limits], *, whole_cycles: bool = True) -> None:
        self._whole_cycles = whole_cycles
        self._cycler = cycler
        self._limits = limits
        self._siblings: dict[tuple[Limits, tuple[int, ...]], tuple[tuple[Node, ...], Segment | None]] = {}
        self._stretches: dict[tuple[Limits, int, int], tuple[Loop, Segment | None]] = {}
        self._in_host: dict[int, Loop] = {}

    def siblings(self, nodes: Sequence[Node], hooks: Sequence[Hook]) -> Segment | None:
        """Return the longest segment that begins with the first of these nodes, up to a hook that is due."""
        stop = next((at for at, node in enumerate(nodes, 1) if due_after(node, hooks)), len(nodes))
        if not self._whole_cycles:
            stop = next((at for at, node in enumerate(nodes[:stop]) if holds_cycles((node,))), stop)
        nodes = tuple(nodes[:stop])
        key = self._limits(), tuple(id(node) for node in nodes)
        if key not in self._siblings:
            compiled = (self._compile(nodes[:end], end) for end in range(stop, 0, -1))
            self._siblings[key] = nodes, next((segment for segment in compiled if segment is not None), None)
        return self._siblings[key][1]

    def passes(self, loop: Loop, number: int) -> Segment | None:
        """Return the segment of the passes from `number` on in which no hook is due; None also for a hookless loop.

        A loop without hooks is a sibling like others, and was offered as such.
        """
        if not loop.hooks or id(loop) in self._in_host or (holds_cycles((loop,)) and not self._whole_cycles):
            return None
        due = (at for at in range(number, loop.passes + 1) if any(hook.due(at) for hook in loop.hooks))
        count = next(due, loop.passes + 1) - number
        if count == 0:
            return None
        key = self._limits(), id(loop), count
        if key not in self._stretches:
            segment = self._compile((replace(loop, passes=count, hooks=()),), count, loop.body)
            self._stretches[key] = loop, segment
            if segment is None:
                self._in_host[id(loop)] = loop
        return self._stretches[key][1]

    def _compile(self, nodes: tuple[Node, ...], width: int, own: tuple[Node, ...] = ()) -> Segment | None:
        """Compile nodes; `own` is the body of the loop that the walk itself is in, where they are passes of it."""
        program = self._cycler.compile(nodes, self._limits())
        if program is None:
            return None
        breaking = frozenset(step.id for step in _outside_loops(own or nodes))
        return Segment(program, width, {step.id: step for step in steps_of(nodes)}, breaking)


def due_after(node: Node, hooks: Sequence[Hook]) -> bool:
    """Whether one of these hooks comes after a node."""
    return isinstance(node, Step) and any(hook.after in (node.verb, node.name) for hook in hooks)


def _outside_loops(nodes: Sequence[Node]) -> Iterator[Step]:
    """The steps around which no loop of the segment lies."""
    for node in nodes:
        match node:
            case Step():
                yield node
            case Branch(body=body, otherwise=otherwise):
                yield from _outside_loops((*body, *otherwise))
