"""`labctl queue`: what waits for its turn, and taking something out."""

from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import console, print_json
from labctl.cli.remote import Json, Reason, with_lab

if TYPE_CHECKING:
    from labctl.api import Queued
    from labctl.client import Lab


def queue(
    context: typer.Context,
    remove: Annotated[str | None, typer.Option(metavar="RUN", help="Take this waiting run out.")] = None,
    reason: Reason = "",
    json: Json = False,
) -> None:
    """List the runs that wait at each station, the next one first.

    Example: labctl queue --remove 0f8fad5b
    """

    async def work(lab: "Lab") -> "list[tuple[str, int, Queued]]":
        gone = None if remove is None else _one(lab, remove)
        if gone is not None:
            await lab.unqueue(gone, reason)
        return [
            (name, place, queued)
            for name, state in lab.stations.items()
            for place, queued in enumerate((each for each in state.queue if each.run != gone), 1)
        ]

    waiting = with_lab(context, work)
    if json:
        lines = [{"station": name, "position": place, **queued.model_dump()} for name, place, queued in waiting]
        print_json({"queue": lines})
        return
    if not waiting:
        typer.echo("No run waits.")
        return
    from rich.text import Text

    from labctl.cli.tables import make_table, when
    from labctl.literal import literal

    table = make_table("Station", "Place", "Run", "Protocol", "Cell", "Operator", "Since (UTC)", left=7)
    for name, place, queued in waiting:
        words = (name, str(place), queued.run, queued.protocol, queued.cell, queued.operator)
        table.add_row(*(Text(literal(word)) for word in words), when(queued.queued_unix_second))
    console().print(table)


def _one(lab: "Lab", run: str) -> str:
    """Return the waiting run whose UUID begins so."""
    from labctl.errors import CommandRefused

    found = [queued.run for state in lab.stations.values() for queued in state.queue if queued.run.startswith(run)]
    if len(found) != 1:
        count = "No waiting run" if not found else f"More than one waiting run ({len(found)})"
        raise CommandRefused(f'{count} is called "{run}".', "`labctl queue` lists them.")
    return found[0]
