"""The walk over a plan's tree: order, loops, hooks, branches, and how a step's end leaves the nodes around it."""

from collections.abc import Awaitable, Callable

from labctl.plan import Branch, ForEach, Hook, Loop, Node, Step, Then

Do = Callable[[Step], Awaitable[None]]
"""Carries out a step; raises Leave where its end says that the walk goes on elsewhere."""


class Leave(Exception):
    """Carries `then` out of the step that met it, to the loop, the label or the end it speaks of."""

    def __init__(self, then: Then, label: str = "") -> None:
        super().__init__(label or then.value)
        self.then = then
        self.label = label


class Walk:
    """Walks nodes in order.

    Args:
        do: carries out a step.
        decide: whether a branch's condition is true now.
        begin_cycle: told when a pass that counts begins.
    """

    def __init__(self, do: Do, decide: Callable[[Branch], bool], begin_cycle: Callable[[], None]) -> None:
        self._do = do
        self._decide = decide
        self._begin_cycle = begin_cycle
        self._fired: set[int] = set()

    async def walk(self, nodes: tuple[Node, ...], hooks: tuple[Hook, ...] = ()) -> None:
        """Walk nodes, each step followed by the hooks that are due after it; a `goto` moves among them.

        Raises:
            Leave: for a loop or a label further out, or the end of the plan.
        """
        index = 0
        while index < len(nodes):
            try:
                await self._node(nodes[index], hooks)
                index += 1
            except Leave as leave:
                labels = [node.name if isinstance(node, Step | Loop | ForEach) else "" for node in nodes]
                if leave.then is not Then.GOTO or leave.label not in labels:
                    raise
                index = labels.index(leave.label)

    async def _node(self, node: Node, hooks: tuple[Hook, ...]) -> None:
        match node:
            case Step():
                await self._do(node)
                for hook in hooks:
                    if hook.after in (node.verb, node.name):
                        await self.walk(hook.body)
            case Loop():
                await self._loop(node)
            case ForEach(bodies=bodies):
                await self._until_break(bodies)
            case Branch():
                await self._branch(node)

    async def _loop(self, loop: Loop) -> None:
        for number in range(1, loop.passes + 1):
            if loop.counts:
                self._begin_cycle()
            due = tuple(hook for hook in loop.hooks if hook.due(number))
            if not await self._until_break((loop.body,), due):
                return

    async def _until_break(self, bodies: tuple[tuple[Node, ...], ...], hooks: tuple[Hook, ...] = ()) -> bool:
        """Walk one body after the other; return False where a `break` ended it."""
        try:
            for body in bodies:
                await self.walk(body, hooks)
        except Leave as leave:
            if leave.then is not Then.BREAK:
                raise
            return False
        return True

    async def _branch(self, branch: Branch) -> None:
        if branch.once and branch.id in self._fired:
            return
        if self._decide(branch):
            self._fired.add(branch.id)
            await self.walk(branch.body)
        else:
            await self.walk(branch.otherwise)


def cycles_of(nodes: tuple[Node, ...]) -> int:
    """Return the cycles that a walk counts, as far as its loops say it."""
    total = 0
    for node in nodes:
        match node:
            case Loop(passes=passes, counts=True):
                total += passes
            case Loop(passes=passes, body=body):
                total += passes * cycles_of(body)
            case ForEach(bodies=bodies):
                total += sum(cycles_of(body) for body in bodies)
            case Branch(body=body):
                total += cycles_of(body)
    return total
