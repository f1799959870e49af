"""The record of a calibration: what was calibrated with which instruments, by whom, until when, and its result."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, TypeAdapter

from labctl.calibration.loadcell import Load, LoadCellFit
from labctl.calibration.torque import Point, TorqueFit
from labctl.plan import Side
from labctl.table import Model

Kind = Literal["torque", "loadcell"]


class Instrument(Model):
    """An instrument as it identified itself; one of another identity, also a simulator, is another one."""

    driver: str
    identity: str
    simulated: bool


class _Record(Model):
    """What every record says.

    Attributes:
        instruments: by their names at the station, those whose replacement makes the calibration void.
        run: UUID of the run in which every raw reading is stored.
    """

    schema_: Literal["1"] = Field(default="1", alias="schema")
    station: str
    side: Side
    date: AwareDatetime
    expires: AwareDatetime | None
    operator: str
    instruments: dict[str, Instrument]
    run: str

    def expired(self, unix: float) -> bool:
        """Whether it has expired at a time in seconds since 1970."""
        return self.expires is not None and unix >= self.expires.timestamp()

    def age(self, unix: float) -> float:
        """Return its age then, in seconds."""
        return unix - self.date.timestamp()

    def stands_for(self, instruments: Mapping[str, Instrument]) -> bool:
        """Whether each of its instruments still stands there."""
        return all(instruments.get(name) == instrument for name, instrument in self.instruments.items())


class TorqueCalibration(_Record):
    """Torque and force of one side's screw.

    Attributes:
        bore_area: m² of the die in which it was made.
        points: that were fitted.
    """

    kind: Literal["torque"] = "torque"
    bore_area: float
    fit: TorqueFit
    points: tuple[Point, ...]


class LoadCellCalibration(_Record):
    """A load cell against known forces.

    Attributes:
        points: the forces that were applied, with the mean readings.
    """

    kind: Literal["loadcell"] = "loadcell"
    fit: LoadCellFit
    points: tuple[Load, ...]


AnyCalibration = TorqueCalibration | LoadCellCalibration
RECORD: TypeAdapter[AnyCalibration] = TypeAdapter(Annotated[AnyCalibration, Field(discriminator="kind")])


def instruments_of(header: Mapping[str, Any], names: Sequence[str]) -> dict[str, Instrument]:
    """Return instruments as the header of a run names them; those that it does not name are left out."""
    return {
        name: Instrument(driver=said["driver"], identity=said["identity"], simulated=said["simulated"])
        for name in names
        if (said := header.get(name)) is not None
    }


def at(unix: float) -> datetime:
    """Return a time in seconds since 1970 as a date, whole seconds."""
    return datetime.fromtimestamp(math.floor(unix), UTC)
