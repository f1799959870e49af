"""`labctl show`: one run, its cycles, its steps and what happened."""

from pathlib import Path
from typing import Annotated

import typer

from labctl.cli.context import console, print_json, settings


def show(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="Number or (the beginning of the) UUID of a run.", show_default=False)],
    db: Annotated[Path | None, typer.Option(help="Database; else labctl.db in the data folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a recorded run: instruments, cycles, steps, warnings and alarms.

    Example: labctl show 1
    """
    from dataclasses import asdict

    from labctl.cells.mass import active_mass
    from labctl.cells.shelf import Shelf
    from labctl.cli.tables import cycle_json, cycle_table, mass_json, mass_line, run_json, step_table
    from labctl.reading import Severity
    from labctl.record.queries import Queries

    with Queries(settings(context).database(db)) as queries:
        found = queries.run(run)
        cycles, steps, events = queries.cycles(found.id), queries.steps(found.id), queries.events(found.id)
    mass = active_mass(found, Shelf.read(settings(context).cells_folder))
    if json:
        print_json(
            {
                "run": run_json(found),
                "active_mass": mass_json(mass),
                "cycles": [cycle_json(cycle, mass.kilogram) for cycle in cycles],
                "steps": [asdict(step) for step in steps],
                "events": [asdict(event) for event in events],
            }
        )
        return
    out = console()
    marked = " (simulated)" if found.simulated else ""
    out.print(f"Run {found.id}{marked}: {found.protocol_title or found.protocol_name} on {found.station}")
    out.print(f"State: {found.state.value}. {found.end_reason or ''}")
    for name, instrument in (found.instruments or {}).items():
        out.print(f"  {name}: {instrument['identity']}, {instrument['address']}", soft_wrap=True)
    if cycles:
        out.print()
        out.print(cycle_table(cycles, found, mass.kilogram))
        out.print(mass_line(mass), soft_wrap=True)
    out.print()
    out.print(step_table(steps))
    loud = [event for event in events if event.severity is not Severity.INFO and event.kind != "run.ended"]
    if loud:
        out.print()
        for event in loud:
            out.print(f"{event.severity.value} at {event.test_time_second:.1f} s: {event.message}", soft_wrap=True)
