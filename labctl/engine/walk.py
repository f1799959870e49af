"""The walk over a plan's tree: order, loops, hooks, branches, and how a step's end leaves the nodes around it."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from labctl.engine.segments import Segment, Segments, due_after
from labctl.plan import Branch, ForEach, Hook, Loop, Node, Step, Then

Do = Callable[[Step], Awaitable[None]]
"""Carries out a step; raises Leave where its end says that the walk goes on elsewhere."""


class CycleCounter(Protocol):
    """Is told of passes that count."""

    def begin(self, loop: Loop) -> None:
        """A pass begins."""

    def complete(self) -> None:
        """It has come to its end."""

    def abandon(self) -> None:
        """It was left before its end."""


class Leave(Exception):
    """Carries `then` out of the step that met it, to the loop, the label or the end it speaks of."""

    def __init__(self, then: Then, label: str = "") -> None:
        super().__init__(label or then.value)
        self.then = then
        self.label = label


class Walk:
    """Walks nodes in order; what the cycler executes by itself is handed over as segments.

    Args:
        do: carries out a step.
        decide: whether a branch's condition is true now.
        cycles: told of passes that count; those within a segment are its own affair.
        in_force: gives a node as the latest revision of the plan has it.
        segments: finds what the cycler executes; None: the host executes every step.
        follow: sees a segment to its end; raises Leave as `do` does.

    Attributes:
        passes: number of the present pass of each loop, by its id.
        path: where the walk is. The index of a node, followed, where the walk is inside of it, by the number of the
            loop's pass, of the value of a `for`, of the arm of a branch (0: true) or of the hook after a step; then
            again an index, and so on. A path that ends with a loop's pass stands before that pass.
        fired: ids of branches that fire once and have.
    """

    def __init__(
        self,
        do: Do,
        decide: Callable[[Branch], bool],
        cycles: CycleCounter,
        in_force: Callable[[Node], Node] = lambda node: node,
        segments: Segments | None = None,
        follow: Callable[[Segment], Awaitable[None]] | None = None,
    ) -> None:
        self.passes: dict[int, int] = {}
        self.path: list[int] = []
        self.fired: set[int] = set()
        self._in_force = in_force
        self._do = do
        self._decide = decide
        self._cycles = cycles
        self._segments = segments
        self._follow = follow
        self._way_back: list[int] = []

    def return_to(self, path: Sequence[int], fired: Iterable[int]) -> None:
        """Make the next `walk` begin at a path where a walk of the same plan was."""
        self._way_back = list(reversed(path))
        self.fired = set(fired)

    async def walk(self, nodes: tuple[Node, ...], hooks: tuple[Hook, ...] = ()) -> None:
        """Walk nodes, each step followed by the hooks that are due after it; a `goto` moves among them.

        Raises:
            Leave: for a loop or a label further out, or the end of the plan.
        """
        with self._level(0) as index:
            while index < len(nodes):
                self.path[-1] = index
                try:
                    index += await self._next(nodes[index:], hooks)
                except Leave as leave:
                    present = [self._in_force(node) for node in nodes]
                    labels = [node.name if isinstance(node, Step | Loop | ForEach) else "" for node in present]
                    if leave.then is not Then.GOTO or leave.label not in labels:
                        raise
                    index = labels.index(leave.label)

    @contextmanager
    def _level(self, first: int) -> Iterator[int]:
        """Go one level deeper while the block runs; yield where to begin there: at `first`, or on the way back."""
        begin = self._way_back.pop() if self._way_back else first
        depth = len(self.path)
        self.path.append(begin)
        try:
            yield begin
        finally:
            del self.path[depth:]

    async def _next(self, nodes: tuple[Node, ...], hooks: tuple[Hook, ...]) -> int:
        """Walk the first of these nodes, or the segment that begins there; return how many nodes that was."""
        segment = None
        if self._segments is not None and not self._way_back:
            segment = self._segments.siblings([self._in_force(node) for node in nodes], hooks)
        if segment is None:
            await self._node(self._in_force(nodes[0]), hooks)
            return 1
        assert self._follow is not None
        await self._follow(segment)
        self.path[-1] += segment.width - 1
        await self._hooked(self._in_force(nodes[segment.width - 1]), hooks)
        return segment.width

    async def _node(self, node: Node, hooks: tuple[Hook, ...]) -> None:
        match node:
            case Step():
                if not self._way_back:
                    await self._do(node)
                await self._hooked(node, hooks)
            case Loop():
                await self._loop(node)
            case ForEach(bodies=bodies):
                await self._for_each(bodies)
            case Branch():
                await self._branch(node)

    async def _hooked(self, node: Node, hooks: tuple[Hook, ...]) -> None:
        due = [hook for hook in hooks if due_after(node, (hook,))]
        if due:
            with self._level(0) as first:
                for number in range(first, len(due)):
                    self.path[-1] = number
                    await self.walk(due[number].body)

    async def _loop(self, loop: Loop) -> None:
        with self._level(1) as number, _until_break():
            while number <= (loop := self._revised(loop)).passes:
                self.passes[loop.id] = self.path[-1] = number
                number += await self._pass(loop, number)

    async def _pass(self, loop: Loop, number: int) -> int:
        """Walk a pass, or the segment of passes that begins with it; return how many passes that was."""
        inside = bool(self._way_back)
        segment = None if self._segments is None or inside else self._segments.passes(loop, number)
        if segment is not None:
            assert self._follow is not None
            await self._follow(segment)
            return segment.width
        if loop.counts and not inside:
            self._cycles.begin(loop)
        try:
            await self.walk(loop.body, tuple(hook for hook in loop.hooks if hook.due(number)))
        except Leave:
            if loop.counts:
                self._cycles.abandon()
            raise
        if loop.counts:
            self._cycles.complete()
        return 1

    def _revised(self, loop: Loop) -> Loop:
        present = self._in_force(loop)
        assert isinstance(present, Loop)
        return present

    async def _for_each(self, bodies: tuple[tuple[Node, ...], ...]) -> None:
        with self._level(0) as first, _until_break():
            for number in range(first, len(bodies)):
                self.path[-1] = number
                await self.walk(bodies[number])

    async def _branch(self, branch: Branch) -> None:
        arm = 0
        if not self._way_back:
            if branch.once and branch.id in self.fired:
                return
            arm = 0 if self._decide(branch) else 1
        with self._level(arm) as arm:
            if arm == 0:
                self.fired.add(branch.id)
            await self.walk(branch.otherwise if arm else branch.body)


@contextmanager
def _until_break() -> Iterator[None]:
    """End the block where a `break` says so."""
    try:
        yield
    except Leave as leave:
        if leave.then is not Then.BREAK:
            raise
