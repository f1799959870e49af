"""`labctl fmt`: protocol files in the usual layout."""

from pathlib import Path
from typing import Annotated

import typer

DIFFERENT = 1


def fmt(
    files: Annotated[list[Path], typer.Argument(help="Protocol files.", show_default=False)],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; status 1 where a file would change.")] = False,
) -> None:
    r"""Lay out protocol files anew: keys in order, aligned, every comment kept; what they mean stays what it is.

    \b
    Examples:
      labctl fmt my-protocol.toml
      labctl fmt --check protocols/*/*.toml
    """
    from labctl.errors import LabctlError, ProtocolError
    from labctl.protocol.layout import tidy
    from labctl.protocol.source import read
    from labctl.textfile import replace_text

    texts = {path: read(path, ProtocolError).text for path in files}
    changed = {path: new for path, old in texts.items() if (new := tidy(str(path), old)) != old}
    for path, text in changed.items():
        try:
            if not check:
                replace_text(path, text)
        except OSError as error:
            raise LabctlError(f"{path} cannot be written: {error.strerror}.", "Check its permissions.") from None
        typer.echo(f"{path}: {'would be' if check else 'was'} laid out anew")
    if check and changed:
        raise typer.Exit(DIFFERENT)
