"""The acceptance table: what five papers report, in sets of one protocol each, with the tolerance of every number."""

import tomllib
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StrictInt, model_validator

from labctl.quantity import Dimension, Quantity, Written
from labctl.sim.bench import BenchParameters
from labctl.table import Model

FILE = Path(__file__).with_name("acceptance.toml")

_VALUES = (
    Dimension.SPECIFIC_CHARGE,
    Dimension.AREAL_CHARGE,
    Dimension.AREAL_RESISTANCE,
    Dimension.CONDUCTIVITY,
    Dimension.RATIO,
)
Value = Annotated[Quantity, Written(_VALUES)]
Tolerance = Annotated[Quantity, Written((Dimension.RATIO,), positive=True)]
Cycle = Annotated[StrictInt, Field(ge=1)]


class Basis(StrEnum):
    """What a row says about the simulator."""

    CALIBRATED = "calibrated"
    """A constant of the simulated cell was chosen with this row in view."""
    HELD_OUT = "held out"
    """Nothing was chosen for it."""


class Measure(StrEnum):
    """What of a run is compared."""

    CHARGE = "charge capacity"
    DISCHARGE = "discharge capacity"
    COULOMBIC = "coulombic efficiency"
    ENERGY = "energy efficiency"
    RETENTION = "retention"
    """Discharge capacity of a cycle over that of the reference cycle."""
    LEAST_COULOMBIC = "least coulombic efficiency"
    """From the reference cycle to this one."""
    ARC = "width of the arc"
    """Of a spectrum, by the area; how it is read: `labctl.reproduce.spectra`."""
    ARC_RISE = "rise of the arc"
    """Width of the arc of a spectrum over that of the reference spectrum."""
    CONDUCTIVITY = "conductivity"
    """Thickness of the stack over the intercept of a spectrum and the area."""
    LEAST_RISE = "least rise of conductivity"
    """The least ratio of a spectrum's conductivity to that of the one before, from the reference spectrum on."""
    POLARISATION = "conductivity by polarisation"
    """Of what passes the electrodes: by the last voltage and current of the last step at constant voltage."""
    CYCLES = "complete cycles"
    END = "end"
    """The state that the run ends in."""


class Row(Model):
    """One result of a paper.

    Attributes:
        says: the result in the paper's words, shortened.
        where: in the paper.
        paper: a number of the paper; of several units the one that it reports.
        cycle, reference: numbers of cycles; spectrum, reference_spectrum: those of the run's spectra, from 1.
        tolerance: relative to it; at_least, at_most: where the paper gives a bound.
        count, state: what `complete cycles` and `end` are compared with.
        against: set whose same measure this one is divided by before it is compared.
        cannot: why nothing of ours can run this row; the paper's result then stands in `says` alone.
    """

    id: str
    says: str
    where: str
    basis: Basis | None = None
    measure: Measure | None = None
    cycle: Cycle = 1
    reference: Cycle = 1
    spectrum: Cycle = 1
    reference_spectrum: Cycle = 1
    paper: Value | None = None
    tolerance: Tolerance | None = None
    at_least: Value | None = None
    at_most: Value | None = None
    count: StrictInt | None = None
    state: Literal["completed", "failed"] | None = None
    against: str = ""
    cannot: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.cannot:
            given = (self.basis, self.measure, self.paper, self.at_least, self.at_most, self.count, self.state)
            if any(each is not None for each in given):
                raise ValueError("a row that cannot run has nothing to compare")
            return self
        if self.basis is None or self.measure is None:
            raise ValueError("a row that runs has a basis and a measure")
        bounds = (self.paper, self.at_least, self.at_most, self.count, self.state)
        if sum(each is not None for each in bounds) != 1 or (self.paper is None) != (self.tolerance is None):
            raise ValueError("a row compares with one of paper (and its tolerance), at_least, at_most, count and state")
        if (self.measure is Measure.CYCLES) != (self.count is not None):
            raise ValueError("complete cycles are compared with a count")
        if (self.measure is Measure.END) != (self.state is not None):
            raise ValueError("the end is compared with a state")
        return self


class Set(Model):
    """One experiment of a paper: a protocol on a simulated station, and its results.

    Attributes:
        protocol: path below the folder of protocols.
        cell: name of the cell file that it is done to.
        station: of `laboratory.toml`; simulation: what stands in for the paper's cell and press there.
        quick: inputs of a run with fewer cycles.
        poll: s between two looks of the rehearsal at most.
        boundaries: whether only first and last rows of steps are made.
    """

    id: str
    paper: str
    protocol: str
    cell: str
    station: str
    simulation: BenchParameters = BenchParameters()
    quick: dict[str, StrictInt] = Field(default={})
    poll: float = Field(60.0, gt=0)
    boundaries: bool = False
    row: tuple[Row, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.quick and any(row.measure in {Measure.CYCLES, Measure.END} for row in self.row):
            raise ValueError("how a run ends is judged of whole runs: such a set is never quick")
        return self


class _File(Model):
    schema_: Literal["1"] = Field(alias="schema")
    set: tuple[Set, ...]


@cache
def acceptance() -> tuple[Set, ...]:
    """Return every set of the table that labctl ships, in the order of the file."""
    return _File.model_validate(tomllib.loads(FILE.read_text("utf-8"))).set
