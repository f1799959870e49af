"""`labctl show`: one run, its cycles, its steps and what happened."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import console, print_json, settings

if TYPE_CHECKING:
    from labctl.record.queries import EventRow, Queries, RunRow


def show(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="Number or (the beginning of the) UUID of a run.", show_default=False)],
    spectra: Annotated[
        bool, typer.Option(help="Show its impedance spectra instead: a Nyquist plot, and points.")
    ] = False,
    db: Annotated[Path | None, typer.Option(help="Database; else labctl.db in the data folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a recorded run: instruments, cycles, steps, warnings and alarms.

    Example: labctl show 1 --spectra
    """
    from dataclasses import asdict

    from labctl.cells.mass import active_mass
    from labctl.cells.shelf import Shelf
    from labctl.cli.tables import cycle_json, cycle_table, mass_json, mass_line, run_json, step_table
    from labctl.lab.provenance import of_run
    from labctl.reading import Severity
    from labctl.record.queries import Queries

    with Queries(settings(context).database(db)) as queries:
        found = queries.run(run)
        cycles, steps, events = queries.cycles(found.id), queries.steps(found.id), queries.events(found.id)
        if spectra:
            _show_spectra(queries, found, events, json=json)
            return
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
    came_from = of_run(events)
    if came_from is not None:
        out.print(came_from.sentence, soft_wrap=True)
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


def _show_spectra(queries: "Queries", run: "RunRow", events: "list[EventRow]", *, json: bool) -> None:
    from dataclasses import asdict

    from labctl.cli.spectra import conductivity_table, nyquist, point_table
    from labctl.cli.tables import run_json

    points = queries.spectra(run.id)
    if json:
        print_json({"run": run_json(run), "spectra": [asdict(point) for point in points]})
        return
    out = console()
    if not points:
        out.print(f"Run {run.id} has no impedance spectrum.")
        return
    out.print(nyquist(out, points, simulated=bool(run.simulated)))
    out.print(point_table(points))
    answered = {e.data["step_count"]: str(e.data["answer"]) for e in events if e.kind == "operator.answered"}
    steps, columns = {point.step_count for point in points}, ("step_count", "negative_pressure_pa")
    pressures = {
        int(step): float(pascal)
        for step, pascal in queries.rows(run.id, columns)
        if step in steps and step is not None and pascal is not None
    }
    conductivity = conductivity_table(points, run.cell or {}, answered, pressures)
    if conductivity is not None:
        out.print()
        out.print(conductivity)
