"""What holds beside a step: when a row is due, limits, what the guard compares, and what becomes of an outage."""

from dataclasses import dataclass
from enum import StrEnum


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
