"""A simulated person with a tool: reads the request as a person does, acts at the bench, and types what it showed."""

import math
import re
from typing import Literal

from drivers.hand import AGAIN
from labctl.sim.bench import Bench
from labctl.sim.hand import Hand
from labctl.sim.rig import Side

REQUEST = re.compile(r" to (?P<number>[\d.e+-]+) (?P<unit>N m|kN|N|MPa)\b")
TYPED = re.compile(r"\btype (what .* such as )?[\d.e+-]+ (?P<unit>N m|kN|N|MPa)\b")
RELEASE = re.compile(r"\b(Loosen|go)\b")
SI = {"N m": 1.0, "N": 1.0, "kN": 1e3, "MPa": 1e6}
FOREIGN_UNIT = "lbf in"
"""In which a person types what another wrench shows."""


class Person:
    """Sits at the other end of a hand tool's wire.

    Args:
        shows: what the scale of the tool is worth.
        worth: N·m or N of what the scale shows in SI.
    """

    def __init__(self, bench: Bench, port: str, shows: Literal["torque", "force"], worth: float = 1.0) -> None:
        side: Side = "positive" if port.endswith("positive") else "negative"
        self._trouble = bench.trouble(port)
        self._hand = Hand(bench, side, f"hand {side}", torque=shows == "torque")
        self._worth = worth
        self._shown = 0.0
        self._scale = self._trouble.quantity(lambda: self._shown)
        self._buffer = b""

    def receive(self, data: bytes) -> bytes:
        """Take requests that end with a line feed; each is carried out and answered."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return b"".join(self._answer(line.decode("utf-8", "replace")).encode() + b"\n" for line in lines)

    def reset_line(self) -> None:
        """Forget half a request."""
        self._buffer = b""

    def restart(self, *, other: bool = False) -> None:
        """Come back to the bench, or another person does: nobody remembers what was asked."""
        self._buffer = b""

    def _answer(self, request: str) -> str:
        request = request.rpartition(AGAIN)[2]
        asked = REQUEST.search(request)
        typed = TYPED.search(request)
        unit = "N m" if typed is None else typed["unit"]
        value = 0.0 if asked is None else float(asked["number"]) * SI[asked["unit"]]
        released = self._hand.bring_to(value * self._worth, release=RELEASE.search(request) is not None)
        self._shown = released / self._worth
        return self._typed(unit)

    def _typed(self, unit: str) -> str:
        shown = self._scale() / SI[unit]
        if not math.isfinite(shown):
            return f"{shown} {unit}"
        return f"{shown:.3g} {FOREIGN_UNIT if self._trouble.wrong_unit else unit}"
