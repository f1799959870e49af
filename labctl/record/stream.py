"""The order of one (run, channel): batches come late, twice or not at all; what is written continues the watermark."""

from labctl.bus.codec import Batch, Malformed
from labctl.record.kinds import Gap, read

MOST_WAITING = 200
"""Batches that may wait for an earlier one; more are dropped and will be sent again."""


class Stream:
    """Sorts batches into those that continue the watermark, those known already, and those that wait.

    Attributes:
        watermark: the highest number up to which everything was taken.
    """

    def __init__(self, watermark: int) -> None:
        self.watermark = watermark
        self._waiting: dict[int, Batch] = {}

    @property
    def waiting(self) -> int:
        """Records that wait for earlier ones."""
        return sum(batch.last - batch.first + 1 for batch in self._waiting.values())

    def offer(self, batch: Batch) -> tuple[list[Batch], list[Batch]]:
        """Take a batch; return what was known before, for comparison, and what is new and in order."""
        known: list[Batch] = []
        fresh: list[Batch] = []
        if len(self._waiting) < MOST_WAITING or _begins_at(batch) <= self.watermark + 1:
            longer = self._waiting.get(batch.first)
            if longer is None or longer.last < batch.last:
                self._waiting[batch.first] = batch
        while self._waiting:
            first = min(self._waiting)
            candidate = self._waiting[first]
            if _begins_at(candidate) > self.watermark + 1:
                break
            del self._waiting[first]
            if candidate.first <= self.watermark:
                known.append(candidate.upto(self.watermark))
            if candidate.last > self.watermark:
                fresh.append(candidate.behind(self.watermark))
                self.watermark = candidate.last
        return known, fresh


def _begins_at(batch: Batch) -> int:
    """Return the first number that a batch accounts for: a gap also accounts for the numbers that were lost."""
    if batch.events and batch.events[0].kind == "gap":
        try:
            gap = read(Gap, batch.events[0])
        except Malformed:
            return batch.first
        if gap.first <= gap.last and gap.last in (batch.first - 1, batch.first):
            return gap.first
    return batch.first
