"""`labctl start`: a protocol into the queue of a station that a daemon keeps."""

from pathlib import Path
from typing import Annotated

import typer

from labctl.cli.context import print_json
from labctl.cli.named import Named, protocol_file
from labctl.cli.remote import Assignments, Consent, Json, Reason, with_lab


def start(
    context: typer.Context,
    file: Named,
    station: Annotated[str | None, typer.Option(help="Station in whose queue it is put.")] = None,
    any_: Annotated[bool, typer.Option("--any", help="The first free station that can run it.")] = False,
    cell: Annotated[Path | None, typer.Option(help="Cell file that fills or overrides the protocol's [cell].")] = None,
    set_: Assignments = None,
    continue_: Annotated[
        str | None, typer.Option("--continue", metavar="RUN", help="Run of the same cell whose cycle numbers go on.")
    ] = None,
    consent: Consent = "",
    reason: Reason = "",
    json: Json = False,
) -> None:
    r"""Queue a protocol at a station of the daemon; it starts when its turn comes.

    \b
    Examples:
      labctl start protocols/doerrer-2021/asymmetric.toml --station A1
      labctl start formation.toml --any --cell cells/nmc-07.toml --set cycles=3
    """
    from labctl.cli.inputs import assignments

    if (station is None) != any_:
        raise typer.BadParameter("say where: either --station NAME or --any")
    inputs, named = assignments(set_ or []), protocol_file(context, file)
    started = with_lab(
        context,
        lambda lab: lab.start(
            named, station=station, cell=cell, inputs=inputs, continue_run=continue_, consent=consent, reason=reason
        ),
    )
    if json:
        print_json(started.model_dump())
    elif started.position == 0:
        typer.echo(f"Run {started.run} starts at {started.station}.")
    else:
        typer.echo(f"Run {started.run} waits at {started.station}, at place {started.position} of its queue.")
