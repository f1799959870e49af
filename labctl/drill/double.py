"""The double of a user's laboratory: its stations, nothing else of it, and for each a protocol of many short steps."""

import tomllib
from pathlib import Path

from labctl.config import Config
from labctl.drill.case import Place, Step, keys_text
from labctl.errors import RefusedForSafety
from labctl.lab.laboratory import all_simulated

MAH = 3.6
"""C in 1 mAh."""
RATE = 5.0
"""Hours in which the current of the protocol would charge the cell."""
SHARE_OF_LIMIT = 0.5
"""Of the station's current that the protocol takes at most."""
MIDDLE, LOW = 0.5, 0.05
"""States of charge between which the cell is kept."""
MARGIN = 0.05
"""V by which steps stay inside the limits of the station."""

_HEAD = """schema = "1"
[protocol]
name = "drill"
[cell]
name = "drilled"
kind = "full"
bore = "10 mm"
[limits]
voltage = ["{low:.6g} V", "{high:.6g} V"]
current = "{current:.6g} mA"
capacity = "{capacity:.6g} mAh"
[record]
interval = "1 s"
"""


def doubles(config: Config, path: Path) -> tuple[Place, ...]:
    """Return the stations of a configuration, each with a protocol that has no end.

    Broker, data folder, alerts and whatever else the file has are those of the user's laboratory, and stay there.

    Args:
        path: of the configuration's file.

    Raises:
        RefusedForSafety: a station has a real instrument: no drill is made with a real cell.
    """
    real = [name for name in config.stations if not _simulated(config, name)]
    if real:
        raise RefusedForSafety(
            f"A drill is for simulated laboratories, and not every instrument is simulated at: {', '.join(real)}.",
            'Copy the configuration, write address = "sim://" for every instrument, and name the copy with --config.',
        )
    tables = tomllib.loads(path.read_text("utf-8"))["station"]
    return tuple(
        Place(name, f"[station.{name}]\n{keys_text(tables[name])}", *_protocol(config, name))
        for name in config.stations
    )


def _simulated(config: Config, station: str) -> bool:
    try:
        return all_simulated(config, station)
    except RefusedForSafety:  # some are and some are not
        return False


def _protocol(config: Config, station: str) -> tuple[str, tuple[Step, ...]]:
    """Return head and steps of a protocol that charges and discharges a station's simulated cell."""
    settings = config.station(station)
    cell, limits = settings.simulation.cell.parameters(), settings.limits
    capacity = cell.area * cell.loading * cell.specific_capacity * cell.accessible / MAH
    lowest, highest = (float(bound.value) for bound in limits.voltage)
    most = float(limits.current.value) * 1e3
    current = f"{min(capacity / RATE, SHARE_OF_LIMIT * most):.6g} mA"
    full = f"{min(cell.charging(MIDDLE), highest - MARGIN):.6g} V"
    empty = f"{max(cell.discharging(LOW) - MARGIN, lowest + MARGIN):.6g} V"
    pulses = [
        {"charge": current, "until": [full, "2 min"]},
        {"rest": "20 s"},
        {"discharge": current, "until": [empty, "2 min"]},
    ]
    return _HEAD.format(low=lowest, high=highest, current=most, capacity=capacity), (
        {"charge": current, "until": [full, "10 min"]},
        {"repeat": 1_000_000, "counts": "cycle", "do": pulses},
    )
