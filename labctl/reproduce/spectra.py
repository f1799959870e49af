"""Numbers that a paper reads from a spectrum, read from one of a rehearsal: without a model, from its points.

*Intercept*: coming from the highest frequency, the real part where the imaginary part is no longer inductive,
interpolated between the two points beside it; the first point where that is capacitive already. *Arc*: from there the
imaginary part rises to its top and falls again; once it has fallen to half, its lowest point at all lower frequencies
is the foot, and the arc is as wide as the real part of the foot less the intercept. Ohm, at the cell's own area.
"""

from collections.abc import Iterator, Sequence

from labctl.rehearse.keeper import Point

_FALLEN = 0.5
"""Part of the top below which an arc counts as passed: noise does not make one."""


def intercept(spectrum: Sequence[Point]) -> float | None:
    """Return the resistance at the high-frequency end, ohm; None where every point is inductive."""
    before: Point | None = None
    for point in _downwards(spectrum):
        if point.imaginary <= 0.0:
            return point.real if before is None else _between(before, point)
        before = point
    return None


def arc(spectrum: Sequence[Point]) -> float | None:
    """Return the width of the first arc, ohm; None where the spectrum has none."""
    begin = intercept(spectrum)
    if begin is None:
        return None
    capacitive = [point for point in _downwards(spectrum) if point.imaginary <= 0.0]
    top = 0.0
    for index, point in enumerate(capacitive):
        top = max(top, -point.imaginary)
        if -point.imaginary < _FALLEN * top:
            foot = max(capacitive[index:], key=lambda each: each.imaginary)
            return foot.real - begin
    return None


def _downwards(spectrum: Sequence[Point]) -> Iterator[Point]:
    return iter(sorted(spectrum, key=lambda point: -point.frequency))


def _between(inductive: Point, capacitive: Point) -> float:
    share = inductive.imaginary / (inductive.imaginary - capacitive.imaginary)
    return inductive.real + share * (capacitive.real - inductive.real)
