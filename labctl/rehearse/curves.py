"""Curves over lab time in bounded memory: minimum and maximum of each bucket, so that no spike is lost."""

import math
from collections.abc import Callable, Sequence

from labctl.reading import COLUMNS

MOST = 4000
"""Buckets; when they are full, neighbours are joined and each is twice as long."""
FIRST_WIDTH = 10.0
"""s of a bucket at first."""

TRACED: dict[str, tuple[int, int]] = {
    name: (COLUMNS.index(low), COLUMNS.index(high))
    for name, low, high in (
        ("voltage_volt", "voltage_volt", "voltage_volt"),
        ("current_ampere", "current_ampere", "current_ampere"),
        *(
            (name, f"{name}_min", f"{name}_max")
            for name in (
                "negative_pressure_pa",
                "positive_pressure_pa",
                "surface_temperature_celsius",
                "ambient_temperature_celsius",
            )
        ),
    )
}
"""What is traced -> the columns of a row that hold its minimum and its maximum since the row before."""
_TIME = COLUMNS.index("test_time_second")


class Curves:
    """The traced quantities of a run against its test time.

    Attributes:
        times: s, at the first row of each bucket.
        lows, highs: of each bucket by quantity, in the units of the columns; NaN where it had no value.

    Args:
        most: buckets.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self.width = FIRST_WIDTH
        self.times: list[float] = []
        self.lows: dict[str, list[float]] = {name: [] for name in TRACED}
        self.highs: dict[str, list[float]] = {name: [] for name in TRACED}
        self._bucket = -1

    def add(self, row: Sequence[float | int | None]) -> None:
        """Add a row that is not older than the one before."""
        time = row[_TIME]
        assert time is not None
        bucket = int(time / self.width)
        if bucket != self._bucket:
            while bucket != self._bucket and len(self.times) >= self._most:
                self._join()
                bucket = int(time / self.width)
        if bucket != self._bucket:
            self._bucket = bucket
            self.times.append(time)
            for name in TRACED:
                self.lows[name].append(math.nan)
                self.highs[name].append(math.nan)
        for name, (low, high) in TRACED.items():
            least, most = row[low], row[high]
            if least is not None and most is not None:
                lows, highs = self.lows[name], self.highs[name]
                if not lows[-1] <= least:
                    lows[-1] = least
                if not highs[-1] >= most:
                    highs[-1] = most

    def measured(self, name: str) -> bool:
        """Whether a quantity has ever had a value."""
        return not all(map(math.isnan, self.lows[name]))

    def _join(self) -> None:
        """Double the width of every bucket."""
        self.width *= 2.0
        self._bucket //= 2
        buckets = [int(time / self.width) for time in self.times]
        firsts = [k for k, bucket in enumerate(buckets) if not k or bucket != buckets[k - 1]]
        stretches = [slice(first, after) for first, after in zip(firsts, [*firsts[1:], len(buckets)], strict=True)]
        self.times = [self.times[first] for first in firsts]
        for name in TRACED:
            self.lows[name] = [_extreme(min, self.lows[name][stretch]) for stretch in stretches]
            self.highs[name] = [_extreme(max, self.highs[name][stretch]) for stretch in stretches]


def _extreme(choose: Callable[[list[float]], float], values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return choose(known) if known else math.nan
