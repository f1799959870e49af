"""`labctl alerts`: whether alerts would reach somebody."""

import typer

from labctl.cli.context import settings

app = typer.Typer(no_args_is_help=True, help="Alerts by mail and webhook.")


@app.callback()
def alerts() -> None:
    """Alerts by mail and webhook."""


@app.command()
def test(context: typer.Context) -> None:
    """Send one alert over every way that config.toml names, and say what became of it.

    Example: labctl alerts test
    """
    import asyncio

    from labctl.alerts.alerts import channels
    from labctl.alerts.trial import try_all
    from labctl.errors import LabctlError

    chosen = settings(context)
    lab = chosen.lab_settings()
    ways = channels(lab.alerts, chosen.config_path.parent)
    if not ways:
        raise LabctlError(
            "The configuration names no way for alerts.",
            "Write [alerts.mail] or [alerts.webhook]: docs/how-to/alerts.md.",
        )
    troubles = asyncio.run(try_all(ways, lab.lab.site))
    for way in ways:
        typer.echo(f"{way.name}: {troubles.get(way.name) or 'delivered.'}", err=way.name in troubles)
    if troubles:
        raise typer.Exit(1)
