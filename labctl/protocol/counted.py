"""How many cycles can be complete when a step is reached for the first time."""

import math

from labctl.plan import Branch, ForEach, Hook, Loop, Node, Step


def complete_before(nodes: tuple[Node, ...]) -> list[tuple[Step, float]]:
    """Return every step with the most cycles that this run can have completed when it first comes to it.

    Infinite for what an `if` in a loop decides: it may wait for any pass.
    """
    found: list[tuple[Step, float]] = []
    _walk(nodes, 0.0, found, in_loop=False)
    return found


def _walk(nodes: tuple[Node, ...], before: float, found: list[tuple[Step, float]], *, in_loop: bool) -> float:
    """Note the steps of these nodes; return how many cycles can be complete behind them."""
    for node in nodes:
        match node:
            case Step():
                found.append((node, before))
            case Loop():
                before = _loop(node, before, found)
            case ForEach(bodies=bodies):
                for body in bodies:
                    before = _walk(body, before, found, in_loop=in_loop)
            case Branch(body=body, otherwise=otherwise):
                arms: list[tuple[Step, float]] = []
                before = max(_walk(arm, before, arms, in_loop=in_loop) for arm in (body, otherwise))
                found += [(step, math.inf) for step, _ in arms] if in_loop else arms
    return before


def _loop(loop: Loop, before: float, found: list[tuple[Step, float]]) -> float:
    inside = _walk(loop.body, before, found, in_loop=True) - before
    of_a_pass = 1.0 if loop.counts else inside
    for hook in loop.hooks:
        passes = _first(hook) - loop.counts
        _walk(hook.body, before + passes * of_a_pass, found, in_loop=True)
    return before + loop.passes * of_a_pass


def _first(hook: Hook) -> int:
    """Return the pass after whose step a hook first comes."""
    return min(hook.cycles) if hook.cycles else hook.every or 1
