"""`labctl explain`: what a protocol does, as numbered prose."""

from typing import Annotated

import typer

from labctl.cli.named import Cell, Named, folders, protocol_file
from labctl.cli.remote import Assignments


def explain(
    context: typer.Context,
    file: Named,
    cell: Cell = None,
    set_: Assignments = None,
    expand: Annotated[bool, typer.Option("--expand", help="Unroll every `for`.")] = False,
) -> None:
    r"""Say what a protocol does in numbered prose: values as written and on the cell, ends, and what bounds each step.

    \b
    Examples:
      labctl explain protocols/wang-2023/cccv.toml
      labctl explain rate-test.toml --cell cells/nmc-07.toml --expand
    """
    from labctl.cli.inputs import assignments
    from labctl.protocol import ANY_STATION, bind, load, load_cell
    from labctl.protocol.load import fill
    from labctl.words.explain import explain as in_words

    loaded = None if cell is None else load_cell(cell)
    protocol, values = load(protocol_file(context, file), folders(context)), assignments(set_ or [])
    if values:
        protocol = fill(protocol.source, values)
    typer.echo(in_words(protocol, bind(protocol, ANY_STATION, loaded), loaded, expand=expand), nl=False)
