"""How many cycles can be complete when a step is first reached: never fewer than a walk through the plan completes."""

import asyncio
import math
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.engine.walk import Walk
from labctl.plan import All, Branch, ForEach, Hook, Loop, Node, Rest, Step
from labctl.protocol.counted import complete_before


def _lists(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[tuple[Node, ...]]:
    return st.lists(inner, min_size=1, max_size=3).map(tuple)


def _nodes(*, counting: bool) -> st.SearchStrategy[Node]:
    """Nodes of a plan; no loop counts in one that does."""

    def around(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        bodies, passes = _lists(inner), st.integers(1, 3)
        hook = st.builds(
            Hook, st.just(()) | st.integers(1, 3).map(lambda n: (n,)), st.integers(1, 2), st.just("rest"), PLAIN
        )
        return (
            st.builds(Loop, ID, NAME, passes, st.just(value=False), bodies, st.lists(hook, max_size=1).map(tuple))
            | st.builds(ForEach, ID, NAME, st.just(()), st.lists(bodies, min_size=1, max_size=2).map(tuple))
            | st.builds(Branch, ID, st.just(All(())), NAME, bodies, bodies | st.just(()))
        )

    leaves: st.SearchStrategy[Node] = STEPS
    if counting:
        leaves |= st.builds(Loop, ID, NAME, st.integers(1, 3), st.just(value=True), _lists(_nodes(counting=False)))
    return st.recursive(leaves, around, max_leaves=6)


ID, NAME = st.just(0), st.just("")
STEPS = st.builds(Step, ID, st.just("rest"), st.just("rest"), st.just(Rest()))
PLAIN = _lists(STEPS)


def _numbered(node: Node, numbers: "count[int]") -> Node:
    """Give every step and loop an id of its own."""
    match node:
        case Step():
            return Step(next(numbers), "rest", "rest", Rest())
        case Loop():
            hooks = tuple(Hook(h.cycles, h.every, h.after, _all(h.body, numbers)) for h in node.hooks)
            return Loop(next(numbers), "", node.passes, node.counts, _all(node.body, numbers), hooks)
        case ForEach():
            return ForEach(next(numbers), "", (), tuple(_all(body, numbers) for body in node.bodies))
        case Branch():
            arms = _all(node.body, numbers), _all(node.otherwise, numbers)
            return Branch(next(numbers), node.condition, "", *arms)


def _all(nodes: tuple[Node, ...], numbers: "count[int]") -> tuple[Node, ...]:
    return tuple(_numbered(node, numbers) for node in nodes)


class Counter:
    """Counts complete passes."""

    complete_passes = 0

    def begin(self, loop: Loop) -> None:
        pass

    def complete(self) -> None:
        self.complete_passes += 1

    def abandon(self) -> None:
        pass


@settings(max_examples=60)
@given(_lists(_nodes(counting=True)), st.lists(st.booleans(), min_size=1, max_size=9))
def test_no_walk_completes_more_before_it_first_comes_to_a_step(nodes: tuple[Node, ...], decisions: list[bool]) -> None:
    nodes, counter, asked = _all(nodes, count(1)), Counter(), count()
    reached: dict[int, int] = {}

    async def do(step: Step) -> None:
        reached.setdefault(step.id, counter.complete_passes)

    walk = Walk(do, lambda branch: decisions[next(asked) % len(decisions)], counter)
    asyncio.run(walk.walk(nodes))
    most = {step.id: complete for step, complete in complete_before(nodes)}
    assert all(complete <= most[step] for step, complete in reached.items())


def test_what_an_if_in_a_loop_decides_may_come_at_any_pass() -> None:
    step, other = (Step(number, "rest", "rest", Rest()) for number in (1, 2))
    branch = Branch(3, All(()), "", (step,))
    assert complete_before((Loop(4, "", 5, True, (other, branch)), step)) == [(other, 0), (step, math.inf), (step, 5)]
    assert complete_before((branch,)) == [(step, 0)]
