"""`labctl tui`: the dashboard, for a person at a terminal."""

import sys
from typing import Annotated

import typer

from labctl.cli.context import settings
from labctl.cli.remote import Reason, with_lab


def tui(
    context: typer.Context,
    control: Annotated[bool, typer.Option("--control", help="Take control at once; else press c there.")] = False,
    reason: Reason = "",
) -> None:
    """Watch all stations in the terminal, and command them with --control. Runs go on when it is left.

    Example: labctl tui --control --reason "exchange of pellets"
    """
    from labctl.errors import CommandRefused
    from labctl.tui.app import LEAVING, Dashboard

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandRefused("The dashboard needs a terminal.", "Use `labctl status` or `labctl watch` in a pipe.", 2)
    keys = settings(context).lab_settings().tui.keys
    why = (reason or "labctl tui --control") if control else None
    with_lab(context, lambda lab: Dashboard(lab, reason=why, keys=keys).run_async())
    typer.echo(LEAVING, err=True)
