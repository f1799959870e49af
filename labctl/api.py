"""What a daemon and its clients say to each other: commands, replies and retained states, checked at both ends.

Everything is JSON on the bus (docs/bus.md). Units are SI as everywhere; unix times are of the host that says them.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from labctl.reading import RunState, Severity

STALE = 10.0
"""Seconds after which a command is refused: what was meant then may hurt now."""

Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=2000)]
FileText = Annotated[str, Field(max_length=500_000)]
Unix = Annotated[float, Field(ge=0.0, le=253_402_300_799.0)]
"""Unix time that can be written as a date."""
Inputs = Annotated[dict[Name, Text], Field(max_length=200)]


class Message(BaseModel):
    """Base of all messages; unknown keys are refused, so that a misspelt one is not silently without effect."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)  # a client uses few of them


class State(Message):
    """Base of what is retained; unknown keys are passed over, so that an older client shows a newer daemon."""

    model_config = ConfigDict(extra="ignore")


# -- commands --------------------------------------------------------------------------------------------------------


class Origin(Message):
    """Where a protocol came from, as who sends it found it: recorded, and no part of what it means."""

    name: Name
    folder: Text
    commit: Name | None = None
    modified: bool | None = None
    """Whether the file is another one in that commit; null: not known."""


class Start(Message):
    """Queue a protocol at a station, or at the first free one that can run it; it starts when its turn comes."""

    do: Literal["start"] = "start"
    station: Name | None = None
    file: Name
    protocol: FileText
    cell_file: Name | None = None
    cell: FileText | None = None
    inputs: Inputs = {}
    continue_run: Name | None = None
    """Run whose cycle numbers go on."""
    campaign: Name | None = None
    consent: Text = ""
    """Who takes it upon themselves, and why, that only software protects the cell; where it does so."""
    origin: Origin | None = None


class Unqueue(Message):
    """Take a waiting run out of its queue."""

    do: Literal["unqueue"] = "unqueue"
    run: Name


class Control(Message):
    """Pause, resume, skip the step of, or stop what runs at a station (named, or by its run)."""

    do: Literal["pause", "resume", "skip", "stop"]
    target: Name


class Note(Message):
    """Write a note into a running run's events."""

    do: Literal["note"] = "note"
    target: Name
    text: Annotated[str, Field(min_length=1, max_length=2000)]


class Change(Message):
    """Revise the inputs of a running plan, from its next step on."""

    do: Literal["change"] = "change"
    target: Name
    inputs: Annotated[Inputs, Field(min_length=1)]


class Answer(Message):
    """Answer the prompt that a run waits for."""

    do: Literal["answer"] = "answer"
    target: Name
    answer: Text


class Acknowledge(Message):
    """Acknowledge alarms of a station, all of them where none is named; a latched trip is released by that."""

    do: Literal["acknowledge"] = "acknowledge"
    station: Name
    alarms: tuple[Name, ...] = ()


class EveryStation(Message):
    """Act on all stations at once: pause them; stop them and make them safe, latched until a reset; reset."""

    do: Literal["pause_all", "estop", "reset"]


class Check(Message):
    """Check a protocol against a station; nothing is started."""

    do: Literal["check"] = "check"
    station: Name | None = None
    file: Name
    protocol: FileText
    cell_file: Name | None = None
    cell: FileText | None = None
    inputs: Inputs = {}


class History(Message):
    """Minimum and maximum of columns in buckets over an x column, for plots; never raw data."""

    do: Literal["history"] = "history"
    run: Name
    columns: Annotated[tuple[Name, ...], Field(min_length=1, max_length=8)]
    x: Literal["test_time_second", "step_time_second", "cycle_count"] = "test_time_second"
    start: FiniteFloat | None = None
    end: FiniteFloat | None = None
    buckets: Annotated[int, Field(ge=1, le=2000)] = 400


class Cycles(Message):
    """The cycle table of a run, one page of it."""

    do: Literal["cycles"] = "cycles"
    run: Name
    after: Annotated[int, Field(ge=-1)] = -1
    limit: Annotated[int, Field(ge=1, le=1000)] = 500


class Events(Message):
    """The newest events of a run, or of all runs of the laboratory."""

    do: Literal["events"] = "events"
    run: Name | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class Runs(Message):
    """The newest runs."""

    do: Literal["runs"] = "runs"
    limit: Annotated[int, Field(ge=1, le=500)] = 50


Action = Annotated[
    Start
    | Unqueue
    | Control
    | Note
    | Change
    | Answer
    | Acknowledge
    | EveryStation
    | Check
    | History
    | Cycles
    | Events
    | Runs,
    Field(discriminator="do"),
]


class Request(Message):
    """A command with who gives it, why, and where the reply goes.

    Attributes:
        id: unique; a request that arrives twice is carried out once and answered twice.
        client: name of the client; its replies come on its own topic.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    id: Name
    client: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    user: Name
    reason: Text = ""
    sent_unix_second: FiniteFloat
    action: Action


class Refusal(Message):
    """Why a request was not carried out, as a user is told."""

    sentence: str
    remedy: str = ""
    exit_code: int = 1
    findings: tuple[dict[str, Any], ...] = ()
    """Of a protocol: code, severity, file, line, column, reason, remedy, text (as printed)."""


class Reply(Message):
    """What became of a request; `data` is what its action promises."""

    schema_version: Literal[1] = Field(1, alias="schema")
    id: Name
    error: Refusal | None = None
    data: dict[str, Any] = {}


# -- answers ---------------------------------------------------------------------------------------------------------


class Started(Message):
    """Answer to `Start`: where the run waits or runs; position 0 runs now."""

    run: str
    station: str
    position: int


class Bucketed(Message):
    """Answer to `History`: for each bucket that holds rows, its x and the extremes of each column (None: no value).

    `low` and `high` have one list for each column asked for, as long as `x`.
    """

    x: list[float]
    low: list[list[float | None]]
    high: list[list[float | None]]
    rows: int


class Confirmed(Message):
    """Answer to `EveryStation`: what each station confirmed; an empty list is a station that is wholly safe."""

    stations: dict[str, list[str]]


class Changed(Message):
    """Answer to `Change`: all inputs of the plan that holds from the next step on."""

    inputs: dict[str, str]


class Acknowledged(Message):
    """Answer to `Acknowledge`: the alarms that nobody had acknowledged before."""

    acknowledged: tuple[str, ...]


class Checked(Message):
    """Answer to `Check`, also where the protocol is wrong: what was found, as in `Refusal`; warnings are no errors."""

    findings: tuple[dict[str, Any], ...] = ()


class CycleLine(Message):
    """A cycle as it is stored: Ah, Wh, V and seconds of test time; None where nothing was recorded."""

    cycle_count: int
    start_test_time_second: float | None
    end_test_time_second: float | None
    charging_capacity_ah: float | None
    discharging_capacity_ah: float | None
    charging_energy_wh: float | None
    discharging_energy_wh: float | None
    min_voltage_volt: float | None
    max_voltage_volt: float | None
    coulombic_efficiency: float | None
    energy_efficiency: float | None
    complete: bool


class CyclePage(Message):
    """Answer to `Cycles`, in order; where there are more, ask for those after the last one.

    Attributes:
        active_mass: of the cell in kg, for specific values; None where it is not known.
    """

    cycles: tuple[CycleLine, ...]
    more: bool
    active_mass: float | None = None


class PastEvent(Message):
    """An event as it is stored, without its data."""

    run: str
    station: str | None
    kind: str
    unix_time_second: float
    test_time_second: float
    message: str
    severity: Severity


class EventPage(Message):
    """Answer to `Events`, the newest first."""

    events: tuple[PastEvent, ...]


class RunLine(Message):
    """A run as it is stored, without its protocol; None where its beginning was lost."""

    run: str
    station: str | None
    protocol: str | None
    title: str | None
    cell: str | None
    operator: str | None
    simulated: bool | None
    state: RunState
    end_reason: str | None
    started_unix_second: float | None
    ended_unix_second: float | None


class RunPage(Message):
    """Answer to `Runs`, the newest first."""

    runs: tuple[RunLine, ...]


# -- states ----------------------------------------------------------------------------------------------------------


class Word(StrEnum):
    """The state of a station in one word."""

    CONNECTING = "connecting"
    IDLE = "idle"
    READY = "ready"
    """A run waits in the queue and may not start yet."""
    CHARGE = "charge"
    DISCHARGE = "discharge"
    REST = "rest"
    WAIT = "wait"
    """For pressure, temperature, or an answer of the operator."""
    PAUSED = "paused"
    DONE = "done"
    """The last run completed and nobody has started another."""
    ALARM = "alarm"
    LOST = "lost"
    """Its instruments do not answer."""
    ESTOP = "estop"


class Value(State):
    """A measured quantity now.

    Attributes:
        value: None where it is not known, or too old to be true.
        age: lab seconds since it was measured; None: never.
        period: lab seconds between two measurements.
        target: its set point, where it has one.
        low, high: the limits of the present step or station.
    """

    value: float | None
    age: float | None
    period: float
    target: float | None = None
    low: float | None = None
    high: float | None = None


class Alarm(State):
    """Something that a person must know of.

    Attributes:
        latched: whether the station refuses to start anything until somebody acknowledges it.
        active: whether its cause still holds.
        action: what was done about it.
    """

    id: str
    since_unix_second: Unix
    station: str
    quantity: str
    sentence: str
    severity: Severity
    latched: bool
    active: bool
    action: str
    acknowledged_by: str | None = None
    acknowledged_reason: str = ""


AlertChange = Literal["raised", "cleared", "acknowledged"]
"""What happened to an alarm; cleared: its cause has gone."""


class Alert(State):
    """Said once on a station's own topic, when something has happened to one of its alarms."""

    schema_version: Literal[1] = Field(1, alias="schema")
    change: AlertChange
    said_unix_second: Unix
    alarm: Alarm


class Asked(State):
    """A question to the operator that a run waits for."""

    text: str
    answers: tuple[str, ...]
    output: str


class StepLine(State):
    """A line of a plan as it is shown: `depth` 0 is the top, `state` done, now or next."""

    id: int
    depth: int
    text: str
    state: Literal["done", "now", "next"]


class RunStatus(State):
    """What runs at a station.

    Attributes:
        steps: of the plan; `step` counts them from 1 and is 0 before the first.
        fraction: of the expected duration that has passed, 0 to 1.
        where: "host" or "instrument": who executes the present step.
        capacity_ah: charge of the present step, magnitude.
        specific_mah_per_gram: the same by the active mass, None where that is not known.
    """

    run: str
    protocol: str
    title: str
    cell: str
    operator: str
    started_unix_second: Unix
    step: int
    steps: int
    step_name: str
    verb: str
    next_step: str
    step_time_second: float
    cycle: int
    cycles: int
    test_time_second: float
    left_second: float
    fraction: float
    where: Literal["host", "instrument"] = "host"
    capacity_ah: float | None = None
    specific_mah_per_gram: float | None = None
    plan: tuple[StepLine, ...] = ()


class Queued(State):
    """A run that waits for its turn."""

    run: str
    protocol: str
    cell: str
    operator: str
    queued_unix_second: Unix


class InstrumentState(State):
    """An instrument of a station."""

    driver: str
    identity: str
    simulated: bool
    trouble: str = ""


class StationState(State):
    """Retained: all that a screen shows of a station."""

    schema_version: Literal[1] = Field(1, alias="schema")
    station: str
    word: Word
    why: str = ""
    """A sentence where the word needs one: why it is lost, waits, or stands in alarm."""
    simulated: bool
    speed: float | None = None
    """Lab seconds in a host second that are aimed at; None as fast as can be. 1 with real instruments."""
    said_unix_second: Unix
    lab_unix_second: Unix
    values: dict[str, Value] = {}
    """By BDF machine name: "voltage_volt", "negative_pressure_pa", ..."""
    run: RunStatus | None = None
    last_run: str | None = None
    queue: tuple[Queued, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    asked: Asked | None = None
    instruments: dict[str, InstrumentState] = {}


class LabState(State):
    """Retained: the daemon itself.

    Attributes:
        recorder: empty while rows are being stored, else why not.
        backlog: records that await their database.
        disk_days: until the disk is full at the present rate; None: not foreseeable.
        alerts: empty while alerts reach people, else why not.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    site: str
    host: str
    version: str
    pid: int
    stations: tuple[str, ...]
    started_unix_second: Unix
    said_unix_second: Unix
    recorder: str = ""
    backlog: int = 0
    rows_per_second: float = 0.0
    disk_free_byte: int = 0
    disk_days: float | None = None
    estop: bool = False
    alerts: str = ""


class RecorderState(State):
    """Retained: a recorder.

    Attributes:
        trouble: why the database takes nothing now, as a sentence; empty while it does.
        refused: messages that were not what they should be.
        quarantined: records that the database refused.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    trouble: str
    refused: int
    quarantined: int


class Alive(State):
    """Retained: whether a process is connected; its last will says that it is not."""

    schema_version: Literal[1] = Field(1, alias="schema")
    alive: bool
