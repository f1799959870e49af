"""A database of recorded runs of cells, and their files beside it, for tests of cells and campaigns."""

from dataclasses import asdict, replace
from pathlib import Path

from labctl.reading import Event, Record
from labctl.record.writer import Writer
from tests.laboratory import EPOCH, batches, ended, header, new_run, reading

AREA = 7.853981633974483e-05
"""m2 of 10 mm diameter."""


class Lab:
    """A database into which runs of cells are written, and the cell files beside it."""

    def __init__(self, folder: Path, name: str = "lab.db") -> None:
        self.database = folder / name
        self.cells = folder / "cells"
        self._writer = Writer(self.database)
        self._day = 0

    def run(
        self,
        cell: str,
        cycles: range,
        *,
        simulated: bool = False,
        continues: str | None = None,
        mass: float | None = 1.1e-5,
        state: str = "completed",
        campaign: str | None = None,
        inputs: dict[str, str] | None = None,
    ) -> str:
        """Record a run with these cycle numbers, a day after the last one; return its UUID."""
        self._day += 1
        run = new_run()
        about = replace(
            header(run, simulated=simulated),
            cell_name=cell,
            cell={"active_mass": mass, "positive_area": AREA},
            continues=continues,
            campaign=campaign,
            inputs=inputs or {},
            started_unix_second=EPOCH + 86400.0 * self._day,
        )
        records: list[Record] = [Event("run.started", about.started_unix_second, 0.0, "It starts.", data=asdict(about))]
        for index, cycle in enumerate(cycles):
            records += [reading(self._day + number, cycle) for number in (2 * index, 2 * index + 1 + self._day)]
        records.append(ended(9.0, state))
        self._writer.apply(batches(run, records, 50))
        return run

    def close(self) -> None:
        self._writer.close()
