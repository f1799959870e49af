"""`labctl note`: a remark into the events of a run."""

from typing import Annotated

import typer

from labctl.cli.remote import Target, with_lab


def note(
    context: typer.Context, target: Target, text: Annotated[str, typer.Argument(help="Remark.", show_default=False)]
) -> None:
    """Write a note, with your name and the time, into the events of a run.

    Example: labctl note A1 "door opened for two minutes"
    """
    with_lab(context, lambda lab: lab.note(target, text))
    typer.echo(f"{target}: noted.")
