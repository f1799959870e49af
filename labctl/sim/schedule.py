"""What can go wrong with a simulated instrument, cell, rig or room, and from when to when; pure data."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from labctl.quantity import Dimension

DARK = 10.0
"""Seconds of lab time for which an instrument that is being exchanged does not answer; a restart takes no less."""


class Kind(StrEnum):
    """What can go wrong: first at an instrument, then at cell, rig and room."""

    SILENCE = "silence"
    LATE = "late"
    HALF = "half"
    GARBAGE = "garbage"
    WRONG_UNIT = "wrong_unit"
    NOT_A_NUMBER = "not_a_number"
    STUCK = "stuck"
    DRIFT = "drift"
    OUT_OF_RANGE = "out_of_range"
    DISCONNECT = "disconnect"
    OTHER_IDENTITY = "other_identity"
    REBOOT = "reboot"
    SHORT = "short"
    OPEN_CIRCUIT = "open_circuit"
    CONTACT_LOSS = "contact_loss"
    SLIP = "slip"
    FRICTION_RELEASE = "friction_release"
    SPRING_BOTTOMED = "spring_bottomed"
    HEATER_FAILURE = "heater_failure"


HAPPENS_TO: dict[Kind, str] = {
    Kind.SHORT: "cell",
    Kind.OPEN_CIRCUIT: "cell",
    Kind.CONTACT_LOSS: "cell",
    Kind.SLIP: "rig",
    Kind.FRICTION_RELEASE: "rig",
    Kind.SPRING_BOTTOMED: "rig",
    Kind.HEATER_FAILURE: "room",
}
"""The physical kinds and what each of them happens to; all others happen to instruments."""
LASTING = frozenset({Kind.CONTACT_LOSS, Kind.SLIP, Kind.FRICTION_RELEASE, Kind.SPRING_BOTTOMED})
"""What nobody mends during a run: it begins and does not end."""
MEASURES = {
    "cycler": Dimension.VOLTAGE,
    "load_cell": Dimension.FORCE,
    "pressure_rig": Dimension.ANGLE,
    "hand_tool": Dimension.TORQUE,
    "gas_regulator": Dimension.PRESSURE,
    "thermostat": Dimension.TEMPERATURE_DIFFERENCE,
}
"""What drifts at an instrument of each role."""

VALUES = {
    Kind.LATE: Dimension.TIME,
    Kind.SHORT: Dimension.RESISTANCE,
    Kind.CONTACT_LOSS: Dimension.RATIO,
    Kind.SLIP: Dimension.ANGLE,
}
"""What the value of a kind measures; that of a drift is per second of what its instrument measures."""
HEATER = {"off": 0.0, "on": 1.0}
"""What the value of a heater failure means."""
DARKENING = frozenset({Kind.REBOOT, Kind.OTHER_IDENTITY})
"""What takes at least DARK seconds."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """One fault.

    Attributes:
        instrument: its name at the station ("cycler", "load_cell.negative"), or "cell", "rig" or "room".
        kind: what goes wrong.
        begin: s of lab time.
        end: the first instant at which it is over; inf for what lasts.
        value: how much, in SI: late s, drift V/s, N/s, rad/s, N·m/s, Pa/s or K/s, short ohm, contact_loss the share of
            the contact that is lost, slip rad of the screw, heater_failure 1 (heats all it can) or 0 (does not heat).

    Raises:
        ValueError: it makes no sense; a sentence says why.
    """

    instrument: str
    kind: Kind
    begin: float
    end: float = math.inf
    value: float = 0.0

    def __post_init__(self) -> None:
        for wrong, why in _wrongs(self):
            if wrong:
                raise ValueError(f"{self.kind} at {self.instrument}: {why}")

    def holds(self, time: float) -> bool:
        """Whether it is there at a lab time."""
        return self.begin <= time < self.end


def _wrongs(fault: Scheduled) -> Iterable[tuple[bool, str]]:
    """Pair each thing that may be wrong with a fault with the sentence that says so."""
    kind, target, role = fault.kind, HAPPENS_TO.get(fault.kind), fault.instrument.partition(".")[0]
    yield target is not None and fault.instrument != target, f'this happens to "{target}"'
    yield target is None and role not in MEASURES, f"this happens to an instrument: {', '.join(MEASURES)}"
    yield not 0.0 <= fault.begin < math.inf, "it begins at a lab time from 0 s on"
    yield not fault.end > fault.begin, "it ends after it has begun"
    yield kind in LASTING and math.isfinite(fault.end), "this lasts; leave its end out"
    yield kind in DARKENING and fault.end - fault.begin < DARK, f"this takes {DARK:g} s or more"
    has_value = kind in VALUES or kind in (Kind.DRIFT, Kind.HEATER_FAILURE)
    yield not math.isfinite(fault.value), "its value is a finite number"
    yield not has_value and fault.value != 0.0, "this has no value"
    yield kind in (Kind.LATE, Kind.SHORT) and fault.value <= 0.0, "its value is above zero"
    yield kind is Kind.DRIFT and fault.value == 0.0, "its value is not zero"
    yield kind is Kind.CONTACT_LOSS and not 0.0 < fault.value < 1.0, "its value is above 0 and below 100 %"
    yield kind is Kind.HEATER_FAILURE and fault.value not in HEATER.values(), 'its value is "on" or "off"'
    integers = role == "pressure_rig" and kind in (Kind.WRONG_UNIT, Kind.NOT_A_NUMBER)
    yield integers, "a servo answers with the integers of its registers, which have neither unit nor NaN"


def overlapping(faults: Sequence[Scheduled]) -> tuple[int, int] | None:
    """Return the positions of two faults of one kind at one place that are there at the same time."""
    order = sorted(range(len(faults)), key=lambda number: faults[number].begin)
    last: dict[tuple[str, Kind], int] = {}
    for number in order:
        fault = faults[number]
        before = last.get((fault.instrument, fault.kind))
        if before is not None and fault.kind is not Kind.SLIP and faults[before].end > fault.begin:
            return before, number
        last[fault.instrument, fault.kind] = number
    return None
