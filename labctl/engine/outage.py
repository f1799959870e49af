"""What is done with a run whose process died: how the cell is found, what speaks against going on, and who decides."""

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.engine.position import Position, Seen
from labctl.instrument import digest_of
from labctl.plan import Bound, Limits, Outage, OutagePolicy, Prompt

VOLTAGE_BAND = 0.02
"""V around what the cell is expected to show at rest."""
TEMPERATURE_BAND = 2.0
"""K around what was kept, or measured last."""
PRESSURE_BAND = 0.1
"""Of the pressure that was measured last."""
RESTS = 1e-6
"""A: below this the voltage measured last is that of a resting cell."""

GO_ON, END = "go on", "end"


@dataclass(frozen=True, slots=True)
class Found:
    """How a station is found.

    Attributes:
        away: s since the last record of the run; None: not known, because a clock was set.
        seen: what is measured now, at open circuit or at no current.
        identities: by instrument, what it says it is.
    """

    away: float | None
    seen: Seen
    identities: tuple[tuple[str, str], ...] = ()


def sentence(found: Found, name: str, number: int) -> str:
    """Say which step of which cycle was under way, how long the cell sat and what it reads now."""
    where = f'"{name}"' if name else "no step yet"
    cycle = f" of cycle {number}" if number else ""
    sat = "It is not known how long the cell sat" if found.away is None else f"The cell sat {_span(found.away)}"
    return f"Its process died. Under way was {where}{cycle}. {sat}; it reads {', '.join(_readings(found.seen))}."


def question(text: str) -> Prompt:
    """Return what a person is asked where the policy says so."""
    return Prompt(f"{text} Go on with the run, or end it?", (GO_ON, END))


def objections(rule: Outage, position: Position, found: Found, limits: Limits) -> tuple[str, ...]:
    """Return every reason not to go on without a person; none where there is none."""
    return tuple(_objections(rule, position, found, limits))


def _objections(rule: Outage, position: Position, found: Found, limits: Limits) -> Iterator[str]:
    hosted = position.hosted
    before = None if hosted is None else hosted.seen
    if rule.policy is not OutagePolicy.RESUME:
        yield f'its protocol says "{rule.policy}"'
    if hosted is not None and hosted.paused_by:
        yield f"it was paused by {hosted.paused_by}"
    if found.away is None:
        yield "how long the cell sat is not known, because a clock was set"
    elif found.away > rule.max_gap:
        yield f"the cell sat {_span(found.away)}, longer than {_span(rule.max_gap)}"
    instruments = dict(found.identities)
    for name, digest in position.identities:
        if name not in instruments:
            yield f"{name} is not there any more"
        elif digest_of(instruments[name]) != digest:
            yield f"{name} is another instrument than before: {instruments[name]}"
    if before is None:
        yield "nothing had been measured before"
        return
    yield from _of_voltage(before, found.seen, None if hosted is None else hosted.resistance)
    yield from _of_surroundings(position, before, found.seen, limits)


def _of_voltage(before: Seen, now: Seen, resistance: float | None) -> Iterator[str]:
    rests = abs(before.current) < RESTS
    if before.voltage is None or (resistance is None and not rests):
        yield "which voltage the cell should show at rest is not known"
    elif now.voltage is None:
        yield "its voltage is not known"
    else:
        expected = before.voltage - (0.0 if rests or resistance is None else before.current * resistance)
        if abs(now.voltage - expected) > VOLTAGE_BAND:
            yield f"its voltage is {now.voltage:.4g} V, not within {VOLTAGE_BAND * 1e3:g} mV of {expected:.4g} V"


def _of_surroundings(position: Position, before: Seen, now: Seen, limits: Limits) -> Iterator[str]:
    kept = position.surroundings.celsius
    wanted = before.celsius if kept is None else kept
    if wanted is not None:
        if now.celsius is None:
            yield "its temperature is not known"
        elif abs(now.celsius - wanted) > TEMPERATURE_BAND or not _inside(now.celsius, limits.temperature):
            yield f"its temperature is {now.celsius:.1f} °C, and {wanted:.1f} °C was kept"
    present = dict(now.pressures)
    for side, pressure in before.pressures:
        bound = limits.pressure_negative if side == "negative" else limits.pressure_positive
        value = present.get(side)
        if value is None:
            yield f"the pressure of the {side} side is not known"
        elif abs(value - pressure) > PRESSURE_BAND * abs(pressure) or not _inside(value, bound):
            yield f"the pressure of the {side} side is {value / 1e6:.3g} MPa, and was {pressure / 1e6:.3g} MPa"


def _inside(value: float, bound: Bound) -> bool:
    return (bound.low is None or value >= bound.low) and (bound.high is None or value <= bound.high)


def _readings(seen: Seen) -> Iterator[str]:
    yield "no voltage (its relay is open)" if seen.voltage is None else f"{seen.voltage:.4g} V"
    if seen.celsius is not None:
        yield f"{seen.celsius:.1f} °C"
    for side, pressure in seen.pressures:
        yield f"{pressure / 1e6:.3g} MPa on the {side} side"


def _span(seconds: float) -> str:
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.1f} h"
