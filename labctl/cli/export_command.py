"""`labctl export`: a protocol for another world, with everything that is left behind."""

from typing import Annotated

import typer

from labctl.cli.converted import Json, Output, refuse_unknown, tell
from labctl.cli.named import Cell, Named, folders, protocol_file


def export(
    context: typer.Context,
    file: Named,
    to: Annotated[str, typer.Option("--to", help="unicycler or pybamm.", show_default=False)],
    cell: Cell = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set an input of the protocol.")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    r"""Write a protocol for aurora-unicycler, hence Neware, BioLogic and BattINFO, or for PyBaMM.

    Nothing is written where what is left would be another experiment for the cell.

    \b
    Examples:
      labctl export protocols/wang-2023/cccv.toml --to unicycler --output wang.json
      labctl export protocols/wang-2023/cccv.toml --to pybamm --set cycles=10
    """
    from labctl.cli.inputs import assignments
    from labctl.exchange import WRITERS, send_out
    from labctl.protocol import load_cell

    refuse_unknown("--to", to, list(WRITERS))
    path, loaded = protocol_file(context, file), None if cell is None else load_cell(cell)
    tell(path, send_out(path, to, loaded, assignments(set_ or []), folders(context)), output, json=json)
