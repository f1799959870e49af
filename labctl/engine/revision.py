"""Revisions: a plan that replaces another one while it is walked, and where it may not."""

from collections.abc import Iterator

from labctl.engine.cycles import references_of
from labctl.errors import NotNow
from labctl.plan import Branch, ForEach, Jump, Loop, Node, Plan, Step

_Shape = tuple[str, ...]


class PlanInForce:
    """A plan with its latest revision; nodes of any older one are found again by their ids."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._revised: dict[tuple[bool, int], Node] = {}

    def __call__(self, node: Node) -> Node:
        """Return a node as the latest revision has it."""
        return self._revised.get(_key(node), node)

    def revise(self, plan: Plan) -> None:
        """Put a revision in force.

        Raises:
            NotNow: it is for another cell, of another shape, so that a walk could not go on in it, or asks for the
                capacity of a cycle that the run does not keep.
        """
        if plan.cell != self.plan.cell:
            raise NotNow("The revision is for another cell.", "Stop the run and start another one for that cell.")
        for before, after in zip(_shapes(self.plan, plan), _shapes(plan, self.plan), strict=False):
            if before != after:
                raise NotNow(
                    f"The revision has {_words(after)} where the plan has {_words(before)}.",
                    "What runs can change its numbers, not its steps. Stop it and start the other plan.",
                )
        unknown = references_of(plan) - references_of(self.plan)
        if unknown:
            cycles = ", ".join(str(cycle) for cycle in sorted(unknown))
            raise NotNow(
                f"The revision asks for the capacity of cycle {cycles}, which the run was not told to keep.",
                "Name a cycle that the plan has named from the beginning, or write a current.",
            )
        self.plan = plan
        self._revised = {_key(node): node for node in _nodes(plan.body)}


def _key(node: Node) -> tuple[bool, int]:
    """Steps have numbers of their own; all other nodes share theirs."""
    return isinstance(node, Step), node.id


def _nodes(nodes: tuple[Node, ...]) -> Iterator[Node]:
    for node in nodes:
        yield node
        for _, inner in _lists(node):
            yield from _nodes(inner)


def _lists(node: Node) -> Iterator[tuple[str, tuple[Node, ...]]]:
    """Every list of nodes within a node, with what it is."""
    match node:
        case Loop(body=body, hooks=hooks):
            yield "do", body
            for hook in hooks:
                yield f'at "{hook.after}"', hook.body
        case ForEach(bodies=bodies):
            for each in bodies:
                yield "do", each
        case Branch(body=body, otherwise=otherwise):
            yield "do", body
            yield "else", otherwise


def _shapes(plan: Plan, other: Plan) -> Iterator[_Shape]:
    """Describe a plan node by node, without its numbers; names only where something of either plan refers to them."""
    named = _referred(plan) | _referred(other)

    def shapes(nodes: tuple[Node, ...]) -> Iterator[_Shape]:
        for node in nodes:
            label = node.name if not isinstance(node, Branch) and node.name in named else ""
            if isinstance(node, Step):
                yield node.verb, label, f"step {node.id}"
                continue
            yield type(node).__name__.lower(), label, ""
            for what, inner in _lists(node):
                yield what, "", ""
                yield from shapes(inner)
                yield "the end of its list", "", ""

    yield from shapes(plan.body)
    yield "the end of the plan", "", ""


def _referred(plan: Plan) -> set[str]:
    ends = {end.label for step in plan.steps() for end in (*step.ends, *([step.timeout] if step.timeout else []))}
    ends |= {step.action.label for step in plan.steps() if isinstance(step.action, Jump)}
    hooks = {hook.after for node in _nodes(plan.body) if isinstance(node, Loop) for hook in node.hooks}
    return (ends | hooks) - {""}


def _words(shape: _Shape) -> str:
    what, label, where = shape
    return " ".join(part for part in (where, what, f'"{label}"' if label else "") if part)
