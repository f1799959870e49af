"""`labctl check`: everything wrong with a protocol file, before anything moves."""

from pathlib import Path
from typing import Annotated

import typer

from labctl.cli.context import print_json, settings


def check(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Protocol files.", show_default=False)],
    station: Annotated[str | None, typer.Option(help="Check against this station of the configuration, too.")] = None,
    cell: Annotated[Path | None, typer.Option(help="Cell file that fills or overrides the protocol's [cell].")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set an input of the protocol.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check protocol files: every error at once, with its place, its reason and what to do.

    Example: labctl check protocols/doerrer-2021/asymmetric.toml --station A1
    """
    from labctl.cli.inputs import assignments
    from labctl.lab.abilities import abilities
    from labctl.protocol import check as check_file
    from labctl.protocol import load_cell

    against = None if station is None else abilities(settings(context).load_config(), station)
    values = assignments(set_ or [])
    loaded = None if cell is None else load_cell(cell)
    findings = {path: check_file(path, against, loaded, values) for path in files}
    if json:
        print_json(
            {
                "files": [
                    {
                        "file": str(path),
                        "findings": [
                            {
                                "code": finding.code,
                                "severity": finding.severity,
                                "line": finding.place.line,
                                "column": finding.place.column,
                                "reason": finding.reason,
                                "remedy": finding.remedy,
                            }
                            for finding in found
                        ],
                    }
                    for path, found in findings.items()
                ]
            }
        )
    else:
        for path, found in findings.items():
            for finding in found:
                typer.echo(str(finding), err=True)
            if not found:
                typer.echo(f"{path}: no errors")
    if any(finding.severity == "error" for found in findings.values() for finding in found):
        raise typer.Exit(3)
