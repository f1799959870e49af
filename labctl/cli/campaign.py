"""`labctl campaign`: one protocol on many cells: starts what is not started yet, and says what has come of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labctl.cli.context import console, print_json, settings
from labctl.cli.named import folders
from labctl.cli.remote import Consent, Json, Reason, with_lab

if TYPE_CHECKING:
    from labctl.campaign.file import Campaign, Trial
    from labctl.campaign.statistics import Group, Spread
    from labctl.cells.shelf import Shelf
    from labctl.client import Lab


def campaign(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Campaign file.", show_default=False)],
    report: Annotated[bool, typer.Option("--report", help="Start nothing, only report.")] = False,
    db: Annotated[Path | None, typer.Option(help="Database; else labctl.db in the data folder.")] = None,
    consent: Consent = "",
    reason: Reason = "",
    json: Json = False,
) -> None:
    """Start every trial of a campaign that has not been started, and report what is recorded of the others.

    Example: labctl campaign campaigns/pressure.toml
    """
    from labctl.campaign.file import load_campaign
    from labctl.cells.shelf import Shelf

    shelf = Shelf.read(settings(context).cells_folder)
    asked = load_campaign(file, shelf, folders(context))
    cells, found = _recorded(context, db, asked, shelf)
    started = [] if report else _start(context, asked, cells, consent, reason)
    if json:
        print_json({"campaign": asked.name, "started": started, "groups": [_group_json(group) for group in found]})
        return
    for one in started:
        typer.echo(f"Run {one['run']} of {one['cell']} at {one['station']}, {_place(one['position'])}")
    typer.echo(f"{asked.name}: {len(asked.trials)} trials, {len(cells)} recorded, {len(started)} started now")
    _print(found, asked)


def _recorded(
    context: typer.Context, option: Path | None, asked: "Campaign", shelf: "Shelf"
) -> "tuple[set[str], list[Group]]":
    """Return the cells that have runs of this campaign, and what came of them."""
    from labctl.campaign.statistics import groups
    from labctl.record.queries import Queries

    database = settings(context).database(option)
    if option is None and not database.is_file():
        return set(), []
    with Queries(database) as queries:
        found = groups(queries, asked.name, asked.varied, shelf)
        return {run.cell_name or "" for run in queries.runs() if run.campaign == asked.name}, found


def _start(
    context: typer.Context, asked: "Campaign", recorded: set[str], consent: str, reason: str
) -> list[dict[str, Any]]:
    """Start what nobody has started; a cell that waits or runs at a station has been."""
    to_come = [trial for trial in asked.trials if trial.cell.name not in recorded]
    if not to_come:
        return []

    async def start_all(lab: "Lab") -> list[dict[str, Any]]:
        busy = {
            one.cell
            for state in lab.stations.values()
            for one in (*state.queue, *((state.run,) if state.run is not None else ()))
        }
        return [await start(lab, trial) for trial in to_come if trial.cell.name not in busy]

    async def start(lab: "Lab", trial: "Trial") -> dict[str, Any]:
        done = await lab.start(
            asked.protocol,
            station=trial.station,
            cell=Path(trial.cell.source.name),
            inputs=trial.inputs,
            campaign=asked.name,
            consent=consent,
            reason=reason,
        )
        return {**done.model_dump(), "cell": trial.cell.name, "values": dict(trial.values)}

    return with_lab(context, start_all)


def _place(position: int) -> str:
    return "which starts now" if position == 0 else f"at place {position} of its queue"


def _group_json(group: "Group") -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(group), "values": dict(group.values)}


def _print(found: "list[Group]", asked: "Campaign") -> None:
    """Print the first and the last cycle that all cells of a group have completed."""
    from rich.text import Text

    from labctl.cli.tables import make_table

    headers = (*(asked.varied or ("Campaign",)), "Cells", "Cycle", "n", "Qdis/mAh", "mAh/g", "CE/%", "")
    table = make_table(*headers, left=len(asked.varied or (1,)))
    for group in found:
        values = [value for _, value in group.values] or [asked.name]
        whole = [cycle for cycle in group.cycles if cycle.capacity_ah.n == len(group.cells)]
        for cycle in dict.fromkeys((*whole[:1], *whole[-1:])):
            table.add_row(
                *(Text(value) for value in values),
                str(len(group.cells)),
                str(cycle.cycle),
                str(cycle.capacity_ah.n),
                _spread(cycle.capacity_ah, 4, 1e3),
                _spread(cycle.specific_mah_per_gram, 1),
                _spread(cycle.coulombic_efficiency, 2, 100.0),
                "simulated" if group.simulated else "",
            )
    if found:
        console().print(table)


def _spread(spread: "Spread", digits: int, scale: float = 1.0) -> str:
    from labctl.cli.tables import number

    mean = number(spread.mean, digits, scale)
    return mean if spread.standard_deviation is None else f"{mean} ± {number(spread.standard_deviation, digits, scale)}"
