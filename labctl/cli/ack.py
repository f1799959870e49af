"""`labctl ack`: somebody has seen the alarms of a station."""

from typing import Annotated

import typer

from labctl.cli.remote import with_lab


def ack(
    context: typer.Context,
    station: Annotated[str, typer.Argument(help="Station.", show_default=False)],
    reason: Annotated[str, typer.Option(help="What was found; it is stored with your name.", show_default=False)],
) -> None:
    """Acknowledge all alarms of a station; one that has latched it lets go, once its cause is gone.

    Example: labctl ack A1 --reason "loose thermocouple, fastened"
    """
    done = with_lab(context, lambda lab: lab.acknowledge(station, reason=reason)).acknowledged
    typer.echo(f"{station}: {len(done)} acknowledged." if done else f"{station}: no alarm waits for that.")
