"""`labctl watch`: a line a second for each station, for a terminal or a program."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from labctl.cli.remote import Json, with_lab

if TYPE_CHECKING:
    from labctl.client import Lab
    from labctl.tui.sight import Sight

PERIOD = 1.0


def watch(context: typer.Context, json: Json = False) -> None:
    """Print every second what each station does and measures, until Ctrl-C; with --json one object a line.

    Example: labctl watch --json
    """

    async def work(lab: "Lab") -> None:
        async for line in lines(lab, as_json=json):
            typer.echo(line)

    with_lab(context, work)


async def lines(lab: "Lab", *, as_json: bool) -> AsyncIterator[str]:
    """Yield lines for ever; where the daemon is gone they say so, and go on when it is back.

    An alarm has a line when it comes and whenever its state changes.
    """
    from labctl.cli.context import as_line
    from labctl.cli.stations import alarms, status_json
    from labctl.clock import host_monotonic, host_sleep
    from labctl.tui.sight import Sight

    sight, due = Sight(lab), host_monotonic()
    known: set[str] = set()
    while True:
        if as_json:
            yield as_line({"unix_second": sight.unix(), **status_json(lab, sight)})
        else:
            standing = alarms(sight)
            for line in [*_told(lab, sight), *(one for one in standing if one not in known)]:
                yield f"{_clock(sight.unix())}  {line}"
            known = set(standing)
        due = max(due + PERIOD, host_monotonic())
        await host_sleep(due - host_monotonic())


def _told(lab: "Lab", sight: "Sight") -> list[str]:
    """Return a line for each station, or the one that says why none is of now."""
    from labctl.cli.stations import measured, progress, said

    if sight.trouble:
        return [sight.trouble]
    told = []
    for name in lab.stations:
        seen = sight.station(name)
        voltage, current, pressure, temperature = measured(seen)
        run, step, cycle, left = progress(seen)
        values = f"{voltage:>7} V  {current:>8} mA  {pressure:>9} MPa  {temperature:>5} °C"
        doing = f"  {run}  {step:<24}  {cycle and f'cycle {cycle}  '}{left} left" if run else ""
        told.append(f"{name:<6}  {said(seen):<11}  {values}{doing}".rstrip())
    return told


def _clock(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%H:%M:%S")
