"""`labctl change`: other inputs for a plan that runs."""

import typer

from labctl.cli.remote import Assignments, Reason, Target, with_lab


def change(context: typer.Context, target: Target, set_: Assignments = None, reason: Reason = "") -> None:
    """Revise inputs of a running plan, from its next step on; before and after stand in the run's events.

    Example: labctl change A1 --set cycles=200 --reason "still at 96 percent"
    """
    from labctl.cli.inputs import assignments
    from labctl.literal import literal

    inputs = assignments(set_ or [])
    if not inputs:
        raise typer.BadParameter("say what changes: --set NAME=VALUE")
    changed = with_lab(context, lambda lab: lab.change(target, inputs, reason))
    typer.echo(f"{target}: from the next step on")
    for name, value in changed.inputs.items():
        typer.echo(f"  {literal(name)} = {literal(value)}")
