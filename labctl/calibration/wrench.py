"""The calibration of a torque wrench: a person tightens step by step, and the load cell tells each force.

A wrench tells no torque of a screw that is loosened, so that there are ways up alone.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from labctl.calibration.procedure import HEAD, LONGEST_REST, LOOSE, NAMES, ROOM, UNLOADED, UP
from labctl.calibration.torque import Point
from labctl.errors import RefusedForSafety
from labctl.plan import ByHand

SMOOTHEST, ROUGHEST = 0.12, 0.3
"""K of torque = K · diameter · force, between which steel screws lie, oiled or dry."""
LEAST_LEVELS = 4
"""Fewer would leave a tightening without three points."""
HELD = 20.0
"""Seconds at a level."""


class Shown(NamedTuple):
    """What a wrench showed, N·m, and the test time (s) at which that was typed."""

    time: float
    torque: float


@dataclass(frozen=True, slots=True)
class WrenchProcedure:
    """What the calibration of a torque wrench asks for.

    Attributes:
        tool: the wrench.
        bore: m, of the die in which the stack or a steel body is pressed.
        to: Pa, the highest level; a way up ends where the next torque might pass it on the smoothest of screws.
        levels: in which it would be reached on that.
        interval: s, between two rows.

    Raises:
        RefusedForSafety: the range of the wrench leaves too few torques.
    """

    station: str
    tool: ByHand
    bore: float
    to: float
    tightenings: int
    levels: int
    interval: float

    def __post_init__(self) -> None:
        if self.levels < LEAST_LEVELS:
            raise RefusedForSafety(
                f"{self.levels} levels leave a tightening by hand without three points.",
                f"Ask for {LEAST_LEVELS} or more with --levels.",
            )
        if len(self.torques) < LEAST_LEVELS:
            raise RefusedForSafety(
                f"Between {self.tool.lowest:.3g} and {self.tool.highest:.3g} N·m the wrench of the {self.tool.side} "
                f"side has {len(self.torques)} of the torques that are needed up to {self.to / 1e6:.4g} MPa.",
                "Take a wrench for smaller torques, or ask for more levels or a higher one: --levels, --to.",
            )

    @property
    def torques(self) -> tuple[float, ...]:
        """N·m, ascending, within the range of the wrench."""
        moment = (self.tool.screw or 0.0) * self.to * math.pi * self.bore**2 / 4
        step = SMOOTHEST * moment / self.levels
        every = (step * count for count in range(1, math.ceil(ROUGHEST * moment / step) + 1))
        return tuple(torque for torque in every if self.tool.lowest <= torque <= self.tool.highest)

    def text(self) -> str:
        """Return it as a protocol."""
        side, pressed = self.tool.side, f"pressure.{self.tool.side}"
        head = HEAD.format(
            name=NAMES[side],
            side=side,
            station=self.station,
            bore=self.bore * 1e3,
            limit=ROOM * self.to / 1e6,
            interval=self.interval,
            tightenings=self.tightenings,
        )
        enough = self.to * (1.0 - 1.0 / self.levels) / 1e6
        ends = f'[{{ when = "{pressed} >= {enough:.6g} MPa", then = "goto tight" }}, "{HELD:g} s"]'
        loose = f"{pressed} <= {LOOSE * self.to / 1e6:.6g} MPa"
        lines = [
            f'{{ name = "loosen", pressure = {{ {side} = "0 MPa" }}, until = "{loose}", timeout = "1 h" }},',
            f'{{ name = "{UNLOADED}", rest = "{LONGEST_REST:g} s" }},',
        ]
        lines += [
            f'{{ name = "{UP} to {torque:.4g} N m", torque = {{ {side} = "{torque:.4g} N m" }}, '
            f'until = {ends}, timeout = "1 h" }},'
            for torque in self.torques
        ]
        lines.append('{ name = "tight", rest = "1 s" },')
        return head + "".join(f"  {line}\n" for line in lines) + "]\n"


def wrench_points(
    rows: Iterable[tuple[int, float, float | None]], names: Mapping[int, str], shown: Mapping[int, Shown]
) -> list[Point]:
    """Return the points of a run: at each level the mean of the forces since the torque was typed.

    A tightening begins where the screw stands unloaded, and what the load cell reads there is its zero until the next.

    Args:
        rows: executed step, test time (s) and force (N).
        names: of the executed steps by their count.
        shown: by the same count.
    """
    forces: dict[int, list[float]] = {}
    for count, time, force in rows:
        if force is not None and (count not in shown or time > shown[count].time):
            forces.setdefault(count, []).append(force)
    points: list[Point] = []
    tightening, zero = 0, None
    for count, measured in sorted(forces.items()):
        if names.get(count) == UNLOADED:
            tightening, zero = tightening + 1, fmean(measured)
        elif zero is not None and count in shown and names.get(count, "").startswith(f"{UP} "):
            points.append(Point(tightening, "up", shown[count].torque, fmean(measured) - zero))
    return points
