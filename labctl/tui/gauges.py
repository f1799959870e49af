"""Gauges: a quantity against its set point and limits as a bar, from two metres away."""

from labctl.tui.lines import Line, Piece
from labctl.tui.quantities import NEGATIVE, POSITIVE, TORQUE, Shown
from labctl.tui.shown import fit, number
from labctl.tui.sight import Reading, Seen

ANODE = Shown("anode", "MPa", NEGATIVE.bdf, 1e6, 3)
CATHODE = Shown("cathode", "MPa", POSITIVE.bdf, 1e6, 3)
ANODE_FORCE = Shown("anode", "N", ("negative_force_newton",), 1.0, 1)
CATHODE_FORCE = Shown("cathode", "N", ("positive_force_newton",), 1.0, 1)
BATH = Shown("chamber", "°C", ("ambient_temperature_celsius",), 1.0, 1)
CELL = Shown("cell", "°C", ("surface_temperature_celsius",), 1.0, 1)

ROOM = 1.6
"""How far beyond its set point a bar without limits reaches."""
NUMBERS = 30
"""Columns of label, value, unit and set point."""


def gauges(seen: Seen, width: int) -> list[Line]:
    """Return a line for each quantity that the station has; pressure is told as force while its area is not known."""
    known = {} if seen.state is None else seen.state.values
    pressed = (ANODE, CATHODE) if any(q.bdf[0] in known for q in (ANODE, CATHODE)) else (ANODE_FORCE, CATHODE_FORCE)
    chosen = [quantity for quantity in (*pressed, TORQUE, BATH, CELL) if quantity.is_measured(seen)]
    return [gauge(quantity, quantity.reading(seen), width) for quantity in chosen]


def gauge(quantity: Shown, reading: Reading, width: int) -> Line:
    """Return label, bar, value, unit, and set point."""
    text, style = quantity.written(reading, 8)
    target = "" if reading.target is None else f"/ {number(reading.target / quantity.scale, quantity.decimals, 6)}"
    return (
        (fit(quantity.label, 8), "dim"),
        *bar(reading, max(0, width - NUMBERS)),
        (fit(text, 8, right=True), "strong" if style == "plain" else style),
        (fit(f" {quantity.unit}", 5), "dim"),
        (fit(target, 8), "dim"),
    )


def bar(reading: Reading, width: int) -> list[Piece]:
    """Return a bar from the lower to the upper limit with the set point as a mark on it; empty where it is unknown."""
    low, high = _ends(reading)
    if width < 4 or high <= low:
        return [(" " * width, "plain")]

    def place(value: float) -> int:
        return round(max(0.0, min(1.0, (value - low) / (high - low))) * (width - 1))

    filled = 0 if reading.value is None or reading.old is not None else place(reading.value) + 1
    marked = -1 if reading.target is None else place(reading.target)
    style = "fault" if reading.beyond else "discharge"
    cells = [("┃", "strong") if x == marked else ("━", style) if x < filled else ("─", "dim") for x in range(width - 1)]
    pieces: list[Piece] = []
    for text, name in cells:
        if pieces and pieces[-1][1] == name:
            pieces[-1] = pieces[-1][0] + text, name
        else:
            pieces.append((text, name))
    return [*pieces, (" ", "plain")]


def _ends(reading: Reading) -> tuple[float, float]:
    reach = max(abs(v) for v in (reading.value, reading.target, 0.0) if v is not None) * ROOM
    low = 0.0 if reading.low is None else min(0.0, reading.low)
    if reading.high is not None and reading.target is None:
        return low, reading.high
    return low, reach if reading.high is None else min(reading.high, max(reach, reading.high * 0.05))
