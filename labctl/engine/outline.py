"""The outline of a plan: its lines as they are shown to people, and which step comes next."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from labctl.plan import Branch, ForEach, Hook, Loop, Node, Plan, Step, steps_of

Passes = Mapping[int, int]
"""Number of the present pass of each loop that was entered, by its id."""


class Line(NamedTuple):
    """A line of a plan: `id` of its step, 0 where it is none; `depth` 0 is the top."""

    id: int
    depth: int
    text: str
    state: Literal["done", "now", "next"]


def lines(plan: Plan, step: Step | None, passes: Passes, *, ended: bool = False) -> tuple[Line, ...]:
    """Return the lines of a plan in the order of its file.

    Within a loop they speak of its present pass. Before the first step every line is next, and done where the run has
    ended.
    """
    here = step.id if step is not None else 0
    if ended:
        here = 1 + max((each.id for each in plan.steps()), default=0)
    return tuple(_lines(plan.body, 0, here, passes))


def _lines(nodes: tuple[Node, ...], depth: int, here: int, passes: Passes) -> Iterator[Line]:
    for node in nodes:
        yield Line(node.id if isinstance(node, Step) else 0, depth, _text(node, here, passes), _state((node,), here))
        match node:
            case Loop(body=body, hooks=hooks):
                yield from _lines(body, depth + 1, here, passes)
                for hook in hooks:
                    yield Line(0, depth + 1, _when(hook), _state(hook.body, here))
                    yield from _lines(hook.body, depth + 2, here, passes)
            case ForEach(bodies=bodies, labels=labels):
                for label, body in zip(labels, bodies, strict=True):
                    yield Line(0, depth + 1, label, _state(body, here))
                    yield from _lines(body, depth + 2, here, passes)
            case Branch(body=body, otherwise=otherwise):
                yield from _lines(body, depth + 1, here, passes)
                if otherwise:
                    yield Line(0, depth, "else", _state(otherwise, here))
                    yield from _lines(otherwise, depth + 1, here, passes)


def _text(node: Node, here: int, passes: Passes) -> str:
    match node:
        case Loop(id=loop, name=name, passes=total) if total > 1 and _state((node,), here) == "now" and loop in passes:
            return f"{name} (pass {passes[loop]} of {total})"
        case Branch(text=text, once=once):
            return f"if {text}{' (once)' if once else ''}"
    return node.name


def _when(hook: Hook) -> str:
    times = [f"cycle {cycle}" for cycle in hook.cycles] + ([f"every {hook.every}"] if hook.every is not None else [])
    return f"at {', '.join(times)}, after {hook.after}"


def _state(nodes: tuple[Node, ...], here: int) -> Literal["done", "now", "next"]:
    """Steps are numbered in the order of the file, so those of a node are a stretch of numbers."""
    ids = [step.id for step in steps_of(nodes)]
    if not ids or max(ids) < here:
        return "done" if here else "next"
    return "next" if min(ids) > here else "now"


def following(plan: Plan, step: Step | None, passes: Passes) -> Step | None:
    """Return the step after this one (None: the first) if it meets no end that leads elsewhere; None: the plan's end.

    Of a branch ahead nobody knows yet which way it goes; its `do` is taken.
    """
    return _first(plan.body) if step is None else _after(plan.body, step.id, passes)


def _after(nodes: tuple[Node, ...], here: int, passes: Passes) -> Step | None:
    """Return the step after `here` among these nodes, one of which holds it."""
    index = next(index for index, node in enumerate(nodes) if _holds((node,), here))
    return _within(nodes[index], here, passes) or _first(nodes[index + 1 :])


def _within(node: Node, here: int, passes: Passes) -> Step | None:
    match node:
        case Loop(id=loop, passes=total, body=body):
            again = _first(body) if passes.get(loop, 1) < total else None
            return _in_pass(node, here, passes) or again
        case ForEach(bodies=bodies):
            index = next(index for index, body in enumerate(bodies) if _holds(body, here))
            rest = tuple(each for body in bodies[index + 1 :] for each in body)
            return _after(bodies[index], here, passes) or _first(rest)
        case Branch(body=body, otherwise=otherwise):
            return _after(body if _holds(body, here) else otherwise, here, passes)
    return None


def _in_pass(loop: Loop, here: int, passes: Passes) -> Step | None:
    """Return the step after `here` in the present pass, through the hooks that are due in it."""
    for hook in loop.hooks:
        if _holds(hook.body, here):
            anchor = next(index for index, node in enumerate(loop.body) if _is_anchor(node, hook))
            return _after(hook.body, here, passes) or _first(loop.body[anchor + 1 :])
    for hook in loop.hooks:
        due = hook.due(passes.get(loop.id, 1))
        if due and any(isinstance(node, Step) and node.id == here and _is_anchor(node, hook) for node in loop.body):
            return _first(hook.body)
    return _after(loop.body, here, passes)


def _is_anchor(node: Node, hook: Hook) -> bool:
    return isinstance(node, Step) and hook.after in (node.verb, node.name)


def _holds(nodes: tuple[Node, ...], here: int) -> bool:
    return any(step.id == here for step in steps_of(nodes))


def _first(nodes: tuple[Node, ...]) -> Step | None:
    return next(steps_of(nodes), None)
