"""What flows from the engine to the database: readings, events and marks, numbered by one sequence per run and channel.

Names are BDF machine names, units SI as BDF has them (Ah, Wh and °C where it says so); positive current charges.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

RECORD_SCHEMA = 1

CELL_COLUMNS = (
    "unix_time_second",
    "test_time_second",
    "step_time_second",
    "cycle_count",
    "step_count",
    "step_id",
    "voltage_volt",
    "current_ampere",
    "charging_capacity_ah",
    "discharging_capacity_ah",
    "charging_energy_wh",
    "discharging_energy_wh",
)
"""Always present, but for the voltage, which is None while an open output relay hides the terminals.

Capacities and energies are cumulative since the start of the run and never reset; step_count numbers the executed steps
of a run from 1, step_id the step of the plan; cycle_count belongs to the cell and is 0 before its first cycle.
"""

AUXILIARIES = (
    "negative_pressure_pa",
    "positive_pressure_pa",
    "negative_force_newton",
    "positive_force_newton",
    "negative_torque_newton_metre",
    "positive_torque_newton_metre",
    "negative_screw_angle_radian",
    "positive_screw_angle_radian",
    "negative_gas_pressure_pa",
    "positive_gas_pressure_pa",
    "ambient_temperature_celsius",
    "surface_temperature_celsius",
)
"""Each has three columns: the value, and `_min` and `_max` since the row before; NULL where no instrument measures it
or its value is older than the sensor's age limit."""

COLUMNS: tuple[str, ...] = CELL_COLUMNS + tuple(
    name + suffix for name in AUXILIARIES for suffix in ("", "_min", "_max")
)
"""Columns of a reading in their one order, on the bus and in the table; `run_id, channel, seq` precede them there."""

EARLIER_NAMES = {
    earlier + suffix: f"negative_{earlier}{suffix}"
    for earlier in ("torque_newton_metre", "screw_angle_radian")
    for suffix in ("", "_min", "_max")
}
"""What columns were called while a station had one rig, which was taken for that of the negative side."""


class Severity(StrEnum):
    """How loudly an event is told."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Reading:
    """One row: values in the order of COLUMNS."""

    values: tuple[float | int | None, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `kind` is a stable dotted name ("step.started"), `data` plain JSON.

    The kinds that storage acts on: run.started (data: what RunHeader says), run.ended (data: state, reason),
    step.started (data: step_count, step_id, name, verb, cycle_count), step.ended (data: step_count, reason),
    gap (data: first, last: numbers that were burnt by a torn journal).
    """

    kind: str
    unix_time_second: float
    test_time_second: float
    message: str
    severity: Severity = Severity.INFO
    data: dict[str, Any] = field(default_factory=dict)


Record = Reading | Event

NOT_FOR_PEOPLE = frozenset({"run.position", "impedance.point"})
"""Kinds of events that only programs read, or that come by the hundred: no list of what happened has room for them."""


class RunState(StrEnum):
    """The named states of a run; those after RUNNING are ends."""

    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"
    """By the operator."""
    TRIPPED = "tripped"
    FAILED = "failed"
    LOST = "lost"
    """The process died; found and named by the next one."""


@dataclass(frozen=True, slots=True)
class RunHeader:
    """Everything needed to repeat a run; becomes its row in `runs`.

    Attributes:
        run: UUID.
        instruments: role -> {driver, address, identity, simulated}; also the calibration that stands for it, and
            accuracy_newton of a load cell, where they are known.
        cell: the bound cell as plain JSON; mass and areas in SI.
        config: the station's configuration as plain JSON.
        kind: "protocol", or "watch" for what is recorded of a station while nothing runs; its protocol is empty.
        campaign: that the run belongs to.
        continues: UUID of the run of the same cell whose cycle numbers go on.
    """

    run: str
    station: str
    protocol_name: str
    protocol_title: str
    protocol_text: str
    protocol_hash: str
    cell_name: str
    cell: dict[str, Any]
    operator: str
    instruments: dict[str, Any]
    config: dict[str, Any]
    inputs: dict[str, str]
    software_version: str
    simulated: bool
    seed: int | None
    started_unix_second: float
    kind: Literal["protocol", "watch"] = "protocol"
    campaign: str | None = None
    continues: str | None = None
