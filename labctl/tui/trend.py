"""The trend of each station's voltage over its last minutes, as a row of bars; kept from what was seen."""

from collections import deque

from labctl.tui.sight import Seen

SPAN = 600.0
"""Lab seconds that a trend covers."""
BARS = 8
GLYPHS = "▁▂▃▄▅▆▇█"
FLAT = 0.01
"""Volts below which a change is drawn as none: a resting cell does not look alive by its noise."""


class Trends:
    """The last voltage in each stretch of lab time, for each station."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[tuple[int, float]]] = {}
        self._seen: dict[str, Seen] = {}

    def look(self, stations: list[Seen]) -> None:
        """Take note of what is live."""
        for seen in stations:
            if self._seen.get(seen.name) is seen:
                continue
            self._seen[seen.name] = seen
            reading = seen.reading("voltage_volt")
            if seen.state is None or reading.value is None or reading.old is not None:
                continue
            kept = self._kept.setdefault(seen.name, deque(maxlen=BARS))
            stretch = int(seen.state.lab_unix_second / (SPAN / BARS))
            if kept and kept[-1][0] >= stretch:
                kept[-1] = stretch, reading.value
            else:
                kept.append((stretch, reading.value))

    def drawn(self, seen: Seen) -> str:
        """Return the bars, the newest at the right."""
        values = [value for _, value in self._kept.get(seen.name, ())]
        if not values:
            return ""
        low, spread = min(values), max(max(values) - min(values), FLAT)
        return "".join(GLYPHS[round((value - low) / spread * (len(GLYPHS) - 1))] for value in values)
