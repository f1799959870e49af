"""What ends a step, and chooses a branch: quantities, comparisons and what they combine to."""

from dataclasses import dataclass, field
from enum import StrEnum


class Quantity(StrEnum):
    """What a condition can speak of; values in SI (capacity in C, energy in J, temperature in °C)."""

    VOLTAGE = "voltage"
    CURRENT = "current"
    POWER = "power"
    CAPACITY = "capacity"
    CAPACITY_OF_CYCLE = "capacity of cycle"
    CAPACITY_NET = "capacity net"
    ENERGY = "energy"
    TIME = "time"
    CV_TIME = "cv_time"
    TEST_TIME = "test_time"
    CYCLE = "cycle"
    TEMPERATURE = "temperature"
    PRESSURE_NEGATIVE = "pressure.negative"
    PRESSURE_POSITIVE = "pressure.positive"
    FORCE = "force"
    FORCE_POSITIVE = "force.positive"
    TORQUE = "torque"
    TORQUE_POSITIVE = "torque.positive"
    SOC = "soc"
    VOLTAGE_RATE = "dV/dt"
    CURRENT_RATE = "dI/dt"
    PRESSURE_RATE = "dP/dt"
    PRESSURE_RATE_POSITIVE = "dP/dt.positive"


class Operator(StrEnum):
    """Comparison."""

    GE = ">="
    LE = "<="
    GT = ">"
    LT = "<"


@dataclass(frozen=True, slots=True)
class Compare:
    """`quantity op value`, true once it has held for `hold` seconds; `magnitude` compares the absolute value.

    A derivative is the slope of a straight line through the last `over` seconds.
    """

    quantity: Quantity
    operator: Operator
    value: float
    magnitude: bool = False
    hold: float = 0.0
    over: float = 0.0


@dataclass(frozen=True, slots=True)
class Stable:
    """The step's own quantities stay within ± `within` of their set points for `hold` seconds.

    `within` is in SI; `relative` means it is a fraction of the set point. A rest speaks of its voltage around its mean.
    """

    within: float
    relative: bool
    hold: float


class CycleQuantity(StrEnum):
    """What a condition can ask of complete cycles; both are ratios."""

    RETENTION = "retention"
    COULOMBIC_EFFICIENCY = "coulombic_efficiency"


@dataclass(frozen=True, slots=True)
class OfCycles:
    """True while each of the last `cycles` complete cycles meets the comparison; false while there are fewer.

    Attributes:
        ref: number of the cycle, in the life of the cell, whose discharge capacity is 1; only cycles that discharge
            with the same current are compared with it. None: not a retention.
        tag: only cycles of loops with this tag count; empty: those of every loop.
    """

    quantity: CycleQuantity
    operator: Operator
    value: float
    ref: int | None = None
    tag: str = ""
    cycles: int = 1


@dataclass(frozen=True, slots=True)
class MeasuredRate:
    """A current told by a capacity that a cycle of this run will have: known in A only when its step begins.

    Attributes:
        factor: of 1C, the current that moves the discharge capacity of that cycle in an hour; positive charges.
        cycle: its number in the life of the cell; it must be complete.
        text: as its author wrote it.
    """

    factor: float
    cycle: int
    text: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class CompareRate:
    """`current op rate`; a Compare as soon as its step begins."""

    operator: Operator
    rate: MeasuredRate
    magnitude: bool = False
    hold: float = 0.0


@dataclass(frozen=True, slots=True)
class Answered:
    """The operator's last answer is this text; not known while nobody was asked."""

    text: str


@dataclass(frozen=True, slots=True)
class All:
    """Every part is true."""

    parts: "tuple[Condition, ...]"
    hold: float = 0.0


@dataclass(frozen=True, slots=True)
class Any:
    """At least one part is true."""

    parts: "tuple[Condition, ...]"
    hold: float = 0.0


@dataclass(frozen=True, slots=True)
class Not:
    """The part is false."""

    part: "Condition"


Condition = Compare | CompareRate | OfCycles | Answered | Stable | All | Any | Not


class Then(StrEnum):
    """What follows an end that was met."""

    NEXT = "next"
    BREAK = "break"
    END = "end"
    GOTO = "goto"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class End:
    """A condition that ends a step. `text` is how the author wrote it; `why` the author's word for a fault.

    `cv_only` marks a condition that counts only in the constant-voltage part of a CC-CV step.
    """

    condition: Condition
    text: str
    then: Then = Then.NEXT
    label: str = ""
    why: str = ""
    cv_only: bool = False
