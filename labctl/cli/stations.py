"""Stations as `labctl status` and `labctl watch` tell them: what is too old to be true of now is a dash, or null."""

from typing import TYPE_CHECKING, Any

from labctl.cli.tables import duration
from labctl.literal import literal
from labctl.tui.quantities import CURRENT, NEGATIVE, POSITIVE, TEMPERATURE, VOLTAGE, Shown
from labctl.tui.sight import Seen, Sight
from labctl.tui.words import SAID

if TYPE_CHECKING:
    from labctl.client import Lab

DASH = "—"


def said(seen: Seen) -> str:
    """Return the state of a station: glyph and word."""
    return f"{SAID[seen.word].glyph} {SAID[seen.word].word}"


def measured(seen: Seen) -> tuple[str, str, str, str]:
    """Return voltage in V, current in mA, both pressures in MPa and temperature in °C."""
    sides = {_number(seen, side) for side in (NEGATIVE, POSITIVE)}
    pressure = DASH if sides == {DASH} else "/".join(_number(seen, side) for side in (NEGATIVE, POSITIVE))
    return _number(seen, VOLTAGE), _number(seen, CURRENT), pressure, _number(seen, TEMPERATURE)


def progress(seen: Seen) -> tuple[str, str, str, str]:
    """Return the run, its step, its cycle and the time left."""
    run = None if seen.state is None else seen.state.run
    if run is None:
        return "", "", "", ""
    cycle = f"{run.cycle}/{run.cycles}" if run.cycles else ""
    return run.run[:8], f"{run.step}/{run.steps} {literal(run.step_name)}", cycle, duration(max(0.0, run.left_second))


def alarms(sight: Sight) -> list[str]:
    """Return a line for each alarm: what it is, what was done, and whether it holds and somebody has seen it."""
    lines = []
    for alarm in sight.alarms():
        seen_by = f"acknowledged by {alarm.acknowledged_by}" if alarm.acknowledged_by else "not acknowledged"
        parts = (alarm.action, "active" if alarm.active else "over", seen_by)
        state = "; ".join(part for part in parts if part)
        lines.append(literal(f"{alarm.severity.value} {alarm.station}: {alarm.sentence} ({state})"))
    return lines


def remarks(seen: Seen) -> list[str]:
    """Return what else is to be said of a station: why it is as it is, and what it asks."""
    lines = [f"{seen.name}: {literal(seen.why)}"] if seen.why else []
    if seen.state is not None and seen.state.asked is not None:
        asked = seen.state.asked
        answers = f" [{'/'.join(asked.answers)}]" if asked.answers else ""
        lines.append(literal(f"{seen.name} asks: {asked.text}{answers} Answer with `labctl answer {seen.name} ...`."))
    return lines


def status_json(lab: "Lab", sight: Sight) -> dict[str, Any]:
    """Return everything that is known, and null for values that are not of now."""
    return {
        "site": lab.site,
        "alive": not sight.trouble,
        "trouble": sight.trouble,
        "daemons": {host: state.model_dump(mode="json", by_alias=True) for host, state in lab.daemons.items()},
        "stations": {name: _station_json(sight.station(name)) for name in lab.stations},
    }


def _station_json(seen: Seen) -> dict[str, Any]:
    assert seen.state is not None
    said = seen.state.model_dump(mode="json", by_alias=True)
    for name, value in said["values"].items():
        reading = seen.reading(name)
        value["value"] = reading.value if reading.old is None else None
    return {**said, "word": seen.word.value, "why": seen.why}


def _number(seen: Seen, quantity: Shown) -> str:
    reading = quantity.reading(seen)
    if reading.value is None or reading.old is not None:
        return DASH
    return f"{reading.value / quantity.scale:{'+' if quantity.sign else ''}.{quantity.decimals}f}"
