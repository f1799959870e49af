"""What the real run would store: readings, though a rehearsal looks less often, and bytes of the database."""

import math
from collections.abc import Sequence

from labctl.engine.position import KIND as POSITION
from labctl.engine.spectrum import KIND as POINT
from labctl.plan import RecordRule
from labctl.reading import COLUMNS

READING_BYTES = 36
VALUE_BYTES = 8
EVENT_BYTES = 140
POINT_BYTES = 260
POSITION_BYTES = 680
STEP_BYTES = 120
CYCLE_BYTES = 105
"""Of the database file: a reading without its values, each value that is not NULL, an event, one that tells a point of
a spectrum, one that tells where a run is, a step, a cycle.

Measured with SQLite's dbstat on databases that a recorder had written: 138 bytes for a reading of a cycler alone, 321
where pressures, torque and temperatures are measured, too.
"""

_EVENTS = {POSITION: POSITION_BYTES, POINT: POINT_BYTES}

_SHIFTS: tuple[tuple[str, tuple[tuple[int, float], ...]], ...] = (
    ("voltage", ((COLUMNS.index("voltage_volt"), 1.0),)),
    ("current", ((COLUMNS.index("current_ampere"), 1.0),)),
    (
        "capacity",
        ((COLUMNS.index("charging_capacity_ah"), 3600.0), (COLUMNS.index("discharging_capacity_ah"), 3600.0)),
    ),
    (
        "temperature",
        ((COLUMNS.index("surface_temperature_celsius"), 1.0), (COLUMNS.index("ambient_temperature_celsius"), 1.0)),
    ),
    (
        "pressure",
        ((COLUMNS.index("negative_pressure_pa"), 1.0), (COLUMNS.index("positive_pressure_pa"), 1.0)),
    ),
)
"""Key of a record rule -> columns that its delta speaks of, with the factor that makes them SI."""
_STEP = COLUMNS.index("step_count")
_TIME = COLUMNS.index("test_time_second")

Values = Sequence[float | int | None]


class Storage:
    """Counts what would be stored.

    Between two looks that lie further apart than the real polls a quantity may move by several times the delta of its
    record rule: then so many readings are counted, but no more than there would have been polls.

    Args:
        poll_period: s, of the real run.
    """

    def __init__(self, poll_period: float) -> None:
        self._poll_period = poll_period
        self._readings = self._reading_bytes = 0.0
        self._event_bytes = 0
        self._last: Values | None = None

    def reading(self, row: Values, rule: RecordRule, gap: float) -> float:
        """Return how many rows a row stands for: itself, and those that would lie between it and the one before.

        Args:
            gap: s between this look and the last one, at which no row was due yet.
        """
        count, last, self._last = 1.0, self._last, row
        if last is not None and last[_STEP] == row[_STEP]:
            polls = round(((row[_TIME] or 0.0) - (last[_TIME] or 0.0)) / self._poll_period)
            unseen = round(gap / self._poll_period) - 1
            deltas = _deltas(row, last, rule)
            if polls > 1 and unseen > 0 and deltas > 1.0:
                count = polls / max(math.ceil(polls / deltas), polls - unseen)
        self._readings += count
        self._reading_bytes += count * (READING_BYTES + VALUE_BYTES * (len(row) - row.count(None)))
        return count

    def event(self, kind: str) -> None:
        """Count an event."""
        self._event_bytes += _EVENTS.get(kind, EVENT_BYTES)

    def size(self, readings: int, steps: int, cycles: int) -> int:
        """Return bytes of the database with so many readings of the kind that was counted, steps and cycles."""
        each = self._reading_bytes / self._readings if self._readings else 0.0
        return round(each * readings) + self._event_bytes + STEP_BYTES * steps + CYCLE_BYTES * cycles


def _deltas(row: Values, last: Values, rule: RecordRule) -> float:
    """Return how many times the most agile quantity has moved by its delta."""
    most = 0.0
    for name, columns in _SHIFTS:
        delta = getattr(rule, name)
        if delta:
            for column, factor in columns:
                new, old = row[column], last[column]
                if new is not None and old is not None:
                    most = max(most, abs(new - old) * factor / delta)
    return most
