"""`labctl runs`: what has been recorded."""

from pathlib import Path
from typing import Annotated

import typer

from labctl.cli.context import console, print_json, settings


def runs(
    context: typer.Context,
    db: Annotated[Path | None, typer.Option(help="Database; else labctl.db in the data folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the recorded runs, the newest first.

    Example: labctl runs
    """
    from labctl.cli.tables import run_json, run_table
    from labctl.record.queries import Queries

    with Queries(settings(context).database(db)) as queries:
        found = queries.runs()
    if json:
        print_json({"runs": [run_json(run) for run in found]})
    else:
        console().print(run_table(found))
