"""`labctl status`: what every station does now, and what a person must know of."""

from typing import TYPE_CHECKING

import typer

from labctl.cli.context import console, print_json, settings
from labctl.cli.remote import Json, with_lab

if TYPE_CHECKING:
    from rich.table import Table

    from labctl.client import Lab
    from labctl.tui.sight import Sight


def status(context: typer.Context, json: Json = False) -> None:
    """Show every station of the daemon: state, run, step, cycle, values of now, time left; alarms below.

    Where a guard has acted on this machine since the daemon died, what it did comes first.

    Example: labctl status
    """
    from labctl.cli.stations import alarms, remarks, status_json
    from labctl.tui.sight import Sight

    async def work(lab: "Lab") -> None:
        sight = Sight(lab)
        if json:
            print_json(status_json(lab, sight))
            return
        out = console()
        for line in _daemons(lab):
            out.print(line, soft_wrap=True)
        out.print(_table(lab, sight))
        for line in [*alarms(sight), *(line for name in lab.stations for line in remarks(sight.station(name)))]:
            out.print(line, soft_wrap=True)

    for line in _guarded(context):
        console(to_stderr=True).print(line, soft_wrap=True)
    with_lab(context, work)


def _guarded(context: typer.Context) -> list[str]:
    """Return what a guard did for a daemon that has no successor yet."""
    from labctl.lab.guarded import read_report
    from labctl.literal import literal

    report = read_report(settings(context).lab_settings().storage.folder)
    if report is None:
        return []
    return [literal(line) for line in (report.why, *(station.sentence for station in report.stations.values()))]


def _daemons(lab: "Lab") -> list[str]:
    """Return a line for each daemon: whether it is there, and whether data are being stored."""
    from labctl.literal import literal

    lines = []
    for host, state in lab.daemons.items():
        if host not in lab.hosts:
            lines.append(f"{host}: not alive. Start it there with `labctl daemon`.")
            continue
        stored = state.recorder or f"{state.rows_per_second:.1f} rows/s stored, {state.backlog} waiting"
        disk = "" if state.disk_days is None else f", disk full in {state.disk_days:.0f} d"
        stop = " EMERGENCY STOP latched: `labctl reset` releases it." if state.estop else ""
        lines.append(literal(f"{host}: labctl {state.version}, {stored}{disk}.{stop}"))
    return lines


def _table(lab: "Lab", sight: "Sight") -> "Table":
    from rich.text import Text

    from labctl.cli.stations import measured, progress, said
    from labctl.cli.tables import make_table

    table = make_table("Station", "State", "Run", "Step", "Cycle", "V/V", "I/mA", "p/MPa", "T/°C", "Left", "", left=4)
    for name, state in lab.stations.items():
        seen = sight.station(name)
        *where, left = progress(seen)
        mark = "simulated" if state.simulated else ""
        table.add_row(*(Text(word) for word in (name, said(seen), *where, *measured(seen), left, mark)))
    return table
