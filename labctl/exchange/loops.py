"""Makes loops of steps that are numbered in a row, where a later step says how far it goes back."""

from labctl.exchange.procedure import Step


class Unfolded:
    """Steps as they come, each with the numbers of its first and its last line."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, int, Step]] = []

    @property
    def all(self) -> tuple[Step, ...]:
        """What there is now."""
        return tuple(step for _, _, step in self._steps)

    def add(self, first: int, last: int, step: Step) -> None:
        """Append a step; a loop reaches from its first step to itself."""
        self._steps.append((first, last, step))

    def take(self, since: int) -> tuple[Step, ...]:
        """Remove and return the steps from a number on; none where that lies inside a loop: they would cross."""
        if any(first < since <= last for first, last, _ in self._steps):
            return ()
        taken = tuple(step for first, _, step in self._steps if first >= since)
        self._steps = [item for item in self._steps if item[0] < since]
        return taken
