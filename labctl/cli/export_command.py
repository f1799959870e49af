"""`labctl export`: a protocol for another world, with everything that is left behind, or a recorded run as data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import print_json, settings
from labctl.cli.converted import Json, Output, refuse_unknown, tell, writing_new
from labctl.cli.named import Cell, folders, protocol_file

if TYPE_CHECKING:
    from labctl.record.queries import Queries, RunRow


def export(
    context: typer.Context,
    what: Annotated[
        Path,
        typer.Argument(
            help="Protocol file, or the name of one in the folders; for bdf a run, by number or UUID.",
            show_default=False,
        ),
    ],
    to: Annotated[str, typer.Option("--to", help="unicycler, pybamm or bdf.", show_default=False)],
    cell: Cell = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set an input of the protocol.")
    ] = None,
    db: Annotated[Path | None, typer.Option(help="Database of the run; else labctl.db in the data folder.")] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    r"""Write a protocol for aurora-unicycler or PyBaMM, or the readings of a run as a table of the Battery Data Format.

    By way of aurora-unicycler a protocol goes to Neware, BioLogic and BattINFO. Nothing is written where what is left
    of it would be another experiment for the cell.

    \b
    Examples:
      labctl export protocols/wang-2023/cccv.toml --to unicycler --output wang.json
      labctl export protocols/wang-2023/cccv.toml --to pybamm --set cycles=10
      labctl export 12 --to bdf --output run-12.bdf.csv
    """
    from labctl.cli.inputs import assignments
    from labctl.exchange import WRITERS, send_out, to_bdf
    from labctl.protocol import load_cell
    from labctl.record.queries import Queries

    refuse_unknown("--to", to, [*WRITERS, to_bdf.NAME])
    if to == to_bdf.NAME:
        if cell is not None or set_:
            raise typer.BadParameter("--cell and --set are of protocols; a run has its own, which are in its record")
        with Queries(settings(context).database(db)) as queries:
            _readings(queries, queries.run(str(what)), output, json=json)
        return
    path, loaded = protocol_file(context, what), None if cell is None else load_cell(cell)
    tell(path, send_out(path, to, loaded, assignments(set_ or []), folders(context)), output, json=json)


def _readings(queries: "Queries", run: "RunRow", output: Path | None, *, json: bool) -> None:
    """Write the readings of a run to a new file or to standard output."""
    import sys

    from labctl.exchange.to_bdf import Table

    if json and output is None:
        raise typer.BadParameter("--json says what was written: it needs --output")
    table = Table(queries.measured(run.id), run.instruments or {})
    rows = queries.rows(run.id, table.columns)
    if output is None:
        table.write(sys.stdout, rows)
        return
    with writing_new(output) as file:
        count = table.write(file, rows)
    if json:
        print_json({"run": run.uuid, "file": str(output), "readings": count, "columns": list(table.labels)})
    else:
        typer.echo(f"{count} readings of run {run.id} in {output}.", err=True)
