"""`labctl pause`, `resume`, `skip` and `stop`, a word to what runs at a station; `reset`, one to all stations."""

import sys
from typing import Annotated

import typer

from labctl.cli.remote import Reason, Target, with_lab
from labctl.literal import literal

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask at a terminal whether it is meant.")]


def pause(context: typer.Context, target: Target, reason: Reason = "") -> None:
    """Pause: the circuit is opened and the pressure frozen until `labctl resume`.

    Example: labctl pause A1 --reason "look at the seal"
    """
    with_lab(context, lambda lab: lab.pause(target, reason))
    typer.echo(f"{target}: pause is taken up.")


def resume(context: typer.Context, target: Target, reason: Reason = "") -> None:
    """Go on with what was paused, or with a queue that was held.

    Example: labctl resume A1
    """
    with_lab(context, lambda lab: lab.resume(target, reason))
    typer.echo(f"{target}: resume is taken up.")


def skip(context: typer.Context, target: Target, reason: Reason = "", yes: Yes = False) -> None:
    """End the present step and go on with the next one.

    Example: labctl skip A1 --reason "rested long enough"
    """
    _confirm(f"Skip the present step at {target}?", yes=yes)
    with_lab(context, lambda lab: lab.skip(target, reason))
    typer.echo(f"{target}: skip is taken up.")


def stop(context: typer.Context, target: Target, reason: Reason = "", yes: Yes = False) -> None:
    """End the run: its circuit is opened, its pressure frozen. What was recorded stays.

    Example: labctl stop A1 --reason "pellet cracked"
    """
    _confirm(f"Stop the run at {target}? It cannot be resumed.", yes=yes)
    with_lab(context, lambda lab: lab.stop(target, reason))
    typer.echo(f"{target}: stop is taken up.")


def reset(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="What was found; it is stored with your name.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask at a terminal for the typed word.")] = False,
) -> None:
    """Release an emergency stop: stations may start again. What waits in a queue waits until `labctl resume`.

    Example: labctl reset --reason "solvent wiped up, fume hood checked"
    """
    if not yes and sys.stdin.isatty():
        word = typer.prompt('Type "reset" to let every station start again', default="", show_default=False)
        _leave_unless(word == "reset")
    stations = with_lab(context, lambda lab: lab.reset(reason)).stations
    for name, said in stations.items():
        typer.echo(literal(f"{name}: {'; '.join(said) if said else 'released'}"))
    if any(stations.values()):
        raise typer.Exit(1)


def _confirm(question: str, *, yes: bool) -> None:
    """Ask a person; who is not at a terminal has said it by giving the command."""
    _leave_unless(yes or not sys.stdin.isatty() or typer.confirm(question))


def _leave_unless(meant: bool) -> None:
    if not meant:
        typer.echo("Nothing was done.")
        raise typer.Exit(1)
