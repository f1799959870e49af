"""Ways through the tree of a plan that several rules take."""

from collections.abc import Iterator

from labctl.plan import Branch, ForEach, Loop, Node, Step


def lists(nodes: tuple[Node, ...]) -> Iterator[tuple[Node, ...]]:
    """Yield every list of nodes that are walked one after the other, outer ones first."""
    yield nodes
    for node in nodes:
        for inner in _inside(node):
            yield from lists(inner)


def in_order(nodes: tuple[Node, ...], passes: int = 2) -> Iterator[Step]:
    """Yield the steps as a run walks them, of each loop the first passes only; hooks come behind the pass."""
    for node in nodes:
        if isinstance(node, Step):
            yield node
            continue
        for _ in range(min(passes, node.passes) if isinstance(node, Loop) else 1):
            for inner in _inside(node):
                yield from in_order(inner, passes)


def _inside(node: Node) -> tuple[tuple[Node, ...], ...]:
    match node:
        case Loop(body=body, hooks=hooks):
            return (body, *(hook.body for hook in hooks))
        case ForEach(bodies=bodies):
            return bodies
        case Branch(body=body, otherwise=otherwise):
            return (body, otherwise)
    return ()
