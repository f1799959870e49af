"""The shape of protocol and cell files: every table and key but the steps (see verbs). Checks form, not physics."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, AwareDatetime, Field, PlainValidator, StrictInt

from labctl.quantity import (
    Dimension,
    Duration,
    Length,
    Loading,
    Mass,
    Pressure,
    Quantity,
    Temperature,
    Torque,
    WordingError,
    Written,
)
from labctl.table import Model

Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f{}]+$")]

CURRENTS = (Dimension.RATE, Dimension.CURRENT, Dimension.CURRENT_DENSITY, Dimension.SPECIFIC_CURRENT)
_CHARGES = (Dimension.CHARGE, Dimension.SPECIFIC_CHARGE, Dimension.AREAL_CHARGE)
_VOLTAGES = (Dimension.VOLTAGE, Dimension.POTENTIAL)

Magnitude = Annotated[Quantity, Written(CURRENTS, positive=True)]
SignedCurrent = Annotated[Quantity, Written(CURRENTS)]
DrivenCurrent = Annotated[Quantity, Written((*CURRENTS, Dimension.MEASURED_RATE), positive=True)]
SignedDrivenCurrent = Annotated[Quantity, Written((*CURRENTS, Dimension.MEASURED_RATE))]
AnyVoltage = Annotated[Quantity, Written(_VOLTAGES)]
AnyCharge = Annotated[Quantity, Written(_CHARGES, positive=True)]
Charge = Annotated[Quantity, Written((Dimension.CHARGE,), positive=True)]
SpecificCharge = Annotated[Quantity, Written((Dimension.SPECIFIC_CHARGE,), positive=True)]
SpecificCurrent = Annotated[Quantity, Written((Dimension.SPECIFIC_CURRENT,), positive=True)]
ArealCharge = Annotated[Quantity, Written((Dimension.AREAL_CHARGE,), positive=True)]
Figure = Annotated[Quantity, Written((*CURRENTS, *_CHARGES), positive=True)]
Potential = Annotated[Quantity, Written((Dimension.POTENTIAL,))]
VoltageChange = Annotated[Quantity, Written((Dimension.VOLTAGE,), positive=True)]


def _voltage_or_rest(value: object) -> Quantity | Literal["ocv"]:
    return "ocv" if value == "ocv" else Written(_VOLTAGES).read(value)


VoltageOrRest = Annotated[Quantity | Literal["ocv"], PlainValidator(_voltage_or_rest, json_schema_input_type=str)]
"""A voltage, or "ocv": that of the cell at open circuit just before."""
PressureChange = Annotated[Quantity, Written((Dimension.PRESSURE,), positive=True)]
TemperatureChange = Annotated[Quantity, Written((Dimension.TEMPERATURE_DIFFERENCE,), positive=True)]


def _ascending(span: tuple[Quantity, Quantity]) -> tuple[Quantity, Quantity]:
    low, high = span
    if low.dimension is high.dimension and low.value >= high.value:
        raise WordingError(f'"{low}" is not below "{high}"', "write the lower value first")
    return span


VoltageSpan = Annotated[tuple[AnyVoltage, AnyVoltage], AfterValidator(_ascending)]
TemperatureSpan = Annotated[tuple[Temperature, Temperature], AfterValidator(_ascending)]
PressureSpan = Annotated[tuple[Pressure, Pressure], AfterValidator(_ascending)]


class Head(Model):
    """[protocol]: who the file is."""

    name: Name = Field(examples=['"my-protocol"'])
    title: str = Field("", max_length=500)
    doi: str = ""
    licence: str = ""
    unknown: tuple[str, ...] = ()
    """Key paths that the source does not give; their values are the author's own."""


class Input(Model):
    """[inputs]: one thing that may be changed without editing the file."""

    default: str | StrictInt = Field(examples=['"0.2 mA/cm2"'])
    min: str | StrictInt | None = None
    max: str | StrictInt | None = None
    help: str = ""


def _ratio_of_whole(ratio: Quantity) -> Quantity:
    if not 0 <= ratio.value <= 1:
        raise WordingError(f'"{ratio}" is no state of charge', 'write "0 %" to "100 %"')
    return ratio


StateOfCharge = Annotated[Quantity, Written((Dimension.RATIO,)), AfterValidator(_ratio_of_whole)]


class Electrode(Model):
    """[cell.positive] and [cell.negative]: what turns rates, densities and potentials into amperes and volts.

    `one_c` is the specific current that the author calls 1C, `theoretical` the charge that the active material can hold
    at most, `potential` that of the counter electrode against lithium. `areal_capacity`, `li_thickness`,
    `in_thickness` and `li_in_ratio` (atoms of lithium for each of indium, as assembled) steer nothing: by them a check
    sees whether the electrodes fit each other. Nor does `stated_loading`: the source's own, where `active_loading`
    deliberately is another; by it a check compares what the source says with itself.
    """

    material: str = ""
    active_loading: Loading | None = None
    stated_loading: Loading | None = None
    active_mass: Mass | None = None
    diameter: Length | None = None
    one_c: SpecificCurrent | None = None
    theoretical: SpecificCharge | None = None
    potential: Potential | None = None
    areal_capacity: ArealCharge | None = None
    li_thickness: Length | None = None
    in_thickness: Length | None = None
    li_in_ratio: Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)] | None = None


class Stack(Model):
    """[cell.stack]: what is measured between the electrodes of a blocking cell, which take part in nothing.

    `diameter` turns mA/cm2 into mA and, with `thickness`, a resistance into a conductivity; `mass` steers nothing.
    """

    material: str = ""
    thickness: Length | None = None
    mass: Mass | None = None
    diameter: Length | None = None


def _of_one_kind(stated: dict[Quantity, Quantity]) -> dict[Quantity, Quantity]:
    for one, other in stated.items():
        if (one.dimension in CURRENTS) != (other.dimension in CURRENTS):
            what, than = ("current", "capacity") if one.dimension in CURRENTS else ("capacity", "current")
            raise WordingError(
                f'"{one}" is a {what} and "{other}" a {than}', 'write what is the same, such as "0.2C" = "0.8 mA/cm2"'
            )
    return stated


Stated = Annotated[dict[Figure, Figure], AfterValidator(_of_one_kind)]


class Cell(Model):
    """[cell]: to what the protocol is done; `capacity` is what 1C refers to where no electrode gives `one_c`.

    A blocking cell has a `stack`, and of its electrodes at most a material: neither is positive by its chemistry.

    `stated` is what the source says is the same, in two ways of writing it: it steers nothing, and is checked. `soc` is
    the state of charge when the run begins.
    """

    name: str = ""
    kind: Literal["full", "half", "symmetric", "blocking"] | None = None
    bore: Length | None = None
    capacity: Charge | None = None
    soc: StateOfCharge | None = None
    positive: Electrode = Field(default=Electrode(), validation_alias=AliasChoices("positive", "cathode"))
    negative: Electrode = Field(default=Electrode(), validation_alias=AliasChoices("negative", "anode"))
    stack: Stack | None = None
    stated: Stated = Field(default_factory=dict)


class SidePressures(Model):
    """Allowed pressure of each side."""

    negative: PressureSpan | None = Field(default=None, validation_alias=AliasChoices("negative", "anode"))
    positive: PressureSpan | None = Field(default=None, validation_alias=AliasChoices("positive", "cathode"))


class RateLimits(Model):
    """How fast values may change, in either direction."""

    voltage: Annotated[Quantity, Written((Dimension.VOLTAGE_RATE,), positive=True)] | None = None
    temperature: Annotated[Quantity, Written((Dimension.TEMPERATURE_RATE,), positive=True)] | None = None
    pressure: Annotated[Quantity, Written((Dimension.PRESSURE_RATE,), positive=True)] | None = None


class Bounds(Model):
    """Limits that narrow others: those of a cell file or of a step."""

    voltage: VoltageSpan | None = None
    current: Magnitude | None = None
    capacity: AnyCharge | None = None
    temperature: TemperatureSpan | None = None
    pressure: SidePressures = SidePressures()
    torque: Torque | None = None
    rate: RateLimits = RateLimits()


class RunLimits(Bounds):
    """[limits] of a protocol: voltage, current and capacity must be bounded."""

    voltage: VoltageSpan = Field(examples=['["2.5 V", "4.4 V"]'])
    current: Magnitude = Field(examples=['"1 mA"'])
    capacity: AnyCharge = Field(examples=['"300 mAh/g"'])


class Record(Model):
    """[record]: how far time or a value may move before a row is due."""

    interval: Duration | None = None
    voltage: VoltageChange | None = None
    current: Magnitude | None = None
    capacity: AnyCharge | None = None
    temperature: TemperatureChange | None = None
    pressure: PressureChange | None = None


class Outage(Model):
    """[outage]: what is done when the process that runs the protocol has died and another one finds it."""

    policy: Literal["wait", "resume", "ask", "safe"] = "wait"
    max_gap: Duration | None = None


class Check(Model):
    """[check]: findings that the author knows of; code -> why it may stand."""

    allow: dict[str, Annotated[str, Field(min_length=1, max_length=500)]] = Field(default_factory=dict)


class Correction(Model):
    """[[history]] of a cell file: a value that was set after the cell had been made."""

    date: AwareDatetime = Field(examples=["2026-11-21T10:41:00Z"])
    who: str
    key: str
    was: str | None = None
    """None: nothing was given before."""
    value: str


class CellFile(Model):
    """A cell file: what fills or overrides a protocol's [cell], and the limits that this cell adds."""

    schema_: Literal["1"] = Field(alias="schema", examples=['"1"'])
    cell: Cell
    limits: Bounds = Bounds()
    history: tuple[Correction, ...] = ()
