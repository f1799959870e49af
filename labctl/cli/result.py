"""What `labctl run` says when a run has ended: its cycles, where they are, or where its records still wait."""

from labctl.cells.mass import active_mass
from labctl.cells.shelf import Shelf
from labctl.cli.context import console, print_json
from labctl.cli.tables import cycle_json, cycle_table
from labctl.engine.run import Outcome
from labctl.errors import StorageError
from labctl.lab.experiment import Running
from labctl.record.queries import CycleRow, Queries, RunRow


def tell(running: Running, outcome: Outcome, shelf: Shelf, *, as_json: bool) -> None:
    """Print the result of a run; `shelf` knows the present mass of its cell."""
    row, cycles = _stored(running)
    mass = None if row is None else active_mass(row, shelf).kilogram
    if as_json:
        print_json(
            {
                "run": running.run_id,
                "state": outcome.state.value,
                "reason": outcome.reason,
                "simulated": running.assembly.simulated,
                "delivered": running.delivered,
                "database": None if row is None else str(running.database),
                "cycles": [cycle_json(cycle, mass) for cycle in cycles],
            }
        )
        return
    out = console()
    if cycles and row is not None:
        out.print(cycle_table(cycles, row, mass))
    if row is not None:
        out.print(f"Run {row.id} ({running.run_id}) {outcome.state.value}. See it with: labctl show {row.id}")
        out.print(f"Database: {running.database}", soft_wrap=True)
    elif running.delivered:
        out.print(f"Run {running.run_id} {outcome.state.value}. Its separate recorder has stored every record.")
    if not running.delivered:
        out.print(
            f"Run {running.run_id} {outcome.state.value}. No recorder has confirmed {running.delivery.backlog} of its"
            f" records: they wait in {running.journal} and are delivered with the next run.",
            soft_wrap=True,
        )


def _stored(running: Running) -> tuple[RunRow | None, list[CycleRow]]:
    """Read the run back; a separate recorder may keep it elsewhere."""
    try:
        with Queries(running.database) as queries:
            row = queries.run(running.run_id)
            return row, queries.cycles(row.id)
    except StorageError:
        return None, []
