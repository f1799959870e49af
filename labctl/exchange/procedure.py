"""The common ground of the worlds: rests, currents, voltages, spectra and loops, with ends that all of them mean alike.

Quantities are exact. Two procedures are equal where they ask for the same; where in a file a step stood does not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from labctl.errors import Place
from labctl.exchange.remarks import Remarks
from labctl.plan import Quantity as Measured
from labctl.plan import Then
from labctl.quantity import Dimension, Quantity


@dataclass(frozen=True, slots=True)
class End:
    """A step ends when `measured` has come up (or else down) to `value`; a current counts as its magnitude.

    `label` is the name of the step that a `goto` leads to.
    """

    measured: Measured
    upward: bool
    value: Quantity
    then: Then = Then.NEXT
    label: str = ""
    place: Place | None = field(default=None, compare=False)

    @property
    def plain(self) -> bool:
        """Whether nothing but the next step follows."""
        return self.then is Then.NEXT


@dataclass(frozen=True, slots=True)
class Record:
    """What makes a point of data due; None: not said."""

    interval: Quantity | None = None
    voltage: Quantity | None = None
    current: Quantity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What every step may say."""

    name: str = ""
    record: Record = Record()
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest(Base):
    """No current, for a time."""

    time: Quantity
    ends: tuple[End, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Current(Base):
    """A constant current or rate, positive charges; with `cv` it goes on at that voltage, in one step."""

    current: Quantity
    cv: Quantity | None = None
    ends: tuple[End, ...] = ()

    @property
    def charges(self) -> bool:
        """Whether it flows into the positive terminal."""
        return self.current.value > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Voltage(Base):
    """A constant voltage that stands alone, with the most current that may flow; None: not said."""

    voltage: Quantity
    most: Quantity | None = None
    ends: tuple[End, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load(Base):
    """A constant power, positive charges, or a constant resistance, which discharges: its dimension says which."""

    load: Quantity
    ends: tuple[End, ...] = ()

    @property
    def charges(self) -> bool:
        """Whether current flows into the positive terminal."""
        return self.load.dimension is Dimension.POWER and self.load.value > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep(Base):
    """The voltage from one to another at a rate, with the most current that may flow; None: not said."""

    start: Quantity
    stop: Quantity
    rate: Quantity
    most: Quantity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum(Base):
    """An impedance spectrum; its sine is one of what `peak` measures, voltage or current.

    `bias` None: around the voltage at open circuit, or around no current. `most`: the current that may flow; None: not
    said.
    """

    start: Quantity
    stop: Quantity
    peak: Quantity
    per_decade: int
    bias: Quantity | None = None
    most: Quantity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop(Base):
    """Steps that are gone through so many times in all; `counts` where somebody says that a pass is a cycle."""

    passes: int
    body: "tuple[Step, ...]"
    counts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole(Base):
    """A step that has no counterpart: a person has to write it. `name` says what it was."""


MOST_NESTED = 8
"""Loops that a file may have in each other; nobody means more."""

Step = Rest | Current | Voltage | Load | Sweep | Spectrum | Loop | Hole


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond what a run is stopped; None: not said."""

    lowest: Quantity | None = None
    highest: Quantity | None = None
    current: Quantity | None = None
    capacity: Quantity | None = None


@dataclass(frozen=True, slots=True)
class Procedure:
    """An experiment on the common ground; `capacity` is the charge that 1C moves in an hour."""

    name: str
    steps: tuple[Step, ...]
    sample: str = ""
    capacity: Quantity | None = None
    limits: Limits = Limits()
    record: Record = Record()


def joined(steps: tuple[Step, ...], remarks: Remarks) -> tuple[Step, ...]:
    """Make one CC-CV step of a current that ends at a voltage alone and the constant voltage that follows there."""
    result: list[Step] = []
    for step in steps:
        before = result[-1] if result else None
        if isinstance(step, Voltage) and isinstance(before, Current) and _goes_on(before, step):
            if before.name and step.name:
                reason = f'the name "{step.name}" is lost: this voltage becomes one step with the current before it'
                remarks.note(step.place, reason)
            ends = tuple(_of_cv(end) for end in step.ends)
            result[-1] = replace(before, name=before.name or step.name, cv=step.voltage, ends=ends)
        else:
            result.append(step)
    return tuple(result)


def _goes_on(before: Current, step: Voltage) -> bool:
    reached = (End(Measured.VOLTAGE, before.charges, step.voltage),)
    return before.cv is None and before.ends == reached and step.most is None and step.record == before.record


def _of_cv(end: End) -> End:
    return replace(end, measured=Measured.CV_TIME) if end.measured is Measured.TIME else end


def parted(step: Current) -> tuple[Current, Voltage]:
    """Make of a CC-CV step the current up to its voltage, and the voltage: the reverse of `joined`."""
    assert step.cv is not None
    reached = End(Measured.VOLTAGE, step.charges, step.cv, place=step.place)
    ends = tuple(replace(end, measured=Measured.TIME) if end.measured is Measured.CV_TIME else end for end in step.ends)
    hold = Voltage(voltage=step.cv, ends=ends, record=step.record, place=step.place)
    return replace(step, cv=None, ends=(reached,)), hold


def nesting(steps: tuple[Step, ...]) -> int:
    """Return how many loops lie in each other at most."""
    return max((1 + nesting(step.body) for step in steps if isinstance(step, Loop)), default=0)


def each(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Yield every step and those inside loops."""
    for step in steps:
        yield step
        if isinstance(step, Loop):
            yield from each(step.body)


def with_common_record(steps: tuple[Step, ...]) -> tuple[Record, tuple[Step, ...]]:
    """Take out of the steps the record rule that all of them share, where they do."""
    rules = {step.record for step in each(steps) if not isinstance(step, Loop | Hole)}
    if len(rules) != 1:
        return Record(), steps
    return rules.pop(), tuple(_without_record(step) for step in steps)


def _without_record(step: Step) -> Step:
    if isinstance(step, Loop):
        return replace(step, body=tuple(_without_record(inner) for inner in step.body))
    return replace(step, record=Record())
