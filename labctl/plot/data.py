"""What a plot is given: series of values, as arrays, and the window that shows all of them."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labctl.plot.raster import Array, Points, Window

Values = Sequence[float | None] | NDArray[np.float64]
Range = tuple[float, float]

_LARGEST, _SMALLEST = 1e300, 1e-290
"""Beyond the one a window ends; values whose span is below the other are constant."""
_SAME = 1e-12
"""So are values whose span is a smaller part of them."""
_AROUND_CONSTANT = 0.01


class Series(NamedTuple):
    """A line: x and, for each, the lowest and the highest value there (the same where nothing was bucketed).

    A value that is None or not finite is a gap. Points are joined in their order.
    """

    label: str
    x: Values
    low: Values
    high: Values


def points_of(series: Series) -> Points:
    """Return the arrays of a series, low <= high, NaN in all at a gap. Raises ValueError where lengths differ."""
    x, low, high = (np.asarray(values, dtype=np.float64) for values in series[1:])
    if not x.shape == low.shape == high.shape:
        raise ValueError(f"x, low and high of {series.label!r} are {x.size}, {low.size} and {high.size} values")
    low, high = np.minimum(low, high), np.maximum(low, high)
    known = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
    if known.all():
        return x, low, high
    return np.where(known, x, np.nan), np.where(known, low, np.nan), np.where(known, high, np.nan)


def window_of(points: Sequence[Points], span: Range | None) -> Window | None:
    """Return the window of all values, or of those in a span of x; None without any value.

    Where a span holds no value, lines may still cross it: it is shown as high as all.
    """
    width = _range((x for x, _, _ in points), (x for x, _, _ in points))
    height = _range((low for _, low, _ in points), (high for _, _, high in points))
    if width is None or height is None:
        return None
    left, right = _widened(*(span or width))
    if span is not None:
        inside = [(x >= left) & (x <= right) for x, _, _ in points]
        lows = (low[shown] for (_, low, _), shown in zip(points, inside, strict=True))
        highs = (high[shown] for (_, _, high), shown in zip(points, inside, strict=True))
        height = _range(lows, highs) or height
    return Window(left, right, *_widened(*height))


def nearest(points: Points, x: float) -> int | None:
    """Return the index of the value that is nearest in x; None without any."""
    distance = np.abs(points[0] - x)
    return None if np.isnan(distance).all() else int(np.nanargmin(distance))


def _range(lows: Iterable[Array], highs: Iterable[Array]) -> Range | None:
    """Return the least of the one and the greatest of the other, NaN left out."""
    low, high = _extreme(min, np.fmin, lows), _extreme(max, np.fmax, highs)
    return None if low is None or high is None else (low, high)


def _extreme(of: Callable[[list[float]], float], ufunc: np.ufunc, arrays: Iterable[Array]) -> float | None:
    extremes = [float(ufunc.reduce(array)) for array in arrays if array.size]
    known = [extreme for extreme in extremes if not math.isnan(extreme)]
    return of(known) if known else None


def _widened(low: float, high: float) -> Range:
    """Return a span that can be divided: a constant stands in the middle of its own."""
    low, high = max(low, -_LARGEST), min(high, _LARGEST)
    largest = max(abs(low), abs(high))
    if high - low > max(_SAME * largest, _SMALLEST):
        return low, high
    around = _AROUND_CONSTANT * largest if largest > _SMALLEST else 1.0
    return low - around, high + around
