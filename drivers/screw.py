"""What the drivers of motors on a screw have in common: where the screw may go and has been, and what they refuse.

Positions are in the drive's own unit, counts or turns of the motor; the driver says how many of them are a radian of
the screw, negative where they fall as it is tightened.
"""

import math
from typing import Literal

from pydantic import Field

from labctl.errors import InstrumentRefused, RefusedForSafety
from labctl.fields import Angle, TorqueConstant, TorqueLimit
from labctl.instrument import Options, Range

FASTEST = math.tau
"""rad/s of the screw: a turn a second. No rig needs more, and a hand has to be withdrawn."""


class Mounting(Options):
    """A motor that labctl does not know, on a screw: nothing of it has a default.

    Attributes:
        direction: sign of the drive's position when the screw is tightened.
        reduction: turns of the motor for one turn of the screw.
        counts_per_turn: of the motor's encoder, as the drive counts them.
        torque_constant: of the motor ("0.05 N m/A").
        torque_limit: at the screw ("1 N m"), that no protocol may exceed.
        continuous_torque: at the screw, that motor and drive give for ever.
        travel: angle ("30 rad") that the screw may be turned away from where it stood at `connect`.
        holds: what keeps the force while the motor has no torque.
    """

    direction: Literal["positive", "negative"]
    reduction: float = Field(gt=0, allow_inf_nan=False)
    counts_per_turn: int = Field(gt=0, le=1 << 24)
    torque_constant: TorqueConstant
    torque_limit: TorqueLimit
    continuous_torque: TorqueLimit
    travel: Angle
    holds: Literal["self-locking screw", "brake"]

    @property
    def turns(self) -> float:
        """Signed turns of the motor for one turn of the screw."""
        return self.reduction if self.direction == "positive" else -self.reduction

    @property
    def torque_per_ampere(self) -> float:
        """N·m at the screw, without sign; gear friction is left out."""
        return self.torque_constant * self.reduction


class Whereabouts:
    """Where the screw was at `connect`, where it was last seen and where it was sent.

    Args:
        name: of the instrument, for sentences.
        per_radian: units of the drive in a radian of the screw.
        travel: rad.
        slack: units that play and a coasting stop may add to where the screw is expected.
    """

    def __init__(self, name: str, per_radian: float, travel: float, slack: float) -> None:
        self.goal = 0.0
        self._name = name
        self._per_radian = per_radian
        self._travel = travel
        self._slack = slack
        self._home = self._seen = 0.0

    def begin(self, position: float) -> None:
        """Take it as found: travel counts from here."""
        self._home = self._seen = self.goal = position

    def destination(self, angle: float) -> float:
        """Return the position of an angle in rad; raises RefusedForSafety beyond travel."""
        home = self._home / self._per_radian
        if not abs(angle - home) <= self._travel:
            raise RefusedForSafety(
                f"{self._name}: {angle:g} rad is more than travel = {self._travel:g} rad away from "
                f"{home:.4g} rad, where the screw stood when it was connected.",
                "Check pellet, spacers and load cell; widen `travel` in config.toml only if the mechanism allows it.",
            )
        return angle * self._per_radian

    def follow(self, position: float, *, stands: bool) -> None:
        """Note where it is; `stands`: it was not sent anywhere.

        Raises:
            InstrumentRefused: that is not on the way from the last position to the goal.
        """
        low, high = min(self._seen, self.goal) - self._slack, max(self._seen, self.goal) + self._slack
        if not low <= position <= high:
            raise InstrumentRefused(
                self._name,
                f"is at {position / self._per_radian:.4g} rad, but was last seen at "
                f"{self._seen / self._per_radian:.4g} rad: turned by hand, or its turns lost in a power cut",
                "Angles mean something else now: freeze the rig, check the force, and connect again.",
            )
        self._seen = position
        if stands:
            self.goal = position


def refuse_torque(name: str, torque: float, allowed: Range) -> None:
    """Refuse a torque (N·m at the screw) that the options or the drive's resolution do not allow, NaN included."""
    if not allowed.low <= torque <= allowed.high:
        raise RefusedForSafety(
            f"{name}: a torque of {torque:g} N·m is not within {allowed.low:.3g} and {allowed.high:g} N·m.",
            "The upper bound is torque_limit in config.toml; the lower one is the drive's resolution.",
        )


def refuse_speed(name: str, speed: float, allowed: Range, bounds: str) -> None:
    """Refuse a speed (rad/s of the screw), NaN included; `bounds` says what they are."""
    if not allowed.low <= speed <= allowed.high:
        raise RefusedForSafety(
            f"{name}: a speed of {speed:g} rad/s is not within {allowed.low:.3g} and {allowed.high:.3g} rad/s.", bounds
        )


def frozen(name: str) -> RefusedForSafety:
    """Return the refusal of a rig that is not engaged."""
    return RefusedForSafety(
        f"{name}: is frozen and was not turned.",
        "It turns between engage and freeze only; a line that had to be reopened freezes it: engage again.",
    )
