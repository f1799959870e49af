"""The plan: a protocol bound to a cell and a station, as a small immutable tree that the engine walks.

Loops are not unrolled. All numbers are SI floats: V, A (positive charges), s, Pa, N, rad, °C, C (coulomb) for capacity.
Nothing here knows the file it came from except by `line`, for sentences.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from labctl.quantity import Dimension

Side = Literal["negative", "positive"]
SIDES: tuple[Side, Side] = ("negative", "positive")


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
    TORQUE = "torque"
    SOC = "soc"
    VOLTAGE_RATE = "dV/dt"
    CURRENT_RATE = "dI/dt"
    PRESSURE_RATE = "dP/dt"


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


@dataclass(frozen=True, slots=True)
class RecordRule:
    """A row is due when the interval has passed or a value has moved by its delta; None: not asked."""

    interval: float | None = None
    voltage: float | None = None
    current: float | None = None
    capacity: float | None = None
    temperature: float | None = None
    pressure: float | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """A closed interval whose sides may be open; the lower one of voltage and pressure arms late (see engine/guard)."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast values may change in either direction: V/s at an unchanged current, K/s, Pa/s; None: as they will."""

    voltage: float | None = None
    temperature: float | None = None
    pressure: float | None = None


@dataclass(frozen=True, slots=True)
class Margins:
    """How far inside its limit a value is warned of: V, K, Pa; None: not at all."""

    voltage: float | None = None
    temperature: float | None = None
    pressure: float | None = None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """By how much sensors may contradict each other; None: they are not compared.

    Attributes:
        temperature: K between cell and bath.
        force: share of the larger one, between both sides.
        screw: m, nominal diameter of the screw whose torque is compared with the force.
        wall: N, that the friction of wall and pistons holds between both sides.
        drift: share of a load cell's capacity by which its force may follow the temperature, for each K.
    """

    temperature: float | None = None
    force: float | None = None
    screw: float | None = None
    wall: float | None = None
    drift: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for the whole run: already the intersection of station, cell and protocol.

    `debounce` is the time in s for which a limit must be passed before the guard trips.
    """

    voltage: Bound
    current: float
    capacity: float
    temperature: Bound = Bound()
    pressure_negative: Bound = Bound()
    pressure_positive: Bound = Bound()
    torque: float | None = None
    rates: Rates = Rates()
    margins: Margins = Margins()
    disagreement: Disagreement = Disagreement()
    debounce: float = 0.0


class OutagePolicy(StrEnum):
    """What is done with a run whose process died."""

    WAIT = "wait"
    """Open circuit, pressure frozen, until a person says to go on."""
    RESUME = "resume"
    """Go on in mid-step where cell, rig and room are as they were; else wait."""
    ASK = "ask"
    """Wait, and ask every client."""
    SAFE = "safe"
    """End the run by name; its station is safe."""


@dataclass(frozen=True, slots=True)
class Outage:
    """`max_gap` is the time in s that a cell may have sat for a run that goes on by itself."""

    policy: OutagePolicy = OutagePolicy.WAIT
    max_gap: float = 600.0


# -- verbs ---------------------------------------------------------------------------------------------------------


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


# -- tree ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One verb with its ends. `id` numbers the plan's steps from 1 in the order of the file."""

    id: int
    verb: str
    name: str
    action: Action
    ends: tuple[End, ...] = ()
    timeout: End | None = None
    record: RecordRule = RecordRule()
    line: int = 0
    limits: Limits | None = None
    """Narrower limits of this step alone; None: those of the run."""


def band_of(pressure: float, ends: tuple[End, ...]) -> float | None:
    """Return ± Pa within which ends want a pressure (Pa) to be stable; None where they do not say."""
    stable = [end.condition for end in ends if isinstance(end.condition, Stable)]
    return min((each.within * (abs(pressure) if each.relative else 1.0) for each in stable), default=None)


def is_by_hand(step: Step) -> bool:
    """Whether a person is asked to tighten or to press in a step."""
    match step.action:
        case Pressure(by_hand=sides):
            return bool(sides)
        case Torque(by_hand=by_hand):
            return by_hand
    return False


def bands_of(step: Step) -> dict[Side, float]:
    """Return ± Pa within which a step wants the pressure of each of its sides; nothing where it does not say."""
    targets = step.action.targets if isinstance(step.action, Pressure) else ()
    bands = {side: band_of(pressure, step.ends) for side, pressure in targets}
    return {side: band for side, band in bands.items() if band is not None}


def rates_of(step: Step) -> Iterator[MeasuredRate]:
    """Yield what a step tells by the capacity of a cycle: its current, and currents that end it."""
    if isinstance(step.action, MeasuredCurrent):
        yield step.action.rate
    for end in step.ends:
        yield from _rates_in(end.condition)


def _rates_in(condition: Condition) -> Iterator[MeasuredRate]:
    match condition:
        case CompareRate(rate=rate):
            yield rate
        case All(parts=parts) | Any(parts=parts):
            for part in parts:
                yield from _rates_in(part)
        case Not(part=part):
            yield from _rates_in(part)


@dataclass(frozen=True, slots=True)
class Hook:
    """Nodes inserted into named passes of a loop, after every execution of the step or verb named `after`."""

    cycles: tuple[int, ...]
    every: int | None
    after: str
    body: "tuple[Node, ...]"

    def due(self, cycle: int) -> bool:
        """Whether the hook runs in this cycle."""
        return cycle in self.cycles or (self.every is not None and cycle % self.every == 0)


@dataclass(frozen=True, slots=True)
class Loop:
    """`passes` is the total number of passes; where `counts` is set, one pass is one cycle.

    `tag` names its cycles; `discharges_first` turns their coulombic efficiency over.
    """

    id: int
    name: str
    passes: int
    counts: bool
    body: "tuple[Node, ...]"
    hooks: tuple[Hook, ...] = ()
    line: int = 0
    tag: str = ""
    discharges_first: bool = False


@dataclass(frozen=True, slots=True)
class ForEach:
    """The same nodes once per value, each already bound to its value; `labels` say the values for people."""

    id: int
    name: str
    labels: tuple[str, ...]
    bodies: "tuple[tuple[Node, ...], ...]"
    line: int = 0


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`; `once` fires at most once in a run."""

    id: int
    condition: Condition
    text: str
    body: "tuple[Node, ...]"
    otherwise: "tuple[Node, ...]" = ()
    once: bool = False
    line: int = 0


Node = Step | Loop | ForEach | Branch


@dataclass(frozen=True, slots=True)
class BoundCell:
    """The cell as this run sees it, SI; None where neither protocol nor cell file says.

    Attributes:
        bore_area: m², turns pressure into force.
        positive_area: m², turns current density into current.
        active_mass: kg of positive active material.
        one_c: A at 1C.
        theoretical: C, the charge one full pass can move at most.
        negative_potential: V vs Li, of the counter electrode.
        soc: state of charge when the run begins, as a ratio.
        stack_thickness: m, of what is between the electrodes of a blocking cell; `positive_area` is then that of it.
    """

    name: str
    kind: str
    bore_area: float | None = None
    positive_area: float | None = None
    active_mass: float | None = None
    one_c: float | None = None
    theoretical: float | None = None
    negative_potential: float | None = None
    soc: float | None = None
    stack_thickness: float | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """The mechanics between screw and stack; None: nobody has said.

    Attributes:
        stiffness: N/m, of all between screw and stack.
        lead: m, of one turn of the screw.
        screw: m, its nominal diameter.
    """

    stiffness: float | None = None
    lead: float | None = None
    screw: float | None = None


TEXTBOOK_COEFFICIENT = 0.2
"""K of torque = K · diameter · force, of a dry steel screw; ±25 % from one tightening to the next."""


def textbook_torque(force: float, screw: float) -> float:
    """Return the torque, N·m, that a force (N) takes at a screw (m, nominal diameter) that nobody has calibrated."""
    return TEXTBOOK_COEFFICIENT * screw * force


@dataclass(frozen=True, slots=True)
class ByHand:
    """A side that a person presses with a tool.

    Attributes:
        shows: what the scale of the tool is worth: N·m, or N.
        lowest, highest: between which the scale is true.
        screw: m, nominal diameter; None: a press.
        self_locking: whether the force stays by itself.
    """

    side: Side
    shows: Literal["torque", "force"]
    lowest: float
    highest: float
    screw: float | None
    self_locking: bool

    def scale(self, force: float) -> float:
        """Return what the scale shows at a force (N), by the textbook where it shows torque."""
        return force if self.screw is None else textbook_torque(force, self.screw)


@dataclass(frozen=True, slots=True)
class Spring:
    """A passive spring behind a side: N/m, N at assembly, and m until its coils touch."""

    side: Side
    stiffness: float
    preload: float
    travel: float

    @property
    def most(self) -> float:
        """N at which it bottoms out."""
        return self.preload + self.stiffness * self.travel


@dataclass(frozen=True, slots=True)
class StationAbilities:
    """What a station can do, as far as a plan must know; None or empty: it has no such instrument.

    Attributes:
        voltage, current, torque, temperature: (low, high) in SI; current and torque as magnitudes.
        actuated: sides whose screw a rig turns.
        by_hand: sides that a person presses with a tool.
        gas: sides that a gas presses, with the largest force in N.
        springs: that press a side by themselves; its pressure is verified, not driven.
        measured: sides whose force it measures, with the load cell's capacity in N.
        limits: the station's own, never widened by a file.
        external_probe: whether the thermostat measures the cell's own temperature.
        without_takeover: instruments that a guard cannot make safe when the process that has them dies.
        software_only: those of them that have no limits and no watchdog of their own either.
        letting_go: driven sides whose mechanism holds no force by itself, for it is neither self-locking nor braked.
        accuracy: by how many N the force of a side may be wrong, where the load cell's driver says.
        continuous_torque: N·m that the rig holds for ever; `torque` is for a moment.
        angle_resolution: rad, the smallest turn of the screw.
        voltage_resolution, current_resolution: V and A, the smallest difference that the cycler tells.
        frequencies: (low, high) in Hz of the impedance that its cycler measures.
        uncalibrated: driven sides of a real station without a torque calibration that stands, with the reason.
    """

    name: str
    voltage: tuple[float, float] | None = None
    current: float | None = None
    torque: float | None = None
    temperature: tuple[float, float] | None = None
    actuated: tuple[Side, ...] = ()
    by_hand: tuple[ByHand, ...] = ()
    gas: tuple[tuple[Side, float], ...] = ()
    springs: tuple[Spring, ...] = ()
    measured: tuple[tuple[Side, float], ...] = ()
    external_probe: bool = False
    without_takeover: tuple[str, ...] = ()
    software_only: tuple[str, ...] = ()
    letting_go: tuple[Side, ...] = ()
    poll_period: float = 1.0
    voltage_limit: Bound = Bound()
    current_limit: float | None = None
    temperature_limit: Bound = Bound()
    pressure_negative_limit: Bound = Bound()
    pressure_positive_limit: Bound = Bound()
    rates: Rates = Rates()
    margins: Margins = Margins()
    disagreement: Disagreement = Disagreement()
    debounce: float = 0.0
    accuracy: tuple[tuple[Side, float], ...] = ()
    continuous_torque: float | None = None
    angle_resolution: float | None = None
    voltage_resolution: float | None = None
    current_resolution: float | None = None
    frequencies: tuple[float, float] | None = None
    frame: Frame = Frame()
    uncalibrated: tuple[tuple[Side, str], ...] = ()

    def tool(self, side: Side) -> ByHand | None:
        """Return the tool with which a person presses a side, or None."""
        return next((tool for tool in self.by_hand if tool.side == side), None)

    @property
    def ramped(self) -> tuple[Side, ...]:
        """Sides whose pressure this program moves, along a ramp."""
        return (*self.actuated, *(side for side, _ in self.gas))

    @property
    def driven(self) -> tuple[Side, ...]:
        """Sides whose pressure changes when a plan asks for it: by this program or by hand."""
        return (*self.ramped, *(tool.side for tool in self.by_hand))


@dataclass(frozen=True, slots=True)
class Plan:
    """A protocol that can run on this station with this cell, with every limit checked."""

    name: str
    title: str
    text: str
    hash: str
    cell: BoundCell
    limits: Limits
    body: tuple[Node, ...]
    inputs: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()
    outage: Outage = Outage()

    def steps(self) -> Iterator[Step]:
        """Every step of the tree once, in the order of the file."""
        yield from steps_of(self.body)


def steps_of(nodes: "tuple[Node, ...]") -> Iterator[Step]:
    """Every step of these nodes and of what is in them once, in the order of the file."""
    for node in nodes:
        match node:
            case Step():
                yield node
            case Loop(body=body, hooks=hooks):
                yield from steps_of(body)
                for hook in hooks:
                    yield from steps_of(hook.body)
            case ForEach(bodies=bodies):
                for each in bodies:
                    yield from steps_of(each)
            case Branch(body=body, otherwise=otherwise):
                yield from steps_of(body)
                yield from steps_of(otherwise)
