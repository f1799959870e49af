"""`labctl guard`: watches over the daemon from a process of its own, and makes its instruments safe when it fails."""

from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import print_json, settings

if TYPE_CHECKING:
    from labctl.guard.guard import Guard

UNSAFE = 4


def guard(
    context: typer.Context,
    patience: Annotated[
        str, typer.Option(help="How long the daemon may stand still before it is ended, at least 1 s.")
    ] = "5 s",
    once: Annotated[bool, typer.Option("--once", help="End as soon as it is known how the daemon is.")] = False,
    json: Annotated[bool, typer.Option("--json", help="With --once: print one JSON object.")] = False,
) -> None:
    r"""Watch over the daemon of this configuration; where it dies or hangs, end it and make its instruments safe.

    It waits where no daemon has run yet, and leaves alone what a daemon that has ended in order left behind. It is no
    safety function. Exit status 4 with --once where an instrument did not confirm.

    \b
    Examples:
      labctl guard
      labctl guard --patience "10 s"
    """
    import asyncio

    from labctl.guard.guard import Guard
    from labctl.logs import configure

    if json and not once:
        raise typer.BadParameter("--json tells how it was --once: a guard that watches on has no result")
    config = settings(context).load_config()
    configure()
    watching = Guard(config, settings(context).config_path, _seconds(patience))
    asyncio.run(_serve(watching, once=once))
    if not once:
        return
    report = watching.report
    if json:
        print_json({"report": None if report is None else report.model_dump(mode="json")})
    elif report is None:
        typer.echo("Nothing had to be made safe.")
    else:
        for line in (report.why, *(station.sentence for station in report.stations.values())):
            typer.echo(line)
    if report is not None and not report.complete:
        raise typer.Exit(UNSAFE)


async def _serve(watching: "Guard", *, once: bool) -> None:
    import asyncio
    import signal

    told_to_end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told_to_end.set)
    await watching.serve(told_to_end, once=once)


def _seconds(text: str) -> float:
    """Read a duration such as "5 s"."""
    from labctl.guard.guard import LEAST_PATIENCE
    from labctl.quantity import Dimension, WordingError, parse

    try:
        asked = float(parse(text, Dimension.TIME))
    except WordingError as error:
        raise typer.BadParameter(f"{error.sentence}; {error.remedy}") from None
    if asked < LEAST_PATIENCE:
        raise typer.BadParameter(f"the patience is at least {LEAST_PATIENCE:g} s: the daemon beats every half second")
    return asked
