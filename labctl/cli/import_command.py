"""`labctl import`: a protocol from a file of another world, with everything that it does not say."""

from pathlib import Path
from typing import Annotated

import typer

from labctl.cli.converted import Json, Output, refuse_unknown, tell


def import_(
    file: Annotated[Path, typer.Argument(help="File of another world.", show_default=False)],
    from_: Annotated[
        str | None, typer.Option("--from", help="unicycler, pybamm or maccor; else its first character says.")
    ] = None,
    give: Annotated[
        list[str] | None,
        typer.Option("--give", metavar="KEY=VALUE", help="Say what the file does not, such as cell.kind=full."),
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    r"""Write a protocol from a file of aurora-unicycler, PyBaMM or MACCOR.

    What steers an experiment and does not stand in the file is never guessed: it is listed, and said with --give.

    \b
    Examples:
      labctl import formation.json --give cell.kind=full --output formation.toml
      labctl import EXP.000 --from maccor
    """
    from labctl.cli.inputs import assignments
    from labctl.exchange import GIVABLE, READERS, bring_in

    refuse_unknown("--from", from_, list(READERS))
    given = assignments(give or [])
    for key in given:
        refuse_unknown("--give", key, list(GIVABLE))
    tell(file, bring_in(file, from_, given), output, json=json)
