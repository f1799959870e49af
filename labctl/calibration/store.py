"""The calibrations of a laboratory: one readable file each, and which of them stands for the instruments there now."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, overload

import orjson
from pydantic import ValidationError

from labctl.calibration.model import (
    RECORD,
    AnyCalibration,
    Instrument,
    Kind,
    LoadCellCalibration,
    TorqueCalibration,
)
from labctl.errors import StorageError
from labctl.filelock import make_folder
from labctl.plan import Side
from labctl.textfile import Unreadable, read_text, write_text

FOLDER = "calibrations"
MOST_BYTES = 20_000_000
"""Of a file: some two hundred thousand points."""


class Calibrations:
    """Reads and writes `<data>/calibrations/STATION/*.json`.

    Args:
        data: the data folder.
    """

    def __init__(self, data: Path) -> None:
        self._folder = data / FOLDER

    def every(self, station: str | None = None) -> list[AnyCalibration]:
        """Return all calibrations, or those of a station, the newest first.

        Raises:
            StorageError: one cannot be understood; it is never passed over in silence.
        """
        return sorted(self._read(station), key=lambda found: found.date, reverse=True)

    @overload
    def active(
        self, station: str, side: Side, kind: Literal["torque"], instruments: Mapping[str, Instrument]
    ) -> TorqueCalibration | None: ...

    @overload
    def active(
        self, station: str, side: Side, kind: Literal["loadcell"], instruments: Mapping[str, Instrument]
    ) -> LoadCellCalibration | None: ...

    def active(
        self, station: str, side: Side, kind: Kind, instruments: Mapping[str, Instrument]
    ) -> AnyCalibration | None:
        """Return the newest calibration of a side whose instruments are those that stand there, expired or not."""
        for found in self.every(station):
            if found.kind == kind and found.side == side and found.stands_for(instruments):
                return found
        return None

    def newest(self, station: str) -> list[AnyCalibration]:
        """Return the newest calibration of each side and kind, whatever stands there."""
        found: dict[tuple[Side, Kind], AnyCalibration] = {}
        for each in self.every(station):
            found.setdefault((each.side, each.kind), each)
        return list(found.values())

    def add(self, calibration: AnyCalibration) -> Path:
        """Write a calibration; raises StorageError. What was there before stays, and is superseded."""
        folder = self._folder / calibration.station
        make_folder(folder)
        stem = f"{calibration.date:%Y-%m-%dT%H-%M-%SZ}-{calibration.kind}-{calibration.side}"
        path = folder / f"{stem}.json"
        try:
            write_text(path, _as_text(calibration))
        except OSError as error:
            raise StorageError(
                f"{path} cannot be written: {error.strerror or error}.", "Check that the disk has room; then fit again."
            ) from error
        return path

    def _read(self, station: str | None) -> Iterator[AnyCalibration]:
        for path in sorted(self._folder.glob(f"{station or '*'}/*.json")):
            try:
                yield RECORD.validate_json(read_text(path, MOST_BYTES))
            except (Unreadable, ValidationError) as error:
                raise StorageError(
                    f"The calibration {path} cannot be read back.", "Look into it; move it away to do without it."
                ) from error


def _as_text(calibration: AnyCalibration) -> str:
    """Return a record as JSON for people: its points at the end, one a line."""
    said = RECORD.dump_python(calibration, mode="json", by_alias=True)
    points = ",\n    ".join(orjson.dumps(point).decode() for point in said.pop("points"))
    head = orjson.dumps(said, option=orjson.OPT_INDENT_2).decode().removesuffix("\n}")
    return f'{head},\n  "points": [\n    {points}\n  ]\n}}\n'
