"""`labctl cells`: the cells of the laboratory, their files and their history across runs and instruments."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli.context import console, print_json, settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from labctl.cells.history import PastRun, Summary
    from labctl.cells.mass import ActiveMass
    from labctl.cells.shelf import Shelf
    from labctl.record.queries import Queries

app = typer.Typer(rich_markup_mode=None)

Db = Annotated[Path | None, typer.Option(help="Database; else labctl.db in the data folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Name = Annotated[str, typer.Argument(help="Name of the cell.", show_default=False)]


@app.callback(invoke_without_command=True)
def cells(context: typer.Context, db: Db = None, json: Json = False) -> None:
    """List the cells that have a file or a run: how often they were cycled, and what they hold now.

    Example: labctl cells
    """
    if context.invoked_subcommand is not None:
        return
    from labctl.cells.history import summaries

    shelf = _shelf(context)
    with _recorded(context, db) as queries:
        found = {} if queries is None else summaries(queries)
    lines = [_line(name, shelf, found.get(name)) for name in sorted({*shelf.cells, *found})]
    if json:
        print_json({"cells": lines})
    else:
        _print_list(lines)
    for finding in shelf.findings:
        typer.echo(str(finding), err=True)
    if shelf.findings:
        raise typer.Exit(3)


@app.command("show")
def show(context: typer.Context, name: Name, db: Db = None, json: Json = False) -> None:
    """Show all runs of a cell in order, across stations, with its cycles numbered through, and its capacity now.

    Example: labctl cells show CD-031
    """
    from labctl.cells.history import history

    shelf = _shelf(context)
    with _recorded(context, db) as queries:
        past = [] if queries is None else history(queries, name)
    if not past:
        shelf.cell(name)  # neither a run nor a file: says which cells there are
    if json:
        print_json(_history_json(name, shelf, past))
    else:
        _print_history(name, shelf, past)


@app.command("new")
def new(
    context: typer.Context,
    name: Name,
    kind: Annotated[str | None, typer.Option(help="full, half, symmetric or blocking.")] = None,
    mass: Annotated[
        str | None, typer.Option(help='Active mass of the positive electrode, or mass of the stack, "10.8 mg".')
    ] = None,
    loading: Annotated[str | None, typer.Option(help='Active loading of the positive electrode, "14 mg/cm2".')] = None,
    diameter: Annotated[
        str | None, typer.Option(help='Diameter of the positive electrode, or of the stack, "10 mm".')
    ] = None,
    thickness: Annotated[str | None, typer.Option(help='Thickness of the stack of a blocking cell, "1.5 mm".')] = None,
    one_c: Annotated[str | None, typer.Option(help='Specific current of 1C, "200 mA/g".')] = None,
    bore: Annotated[str | None, typer.Option(help='Bore of the die, "10 mm": pressure is force by its area.')] = None,
) -> None:
    """Write the file of a new cell. What is not known yet may be set later; the protocol fills what is left out.

    Example: labctl cells new CD-031 --mass "10.8 mg"
    """
    cell = {"kind": kind, "bore": bore}
    positive, stack = {"active_loading": loading, "one_c": one_c}, {"thickness": thickness}
    if kind == "blocking" or thickness is not None:
        stack |= {"mass": mass, "diameter": diameter}
    else:
        positive |= {"active_mass": mass, "diameter": diameter}
    made = _shelf(context).add(name, _given(cell), _given(positive), _given(stack))
    typer.echo(f"{made.source.name}: run it with --cell {made.source.name}")


@app.command("set")
def set_(
    context: typer.Context,
    name: Name,
    mass: Annotated[str | None, typer.Option(help='Active mass of the positive electrode, "14.2 mg".')] = None,
    loading: Annotated[str | None, typer.Option(help='Active loading of the positive electrode, "14 mg/cm2".')] = None,
) -> None:
    """Set a mass or a loading after the fact; specific values of all runs follow, recorded data never change.

    Example: labctl cells set CD-031 --mass "14.2 mg"
    """
    from getpass import getuser

    from labctl.cells.correct import correct
    from labctl.clock import host_unix

    given = _given({"active_mass": mass, "active_loading": loading})
    if len(given) != 1:
        raise typer.BadParameter('say what to set: either --mass "14.2 mg" or --loading "14 mg/cm2"')
    ((key, value),) = given.items()
    corrected = correct(_shelf(context).cell(name), key, value, who=getuser(), unix=host_unix())
    typer.echo(f"{corrected.source.name}: {key} = {value}")


def _shelf(context: typer.Context) -> "Shelf":
    from labctl.cells.shelf import Shelf

    return Shelf.read(settings(context).cells_folder)


def _recorded(context: typer.Context, option: Path | None) -> "AbstractContextManager[Queries | None]":
    """Open the database; a laboratory without one has cells all the same, but one that was named must be there."""
    from contextlib import nullcontext

    from labctl.record.queries import Queries

    database = option or settings(context).data_folder() / "labctl.db"
    return Queries(database) if option is not None or database.is_file() else nullcontext()


def _given(values: dict[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value is not None}


def _line(name: str, shelf: "Shelf", summary: "Summary | None") -> dict[str, Any]:
    """A cell of the list, as JSON has it."""
    from labctl.cells.mass import active_mass, mass_of_file, specific

    cell = shelf.cells.get(name)
    mass = active_mass(summary.last, shelf).kilogram if summary else mass_of_file(cell) if cell else None
    ah = summary.end.discharging_capacity_ah if summary and summary.end else None
    return {
        "name": name,
        "file": None if cell is None else cell.source.name,
        "active_mass_kilogram": mass,
        "runs": summary.runs if summary else 0,
        "cycles": summary.cycles if summary else 0,
        "discharging_capacity_ah": ah,
        "specific_discharging_capacity_mah_per_gram": specific(ah, mass),
        "last_station": summary.last.station if summary else None,
        "last_started_unix_second": summary.last.started_unix_second if summary else None,
        "simulated": summary.simulated if summary else None,
    }


def _print_list(lines: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from labctl.cli.tables import make_table, milligram, number, when

    table = make_table(
        "Cell", "File", "Last run (UTC)", "Station", "Mass", "Runs", "Cycles", "Qdis/mAh", "mAh/g", "", left=4
    )
    for line in lines:
        words = (line["name"], line["file"] or "–", when(line["last_started_unix_second"]), line["last_station"] or "–")
        table.add_row(
            *(Text(word) for word in words),
            milligram(line["active_mass_kilogram"]),
            str(line["runs"]),
            str(line["cycles"]),
            number(line["discharging_capacity_ah"], 4, 1e3),
            number(line["specific_discharging_capacity_mah_per_gram"], 1),
            "simulated" if line["simulated"] else "",
        )
    console().print(table)


def _mass_now(name: str, shelf: "Shelf", past: "list[PastRun]") -> "ActiveMass":
    """The present mass: by the newest run where there is one, for its electrode's area may be needed."""
    from labctl.cells.mass import ActiveMass, active_mass, last_correction, mass_of_file

    if past:
        return active_mass(past[-1].run, shelf)
    cell = shelf.cell(name)
    return ActiveMass(mass_of_file(cell), None, cell.source.name, last_correction(cell))


def _history_json(name: str, shelf: "Shelf", past: "list[PastRun]") -> dict[str, Any]:
    from labctl.cli.tables import cycle_json, mass_json, run_json

    mass, cell = _mass_now(name, shelf, past), shelf.cells.get(name)
    return {
        "name": name,
        "file": None if cell is None else cell.source.name,
        "active_mass": mass_json(mass),
        "corrections": [] if cell is None else [each.model_dump(mode="json") for each in cell.file.history],
        "runs": [
            {
                "run": run_json(each.run),
                "cycles": [
                    {"cell_cycle": each.number(cycle), **cycle_json(cycle, mass.kilogram)} for cycle in each.cycles
                ],
            }
            for each in past
        ],
    }


def _print_history(name: str, shelf: "Shelf", past: "list[PastRun]") -> None:
    from rich.text import Text

    from labctl.cells.mass import specific
    from labctl.cli.tables import make_table, mass_line, number, when

    out, cell, mass = console(), shelf.cells.get(name), _mass_now(name, shelf, past)
    out.print(f"Cell {name}: {cell.source.name if cell else 'no file'}", soft_wrap=True)
    out.print(mass_line(mass), soft_wrap=True)
    for each in cell.file.history if cell else ():
        was = f" (was {each.was})" if each.was else ""
        out.print(f"  {each.date:%Y-%m-%d %H:%M}: {each.key} = {each.value}{was}, by {each.who}", soft_wrap=True)
    headers = ("Run", "Started (UTC)", "Station", "Protocol", "State", "Cycles", "first", "last/mAh", "mAh/g", "")
    table = make_table(*headers, left=6)
    for one in past:
        run, whole = one.run, [cycle for cycle in one.cycles if cycle.complete]
        numbers = [one.number(cycle) for cycle in one.cycles]
        words = (
            str(run.id),
            when(run.started_unix_second),
            run.station or "–",
            run.protocol_name or "–",
            run.state.value,
        )
        span = f"{numbers[0]}–{numbers[-1]}" if numbers else "–"
        first, last = (whole[end].discharging_capacity_ah if whole else None for end in (0, -1))
        table.add_row(
            *(Text(word) for word in (*words, span)),
            number(first, 4, 1e3),
            number(last, 4, 1e3),
            number(specific(last, mass.kilogram), 1),
            "simulated" if run.simulated else "",
        )
    if past:
        out.print()
        out.print(table)
