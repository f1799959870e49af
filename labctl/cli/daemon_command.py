"""`labctl daemon`: all stations of the configuration in one process, until it is told to end."""

from typing import Annotated

import typer

from labctl.cli.context import settings
from labctl.cli.pace import pace


def daemon(
    context: typer.Context,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Simulate every station in this process, whatever the addresses.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides noise and scatter of simulators.")] = 1,
    speed: Annotated[
        str | None,
        typer.Option(help='Pace of simulated stations while a run is under way: 1, 600, "max".', show_default="1"),
    ] = None,
) -> None:
    r"""Own every station: connected, polled, guarded and recorded, whether something runs there or not.

    Runs are started and watched by other commands (start, status, watch, tui). SIGTERM or Ctrl-C ends every run by
    name and makes every station safe.

    \b
    Examples:
      labctl daemon
      labctl daemon --simulate --speed 600
    """
    import asyncio

    from labctl.daemon.daemon import Daemon
    from labctl.logs import configure

    config = settings(context).load_config()
    configure()
    asked = pace(speed, simulate=simulate, seed=seed)

    def ready(bus: str) -> None:
        typer.echo(f"{len(config.stations)} stations: {', '.join(config.stations)}. Bus: {bus}", err=True)

    asyncio.run(Daemon(config, settings(context).config_path, asked, ready).serve())
