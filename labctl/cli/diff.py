"""`labctl diff`: how two protocols differ, in words."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import print_json
from labctl.cli.named import Named, folders, protocol_file
from labctl.cli.remote import Json

if TYPE_CHECKING:
    from labctl.protocol import Protocol
    from labctl.words.values import Values

DIFFERENT = 1


def diff(
    context: typer.Context,
    first: Named,
    second: Annotated[Path, typer.Argument(help="The one to compare with it.", show_default=False)],
    json: Json = False,
) -> None:
    """Say how the second protocol differs from the first, by what they mean; status 1 where they differ.

    Example: labctl diff ma-2024/lto-0.2C my-lto.toml
    """
    from labctl.protocol import load
    from labctl.words.difference import differences
    from labctl.words.values import sentence

    one, other = (load(protocol_file(context, file), folders(context)) for file in (first, second))
    found = differences(one.file, other.file, (_values(one), _values(other)))
    if json:
        print_json({"first": str(first), "second": str(second), "differences": list(found)})
    elif found:
        typer.echo("\n".join([*map(sentence, found), "All else is the same."]))
    else:
        typer.echo("They mean the same.")
    if found:
        raise typer.Exit(DIFFERENT)


def _values(protocol: "Protocol") -> "Values":
    from labctl.protocol.scale import Scale, bind_cell
    from labctl.words.values import Values

    return Values(Scale(bind_cell(protocol.file.cell)))
