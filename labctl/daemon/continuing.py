"""What was before: the run that another one goes on from, and what a run that was interrupted was begun with."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.cells.history import last_cycle
from labctl.errors import RefusedForSafety, StorageError
from labctl.plan import Plan
from labctl.record.queries import Queries


@dataclass(frozen=True, slots=True)
class Predecessor:
    """What a run goes on from; without one it counts its cycles from the beginning."""

    run: str | None = None
    cycle: int = 0


def predecessor(database: Path, which: str | None, plan: Plan) -> Predecessor:
    """Return the run called `which` (its number, or the beginning of its UUID), with its last cycle.

    Raises:
        StorageError: there is no such run.
        RefusedForSafety: it was on another cell: cycle numbers belong to a cell.
    """
    if which is None:
        return Predecessor()
    with Queries(database) as queries:
        run = queries.run(which)
        if run.cell_name != plan.cell.name or not plan.cell.name:
            raise RefusedForSafety(
                f'Run {run.id} was on the cell "{run.cell_name}", and this plan is for "{plan.cell.name}".',
                "Cycle numbers belong to a cell: give both runs the same cell file, or leave --continue out.",
            )
        return Predecessor(run.uuid, last_cycle(queries, run))


def begun_with(database: Path, run: str) -> Mapping[str, Any]:
    """Return the instruments of the header of a run; nothing where the database does not know it, or not yet."""
    with suppress(StorageError), Queries(database) as queries:
        return queries.run(run).instruments or {}
    return {}
