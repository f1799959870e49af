"""What the readings of one load cell show by themselves: how they scatter, a force that jumps, a sensor that is stuck.

Nothing here knows a rig: how far screws have turned comes in as the force that this may be worth.
"""

import math
from collections import deque
from math import inf
from statistics import median
from typing import NamedTuple


class Reading(NamedTuple):
    """One reading of a load cell.

    Attributes:
        time: lab time, s.
        force: N.
        still: whether no screw has turned for a while before it, nor does now.
    """

    time: float
    force: float
    still: bool


class Scatter:
    """How the readings of a sensor scatter and step, learnt from its first readings while no screw turns.

    Learnt block by block: a stack that slides in its die spoils the block in which it does. How large a change noise
    may make is told by all of them, how often a reading may repeat itself by the one in which it did so most.
    """

    FEWEST = 100
    """Differences of neighbouring readings from which noise is known, and in a block."""
    BLOCKS = 3
    """From so many blocks on it is known how often a reading may repeat itself."""
    MOST = 600
    """Differences after which nothing more is learnt: a sensor that grows noisier is not to be got used to."""
    WIDE = 1.3
    """Steps: noise that takes no reading further from the middle of its neighbours may hide within one step for hours;
    rounding alone takes it by one at most."""
    WIDE_SHARE = 0.01
    NEIGHBOURS = 1.5
    """Variances of one reading, by which it differs from the middle of its neighbours, however the force moves on."""
    SURE = 30.0
    """Of -ln of the chance that healthy readings repeat as often: once in 10¹³ readings."""
    CAUTION = 0.85
    """Of the noise that was learnt: no less is to be reckoned with."""
    FEWEST_REPEATS = 20

    def __init__(self) -> None:
        self.step = inf
        """N, the smallest difference that it has shown."""
        self._readings: list[float] = []
        """Up to two before the next one, while no screw turns."""
        self._count = self._repeating = 0
        self._blocks = [_Block()]
        self._reckoned: tuple[int, float | None] = (0, None)
        """The most repeats, and from how many differences that was reckoned."""

    def see(self, reading: Reading) -> None:
        """Learn from the next reading."""
        if not reading.still:
            self._readings, self._repeating = [], 0
            return
        if self._count >= self.MOST:
            return
        last = self._readings[-1] if self._readings else None
        if last == reading.force:
            self._repeating += 1  # it teaches nothing before it has ended: a stuck sensor would be got used to
            return
        if last is not None:
            self.step = min(self.step, abs(reading.force - last))
            self._take(reading.force)
        self._readings = [*self._readings[-1:], reading.force]

    def _take(self, force: float) -> None:
        """Take a reading that differs from the last one, and those that repeated that."""
        *before, last = self._readings
        if self._blocks[-1].count >= self.FEWEST:
            self._blocks.append(_Block())
        row = [*before, *[last] * (self._repeating + 1), force]
        squares = [(here - 0.5 * (row[n] + row[n + 2])) ** 2 for n, here in enumerate(row[1:-1])]
        self._blocks[-1].take(self._repeating, squares)
        self._count += self._repeating + 1
        self._repeating = 0

    @property
    def noise(self) -> float | None:
        """N, standard deviation of one reading; None: not known yet."""
        squares = sum(len(block.squares) for block in self._blocks)
        if self._count < self.FEWEST or not squares:
            return None
        return math.sqrt(sum(block.sum for block in self._blocks) / (self.NEIGHBOURS * squares))

    @property
    def most_repeats(self) -> float | None:
        """How often the same reading may follow itself; None: not known, or it may do so for ever.

        The worst case is a force in the middle of a step, which white noise leaves only when it is larger than half a
        step. Known only where the noise spans steps, as neighbours that differ by two show.
        """
        if self._reckoned[0] != self._count:
            self._reckoned = self._count, self._reckon()
        return self._reckoned[1]

    def _reckon(self) -> float | None:
        full = [block for block in self._blocks if block.count >= self.FEWEST]
        if len(full) < self.BLOCKS:
            return None
        stays = max(self._stays(block) for block in full)
        return None if stays >= 1.0 else max(-self.SURE / math.log(max(stays, 1e-9)), self.FEWEST_REPEATS)

    def _stays(self, block: "_Block") -> float:
        """Return the chance, at most, that a reading follows itself, by one block."""
        wide = sum(square > (self.WIDE * self.step) ** 2 for square in block.squares)
        if wide < self.WIDE_SHARE * block.count:
            return 1.0
        variance = block.sum / (self.NEIGHBOURS * len(block.squares)) - self.step**2 / 12.0
        if variance <= 0.0:
            return 1.0
        stays = math.erf(self.step / (2.0 * math.sqrt(2.0 * variance) * self.CAUTION))
        return max(stays, block.repeats / block.count)


class _Block:
    """Some of the differences of neighbouring readings.

    Attributes:
        count: of differences.
        repeats: how many of them are none.
        squares: N², of the distances of readings from the middle of their neighbours; `sum`: of them all.
    """

    def __init__(self) -> None:
        self.count = self.repeats = 0
        self.squares: list[float] = []
        self.sum = 0.0

    def take(self, repeats: int, squares: list[float]) -> None:
        """Take a difference behind so many that are none."""
        self.count += repeats + 1
        self.repeats += repeats
        self.squares += squares
        self.sum += sum(squares)


class Jump:
    """A force that changes from one poll to the next by more than noise, and stays so at the next one.

    The last two readings are compared with the median of those before; what relaxes after a move changes less in every
    span than in the one before: twice that is allowed for, or what the turns of screws may have done, after-effects
    included. A third reading is not waited for: pressure control would have made up for the jump by then.
    """

    BLOCK = 5
    """Readings in a median: two wrong ones are none."""
    LONGEST = 15.0
    """s between the first and the last of those that are compared."""
    SETTLES = 0.25
    """Of a jump, by which two readings after it may differ: what goes on is no jump, but a stack that slides."""

    def __init__(self) -> None:
        self._readings: deque[Reading] = deque(maxlen=2 * self.BLOCK + 2)

    def begin(self) -> None:
        """Compare nothing from before with what comes."""
        self._readings.clear()

    @property
    def since(self) -> float:
        """Lab time of the oldest reading that is compared."""
        return self._readings[0].time if self._readings else inf

    def see(self, reading: Reading) -> Reading | None:
        """Take the next reading; return the one that is too old to be compared any more."""
        full = len(self._readings) == self._readings.maxlen
        old = self._readings[0] if full else None
        self._readings.append(reading)
        return old

    def judge(self, least: float, rise: float, fall: float) -> tuple[float, float] | None:
        """Return from where to where the force has jumped, N; None: it has not.

        Args:
            least: N, below which a change is none.
            rise, fall: N, by which turns of screws may have changed it as well.
        """
        block, readings = self.BLOCK, self._readings
        if len(readings) < 2 * block + 2 or readings[-1].time - readings[0].time > self.LONGEST:
            return None
        forces = [reading.force for reading in readings]
        if max(forces) - min(forces) <= least:
            return None
        first, before = median(forces[:block]), median(forces[block : 2 * block])
        trend = 2.0 * abs(before - first)
        low, high = min(forces[-2:]), max(forces[-2:])
        if high - low > self.SETTLES * min(abs(low - before), abs(high - before)):
            return None
        if low - before > least + max(trend, rise):
            return before, low
        return (before, high) if before - high > least + max(trend, fall) else None


class Stuck:
    """A sensor that shows exactly the same, though its noise, or a screw that was turned, makes that impossible."""

    REPEATS_IN_A_MOVE = 3
    """Readings that are the same before a turn counts: one may have been on its way."""

    def __init__(self) -> None:
        self.value = math.nan
        self.repeats = 0
        """How often the value has followed itself."""
        self.since = -inf
        """Lab time since which it is the same."""

    def begin(self) -> None:
        """Look at nothing from before."""
        self.value, self.repeats = math.nan, 0

    def see(self, force: float, now: float) -> bool:
        """Take the next reading; return whether it is another one than before."""
        if force == self.value:
            self.repeats += 1
            return False
        self.value, self.repeats, self.since = force, 0, now
        return True

    def repeats_too_often(self, most: float | None) -> bool:
        """Whether noise makes that impossible; None: it does not."""
        return most is not None and self.repeats > most
