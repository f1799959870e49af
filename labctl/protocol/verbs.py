"""The steps of the language: one class a verb, and the protocol file that they make up. Checks form, not physics."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Discriminator,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    Tag,
)
from pydantic.json_schema import SkipJsonSchema

from labctl.protocol.endings import Endings, Timeout, When
from labctl.protocol.model import (
    AnyVoltage,
    Bounds,
    Cell,
    Check,
    DrivenCurrent,
    Head,
    Input,
    Magnitude,
    Name,
    Outage,
    Record,
    RunLimits,
    SignedDrivenCurrent,
    VoltageChange,
    VoltageOrRest,
)
from labctl.protocol.profile import Attached
from labctl.protocol.spectrum import CurrentSpectrum, VoltageSpectrum
from labctl.quantity import (
    AngularSpeed,
    Dimension,
    Duration,
    Pressure,
    Quantity,
    Resistance,
    SignedTorque,
    Temperature,
    WordingError,
    Written,
)
from labctl.table import Model

MAX_PASSES = 1_000_000
MAX_CORNERS = 20
MAX_SWEEPS = 1000

Text = Annotated[str, Field(min_length=1, max_length=2000)]
Ramp = Annotated[Quantity, Written((Dimension.PRESSURE_RATE,), positive=True)]


class Named(Model):
    """What every step may say of itself."""

    name: Name | None = None
    """What jumps and hooks call it, and tables of results."""


class Lasting(Named):
    """A step that takes time: it has ends, a time-out, record rules and limits of its own."""

    until: Endings = ()
    """A condition that ends it, or several of which any does: "4.3 V", "C/20", "15 min", "cv_time >= 15 min"."""
    timeout: Timeout | None = None
    """The time that it may take; longer is a fault."""
    record: Record = Record()
    limits: Bounds = Bounds()


class RestStep(Lasting):
    """No current for a time, or shorter where `until` says so."""

    rest: Duration


class ChargeStep(Lasting):
    """Constant current into the positive terminal; `cv` adds constant voltage in the same step."""

    charge: DrivenCurrent
    cv: AnyVoltage | None = None


class DischargeStep(Lasting):
    """Constant current out of the positive terminal; `cv` adds constant voltage in the same step."""

    discharge: DrivenCurrent
    cv: AnyVoltage | None = None


class CurrentStep(Lasting):
    """Constant current with its sign, positive charges; `cv` adds constant voltage in the same step."""

    current: SignedDrivenCurrent
    cv: AnyVoltage | None = None


class VoltageStep(Lasting):
    """Constant voltage, with no more than `max_current` in either direction; `vs`: above what the cell has at rest."""

    cv: AnyVoltage
    max_current: Magnitude = Field(examples=['"1 mA"'])
    vs: Literal["ocv"] | None = None


class PowerStep(Lasting):
    """Constant power with its sign, positive charges; less where it would take more than `max_current`."""

    power: Annotated[Quantity, Written((Dimension.POWER,))]
    max_current: Magnitude | None = None


class ResistanceStep(Lasting):
    """A discharge as by a resistor; less where it would take more than `max_current`."""

    resistance: Resistance
    max_current: Magnitude | None = None


def _some_way(corners: tuple[VoltageOrRest, ...]) -> tuple[VoltageOrRest, ...]:
    if not 2 <= len(corners) <= MAX_CORNERS:
        raise WordingError(
            f"a sweep has 2 to {MAX_CORNERS} voltages, not {len(corners)}",
            'write where it begins and where it turns or ends: ["ocv", "4.3 V"]',
        )
    return corners


class SweepStep(Lasting):
    """The voltage from corner to corner at a rate; `cycles` times through all but the first.

    `resolution` is the largest stair in which the host may move it.
    """

    sweep: Annotated[tuple[VoltageOrRest, ...], AfterValidator(_some_way)] = Field(
        examples=['["ocv", "4.3 V", "2.5 V"]']
    )
    rate: Annotated[Quantity, Written((Dimension.VOLTAGE_RATE,), positive=True)] = Field(examples=['"0.1 mV/s"'])
    max_current: Magnitude = Field(examples=['"1 mA"'])
    cycles: Annotated[StrictInt, Field(ge=1, le=MAX_SWEEPS)] = 1
    resolution: VoltageChange | None = None


class ProfileStep(Lasting):
    """Current or power against time, from a CSV beside the file."""

    profile: Name = Field(examples=['"drive.csv"'])
    interpolation: Literal["step", "linear"] = "step"


class EisStep(Lasting):
    """An impedance spectrum with a sine of voltage around a voltage; at open circuit where none is named."""

    eis: VoltageSpectrum = Field(examples=['{ from = "1 MHz", to = "0.1 Hz", amplitude = "10 mV rms" }'])


class GeisStep(Lasting):
    """An impedance spectrum with a sine of current around a current; around none where none is named."""

    geis: CurrentSpectrum = Field(examples=['{ from = "1 kHz", to = "0.1 Hz", amplitude = "0.1 mA rms" }'])


class PressureChange(Model):
    """A pressure relative to the one before: `by` so much, and not above `max` or below `min`."""

    by: Annotated[Quantity, Written((Dimension.PRESSURE,))] = Field(examples=['"0.5 MPa"'])
    max: Pressure | None = None
    min: Pressure | None = None


def _kind_of_target(value: object) -> str:
    return "<change>" if isinstance(value, dict | PressureChange) else "<absolute>"


Target = Annotated[
    Annotated[Pressure, Tag("<absolute>")] | Annotated[PressureChange, Tag("<change>")],
    Discriminator(_kind_of_target),
]


class PressureTargets(Model):
    """Set points of the sides, how fast they are approached and how they are kept."""

    negative: Target | None = Field(default=None, validation_alias=AliasChoices("negative", "anode"))
    positive: Target | None = Field(default=None, validation_alias=AliasChoices("positive", "cathode"))
    ramp: Ramp | None = None
    control: Literal["force", "gap", "free"] = "force"


class PressureStep(Lasting):
    """Bring sides to pressures; stays in force until the next pressure step."""

    pressure: PressureTargets


class TorqueTarget(Model):
    """Which side is tightened, or with a negative torque loosened, how far and how fast."""

    negative: SignedTorque | None = Field(default=None, validation_alias=AliasChoices("negative", "anode"))
    positive: SignedTorque | None = Field(default=None, validation_alias=AliasChoices("positive", "cathode"))
    speed: AngularSpeed | None = None


class TorqueStep(Lasting):
    """Turn the screw of a side with at most a torque: tighten until it needs that, or loosen; then leave it, locked."""

    torque: TorqueTarget


class TemperatureStep(Lasting):
    """Set the thermostat and wait."""

    temperature: Temperature
    of: Literal["cell", "chamber"] = Field(examples=['"cell"'])


def _side(value: object) -> object:
    return {"anode": "negative", "cathode": "positive"}.get(value, value) if isinstance(value, str) else value


class TareStep(Named):
    """Zero the load cell of a side, once the operator has confirmed that it is unloaded."""

    tare: Annotated[Literal["negative", "positive"], BeforeValidator(_side)]
    confirm: Text | None = None


class PromptStep(Named):
    """Ask the operator, for a word or a quantity; the circuit is open meanwhile. `simulated` is a simulated answer."""

    prompt: Text
    answers: tuple[Text, ...] = ()
    quantity: Literal["length", "mass", "force", "torque", "pressure", "temperature", "time"] | None = None
    simulated: Text | None = None


@dataclass(frozen=True, slots=True)
class Cycles:
    """Which cycles a hook runs in: those named, or every so many."""

    named: tuple[int, ...] = ()
    every: int | None = None


def _cycles(value: object) -> Cycles:
    every = re.fullmatch(r"every\s+([1-9]\d{0,6})", value) if isinstance(value, str) else None
    if every:
        return Cycles(every=int(every[1]))
    if isinstance(value, list) and value and all(type(item) is int and item >= 1 for item in value):
        return Cycles(named=tuple(sorted(set(value))))
    raise WordingError("these name no cycles", 'write a list of numbers from 1, such as [1, 20], or "every 50"')


class At(Model):
    """A hook of a loop: steps inserted into some cycles after a step or verb of the pass."""

    cycles: Annotated[Cycles, PlainValidator(_cycles, json_schema_input_type=str | list[int])] = Field(
        examples=["[1, 20]"]
    )
    after: Name = Field(examples=['"charge"'])
    do: "Steps" = Field(examples=['[{ rest = "1 h" }]'])


class RepeatStep(Named):
    """A loop; `repeat` is the total number of passes, `tag` names its cycles, `starts` says which half comes first.

    `limits` and `record` hold for everything in it. `part` names what was written elsewhere and unfolded to this.
    """

    repeat: Annotated[StrictInt, Field(ge=1, le=MAX_PASSES)]
    counts: Literal["cycle", "none"] | None = None
    tag: Name | None = None
    starts: Literal["charge", "discharge"] = "charge"
    do: "Steps" = Field(examples=['[{ rest = "1 h" }]'])
    at: tuple[At, ...] = ()
    record: Record = Record()
    limits: Bounds = Bounds()
    part: SkipJsonSchema[Name | None] = None


def _some_values(values: dict[str, tuple[str | int, ...]]) -> dict[str, tuple[str | int, ...]]:
    if not values or not all(values.values()):
        raise WordingError("there is no value here", 'write for example for = { rate = ["C/10", "1C"] }')
    return values


class ForStep(Named):
    """Steps once per value; `do` holds one list of steps a combination, as inputs expands them."""

    values: Annotated[dict[str, tuple[str | StrictInt, ...]], AfterValidator(_some_values)] = Field(alias="for")
    do: "tuple[Steps, ...]" = Field(examples=['[{ rest = "1 h" }]'])


class IfStep(Named):
    """A branch; `once` fires at most once in a run."""

    when: When = Field(alias="if")
    do: "Steps" = Field(examples=['[{ rest = "1 h" }]'])
    otherwise: "Steps | None" = Field(default=None, alias="else")
    once: StrictBool = False


def _affirmed(value: bool) -> bool:
    if not value:
        raise WordingError("`end = false` says nothing", "write `end = true`, or leave the step out")
    return value


class ParkStep(Named):
    """Keep the cell until the operator takes it: at open circuit, or at `cv`; after `max` the protocol goes on."""

    park: Text
    cv: AnyVoltage | None = None
    max_current: Magnitude | None = None
    max: Duration = Field(examples=['"7 d"'])


class HandoverStep(Named):
    """Leave the cell to another instrument, at open circuit, until the operator says it is free; `max` is a fault."""

    handover: Text
    max: Duration = Field(examples=['"2 h"'])


class EndStep(Named):
    """End the protocol here."""

    end: Annotated[StrictBool, AfterValidator(_affirmed)]


class GotoStep(Named):
    """Go on at a later step of the same list, or of one around it."""

    goto: Name = Field(examples=['"cool"'])


CLASSES: dict[str, type[Named]] = {
    "rest": RestStep,
    "charge": ChargeStep,
    "discharge": DischargeStep,
    "current": CurrentStep,
    "cv": VoltageStep,
    "power": PowerStep,
    "resistance": ResistanceStep,
    "sweep": SweepStep,
    "profile": ProfileStep,
    "eis": EisStep,
    "geis": GeisStep,
    "pressure": PressureStep,
    "torque": TorqueStep,
    "tare": TareStep,
    "temperature": TemperatureStep,
    "prompt": PromptStep,
    "park": ParkStep,
    "handover": HandoverStep,
    "repeat": RepeatStep,
    "for": ForStep,
    "if": IfStep,
    "end": EndStep,
    "goto": GotoStep,
}


WITH_CV = frozenset({"charge", "discharge", "current", "park"})
"""Verbs that `cv` may stand beside."""


def verb_of(step: object) -> str | None:
    """Name the verb of a step as it stands in a file; None where it has none, or two."""
    if not isinstance(step, dict):
        return None
    found = [verb for verb in CLASSES if verb in step]
    if "cv" in found and len(found) == 2 and (other := {*found} - {"cv"}) <= WITH_CV:
        return other.pop()
    return found[0] if len(found) == 1 else None


def _tag(step: object) -> str | None:
    verb = verb_of(step)
    return f"<{verb}>" if verb else None


AnyStep = Annotated[
    Annotated[RestStep, Tag("<rest>")]
    | Annotated[ChargeStep, Tag("<charge>")]
    | Annotated[DischargeStep, Tag("<discharge>")]
    | Annotated[CurrentStep, Tag("<current>")]
    | Annotated[VoltageStep, Tag("<cv>")]
    | Annotated[PowerStep, Tag("<power>")]
    | Annotated[ResistanceStep, Tag("<resistance>")]
    | Annotated[SweepStep, Tag("<sweep>")]
    | Annotated[ProfileStep, Tag("<profile>")]
    | Annotated[EisStep, Tag("<eis>")]
    | Annotated[GeisStep, Tag("<geis>")]
    | Annotated[PressureStep, Tag("<pressure>")]
    | Annotated[TorqueStep, Tag("<torque>")]
    | Annotated[TareStep, Tag("<tare>")]
    | Annotated[TemperatureStep, Tag("<temperature>")]
    | Annotated[PromptStep, Tag("<prompt>")]
    | Annotated[ParkStep, Tag("<park>")]
    | Annotated[HandoverStep, Tag("<handover>")]
    | Annotated[RepeatStep, Tag("<repeat>")]
    | Annotated[ForStep, Tag("<for>")]
    | Annotated[IfStep, Tag("<if>")]
    | Annotated[EndStep, Tag("<end>")]
    | Annotated[GotoStep, Tag("<goto>")],
    Discriminator(_tag),
]


def _some_steps(steps: tuple[Named, ...]) -> tuple[Named, ...]:
    if not steps:
        raise WordingError("there is no step here", 'write at least one, such as { rest = "1 h" }')
    return steps


Steps = Annotated[tuple[AnyStep, ...], AfterValidator(_some_steps)]


class ProtocolFile(Model):
    """A protocol file as a whole."""

    schema_: Literal["1"] = Field(alias="schema", examples=['"1"'])
    protocol: Head
    inputs: dict[str, Input] = Field(default_factory=dict)
    cell: Cell = Cell()
    limits: RunLimits
    record: Record = Record()
    outage: Outage = Outage()
    attached: dict[str, Attached] = Field(default_factory=dict)
    attached_from: dict[str, Annotated[str, Field(pattern=r"^[^\x00-\x1f]*$")]] = Field(default_factory=dict)
    """Where those of them lay that were found by name in the folders of protocols."""
    check: Check = Check()
    define: dict[str, list[object]] = Field(default_factory=dict)
    """Lists of steps by name; they are unfolded before the form is checked."""
    step: Steps
