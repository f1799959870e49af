"""The protocol of a torque calibration: up and down through the range, loosened fully between two tightenings."""

import math
from dataclasses import dataclass

from labctl.errors import RefusedForSafety
from labctl.plan import SIDES, Side, StationAbilities

LOOSE = 0.02
"""Of the range: where a screw counts as nearly loose; from there it is turned on for BACK_OFF."""
BACK_OFF = 20.0
"""Seconds."""
SETTLING = 1e-3
"""Of the range per second: a slower change of pressure is stable."""
POINTS = 40
"""In each direction, about."""
PACE = 0.05
"""rad/s where nobody has said how stiff the train is."""
PACES = (0.025, 0.2)
"""rad/s: servos do not turn steadily below, and above it a hand is not withdrawn in time."""
LONGEST_REST = 30.0
"""Seconds at a level."""
ROOM = 1.2
"""Limit of pressure over the highest level: a poll may come that late."""
UNLOADED, UP, DOWN = "unloaded", "up", "down"
"""How the steps are called that the points are taken from; a level follows its direction."""

NAMES: dict[Side, str] = {side: f"calibrate-torque-{side}" for side in SIDES}

HEAD = """\
schema = "1"

[protocol]
name  = "{name}"
title = "Torque and force of the screw on the {side} side of {station}"

[cell]
kind = "blocking"
bore = "{bore:g} mm"

[limits]
voltage  = ["-10 V", "10 V"]
current  = "1 mA"
capacity = "1 mAh"
pressure = {{ {side} = ["-1 MPa", "{limit:.6g} MPa"] }}

[record]
interval = "{interval:g} s"

[[step]]
name   = "tightenings"
repeat = {tightenings}
counts = "none"
do = [
"""


@dataclass(frozen=True, slots=True)
class Procedure:
    """What a torque calibration does; pressures in Pa.

    Attributes:
        bore: m, of the die in which the stack or a steel body is pressed.
        to: the highest level.
        levels: in each direction.
        torque: N·m that the drive gives at most.
        speed: rad/s at which the screw turns.
        interval: s, between two rows; that of the polls.
    """

    station: str
    side: Side
    bore: float
    to: float
    tightenings: int
    levels: int
    torque: float
    speed: float
    interval: float

    def text(self) -> str:
        """Return it as a protocol."""
        head = HEAD.format(
            name=NAMES[self.side],
            side=self.side,
            station=self.station,
            bore=self.bore * 1e3,
            limit=ROOM * self.to / 1e6,
            interval=self.interval,
            tightenings=self.tightenings,
        )
        rising = [self.to * level / self.levels for level in range(1, self.levels + 1)]
        lines = [
            self._turn("loosen", LOOSE * self.to, rises=False),
            self._back_off(),
            f'{{ name = "{UNLOADED}", rest = "{LONGEST_REST:g} s" }},',
        ]
        for level in rising:
            lines += [self._turn(UP, level, rises=True), self._stand()]
        for level in reversed(rising[:-1]):
            lines += [self._turn(DOWN, level, rises=False), self._stand()]
        lines += [self._turn(DOWN, LOOSE * self.to, rises=False), self._back_off()]
        return head + "".join(f"  {line}\n" for line in lines) + "]\n"

    def _turn(self, name: str, level: float, *, rises: bool) -> str:
        torque, compare = (self.torque, ">=") if rises else (-self.torque, "<=")
        called = name if name not in (UP, DOWN) else f"{name} to {level / 1e6:.4g} MPa"
        return (
            f'{{ name = "{called}", torque = {{ {self.side} = "{torque:.4g} N m", speed = "{self.speed:.4g} rad/s" }}, '
            f'until = "pressure.{self.side} {compare} {level / 1e6:.6g} MPa", timeout = "1 h" }},'
        )

    def _back_off(self) -> str:
        return (
            f'{{ name = "back off", torque = {{ {self.side} = "{-self.torque:.4g} N m", '
            f'speed = "{self.speed:.4g} rad/s" }}, until = "{BACK_OFF:g} s" }},'
        )

    def _stand(self) -> str:
        """Wait until the pressure is stable."""
        slope = "dP/dt" if self.side == "negative" else "dP/dt.positive"
        rate = f"{SETTLING * self.to / 1e3:.4g} kPa/s"
        return f'{{ rest = "{LONGEST_REST:g} s", until = "{slope} <= {rate} over 5 s" }},'


def highest_level(able: StationAbilities, side: Side, area: float, asked: float | None) -> float:
    """Return the highest level, Pa, that limits and load cell of a side leave room for, or the asked one.

    Args:
        area: m² of the bore.

    Raises:
        RefusedForSafety: the asked level is above that, or nothing bounds it.
    """
    limit = able.pressure_negative_limit if side == "negative" else able.pressure_positive_limit
    capacity = dict(able.measured)[side] / area
    if limit.high is None:
        raise RefusedForSafety(
            f"Nothing bounds the pressure of the {side} side at station {able.name}.",
            f'Write pressure.{side} = ["0 MPa", "5 MPa"] into [station.{able.name}.limits] of config.toml.',
        )
    most = min(limit.high, capacity) / ROOM
    if asked is not None and asked > most:
        raise RefusedForSafety(
            f"{asked / 1e6:.4g} MPa is too high: with room for a poll that comes late, the limit of "
            f"{limit.high / 1e6:.4g} MPa and the load cell ({capacity / 1e6:.4g} MPa on this bore) allow "
            f"{most / 1e6:.4g} MPa.",
            "Ask for less with --to, or fit a larger load cell.",
        )
    return most if asked is None else asked


def pace_of(able: StationAbilities, force: float) -> float:
    """Return the speed of the screw, rad/s, at which a poll sees about a fortieth of the range of force (N)."""
    frame = able.frame
    if frame.stiffness is None or frame.lead is None:
        return PACE
    newton_per_radian = frame.stiffness * frame.lead / math.tau
    return min(max(force / POINTS / newton_per_radian / able.poll_period, PACES[0]), PACES[1])
