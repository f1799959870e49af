"""What a step does: one action for each verb of the language."""

from dataclasses import dataclass
from typing import Literal

from labctl.plan.bounds import Bound
from labctl.plan.conditions import MeasuredRate
from labctl.plan.sides import Side
from labctl.quantity import Dimension


@dataclass(frozen=True, slots=True)
class Rest:
    """No current."""


@dataclass(frozen=True, slots=True)
class ConstantCurrent:
    """Drive a signed current. The instrument bounds the voltage at `voltage`; with `cv` it goes on at that voltage.

    Without `cv`, reaching `voltage` is the cut-off, and `voltage` is the limit where the step names no cut-off.
    """

    current: float
    voltage: float
    cv: bool = False


@dataclass(frozen=True, slots=True)
class MeasuredCurrent:
    """A ConstantCurrent as soon as its step begins; until then nobody can drive it."""

    rate: MeasuredRate
    voltage: float
    cv: bool = False


@dataclass(frozen=True, slots=True)
class ConstantVoltage:
    """Hold a voltage with at most `max_current` (magnitude).

    With `relative` the voltage is added to that of the cell at open circuit just before; their sum must lie strictly
    inside these bounds.
    """

    voltage: float
    max_current: float
    relative: Bound | None = None


@dataclass(frozen=True, slots=True)
class ConstantPower:
    """Put a power (W, positive charges) into the cell, or take it out, with at most `max_current` (magnitude).

    The host sets the current; the instrument bounds the voltage at `voltage`, as in ConstantCurrent.
    """

    power: float
    voltage: float
    max_current: float


@dataclass(frozen=True, slots=True)
class ConstantResistance:
    """Discharge as a load of `resistance` (ohm) does, with at most `max_current` (magnitude).

    The host sets the current; the instrument bounds the voltage at `voltage`, as in ConstantCurrent.
    """

    resistance: float
    voltage: float
    max_current: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """Move the voltage from corner to corner at `rate` (V/s), with at most `max_current` (magnitude) either way.

    The host sets the voltage, in stairs. A corner that is None is the voltage of the cell at open circuit just before,
    which must lie strictly inside `window`.
    """

    corners: tuple[float | None, ...]
    rate: float
    max_current: float
    window: Bound


@dataclass(frozen=True, slots=True)
class Profile:
    """Drive a current (A) or a power (W) that follows the time of the step; positive charges.

    A value holds until the next one, or leads there in a straight line where `linear` says so; the last time ends it.
    The host sets the current, at most `max_current` (magnitude); the instrument bounds the voltage at `low` while the
    cell is discharged and at `high` while it is charged.
    """

    times: tuple[float, ...]
    values: tuple[float, ...]
    of: Literal["current", "power"]
    linear: bool
    low: float
    high: float
    max_current: float


@dataclass(frozen=True, slots=True)
class Impedance:
    """Measure an impedance spectrum with a small sine, at one frequency (Hz) after the other.

    The sine is one of voltage (V) or of current (A), of `amplitude` (root mean square) around `bias`; a bias that is
    None is the voltage of the cell at open circuit just before. Its peaks and the voltage of the cell must lie
    strictly inside `window`, and no more than `max_current` (magnitude) may flow. The instrument does it by itself,
    and opens the circuit when the last frequency is done.
    """

    frequencies: tuple[float, ...]
    of: Literal["voltage", "current"]
    amplitude: float
    bias: float | None
    max_current: float
    window: Bound


@dataclass(frozen=True, slots=True)
class Pressure:
    """Bring sides to pressures (Pa) at `ramp` (Pa/s); stays in force until the next one.

    `control`: "force" closed loop on the load cell; "gap" locked; "free". A side whose rig has no actuator is
    asserted: it must come within the end's tolerance by itself. `changes` are relative to what the plan has asked of a
    side before, or to what is measured where it has asked nothing; they become targets when the step begins.
    """

    targets: tuple[tuple[Side, float], ...]
    ramp: float
    control: Literal["force", "gap", "free"] = "force"
    changes: "tuple[Change, ...]" = ()
    by_hand: tuple[Side, ...] = ()
    """Those of the sides that a person is asked to press."""


@dataclass(frozen=True, slots=True)
class Change:
    """A pressure that rises or falls by so many Pa, and not beyond `bound`."""

    side: Side
    by: float
    bound: float

    def target(self, base: float) -> float:
        """Return the pressure in Pa that this leads to from another one."""
        return min(base + self.by, self.bound) if self.by > 0.0 else max(base + self.by, self.bound)


@dataclass(frozen=True, slots=True)
class Torque:
    """Turn the screw of a side with at most `torque` (N·m) at `speed` (rad/s), then leave it there, locked.

    A positive torque tightens it until it needs that; a negative one loosens it until another end.
    """

    side: Side
    torque: float
    speed: float = 0.2
    by_hand: bool = False
    """Whether a person is asked to."""


@dataclass(frozen=True, slots=True)
class Tare:
    """Zero the load cell of a side, when it is unloaded and the operator has confirmed."""

    side: Side
    confirm: str


@dataclass(frozen=True, slots=True)
class Temperature:
    """Set the thermostat; `of` says whose temperature the ends speak of."""

    celsius: float
    of: Literal["cell", "chamber"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Ask the operator; `answers` are allowed (empty: any text), `simulated` is what a simulated operator says.

    `quantity` is what the answer must be, with its unit; None: a word.
    """

    text: str
    answers: tuple[str, ...] = ()
    simulated: str | None = None
    quantity: Dimension | None = None


@dataclass(frozen=True, slots=True)
class Park:
    """Keep the cell until the operator says that it was taken: at open circuit, or at `voltage` where one is given."""

    text: str
    voltage: float | None = None
    max_current: float = 0.0


@dataclass(frozen=True, slots=True)
class Handover:
    """Leave the cell at open circuit to another instrument until the operator says that it is free again."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """End the protocol here."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Go on at the step with this name: a later one of the same list, or of one around it."""

    label: str


Action = (
    Rest
    | ConstantCurrent
    | MeasuredCurrent
    | ConstantVoltage
    | ConstantPower
    | ConstantResistance
    | Sweep
    | Profile
    | Impedance
    | Pressure
    | Torque
    | Tare
    | Temperature
    | Prompt
    | Park
    | Handover
    | Finish
    | Jump
)


def direction(action: Action) -> int:
    """Return +1 for an action that only charges, -1 for one that only discharges, 0 for any other."""
    match action:
        case ConstantCurrent(current=way) | ConstantPower(power=way):
            return (way > 0) - (way < 0)
        case MeasuredCurrent(rate=rate):
            return (rate.factor > 0) - (rate.factor < 0)
        case ConstantResistance():
            return -1
    return 0
